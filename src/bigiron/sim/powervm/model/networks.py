"""Which VLANs are in use: one virtual network for each on each switch."""

from __future__ import annotations

from bigiron.sim.powervm.model import slots
from bigiron.sim.powervm.model.network import VirtualNetwork
from bigiron.sim.powervm.model.world import World

VLANS = range(1, 4095)


def in_use(world: World) -> set[tuple[int, int]]:
    """(switch id, VLAN) of every VLAN that an adapter takes part in."""
    return {(a.switch_id, vlan) for _, a in slots.ethernets(world) for vlan in a.vlans}


def find(world: World, switch_id: int, vlan: int) -> VirtualNetwork | None:
    """The virtual network of a VLAN."""
    return next((n for n in world.state.networks if (n.switch_id, n.vlan) == (switch_id, vlan)), None)


def sync(world: World) -> None:
    """Make the virtual networks agree with the adapters: called after every change of an adapter."""
    wanted = in_use(world)
    trunk_pvids = {(t.switch_id, t.pvid) for v in world.vioses for t in slots.trunks_of(world, v)}
    present = {(n.switch_id, n.vlan): n for n in world.state.networks}
    for key in sorted(wanted - set(present)):
        switch = world.switch(key[0])
        network = VirtualNetwork(
            uuid=world.new_uuid(VirtualNetwork.KIND),
            name=f"{switch.name}-{key[1]}",
            vlan=key[1],
            switch_id=key[0],
            tagged=key not in trunk_pvids,
        )
        world.state.networks.append(network)
        _note(world, network, new=True)
    for key, network in present.items():
        if key not in wanted and not network.explicit:
            world.state.networks.remove(network)
            _note(world, network, new=False)


def _note(world: World, network: VirtualNetwork, new: bool) -> None:
    (world.added if new else world.removed)(network, world.system)
    world.touch(world.switch(network.switch_id))
    bridge = world.bridge_of(network.switch_id)
    if bridge is not None:
        world.touch(bridge)
