"""Client network adapters: creation, change and removal, with the rules of slots, MACs and VLANs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import networks, slots, taps
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.model.partition import Partition
from bigiron.sim.powervm.model.reach import need_dlpar
from bigiron.sim.powervm.model.world import World

MAX_TAGGED = 20
MAX_ALLOWED_MACS = 4


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """A virtual Ethernet adapter as a client asks for it; None leaves the choice to the system."""

    switch_id: int
    pvid: int
    tagged: tuple[int, ...] = ()
    tagged_supported: bool | None = None
    slot: int | None = None
    high_slot: bool = False
    mac: str | None = None
    trunk_priority: int | None = None
    extras: dict[str, str | int | bool] = field(default_factory=dict)
    """Values of VirtualEthernet fields that the rules do not look at."""


def create(world: World, partition: Partition, spec: AdapterSpec) -> VirtualEthernet:
    """Give a partition a new adapter; raises BadRequest when the rules forbid it."""
    need_dlpar(partition, "add a virtual Ethernet adapter to")
    check_vlans(spec)
    world.switch(spec.switch_id)
    mac = check_mac(world, spec.mac) if spec.mac else slots.new_mac(world)
    check_trunk(world, spec)
    taps.check(world, partition, spec.extras, None)
    if spec.slot is not None:
        slot = slots.claim(world, partition, spec.slot)
    else:
        slot = slots.highest(world, partition) if spec.high_slot else slots.lowest(world, partition)
    adapter = VirtualEthernet(
        uuid=world.new_uuid(VirtualEthernet.KIND),
        slot=slot,
        mac=mac,
        pvid=spec.pvid,
        switch_id=spec.switch_id,
        tagged=list(spec.tagged),
        tagged_supported=bool(spec.tagged) if spec.tagged_supported is None else spec.tagged_supported,
        trunk_priority=spec.trunk_priority,
    )
    apply_extras(adapter, spec)
    adapter.allowed_macs = check_allowed_macs(adapter.allowed_macs)
    taps.attach(partition, adapter)
    partition.adapters.append(adapter)
    world.added(adapter, partition)
    world.changed(partition, "ClientNetworkAdapter")
    networks.sync(world)
    return adapter


def update(world: World, partition: Partition, adapter: VirtualEthernet, spec: AdapterSpec) -> None:
    """Change an adapter in place."""
    check_vlans(spec)
    world.switch(spec.switch_id)
    check_trunk(world, spec, adapter)
    taps.check(world, partition, spec.extras, adapter)
    allowed = check_allowed_macs(str(spec.extras.get("allowed_macs", adapter.allowed_macs)))
    if allowed != adapter.allowed_macs and partition.is_on:
        raise BadRequest(
            f"The MAC addresses allowed to the operating system of partition {partition.name} cannot be changed on an "
            f"adapter that it has, while it is {partition.state!r}. Power it off first."
        )
    if spec.mac and normal_mac(spec.mac) != adapter.mac:
        need_dlpar(partition, "change the MAC address of an adapter of")
        adapter.mac = check_mac(world, spec.mac)
    adapter.pvid, adapter.switch_id = spec.pvid, spec.switch_id
    adapter.tagged, adapter.trunk_priority = list(spec.tagged), spec.trunk_priority
    if spec.tagged_supported is not None:
        adapter.tagged_supported = spec.tagged_supported
    apply_extras(adapter, spec)
    adapter.allowed_macs = allowed
    taps.attach(partition, adapter)
    world.changed(adapter, "Other", partition)
    world.touch(partition)
    networks.sync(world)


def delete(world: World, partition: Partition, adapter: VirtualEthernet) -> None:
    """Remove an adapter."""
    need_dlpar(partition, "remove a virtual Ethernet adapter from")
    partition.adapters.remove(adapter)
    world.removed(adapter, partition)
    world.changed(partition, "ClientNetworkAdapter")
    networks.sync(world)


def apply_extras(adapter: VirtualEthernet, spec: AdapterSpec) -> None:
    """Set the fields that need no rule."""
    for name, value in spec.extras.items():
        setattr(adapter, name, value)


def check_vlans(spec: AdapterSpec) -> None:
    """Refuse VLAN ids that no adapter can carry."""
    for vlan in (spec.pvid, *spec.tagged):
        if vlan not in networks.VLANS:
            raise BadRequest(f"VLAN {vlan} is outside 1..4094.")
    if len(spec.tagged) > MAX_TAGGED:
        raise BadRequest(f"An adapter can carry {MAX_TAGGED} tagged VLANs, not {len(spec.tagged)}.")
    if len(set(spec.tagged)) != len(spec.tagged) or spec.pvid in spec.tagged:
        raise BadRequest(f"VLANs {spec.pvid} and {list(spec.tagged)} of an adapter must differ from each other.")


def check_trunk(world: World, spec: AdapterSpec, own: VirtualEthernet | None = None) -> None:
    """Refuse a second trunk of the same priority for a VLAN of a switch."""
    if spec.trunk_priority is None:
        return
    wanted = {spec.pvid, *spec.tagged}
    for owner, other in slots.ethernets(world):
        clash = other is not own and other.switch_id == spec.switch_id and other.trunk_priority == spec.trunk_priority
        if clash and wanted & other.vlans:
            raise BadRequest(
                f"VLAN {min(wanted & other.vlans)} of switch {world.switch(spec.switch_id).name} already has a trunk "
                f"adapter of priority {spec.trunk_priority}, in slot {other.slot} of {owner.name}."
            )


def normal_mac(mac: str) -> str:
    """Twelve upper-case hexadecimal digits."""
    return re.sub(r"[:.-]", "", mac).upper()


def check_allowed_macs(text: str) -> str:
    """ALL, NONE, or up to four addresses in normal form; raises BadRequest for anything else."""
    if text.upper() in ("ALL", "NONE"):
        return text.upper()
    macs = [normal_mac(word) for word in text.split()]
    if not 1 <= len(macs) <= MAX_ALLOWED_MACS or not all(re.fullmatch(r"[0-9A-F]{12}", mac) for mac in macs):
        raise BadRequest(
            f"AllowedOperatingSystemMACAddresses must be ALL, NONE or 1 to {MAX_ALLOWED_MACS} addresses, not {text!r}."
        )
    return " ".join(macs)


def check_mac(world: World, mac: str) -> str:
    """The MAC in normal form; raises BadRequest when it is malformed or taken."""
    normal = normal_mac(mac)
    if not re.fullmatch(r"[0-9A-F]{12}", normal) or int(normal[1], 16) & 1:
        raise BadRequest(f"{mac} is not a unicast MAC address.")
    for partition, taken in slots.macs(world):
        if taken == normal:
            raise BadRequest(f"MAC address {normal} is already in use by partition {partition.name}.")
    return normal
