"""LogicalPartition: client partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import lpars
from bigiron.sim.powervm.model.partition import Lpar
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobHandler, JobRun, Resource, Update
from bigiron.sim.powervm.resources import markup, partition_parts
from bigiron.sim.powervm.resources.markup import Links, Rows
from bigiron.sim.powervm.resources.power_jobs import POWER_JOBS


def _close_vterm(world: World, lpar: Any, parameters: Mapping[str, str]) -> JobRun:
    """Close the partition's virtual terminal, where one is open."""

    def finish() -> dict[str, str]:
        for hook in world.vterm_hooks:
            hook(lpar)
        return {}

    return JobRun(0.0, finish)


def _fibre_links(world: World, lpar: Lpar) -> Links | None:
    hrefs = [
        world.href(
            Lpar.KIND, lpar.uuid, "VirtualFibreChannelClientAdapter", world.derived_uuid("vfc", vios.uuid, f.slot)
        )
        for vios in world.vioses
        for f in vios.fibre
        if f.client == lpar.uuid
    ]
    return Links(hrefs) if hrefs else None


def _scsi_links(world: World, lpar: Lpar) -> Links | None:
    hrefs = [
        world.href(Lpar.KIND, lpar.uuid, "VirtualSCSIClientAdapter", world.derived_uuid("vscsi", vios.uuid, s.slot))
        for vios in world.vioses
        for s in vios.servers
        if s.client == lpar.uuid
    ]
    return Links(hrefs) if hrefs else None


def _vnic_links(world: World, lpar: Lpar) -> Links | None:
    hrefs = [world.href(Lpar.KIND, lpar.uuid, vnic.KIND, vnic.uuid) for vnic in lpar.vnics]
    return Links(hrefs) if hrefs else None


_PERSISTENT_MEMORY: Rows = (
    ("MaximumPersistentMemoryVolumes", 0),
    ("CurrentPersistentMemoryVolumes", 0),
    ("MaximumDramPersistentMemoryVolumes", 0),
    ("CurrentDramPersistentMemoryVolumes", 0),
)
ROWS: Rows = (
    *partition_parts.common_rows(lambda w, p: []),
    ("AssociatedPersistentMemoryConfiguration", _PERSISTENT_MEMORY),
    ("RemoteRestartCapable", False),
    ("SimplifiedRemoteRestartCapable", lambda w, p: p.remote_restart),
    ("HasDedicatedProcessorsForMigration", False),
    ("SuspendCapable", False),
    ("MigrationState", lambda w, p: p.migration_state),
    ("RemoteRestartState", lambda w, p: p.remote_restart_state),
    ("PowerManagementMode", "None"),
    ("VirtualFibreChannelClientAdapters", _fibre_links),
    ("VirtualSCSIClientAdapters", _scsi_links),
    ("IsRestrictedIOPartition", lambda w, p: p.restricted_io if p.type == "OS400" else None),
    ("DesignatedIPLSource", lambda w, p: (p.source or "b") if p.type == "OS400" else None),
    ("DedicatedVirtualNICs", _vnic_links),
)


class LogicalPartition(Resource):
    """Client partitions, at the root and under the managed system."""

    type = "LogicalPartition"
    parents = frozenset({"", "ManagedSystem"})
    groups = frozenset({"NVRAM", "Advanced"})
    searches = {"PartitionName": lambda p: p.name, "PartitionID": lambda p: str(p.id)}
    jobs: Mapping[str, JobHandler] = {**POWER_JOBS, "CloseVterm": _close_vterm}

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.lpars)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def find(self, world: World, parent: Any, uuid: str) -> Any | None:
        found = world.partition(uuid)
        return found if isinstance(found, Lpar) else None

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        rows = ROWS if "NVRAM" in groups else [row for row in ROWS if row[0] != "PartitionNVRAM"]
        return markup.fill(markup.root(self.type, obj.uuid), rows, world, obj)

    def create(self, world: World, parent: Any, body: Update) -> Any:
        spec = _spec(body.element, None)
        if spec.type == "Virtual IO Server":
            raise BadRequest("A Virtual I/O Server cannot be created as a LogicalPartition.")
        return lpars.create(world, spec)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        lpars.update(world, obj, _spec(body.element, obj))
        return obj

    def delete(self, world: World, parent: Any, obj: Any) -> None:
        lpars.delete(world, obj)

    def quick(self, world: World, obj: Any) -> Mapping[str, Any]:
        return partition_parts.quick(world, obj)

    def uptime(self, world: World, obj: Any) -> int | None:
        return partition_parts.uptime(world, obj)


def _spec(element: etree._Element, before: Lpar | None) -> lpars.PartitionSpec:
    return lpars.PartitionSpec(
        name=markup.text(element, "PartitionName"),
        uuid=markup.text(element, "PartitionUUID"),
        id=markup.number(element, "PartitionID"),
        type=markup.text(element, "PartitionType"),
        memory=partition_parts.read_memory(element, before.memory if before else None),
        processors=partition_parts.read_processors(element, before.processors if before else None),
        fields=partition_parts.read_lpar_fields(element),
    )
