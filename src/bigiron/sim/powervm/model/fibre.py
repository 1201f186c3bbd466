"""Virtual Fibre Channel mappings, and the WWPNs that they are given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import slots
from bigiron.sim.powervm.model.mapping import FibreMapping, FibrePort
from bigiron.sim.powervm.model.mappings import next_name
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.reach import need_dlpar
from bigiron.sim.powervm.model.world import World

_WWPN_PREFIX = "c05076"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One mapping as a client lists it."""

    client: str | None
    server_slot: int | None
    client_slot: int | None
    port: str | None
    wwpns: tuple[str, ...] = ()


def ports(vios: Vios) -> list[FibrePort]:
    """The physical ports of a VIOS."""
    return [port for card in vios.fibre_cards for port in card.ports]


def ports_used(vios: Vios, name: str) -> int:
    """How many of a port's virtual ports are taken."""
    return sum(1 for f in vios.fibre if f.port == name)


def next_pairs(world: World, count: int) -> list[str]:
    """Fresh WWPN pairs, flat."""
    found: list[str] = []
    for _ in range(count):
        base = world.next_serial() * 2
        found += [
            f"{_WWPN_PREFIX}{int(world.derived_uuid('wwpn')[:6], 16) & 0xFFFF:04x}{n:06x}" for n in (base, base + 1)
        ]
    return found


@dataclass(slots=True)
class _Draft:
    """The VIOS's mappings as they will be, each with its port."""

    world: World
    vios: Vios
    reserve: slots.Reserve
    result: list[tuple[FibreMapping, str | None]] = field(default_factory=list)
    fresh: list[FibreMapping] = field(default_factory=list)

    @property
    def gone(self) -> list[FibreMapping]:
        kept = {id(mapping) for mapping, _ in self.result}
        return [mapping for mapping in self.vios.fibre if id(mapping) not in kept]


def replace(world: World, vios: Vios, wanted: list[Wanted]) -> None:
    """Make the VIOS's mappings what the list says; raises BadRequest, with nothing changed, when it cannot be."""
    plan(world, vios, wanted, slots.Reserve(world))()


def plan(world: World, vios: Vios, wanted: list[Wanted], reserve: slots.Reserve) -> Callable[[], None]:
    """What makes the VIOS's mappings what the list says; raises BadRequest when it cannot be."""
    draft = _Draft(world, vios, reserve)
    for item in wanted:
        _check_port(vios, item)
        mapping = _known(draft, item) if item.server_slot is not None else _new(draft, item)
        draft.result.append((mapping, item.port or mapping.port))
    for mapping in draft.gone:
        client = world.partition(mapping.client) if mapping.client else None
        if client is not None:
            need_dlpar(client, "remove a virtual Fibre Channel adapter from")
    _check_room(draft)
    _check_wwpns(draft)
    return lambda: _commit(draft)


def _check_port(vios: Vios, item: Wanted) -> None:
    if item.port is not None and not any(p.name == item.port for p in ports(vios)):
        raise BadRequest(f"Virtual I/O Server {vios.name} has no physical Fibre Channel port {item.port}.")


def _known(draft: _Draft, item: Wanted) -> FibreMapping:
    found = next((f for f in draft.vios.fibre if f.slot == item.server_slot), None)
    if found is None:
        raise BadRequest(
            f"Virtual I/O Server {draft.vios.name} has no virtual Fibre Channel adapter in slot {item.server_slot}."
        )
    if any(mapping is found for mapping, _ in draft.result):
        raise BadRequest(f"The list of {draft.vios.name} names the adapter in slot {item.server_slot} twice.")
    return found


def _new(draft: _Draft, item: Wanted) -> FibreMapping:
    world, vios = draft.world, draft.vios
    client = world.partition(item.client or "")
    if client is None:
        raise BadRequest(f"There is no partition {item.client} to map a Fibre Channel port of {vios.name} to.")
    need_dlpar(client, "add a virtual Fibre Channel adapter to")
    wwpns = [w.lower() for w in item.wwpns]
    if wwpns and (len(set(wwpns)) != 2 or not all(re.fullmatch(r"[0-9a-f]{16}", w) for w in wwpns)):
        raise BadRequest(f"A virtual Fibre Channel adapter needs two WWPNs of 16 hexadecimal digits, not {wwpns}.")
    slot = draft.reserve.take(vios)
    made = FibreMapping(
        slot=slot,
        name=next_name("vfchost", {f.name for f in [*vios.fibre, *draft.fresh]}),
        udid=f"1d{slots.location(world, vios.id, slot)}",
        client_id=client.id,
        client_slot=draft.reserve.take(client, item.client_slot or None),
        client=client.uuid,
        port=item.port,
        wwpns=wwpns,
    )
    draft.fresh.append(made)
    return made


def _check_room(draft: _Draft) -> None:
    """A physical port carries so many virtual ones."""
    count = Counter(port for _, port in draft.result)
    for port in ports(draft.vios):
        if count[port.name] > port.npiv_total:
            raise BadRequest(
                f"All {port.npiv_total} virtual ports of {port.name} on {draft.vios.name} are in use: "
                f"{count[port.name]} would be needed."
            )


def _check_wwpns(draft: _Draft) -> None:
    """A WWPN is one adapter's alone on the whole system."""
    gone = {id(mapping) for mapping in draft.gone}
    there = [mapping for vios in draft.world.vioses for mapping in vios.fibre if id(mapping) not in gone]
    count = Counter(wwpn.lower() for mapping in [*there, *draft.fresh] for wwpn in mapping.wwpns)
    for wwpn in (wwpn for mapping in draft.fresh for wwpn in mapping.wwpns):
        if count[wwpn] > 1:
            raise BadRequest(f"WWPN {wwpn} is in use by another virtual Fibre Channel adapter. Give other WWPNs.")


def _commit(draft: _Draft) -> None:
    world, vios, gone = draft.world, draft.vios, draft.gone
    if not gone and not draft.fresh and all(mapping.port == port for mapping, port in draft.result):
        return
    for mapping, port in draft.result:
        mapping.port = port
        mapping.wwpns = mapping.wwpns or next_pairs(world, 1)
    vios.fibre = [mapping for mapping, _ in draft.result]
    for uuid in {f.client for f in [*gone, *vios.fibre] if f.client}:
        client = world.partition(uuid)
        if client is not None:
            world.touch(client)
    world.changed(vios, "ViosFCMapping")
