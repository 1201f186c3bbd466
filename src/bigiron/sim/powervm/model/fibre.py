"""Virtual Fibre Channel mappings, and the WWPNs that they are given."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


def replace(world: World, vios: Vios, wanted: list[Wanted]) -> None:
    """Make the VIOS's mappings what the list says; raises BadRequest with nothing changed."""
    taken, result = slots.used(world, vios), []
    names = {f.name for f in vios.fibre}
    for item in wanted:
        known = next((f for f in vios.fibre if f.slot == item.server_slot), None)
        if item.server_slot is not None and known is None:
            raise BadRequest(
                f"Virtual I/O Server {vios.name} has no virtual Fibre Channel adapter in slot {item.server_slot}."
            )
        _check_port(vios, item)
        if known is None:
            known = _new(world, vios, item, taken, names)
            taken.add(known.slot)
            names.add(known.name)
        result.append((known, item.port))
    kept = {id(f) for f, _ in result}
    gone = [f for f in vios.fibre if id(f) not in kept]
    if not gone and len(result) == len(vios.fibre) and all(f.port == p or not p for f, p in result):
        return
    for mapping, port in result:
        mapping.port = port or mapping.port
    vios.fibre = [f for f, _ in result]
    for uuid in {f.client for f in [*gone, *vios.fibre] if f.client}:
        client = world.partition(uuid)
        if client is not None:
            world.touch(client)
    world.changed(vios, "ViosFCMapping")


def _check_port(vios: Vios, item: Wanted) -> None:
    if item.port is not None and not any(p.name == item.port for p in ports(vios)):
        raise BadRequest(f"Virtual I/O Server {vios.name} has no physical Fibre Channel port {item.port}.")


def _new(world: World, vios: Vios, item: Wanted, taken: set[int], names: set[str]) -> FibreMapping:
    client = world.partition(item.client or "")
    if client is None:
        raise BadRequest(f"There is no partition {item.client} to map a Fibre Channel port of {vios.name} to.")
    need_dlpar(client, "add a virtual Fibre Channel adapter to")
    port = next((p for p in ports(vios) if p.name == item.port), None)
    if port is not None and ports_used(vios, port.name) >= port.npiv_total:
        raise BadRequest(f"All {port.npiv_total} virtual ports of {port.name} on {vios.name} are in use.")
    wwpns = [w.lower() for w in item.wwpns] or next_pairs(world, 1)
    if len(wwpns) != 2 or not all(re.fullmatch(r"[0-9a-f]{16}", w) for w in wwpns):
        raise BadRequest(f"A virtual Fibre Channel adapter needs two WWPNs of 16 hexadecimal digits, not {wwpns}.")
    slot = next(n for n in range(2, vios.max_slots + 1) if n not in taken)
    client_slot = slots.claim(world, client, item.client_slot) if item.client_slot else slots.lowest(world, client)
    return FibreMapping(
        slot=slot,
        name=next_name("vfchost", names),
        udid=f"1d{slots.location(world, vios.id, slot)}",
        client_id=client.id,
        client_slot=client_slot,
        client=client.uuid,
        port=item.port,
        wwpns=wwpns,
    )
