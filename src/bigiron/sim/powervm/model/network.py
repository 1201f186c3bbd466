"""Virtual switches, the adapters on them, and the bridges that join them to the outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bigiron.sim.powervm.model.entity import Entity


@dataclass(slots=True, kw_only=True, eq=False)
class VirtualSwitch(Entity):
    """A hypervisor switch; virtual adapters join it by its id."""

    KIND: ClassVar[str] = "VirtualSwitch"
    id: int
    name: str
    mode: str = "Veb"


@dataclass(slots=True, kw_only=True, eq=False)
class VirtualNetwork(Entity):
    """One VLAN on one switch; it exists while an adapter uses it, or from a client's PUT until its DELETE."""

    KIND: ClassVar[str] = "VirtualNetwork"
    name: str
    vlan: int
    switch_id: int
    tagged: bool = True
    explicit: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class VirtualEthernet(Entity):
    """A virtual Ethernet adapter of a partition: a client adapter, or a trunk where `trunk_priority` is given."""

    KIND: ClassVar[str] = "ClientNetworkAdapter"
    slot: int
    mac: str
    pvid: int
    switch_id: int
    tagged: list[int] = field(default_factory=list)
    tagged_supported: bool = False
    required: bool = False
    allowed_macs: str = "ALL"
    qos: int | None = None
    trunk_priority: int | None = None
    device: str | None = None
    ovs_bridge: str | None = None
    ovs_external_ids: str | None = None
    configured_mtu: int | None = None
    attached: bool = False
    """Whether the management partition has the network device `device`, and a port of it on `ovs_bridge`."""

    @property
    def vlans(self) -> set[int]:
        """Every VLAN that the adapter takes part in."""
        return {self.pvid, *self.tagged}


@dataclass(slots=True, kw_only=True)
class SharedEthernet:
    """A SEA of one VIOS: a physical device joined with trunk adapters, the first of them the primary one."""

    vios: str
    device: str
    backing: str
    pvid: int
    udid: str
    trunks: list[VirtualEthernet]
    control_channel: str | None = None
    ha_mode: str = "auto"
    jumbo: bool = False
    large_send: bool = True
    primary: bool = True
    address: str | None = None
    location: str = ""

    @property
    def vlans(self) -> set[int]:
        return {vlan for trunk in self.trunks for vlan in trunk.vlans}


@dataclass(slots=True, kw_only=True, eq=False)
class NetworkBridge(Entity):
    """One SEA, or a failover pair of SEAs, that bridges a virtual switch."""

    KIND: ClassVar[str] = "NetworkBridge"
    pvid: int
    udid: str
    switch_id: int
    seas: list[SharedEthernet]
    failover: bool = False
    load_balancing: bool = False
    control_channel_id: int | None = None
