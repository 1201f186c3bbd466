"""Virtual slots, location codes and MAC addresses: what a new virtual adapter is given."""

from __future__ import annotations

from collections.abc import Iterator

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model.network import SharedEthernet, VirtualEthernet
from bigiron.sim.powervm.model.partition import Lpar, Partition, Vios
from bigiron.sim.powervm.model.world import World

RESERVED = frozenset({0, 1})
"""The two virtual serial adapters of every partition."""


def location(world: World, partition_id: int, slot: int) -> str:
    """The location code of a virtual adapter."""
    mtms = world.system.mtms
    return f"U{mtms.type}.{mtms.model}.{mtms.serial}-V{partition_id}-C{slot}"


def seas_of(world: World, vios: Vios) -> list[SharedEthernet]:
    """The shared Ethernet adapters of a VIOS."""
    return [sea for bridge in world.state.bridges for sea in bridge.seas if sea.vios == vios.uuid]


def trunks_of(world: World, vios: Vios) -> list[VirtualEthernet]:
    """Every trunk adapter of a VIOS: those of its SEAs, then the ones that no SEA holds."""
    return [t for sea in seas_of(world, vios) for t in sea.trunks] + vios.trunks


def ethernets(world: World) -> Iterator[tuple[Partition, VirtualEthernet]]:
    """Every virtual Ethernet adapter with its partition."""
    for partition in world.partitions:
        for adapter in partition.adapters:
            yield partition, adapter
    for vios in world.vioses:
        for trunk in trunks_of(world, vios):
            yield vios, trunk


def macs(world: World) -> Iterator[tuple[Partition, str]]:
    """Every MAC address of a virtual adapter or vNIC with its partition."""
    for partition, adapter in ethernets(world):
        yield partition, adapter.mac
    for lpar in world.lpars:
        for vnic in lpar.vnics:
            yield lpar, vnic.mac


def used(world: World, partition: Partition) -> set[int]:
    """The slots of a partition that are taken."""
    slots = set(RESERVED) | {a.slot for a in partition.adapters}
    if isinstance(partition, Lpar):
        slots |= {vnic.slot for vnic in partition.vnics}
    if isinstance(partition, Vios):
        slots |= {t.slot for t in trunks_of(world, partition)}
        slots |= {s.slot for s in partition.servers} | {f.slot for f in partition.fibre}
    for vios in world.vioses:
        slots |= {s.client_slot for s in vios.servers if s.client == partition.uuid}
        slots |= {f.client_slot for f in vios.fibre if f.client == partition.uuid}
    return slots


def lowest(world: World, partition: Partition) -> int:
    """The next free slot from below; raises BadRequest when there is none."""
    taken = used(world, partition)
    for slot in range(2, partition.max_slots):
        if slot not in taken:
            return slot
    raise _full(partition)


def highest(world: World, partition: Partition) -> int:
    """The slot above every slot in use, or a free one below when there is none above."""
    top = max(used(world, partition)) + 1
    return top if top < partition.max_slots else lowest(world, partition)


def claim(world: World, partition: Partition, slot: int) -> int:
    """The slot asked for; raises BadRequest when it cannot be had."""
    _check_slot(partition, slot, used(world, partition))
    return slot


class Reserve:
    """The slots that are taken once what is planned is done: several lists of one document must not meet in one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken: dict[str, set[int]] = {}

    def take(self, partition: Partition, wanted: int | None = None) -> int:
        """The slot asked for, or the lowest free one; raises BadRequest when it cannot be had."""
        taken = self._taken.setdefault(partition.uuid, used(self._world, partition))
        if wanted is None:
            wanted = next((n for n in range(2, partition.max_slots) if n not in taken), None)
            if wanted is None:
                raise _full(partition)
        _check_slot(partition, wanted, taken)
        taken.add(wanted)
        return wanted


def new_mac(world: World) -> str:
    """A locally administered address that nobody has."""
    taken = {mac for _, mac in macs(world)}
    while True:
        mac = f"FA{world.new_hex(10).upper()}"
        if mac not in taken:
            return mac


def _check_slot(partition: Partition, slot: int, taken: set[int]) -> None:
    if not 2 <= slot < partition.max_slots:
        raise BadRequest(f"Slot {slot} of partition {partition.name} is outside 2..{partition.max_slots - 1}.")
    if slot in taken:
        raise BadRequest(f"Slot {slot} of partition {partition.name} is already in use.")


def _full(partition: Partition) -> BadRequest:
    return BadRequest(
        f"All {partition.max_slots} virtual slots of partition {partition.name} are in use. Raise its "
        "MaximumVirtualIOSlots or remove an adapter."
    )
