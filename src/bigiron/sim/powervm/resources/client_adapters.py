"""Storage adapters as objects of their own: VirtualSCSIBus and VirtualFibreChannelClientAdapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from bigiron.sim.powervm.model.mapping import ServerAdapter
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource
from bigiron.sim.powervm.resources import fibre_parts, markup, scsi_parts
from bigiron.sim.powervm.resources.markup import Holder, Rows


@dataclass(frozen=True, slots=True)
class Bus:
    """A virtual SCSI pair as an object of its own."""

    uuid: str
    vios: Vios
    server: ServerAdapter

    @property
    def version(self) -> int:
        return self.vios.version


_BUS: Rows = (
    *scsi_parts.ENDS,
    ("AssociatedMappings", lambda w, p: Holder(scsi_parts.bus_mappings(w, p.vios, p.server))),
)


class VirtualSCSIBuses(Resource):
    """Virtual SCSI pairs with all that hangs on them, under their VIOS."""

    type = "VirtualSCSIBus"
    parents = frozenset({"VirtualIOServer"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [Bus(world.derived_uuid("bus", parent.uuid, s.slot), parent, s) for s in parent.servers]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        pair = scsi_parts.Pair(obj.vios, obj.server, scsi_parts.first_device(world, obj.vios, obj.server))
        return markup.fill(markup.root(self.type, obj.uuid), _BUS, world, pair)


@dataclass(frozen=True, slots=True)
class FibreClient:
    """The client end of a virtual Fibre Channel pair."""

    uuid: str
    channel: fibre_parts.Channel

    @property
    def version(self) -> int:
        return self.channel.vios.version


_FIBRE: Rows = (
    *fibre_parts.CLIENT[:-1],
    ("ServerAdapter", fibre_parts.SERVER),
    fibre_parts.CLIENT[-1],
)


class FibreClients(Resource):
    """Client ends of virtual Fibre Channel pairs, under their partition."""

    type = "VirtualFibreChannelClientAdapter"
    parents = frozenset({"LogicalPartition"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [
            FibreClient(world.derived_uuid("vfc", vios.uuid, f.slot), fibre_parts.Channel(vios, f))
            for vios in world.vioses
            for f in vios.fibre
            if f.client == parent.uuid
        ]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _FIBRE, world, obj.channel)
