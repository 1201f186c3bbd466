"""Virtual SCSI mappings: what a client's list of mappings does to a VIOS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import backing, slots
from bigiron.sim.powervm.model.mapping import ServerAdapter, Target
from bigiron.sim.powervm.model.partition import Partition, Vios
from bigiron.sim.powervm.model.reach import need_dlpar
from bigiron.sim.powervm.model.storage import PhysicalVolume
from bigiron.sim.powervm.model.world import World

_OPTICAL = (backing.MEDIA, backing.EMPTY)
_EXCLUSIVE = (backing.VOLUME, backing.DISK)
"""Units of a shared storage pool can be given to several partitions, as clusters of guests need."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One mapping as a client lists it."""

    client: str | None
    """The uuid of the partition."""
    server_slot: int | None
    """Of the server adapter it belongs to; None asks for a new pair."""
    client_slot: int | None
    kind: str = backing.EMPTY
    key: str | None = None
    """The storage's udid; None where the mapping names no storage."""
    label: str = ""
    """How the client called the storage, for messages."""
    lua: str | None = None
    target_name: str | None = None
    tag: str | None = None


@dataclass(slots=True)
class _Draft:
    """The VIOS's server adapters as they will be, and what the client's list kept of them."""

    world: World
    vios: Vios
    servers: list[ServerAdapter]
    reserve: slots.Reserve
    kept: set[tuple[int, int]] = field(default_factory=set)
    """(slot, id(target)) of each target that the list names."""
    kept_servers: set[int] = field(default_factory=set)
    fresh: dict[tuple[str, int], ServerAdapter] = field(default_factory=dict)
    """New pairs of this list by (client, client slot asked for): the list's next mapping joins them."""


def replace(world: World, vios: Vios, wanted: list[Wanted]) -> None:
    """Make the VIOS's mappings what the list says; raises BadRequest, with nothing changed, when it cannot be."""
    plan(world, vios, wanted, slots.Reserve(world))()


def plan(world: World, vios: Vios, wanted: list[Wanted], reserve: slots.Reserve) -> Callable[[], None]:
    """What makes the VIOS's mappings what the list says; raises BadRequest when it cannot be."""
    draft = _Draft(world, vios, [_copied(server) for server in vios.servers], reserve)
    stock = backing.catalogue(world, vios)
    before = {server.slot: server for server in vios.servers}
    for item in sorted(wanted, key=lambda w: not _is_unchanged(before, w)):
        _place(draft, item, stock)
    for server in draft.servers:
        server.targets = [t for t in server.targets if (server.slot, id(t)) in draft.kept]
    remaining = [s for s in draft.servers if s.targets or s.slot in draft.kept_servers]
    gone = {s.slot for s in vios.servers} - {s.slot for s in remaining}
    for server in vios.servers:
        client = world.partition(server.client) if server.client else None
        if server.slot in gone and client is not None:
            need_dlpar(client, "remove a virtual SCSI adapter from")
    return lambda: _commit(world, vios, remaining)


def _copied(server: ServerAdapter) -> ServerAdapter:
    return dataclasses.replace(server, targets=[dataclasses.replace(target) for target in server.targets])


def _is_unchanged(before: dict[int, ServerAdapter], item: Wanted) -> bool:
    """Whether the item names a mapping that is there: those go first, so that the others see what stays."""
    server = before.get(item.server_slot) if item.server_slot is not None else None
    return server is not None and any((t.kind, t.key) == (item.kind, item.key) for t in server.targets)


def _place(draft: _Draft, item: Wanted, stock: dict[tuple[str, str], backing.Backing]) -> None:
    if item.key is not None and (item.kind, item.key) not in stock:
        raise BadRequest(
            f"Virtual I/O Server {draft.vios.name} has no {item.kind} {item.label or item.key!r}: create or upload it "
            "first, or name another one."
        )
    server = _server(draft, item)
    draft.kept_servers.add(server.slot)
    target = _existing(draft, server, item)
    if target is None:
        if item.key is None:
            return
        _check_unused(draft, server, item, stock[item.kind, item.key])
        target = _new_target(draft, server, item)
        server.targets.append(target)
    elif (target.kind, target.key) != (item.kind, item.key):
        # An optical drive: its medium is taken out, put in or changed, the drive stays.
        target.kind, target.key = (item.kind, item.key) if item.key else (backing.EMPTY, "")
    draft.kept.add((server.slot, id(target)))


def _check_unused(draft: _Draft, server: ServerAdapter, item: Wanted, found: backing.Backing) -> None:
    """A VIOS gives a disk to one adapter; the management partition may have it beside, as for a copy of it."""
    vios, management = draft.vios, draft.world.management
    if isinstance(found, PhysicalVolume) and found.group is not None:
        raise BadRequest(
            f"Physical volume {found.name} of {vios.name} belongs to {found.group} and cannot be mapped. Name another."
        )
    if item.kind not in _EXCLUSIVE or (management is not None and server.client == management.uuid):
        return
    for other in draft.servers:
        if other is server or (management is not None and other.client == management.uuid):
            continue
        for target in other.targets:
            if (target.kind, target.key) == (item.kind, item.key) and (other.slot, id(target)) in draft.kept:
                raise BadRequest(
                    f"{item.kind} {backing.name_of(found)} of {vios.name} is in use: {other.name} serves it as "
                    f"{target.name} to partition id {other.client_id}. Remove that mapping first."
                )


def _server(draft: _Draft, item: Wanted) -> ServerAdapter:
    if item.server_slot is not None:
        found = next((s for s in draft.servers if s.slot == item.server_slot), None)
        if found is None:
            raise BadRequest(
                f"Virtual I/O Server {draft.vios.name} has no server adapter in slot {item.server_slot}: read the "
                "mappings again."
            )
        return found
    if item.client is None:
        raise BadRequest(f"A new mapping of {draft.vios.name} needs an AssociatedLogicalPartition.")
    client = draft.world.partition(item.client)
    if client is None:
        raise BadRequest(f"There is no partition {item.client} to map storage of {draft.vios.name} to.")
    if item.client_slot is not None:
        joined = draft.fresh.get((client.uuid, item.client_slot)) or next(
            (s for s in draft.servers if s.client == client.uuid and s.client_slot == item.client_slot), None
        )
        if joined is not None:
            return joined
    return _new_pair(draft, client, item.client_slot)


def _existing(draft: _Draft, server: ServerAdapter, item: Wanted) -> Target | None:
    for target in server.targets:
        if item.key is not None and (target.kind, target.key) == (item.kind, item.key):
            return target
    if item.kind not in _OPTICAL:
        return None
    for target in server.targets:
        same = target.name == item.target_name if item.target_name else target.lua == item.lua
        if same and target.kind in _OPTICAL and (server.slot, id(target)) not in draft.kept:
            return target
    return None


def _new_pair(draft: _Draft, client: Partition, client_slot: int | None) -> ServerAdapter:
    world, vios = draft.world, draft.vios
    need_dlpar(client, "add a virtual SCSI adapter to")
    theirs = draft.reserve.take(client, client_slot)
    slot = draft.reserve.take(vios)
    server = ServerAdapter(
        slot=slot,
        name=next_name("vhost", {s.name for s in draft.servers}),
        udid=f"1e{slots.location(world, vios.id, slot)}",
        client_id=client.id,
        client_slot=theirs,
        client=client.uuid,
    )
    draft.servers.append(server)
    draft.fresh[(client.uuid, theirs)] = server
    return server


def _new_target(draft: _Draft, server: ServerAdapter, item: Wanted) -> Target:
    luas = {t.lua for t in server.targets if (server.slot, id(t)) in draft.kept}
    if item.lua is not None and item.lua in luas:
        raise BadRequest(f"Logical unit address {item.lua} is already in use on {server.name} of {draft.vios.name}.")
    prefix = "vtopt" if item.kind == backing.MEDIA else "vtscsi"
    names = {t.name for s in draft.servers for t in s.targets if t.lua != item.lua or s is not server}
    if item.target_name and item.target_name in names:
        raise BadRequest(f"Virtual target device {item.target_name} already exists on {draft.vios.name}.")
    return Target(
        kind=item.kind,
        key=item.key or "",
        name=item.target_name or next_name(prefix, names),
        lua=item.lua or _next_lua(luas),
        udid=f"09{draft.world.new_hex(16)}",
        tag=item.tag,
    )


def _next_lua(taken: set[str]) -> str:
    for number in range(0x81, 0x10000):
        lua = f"0x{number:x}".ljust(18, "0")
        if lua not in taken:
            return lua
    raise BadRequest("No logical unit address is left on the adapter.")


def next_name(prefix: str, taken: set[str]) -> str:
    """The lowest free device name, such as vhost0."""
    number = 0
    while f"{prefix}{number}" in taken:
        number += 1
    return f"{prefix}{number}"


def _commit(world: World, vios: Vios, servers: list[ServerAdapter]) -> None:
    before = {s.slot: s for s in vios.servers}
    after = {s.slot for s in servers}
    touched = {s.client for s in servers if before.get(s.slot) != s}
    touched |= {s.client for s in vios.servers if s.slot not in after}
    old_keys, new_keys = _keys(vios.servers), _keys(servers)
    vios.servers = servers
    for uuid in touched:
        client = world.partition(uuid) if uuid else None
        if client is not None:
            world.touch(client)
    if touched:
        _touch_storage(world, vios, old_keys ^ new_keys)
        world.changed(vios, "ViosSCSIMapping")


def _keys(servers: list[ServerAdapter]) -> set[tuple[str, str]]:
    return {(t.kind, t.key) for s in servers for t in s.targets}


def _touch_storage(world: World, vios: Vios, keys: set[tuple[str, str]]) -> None:
    """Storage says whether it is in use, so that its renderings follow the mappings."""
    for pool in backing.pools_of(world, vios):
        units = [u for u in pool.units if (backing.UNIT, u.udid) in keys]
        if units:
            world.touch(pool, *units)


def drop_client(world: World, uuid: str) -> None:
    """The client end of each pair goes with its partition; the server ends stay, as orphans."""
    for vios in world.vioses:
        hit = [s for s in vios.servers if s.client == uuid] + [f for f in vios.fibre if f.client == uuid]
        for adapter in hit:
            adapter.client = None
        if hit:
            world.changed(vios, "ViosSCSIMapping")


def connect(world: World, vios: Vios, client: Partition, kind: str, key: str) -> None:
    """Add one mapping, on a pair of its own."""
    draft = _Draft(world, vios, vios.servers, slots.Reserve(world))
    server = _new_pair(draft, client, None)
    server.targets.append(_new_target(draft, server, Wanted(client.uuid, None, None, kind, key)))
    world.touch(vios, client)
