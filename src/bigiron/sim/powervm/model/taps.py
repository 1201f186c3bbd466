"""Network devices of the management partition with names of their own, and their ports on Open vSwitch.

NovaLink acts on DeviceName, OvsBridge, OvsPortExternalIds and ConfiguredMTU whenever a client writes an adapter of that
partition: it names the device and adds it to the bridge. When the partition restarts, the devices come up without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.model.partition import Partition
from bigiron.sim.powervm.model.world import World

PRIVATE_SWITCH = "NovaLinkVEABridge"
"""NovaLink's own name for the switch over which partitions reach Open vSwitch."""
_LONGEST = 15
DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True)
class Port:
    """A port as Open vSwitch on the management partition has it."""

    bridge: str
    device: str
    external_ids: dict[str, str]
    mtu: int


def check(world: World, partition: Partition, wanted: dict[str, str | int | bool], own: VirtualEthernet | None) -> None:
    """Refuse a device name that Linux would not take, and external ids of no port."""
    if not partition.management:
        return
    name = str(wanted.get("device") or "")
    if len(name) > _LONGEST or "/" in name or name != "".join(name.split()):
        raise BadRequest(f"DeviceName {name!r} is not the name of a network device: {_LONGEST} characters at most.")
    taken = [adapter for adapter in partition.adapters if adapter is not own and name and adapter.device == name]
    if taken:
        raise BadRequest(f"Partition {partition.name} has a network device {name} already, in slot {taken[0].slot}.")
    bridge = wanted.get("ovs_bridge") or (own.ovs_bridge if own else None)
    if wanted.get("ovs_external_ids") and not bridge:
        raise BadRequest("OvsPortExternalIds is for an adapter with an OvsBridge.")


def attach(partition: Partition, adapter: VirtualEthernet) -> None:
    """A client has written the adapter."""
    if partition.management and adapter.device:
        adapter.attached = True


def detach_all(world: World) -> None:
    """The management partition has restarted."""
    partition = world.management
    for adapter in partition.adapters if partition is not None else ():
        if adapter.attached:
            adapter.attached = False
            world.changed(adapter, "Other", partition)


def devices(world: World) -> Iterator[VirtualEthernet]:
    """The adapters whose devices the management partition has."""
    partition = world.management
    if partition is not None:
        yield from (adapter for adapter in partition.adapters if adapter.attached)


def ports(world: World) -> list[Port]:
    """What Open vSwitch on the management partition has."""
    return [
        Port(
            adapter.ovs_bridge,
            adapter.device or "",
            external_ids(adapter),
            adapter.configured_mtu or DEFAULT_MTU,
        )
        for adapter in devices(world)
        if adapter.ovs_bridge
    ]


def external_ids(adapter: VirtualEthernet) -> dict[str, str]:
    """What an adapter's OvsPortExternalIds say."""
    pairs = (pair.partition("=") for pair in (adapter.ovs_external_ids or "").split(",") if pair)
    return {key: value for key, _, value in pairs}
