"""All guests of a simulated system: who is who, power changes from the world, and what the control address shows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.guests.hardware import Adapter, Hardware, Storage
from bigiron.sim.powervm.guests.inventory import Inventory
from bigiron.sim.powervm.guests.scripted import Phase, ScriptedGuest
from bigiron.sim.powervm.model.partition import FIRMWARE, RUNNING, Lpar, Partition
from bigiron.sim.powervm.model.world import World


class NoPartition(Exception):
    """No partition answers to the given id, uuid or name."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no partition with id, uuid or name {reference}; GET /guests lists them")


@dataclass(frozen=True, slots=True)
class Seat:
    """A partition and what runs in it."""

    lpar_id: int
    uuid: str
    name: str
    guest: ScriptedGuest


class Guests:
    """The guests of one world. Made when they are first needed, so that hundreds of partitions cost nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._guests: dict[str, ScriptedGuest] = {}
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="config-drive")
        self._gone: list[Callable[[str], None]] = []
        self.closed = False
        """Whether readers that wait for console text must leave."""
        world.power_hooks.append(self._powered)
        world.shutdown_hooks.append(self._shut_down)
        world.subscribe(self._changed)

    def now(self) -> float:
        """The simulation's time in seconds."""
        return self._world.clock.now()

    def on_gone(self, callback: Callable[[str], None]) -> None:
        """Have `callback(uuid)` called when a partition was deleted; it is called under the world's lock."""
        self._gone.append(callback)

    def seat(self, reference: str) -> Seat:
        """The partition with that id, uuid or name. Raises NoPartition."""
        with self._world.lock:
            partition = self._find(reference)
            return Seat(partition.id, partition.uuid, partition.name, self._guest(partition))

    def has(self, seat: Seat) -> bool:
        """Whether that partition is still there: one that was deleted and made anew has another guest."""
        with self._world.lock:
            return self._guests.get(seat.uuid.upper()) is seat.guest

    def console(self, reference: str) -> Console:
        """A partition's console, brought up to date. Raises NoPartition."""
        guest = self.seat(reference).guest
        guest.advance(self.now())
        return guest.console

    def type_text(self, reference: str, text: str) -> None:
        """Type on a partition's console. Raises NoPartition."""
        self.seat(reference).guest.type_text(text, self.now())

    def system_name(self) -> str:
        """The managed system's name."""
        return self._world.state.system.name

    def overview(self) -> list[dict[str, Any]]:
        """Every partition with its guest, adapters and storage, as JSON-able values."""
        with self._world.lock:
            inventory = Inventory(self._world)
            found = [(p, inventory.hardware(p), self._guests.get(p.uuid.upper())) for p in self._world.partitions]
            return [self._entry(*one) for one in sorted(found, key=lambda one: one[0].id)]

    def networks(self) -> list[dict[str, Any]]:
        """The network bridges: their switch, their SEAs and the VLANs that these carry."""
        with self._world.lock:
            names = {vios.uuid: vios.name for vios in self._world.vioses}
            switches = {switch.id: switch.name for switch in self._world.state.switches}
            return [
                {
                    "switch": switches.get(bridge.switch_id, "?"),
                    "seas": [
                        {
                            "vios": names.get(sea.vios, sea.vios),
                            "device": sea.device,
                            "primary": sea.primary,
                            "pvid": sea.pvid,
                            "vlans": sorted(sea.vlans),
                        }
                        for sea in bridge.seas
                    ],
                }
                for bridge in self._world.state.bridges
            ]

    def close(self) -> None:
        """End the thread that reads config drives."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _find(self, reference: str) -> Partition:
        if reference.isdigit():
            found = self._world.partition_by_id(int(reference))
        else:
            named = (partition for partition in self._world.partitions if partition.name == reference)
            found = self._world.partition(reference) or next(named, None)
        if found is None:
            raise NoPartition(reference)
        return found

    def _guest(self, partition: Partition) -> ScriptedGuest:
        """The partition's guest; one that has no history yet, or another power state than its partition, catches up."""
        guest, now = self._made(partition), self.now()
        is_on = guest.phase(now) is not Phase.OFF
        if partition.state in (RUNNING, FIRMWARE) and not is_on:
            started = now if partition.started is None else min(partition.started, now)
            guest.power_on(Inventory(self._world).hardware(partition), started, started)
        elif is_on and not partition.is_on:
            guest.power_off(now)
        return guest

    def _made(self, partition: Partition) -> ScriptedGuest:
        key = partition.uuid.upper()
        with self._lock:
            if key not in self._guests:
                self._guests[key] = ScriptedGuest(Console(), self._readers)
            return self._guests[key]

    def _powered(self, lpar: Lpar, on: bool) -> None:
        """The world's power hook. RMC is a matter of the operating system: none before it is up, or without one."""
        guest, now = self._made(lpar), self.now()
        if not on:
            guest.power_off(now)
            return
        hardware = Inventory(self._world).hardware(lpar)
        ready = now + self._world.rmc_seconds
        guest.power_on(hardware, now, ready)
        boots = hardware.boot_disk is not None and not hardware.menu
        lpar.rmc_due = ready if boots and hardware.has_rmc else None

    def _shut_down(self, lpar: Lpar) -> None:
        """The world's shutdown hook: the operating system is asked to stop."""
        self._made(lpar).shut_down(self.now())

    def _changed(self, event_type: str, path: str, _detail: str) -> None:
        kind, _, uuid = path.partition("/")
        if event_type == "DELETE_URI" and kind == Lpar.KIND and "/" not in uuid:
            self._forget(uuid.upper())
        elif event_type == "CACHE_CLEARED":
            for key in [key for key in self._guests if self._world.partition(key) is None]:
                self._forget(key)

    def _forget(self, key: str) -> None:
        with self._lock:
            self._guests.pop(key, None)
        for callback in self._gone:
            callback(key)

    def _entry(self, partition: Partition, hardware: Hardware, guest: ScriptedGuest | None) -> dict[str, Any]:
        now = self.now()
        return {
            "id": partition.id,
            "uuid": partition.uuid,
            "name": partition.name,
            "kind": partition.KIND,
            "type": partition.type,
            "state": partition.state,
            "rmc": partition.rmc,
            "description": partition.description,
            "memory_mb": hardware.memory_mb,
            "processors": hardware.processors,
            "guest": (guest.phase(now) if guest else Phase.UP if partition.is_on else Phase.OFF).value,
            "hostname": guest.hostname(now) if guest else None,
            "adapters": [_adapter(adapter) for adapter in hardware.adapters],
            "disks": [_device(device) for device in hardware.disks],
            "optical": [_device(device) for device in hardware.optical],
        }


def _adapter(adapter: Adapter) -> dict[str, Any]:
    return asdict(adapter) | {"mac": adapter.colon_mac}


def _device(device: Storage) -> dict[str, Any]:
    values = asdict(device)
    values["media"] = device.media.name if device.media else None
    return values
