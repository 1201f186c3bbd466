"""The verbs that every platform answers, and Step: one undoable step of a longer operation.

The plug-ins call nothing else of a platform. Verbs raise errors.PlatformError and nothing else on purpose; each
makes its remote calls with time-outs and can be called from many threads at once.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from bigiron.errors import Unsupported
from bigiron.model import (
    ConsoleAddress,
    CpuStats,
    DiskBytes,
    GuestEvent,
    GuestReport,
    GuestSpec,
    GuestState,
    GuestUsage,
    HostFacts,
    ImageSource,
    NicSpec,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """A typed name for what one step provides and others need; a key that only orders steps holds None."""

    name: str


class Values:
    """What the steps run so far have provided."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: Key[T]) -> T:
        value: T = self._values[key.name]
        return value


class Step(abc.ABC):
    """One undoable step. Steps whose needs are met run side by side.

    A step object belongs to one operation and may remember what it did. `revert` also runs when `execute` itself
    failed half-way: it undoes whatever was done and does nothing where nothing was.
    """

    name: str
    needs: tuple[Key[Any], ...] = ()
    provides: Key[Any] | None = None

    @abc.abstractmethod
    def execute(self, values: Values) -> Any:
        """Do it; the return value is what `provides` names."""

    def revert(self, values: Values) -> None:
        """Undo it; `values` holds what the needs were."""
        return


CONFIG_DRIVE: Key[Path] = Key("config_drive")
"""The built config drive, an ISO 9660 file; the plug-in's step provides it, the platform's uploads it."""

NICS_READY: Key[None] = Key("nics_ready")
"""Every network adapter exists and the network service has been told: provided by the plug-in's waiting step."""


STOPPED: Key[None] = Key("stopped")
"""The guest does not run: provided by the platform's step that stops it, which a live resize does without."""


def nic_plugged(nic: NicSpec) -> Key[None]:
    """The key that the platform's step for this adapter provides."""
    return Key(f"nic:{nic.id}")


class Hypervisor(abc.ABC):
    """One platform host: a PowerVM managed system or a z/VM LPAR."""

    # The connection

    @abc.abstractmethod
    def start(self) -> None:
        """Connect, check that the host is usable and start following its events.

        Raises Unavailable while the platform does not answer (the message says what was tried), AuthError for wrong
        credentials or an untrusted certificate, and InvalidSpec for an option that names something that is not there.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop the threads and close the connection; safe to call twice."""

    @abc.abstractmethod
    def subscribe(self, callback: Callable[[GuestEvent], None]) -> None:
        """Call back, from a thread of the platform's, whenever a guest of ours has changed its power state."""

    def subscribe_wired(self, callback: Callable[[str], None]) -> None:
        """Call back, from a thread of the platform's, with the id of each port that the network agent has wired.

        A platform whose agent does not say so never calls: the network service's own word comes in any case.
        """
        return

    def subscribe_reachable(self, callback: Callable[[bool], None]) -> None:
        """Call back, from a thread of the platform's, with False once it has not answered for a while, True when it
        does again; the callback must be quick.

        A platform that cannot tell never calls.
        """
        return

    # The host

    @abc.abstractmethod
    def facts(self) -> HostFacts:
        """The host and its capacity, served from what is known without a remote call where that is current."""

    @abc.abstractmethod
    def cpu_stats(self) -> CpuStats:
        """Processor time of the host."""

    @abc.abstractmethod
    def uptime(self) -> str:
        """How long the host has been up, as a line a person reads."""

    # Guests

    @abc.abstractmethod
    def guests(self) -> Sequence[GuestState]:
        """Every guest that carries our mark."""

    @abc.abstractmethod
    def guest(self, uuid: str, fresh: bool = False) -> GuestState:
        """One guest of ours by instance uuid; `fresh` asks the platform. Raises NotFound."""

    def report(self, uuid: str) -> GuestReport:
        """What the platform tells of a guest of ours now, its adapters and disks among it. Raises NotFound."""
        raise Unsupported(f"Guest {uuid} has no diagnostics: this platform gives none.")

    def usage(self, uuids: Collection[str]) -> Mapping[str, GuestUsage]:
        """What guests of ours use, as of the platform's newest figures, by instance uuid; nothing of unknown ones."""
        return {}

    @abc.abstractmethod
    def is_made(self, uuid: str) -> bool:
        """Whether the guest exists and its spawn has come to its end; asks the platform nothing."""

    @abc.abstractmethod
    def is_half_made(self, uuid: str) -> bool:
        """Whether a spawn of the guest was begun here and neither completed nor undone; asks the platform nothing."""

    @abc.abstractmethod
    def check(self, spec: GuestSpec, replacing: bool = False) -> None:
        """Raise InvalidSpec, NoCapacity or Unsupported if the guest cannot be made here; changes nothing.

        With `replacing`, a guest of ours that has the spec's uuid goes before, and leaves what it holds.
        """

    @abc.abstractmethod
    def spawn_steps(self, spec: GuestSpec) -> Sequence[Step]:
        """The steps that make a guest.

        They need CONFIG_DRIVE when the spec asks for one and NICS_READY before power-on, which the caller's own
        steps provide; each adapter's step provides `nic_plugged(nic)`.
        """

    def resize_steps(self, spec: GuestSpec, timeout_s: int = 0) -> Sequence[Step]:
        """The steps that give a guest of ours the memory, processors and options of the spec, and power as it says.

        Its root disk grows to the size in `spec.disks`, if that names one; its empty disks become those of
        `spec.disks`: they are made, grow or go. A larger disk stays, and one that has grown does not shrink when the
        steps are undone. `timeout_s` is as in `power_off`, for a guest that must be stopped. Raises InvalidSpec,
        NoCapacity or Unsupported before anything is changed.
        """
        raise Unsupported(f"Guest {spec.name} cannot be resized: this platform does not do that.")

    @abc.abstractmethod
    def destroy(self, uuid: str, keep_disks: bool = False) -> bool:
        """Remove a guest of ours and all that belongs to it; returns whether it was there, which is no error.

        Goes on after a failure in one part, so that as much as can be is removed, and then raises the first error.
        Raises Foreign when the guest under that address is not ours.
        """

    def unplugged(self, nics: Iterable[NicSpec]) -> None:
        """Tell the network agent that these ports' adapters have gone with their guest; its failure to hear is logged.

        A platform whose agent sees that for itself does nothing.
        """
        return

    @abc.abstractmethod
    def adopt(self, instances: Iterable[tuple[str, str]]) -> Sequence[str]:
        """Mark existing unmarked guests, given as (instance uuid, instance name), as ours; returns the uuids marked."""

    def reconcile(self, known: Collection[str]) -> Sequence[str]:
        """Remove guests that an earlier process began and did not complete, unless they are among the known instances.

        Returns the instance uuids of what was removed; a known one is its owner's to destroy.
        """
        return ()

    # Power

    @abc.abstractmethod
    def power_on(self, uuid: str) -> None:
        """Start the guest; one that runs already is no error."""

    @abc.abstractmethod
    def power_off(self, uuid: str, timeout_s: int = 0) -> None:
        """Stop the guest: with a time-out, ask the operating system first and escalate; with 0, at once."""

    @abc.abstractmethod
    def reboot(self, uuid: str, hard: bool) -> None:
        """Restart the guest; one that is stopped is started."""

    def dump(self, uuid: str) -> None:
        """Have the guest write a crash dump and restart; raises Conflict for one that does not run."""
        raise Unsupported(f"Guest {uuid} cannot be dumped: this platform does not do that.")

    def pause(self, uuid: str) -> None:
        """Stop the guest's processors for a while; raises Conflict for one that does not run."""
        raise Unsupported(f"Guest {uuid} cannot be paused: this platform does not do that.")

    def unpause(self, uuid: str) -> None:
        """Let the guest's processors go on; raises Conflict for one that is stopped."""
        raise Unsupported(f"Guest {uuid} cannot be unpaused: this platform does not do that.")

    # Disks

    def root_disk(self, uuid: str) -> AbstractContextManager[DiskBytes]:
        """The root disk's bytes as they are now, to be read inside the context; its end undoes what it took.

        A running guest may write meanwhile: what is read is what a crash would have left.
        """
        raise Unsupported(f"The disks of guest {uuid} cannot be read on this platform.")

    # Consoles

    def console_output(self, uuid: str, limit: int) -> bytes:
        """The last bytes, at most so many, that the guest wrote to its console. Raises Unsupported."""
        raise Unsupported("This platform does not record consoles.")

    def console_vnc(self, uuid: str) -> ConsoleAddress:
        """Where the console of a running guest is shown. Raises Unsupported, and Conflict while it does not run."""
        raise Unsupported("This platform does not show consoles by VNC.")

    def console_serial(self, uuid: str) -> ConsoleAddress:
        """Where the console of a running guest is a stream of bytes. Raises as `console_vnc`."""
        raise Unsupported("This platform has no serial consoles.")

    # Images

    def cache_image(self, image: ImageSource) -> bool:
        """Have the image where guests' disks are made from it; True if it was fetched now, False if it was there."""
        raise Unsupported(f"Image {image.name} cannot be cached ahead on this platform.")

    def trim_images(self, used: Collection[str], min_age_s: float) -> Sequence[str]:
        """Remove cached images that no guest needs and that none of the `used` image ids names.

        An image goes once it has been unused for that many seconds, over restarts too. Returns names of what went.
        """
        return ()

    # Rescue

    @abc.abstractmethod
    def is_rescued(self, uuid: str) -> bool:
        """Whether the guest has the disk of a rescue, whatever became of that; costs no remote call as a rule."""

    @abc.abstractmethod
    def rescue_steps(self, spec: GuestSpec) -> Sequence[Step]:
        """The steps that start an existing guest from a disk of another image, its own disks beside it.

        `spec` has that disk only, with the role RESCUE. They need CONFIG_DRIVE when the spec asks for one: it takes
        the place of the guest's own meanwhile. Raises PlatformError, before anything is changed, for what cannot be.
        """

    @abc.abstractmethod
    def unrescue_steps(self, uuid: str) -> Sequence[Step]:
        """The steps that start the guest from its own disks again and delete what its rescue made."""

    # Network adapters

    @abc.abstractmethod
    def attach(self, uuid: str, nic: NicSpec) -> None:
        """Give a guest, running or not, one more adapter and announce it to the network agent; all or nothing.

        Raises Conflict, before anything is changed, where the guest's state forbids it.
        """

    @abc.abstractmethod
    def detach(self, uuid: str, nic: NicSpec) -> None:
        """Take the adapter with the NIC's MAC from a guest, running or not; one that is gone already is no error.

        Raises Conflict, before anything is changed, where the guest's state forbids it.
        """

    @abc.abstractmethod
    def plug(self, uuid: str, nic: NicSpec) -> None:
        """Create the adapter if it is not there; announces it to the network agent either way."""

    def was_plugged(self, uuid: str, nics: Sequence[NicSpec]) -> bool:
        """Whether the guest had its adapters, for these ports, when the host was last read; asks it nothing.

        False where that is not known. Raises NotFound and Foreign.
        """
        return False

    @abc.abstractmethod
    def unplug(self, uuid: str, nic: NicSpec) -> None:
        """Remove the adapter with the NIC's MAC; one that is gone already is no error."""
