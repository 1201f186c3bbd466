"""Network bridges, their trunk adapters and the changes one can make to them: values only.

A network bridge is one Shared Ethernet Adapter, or two of them on two VIOSes that stand in for one another. Each has a
primary trunk adapter and up to 15 additional ones; an additional trunk carries up to 20 tagged VLANs and needs a port
VLAN of its own (its PVID) that carries no traffic. The two adapters of a redundant bridge have the same trunks, so a
trunk is named here by its PVID and a change applies to every adapter of the bridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

MAX_VLANS_PER_TRUNK = 20
MAX_ADDITIONAL_TRUNKS = 15
HIGHEST_VLAN = 4094
ETHERNET_MTU = 1500
JUMBO_MTU = 9000


@dataclass(frozen=True, slots=True)
class Trunk:
    """One trunk adapter: its PVID and the VLANs that it carries tagged."""

    pvid: int
    vlans: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class SharedAdapter:
    """One Shared Ethernet Adapter: the device's name and its VIOS's uuid, the primary trunk and the others.

    `jumbo` says that its JumboFramesEnabled is set.
    """

    device: str
    vios: str
    primary: Trunk
    additional: tuple[Trunk, ...] = ()
    jumbo: bool = False

    def carries(self, vlan: int) -> bool:
        """Whether frames of the VLAN pass: tagged on any trunk, or untagged on the primary one."""
        return vlan == self.primary.pvid or any(vlan in trunk.vlans for trunk in (self.primary, *self.additional))


@dataclass(frozen=True, slots=True)
class Bridge:
    """One network bridge as read from the platform."""

    uuid: str
    vswitch: int
    load_sharing: bool
    adapters: tuple[SharedAdapter, ...]

    def carries(self, vlan: int) -> bool:
        """Whether every adapter carries the VLAN, so that a failover loses nothing."""
        return all(adapter.carries(vlan) for adapter in self.adapters)

    def fixed_vlans(self) -> frozenset[int]:
        """VLANs of the primary trunks: given when the bridge was made, and never ours to change."""
        return frozenset().union(*(a.primary.vlans | {a.primary.pvid} for a in self.adapters))

    def added_vlans(self) -> frozenset[int]:
        """VLANs tagged on any additional trunk of any adapter."""
        return frozenset().union(*(trunk.vlans for a in self.adapters for trunk in a.additional))

    def placeholders(self) -> frozenset[int]:
        """PVIDs of additional trunks: they carry no traffic but no other trunk of the switch may use them."""
        return frozenset(trunk.pvid for a in self.adapters for trunk in a.additional)

    def additional(self) -> tuple[Trunk, ...]:
        """The additional trunks over all adapters, one for each PVID, with the VLANs that any of the adapters has."""
        merged: dict[int, frozenset[int]] = {}
        for trunk in (trunk for a in self.adapters for trunk in a.additional):
            merged[trunk.pvid] = merged.get(trunk.pvid, frozenset()) | trunk.vlans
        return tuple(Trunk(pvid, vlans) for pvid, vlans in merged.items())

    @property
    def mtu(self) -> int:
        """The largest packet that leaves the system, whichever of the adapters is in charge."""
        return JUMBO_MTU if all(adapter.jumbo for adapter in self.adapters) else ETHERNET_MTU

    def names(self) -> str:
        """The adapters' names, for messages."""
        return " and ".join(f"{a.device} of VIOS {a.vios}" for a in self.adapters)

    def _each(self, change: Callable[[SharedAdapter], SharedAdapter]) -> Bridge:
        return replace(self, adapters=tuple(change(a) for a in self.adapters))

    def _each_trunk(self, change: Callable[[Trunk], Trunk]) -> Bridge:
        return self._each(lambda a: replace(a, additional=tuple(change(trunk) for trunk in a.additional)))


@dataclass(frozen=True, slots=True)
class AddTrunk:
    """Give every adapter that lacks it an additional trunk of this PVID."""

    bridge: str
    pvid: int

    def on(self, bridge: Bridge) -> Bridge:
        def added(adapter: SharedAdapter) -> SharedAdapter:
            if any(trunk.pvid == self.pvid for trunk in adapter.additional):
                return adapter
            return replace(adapter, additional=(*adapter.additional, Trunk(self.pvid)))

        return bridge._each(added)


@dataclass(frozen=True, slots=True)
class AddVlan:
    """Tag the VLAN on the trunk of this PVID, on every adapter."""

    bridge: str
    pvid: int
    vlan: int

    def on(self, bridge: Bridge) -> Bridge:
        return bridge._each_trunk(
            lambda trunk: replace(trunk, vlans=trunk.vlans | {self.vlan}) if trunk.pvid == self.pvid else trunk
        )


@dataclass(frozen=True, slots=True)
class RemoveVlan:
    """Take the VLAN off every additional trunk that has it."""

    bridge: str
    vlan: int

    def on(self, bridge: Bridge) -> Bridge:
        return bridge._each_trunk(lambda trunk: replace(trunk, vlans=trunk.vlans - {self.vlan}))


@dataclass(frozen=True, slots=True)
class RemoveTrunk:
    """Delete the additional trunk of this PVID from every adapter."""

    bridge: str
    pvid: int

    def on(self, bridge: Bridge) -> Bridge:
        return bridge._each(
            lambda a: replace(a, additional=tuple(trunk for trunk in a.additional if trunk.pvid != self.pvid))
        )


@dataclass(frozen=True, slots=True)
class Renumber:
    """Give the additional trunk of PVID `old` the PVID `new`, because `old` is wanted as a VLAN."""

    bridge: str
    old: int
    new: int

    def on(self, bridge: Bridge) -> Bridge:
        return bridge._each_trunk(lambda trunk: replace(trunk, pvid=self.new) if trunk.pvid == self.old else trunk)


Op = AddTrunk | AddVlan | RemoveVlan | RemoveTrunk | Renumber


def apply(bridges: Iterable[Bridge], ops: Iterable[Op]) -> tuple[Bridge, ...]:
    """The bridges as they will be after the operations, in the bridges' order."""
    after = {bridge.uuid: bridge for bridge in bridges}
    for op in ops:
        after[op.bridge] = op.on(after[op.bridge])
    return tuple(after.values())
