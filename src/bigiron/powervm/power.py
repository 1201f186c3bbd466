"""Starts, stops and restarts partitions; what is already so is a success."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pypowervm.wrappers.base_partition import LPARState, RMCState
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.errors import Busy, Conflict, NotFound, PlatformError, Timeout, Unavailable
from bigiron.model import PowerState
from bigiron.powervm import ibmi, jobs
from bigiron.powervm.connection import Connection
from bigiron.powervm.console.consoles import Consoles
from bigiron.powervm.errors import translated
from bigiron.powervm.partition import Lpar

LOG = logging.getLogger(__name__)

_ALREADY_ON = ("HSCL3681", "PVME01042026")
_ALREADY_OFF = ("HSCL1558", "PVME04000005", "PVME01050901")
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to stop a partition, from the gentlest to the last."""

    name: str
    parameters: tuple[tuple[str, str], ...]


_OS_NORMAL = _Way("an operating-system shutdown", (("operation", "osshutdown"),))
_OS = _Way("an immediate operating-system shutdown", (("operation", "osshutdown"), ("immediate", "true")))
_NORMAL = _Way("a normal power-off", (("operation", "shutdown"),))
_HARD = _Way("an immediate power-off", (("operation", "shutdown"), ("immediate", "true")))


class Power:
    """The power of the system's partitions; one action at a time for each of them."""

    def __init__(self, connection: Connection, consoles: Consoles | None = None) -> None:
        self._connection = connection
        self._consoles = consoles
        self._adapter = connection.adapter
        self._mirror = connection.mirror
        self._guard = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._ending: Counter[str] = Counter()

    @contextlib.contextmanager
    def ending(self, lpar: Lpar | None) -> Iterator[None]:
        """Nothing starts the partition while it is taken apart: a reboot may have waited for its turn until now."""
        names = [lpar.uuid] if lpar is not None else []
        with self._guard:
            self._ending.update(names)
        try:
            yield
        finally:
            with self._guard:
                self._ending -= Counter(names)

    def start(self, lpar: Lpar, known_off: bool = False, boot: str = "") -> None:
        """Start the partition; `known_off` saves the question whether it runs already.

        `boot` has the device paths to boot from at this start, divided by blanks; empty leaves that to the firmware.
        """
        parameters = dict(ibmi.START_PARAMETERS) if lpar.os400 else {"bootstring": boot} if boot else {}
        with self._locked(lpar):
            if self._ending[lpar.uuid]:
                raise Conflict(f"LPAR {lpar.name} is being deleted and is not started any more.")
            if not known_off and self._mirror.fresh(lpar.uuid).power is PowerState.RUNNING:
                return
            if self._consoles is not None:
                self._consoles.begin(lpar)
            with self._mirror.working(lpar.uuid):
                try:
                    self._job(lpar, "PowerOn", parameters, _ALREADY_ON, self._connection.options.job_timeout_s)
                except Unavailable:
                    # No answer, and no job under way: it has ended already or was never begun.
                    if self._state(lpar) != LPARState.RUNNING:
                        raise
                self._mirror.wrote_state(lpar.uuid, LPARState.RUNNING)

    def stop(self, lpar: Lpar, timeout_s: float = 0, known_on: bool = False, rmc_state: str | None = None) -> None:
        """Stop the partition: at once with a time-out of 0, else gently first, each gentle way for that long.

        `known_on` does not believe a state that says otherwise: a start may have taken effect and nobody told.
        `rmc_state` is given where it was read just now.
        """
        with self._locked(lpar):
            if not known_on and self._mirror.fresh(lpar.uuid).power is PowerState.STOPPED:
                return
            with self._mirror.working(lpar.uuid):
                try:
                    self._down(lpar, timeout_s, restart=False, rmc_state=rmc_state)
                except Unavailable:
                    if self._state(lpar) != LPARState.NOT_ACTIVATED:
                        raise
                self._mirror.wrote_state(lpar.uuid, LPARState.NOT_ACTIVATED)
            if self._consoles is not None:
                self._consoles.stopped(lpar)

    def is_on(self, lpar: Lpar) -> bool:
        """Whether the partition runs, or is on its way up or down."""
        return self._mirror.fresh(lpar.uuid).power is not PowerState.STOPPED

    def restart(self, lpar: Lpar, hard: bool, timeout_s: float) -> None:
        """Restart the partition, asking its operating system first unless `hard`; a stopped one is started."""
        with self._locked(lpar):
            if self._mirror.fresh(lpar.uuid).power is PowerState.STOPPED:
                self.start(lpar, known_off=True)
                return
            with self._mirror.working(lpar.uuid):
                self._down(lpar, 0 if hard else timeout_s, restart=True)
                self._mirror.wrote_state(lpar.uuid, LPARState.RUNNING)

    def dump(self, lpar: Lpar) -> None:
        """Have the partition write a dump of its memory, as its operating system is set up to, and start again."""
        with self._locked(lpar):
            if self._mirror.fresh(lpar.uuid).power is not PowerState.RUNNING:
                raise Conflict(f"LPAR {lpar.name} is not running: there is nothing to dump. Start it first.")
            with self._mirror.working(lpar.uuid):
                timeout_s = self._connection.options.job_timeout_s
                self._job(lpar, "PowerOff", {"operation": "dumprestart"}, (), timeout_s)
                self._mirror.wrote_state(lpar.uuid, LPARState.RUNNING)

    def forget(self, lpar_uuid: str) -> None:
        """The partition is gone for good."""
        with self._guard:
            self._locks.pop(lpar_uuid, None)

    def _down(self, lpar: Lpar, timeout_s: float, restart: bool, rmc_state: str | None = None) -> None:
        gentle = self._gentle(lpar, rmc_state) if timeout_s > 0 else ()
        for way in gentle:
            try:
                self._try(lpar, way, timeout_s, restart)
                return
            except (Timeout, jobs.JobFailed) as error:
                LOG.warning("LPAR %s did not stop by %s, going further: %s", lpar.name, way.name, error)
        self._try(lpar, _HARD, self._connection.options.job_timeout_s, restart)

    def _gentle(self, lpar: Lpar, rmc_state: str | None) -> tuple[_Way, ...]:
        """The operating system can only be asked through a working RMC connection, which no event reports; IBM i is
        asked by the hypervisor itself, and takes an immediate shutdown for an abnormal end."""
        if lpar.os400:
            return (_OS_NORMAL, _OS, _NORMAL)
        if rmc_state is None:
            with translated(f"Reading LPAR {lpar.name}"):
                rmc_state = str(LPAR.get(self._adapter, uuid=lpar.uuid).rmc_state or "")
        return (_OS, _NORMAL) if rmc_state == RMCState.ACTIVE else (_NORMAL,)

    def _try(self, lpar: Lpar, way: _Way, timeout_s: float, restart: bool) -> None:
        parameters = dict(way.parameters)
        if restart:
            parameters["restart"] = "true"
        deadline = time.monotonic() + timeout_s
        self._job(lpar, "PowerOff", parameters, () if restart else _ALREADY_OFF, timeout_s)
        if not restart and way is not _HARD:
            self._await_off(lpar, deadline)

    def _await_off(self, lpar: Lpar, deadline: float) -> None:
        """A gentle job may end once the request was delivered; the partition is down when its state says so."""
        while not self._is_off(lpar):
            if time.monotonic() >= deadline:
                raise Timeout(f"LPAR {lpar.name} accepted the shutdown and is still up.")
            time.sleep(_POLL_S)

    def _is_off(self, lpar: Lpar) -> bool:
        """Whether the partition is down; not known to be while the service does not answer, which may soon."""
        try:
            return self._state(lpar) == LPARState.NOT_ACTIVATED
        except (Busy, Timeout, Unavailable) as error:
            LOG.info("LPAR %s is shutting down, and its state cannot be read now: %s", lpar.name, error)
            return False

    def _state(self, lpar: Lpar) -> str:
        with translated(f"Reading the state of LPAR {lpar.name}"):
            answer = self._adapter.read(
                LPAR.schema_type, root_id=lpar.uuid, suffix_type="quick", suffix_parm="PartitionState"
            )
        return str(answer.body).strip().strip('"')

    def _job(
        self, lpar: Lpar, operation: str, parameters: dict[str, str], success: tuple[str, ...], timeout_s: float
    ) -> None:
        what = f"{operation} of LPAR {lpar.name}"
        try:
            jobs.run(self._adapter, LPAR.schema_type, lpar.uuid, operation, parameters, timeout_s, what)
        except NotFound:
            self._mirror.removed(lpar.uuid)
            raise
        except PlatformError as error:
            if any(code in f"{error.detail} {error.message}" for code in success):
                LOG.info("%s: %s", what, error)
                return
            raise

    def _locked(self, lpar: Lpar) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(lpar.uuid, threading.RLock())
