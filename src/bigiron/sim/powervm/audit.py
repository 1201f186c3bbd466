"""What is inconsistent or left over on a simulated system: an empty list means that it is clean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from bigiron.sim.powervm.files import FileRecord
from bigiron.sim.powervm.model import backing, capacity, networks, slots, taps, vnics
from bigiron.sim.powervm.model.mapping import FibreMapping, ServerAdapter
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.model.partition import Lpar, Partition, Vios
from bigiron.sim.powervm.model.world import World

Finding = dict[str, str]


def audit(world: World, files: Iterable[FileRecord] = ()) -> list[Finding]:
    """Every finding as {kind, object, detail}; the caller holds the world's lock."""
    return [finding for check in _CHECKS for finding in check(world)] + list(_files(files))


def _files(files: Iterable[FileRecord]) -> Iterator[Finding]:
    """The server keeps no more than a hundred Files: who has sent a content deletes its File."""
    for record in files:
        if record.received is not None:
            yield _finding("left-over-file", record.filename, f"File {record.uuid} has its content and is still there")


def _finding(kind: str, name: str, detail: str) -> Finding:
    return {"kind": kind, "object": name, "detail": detail}


def _servers(world: World) -> Iterator[Finding]:
    for vios in world.vioses:
        stock = backing.catalogue(world, vios)
        for server in vios.servers:
            name = f"{vios.name}/{server.name}"
            client = world.partition(server.client) if server.client else None
            if client is None:
                yield _finding("orphan-server-adapter", name, f"its client, partition id {server.client_id}, is gone")
            elif client.id != server.client_id:
                yield _finding("wrong-client-id", name, f"says {server.client_id}, {client.name} has {client.id}")
            if not server.targets:
                yield _finding("empty-server-adapter", name, "nothing is mapped on it")
            for target in server.targets:
                if target.kind and (target.kind, target.key) not in stock:
                    yield _finding("mapping-without-storage", f"{name}/{target.name}", f"{target.kind} {target.key}")


def _fibre(world: World) -> Iterator[Finding]:
    for vios in world.vioses:
        for mapping in vios.fibre:
            if mapping.client is None or world.partition(mapping.client) is None:
                yield _finding("orphan-fibre-adapter", f"{vios.name}/{mapping.name}", "its client is gone")


def _shared(world: World) -> Iterator[Finding]:
    """A disk in two partitions is destroyed by them; the management partition has some for a while, to copy them."""
    management = world.management
    clients: dict[tuple[str, str], set[str]] = {}
    for vios in world.vioses:
        for server in vios.servers:
            if server.client is None or (management is not None and server.client == management.uuid):
                continue
            for target in server.targets:
                if target.kind not in (backing.EMPTY, backing.MEDIA):
                    clients.setdefault((target.kind, target.key), set()).add(server.client)
    for (kind, key), users in clients.items():
        if len(users) > 1:
            names = sorted(p.name for p in map(world.partition, users) if p is not None)
            yield _finding("shared-disk", f"{kind} {key}", f"mapped to {', '.join(names)}")


def _units(world: World) -> Iterator[Finding]:
    mapped = backing.mapped_keys(world)
    sources = {u.udid for p in world.state.pools for u in p.units}
    for pool in world.state.pools:
        for unit in pool.units:
            if not unit.is_image and (backing.UNIT, unit.udid) not in mapped:
                yield _finding("unmapped-logical-unit", f"{pool.name}/{unit.name}", "no partition uses it")
            if unit.is_image and unit.content is None:
                yield _finding("empty-image", f"{pool.name}/{unit.name}", "nothing was uploaded into it")
            if unit.cloned_from and unit.cloned_from not in sources:
                yield _finding("clone-without-source", f"{pool.name}/{unit.name}", f"{unit.cloned_from} is gone")


def _local_storage(world: World) -> Iterator[Finding]:
    mapped = backing.mapped_keys(world)
    for vios in world.vioses:
        for group in vios.groups:
            for disk in group.disks:
                if (backing.DISK, disk.udid) not in mapped and not disk.is_image and not disk.foreign:
                    yield _finding("unmapped-disk", f"{vios.name}/{group.name}/{disk.name}", "no partition uses it")
            for media in group.repository.media if group.repository else []:
                if not _media_mapped(vios, media.udid):
                    yield _finding("unmapped-media", f"{vios.name}/{media.name}", "no partition uses it")
            if group.used > group.capacity + 1e-6:
                yield _finding(
                    "overfull-group", f"{vios.name}/{group.name}", f"{group.used:g} of {group.capacity:g} GB"
                )


def _media_mapped(vios: Vios, udid: str) -> bool:
    return any((t.kind, t.key) == (backing.MEDIA, udid) for s in vios.servers for t in s.targets)


def _ethernet(world: World) -> Iterator[Finding]:
    known = {s.id for s in world.state.switches}
    macs: Counter[str] = Counter()
    for _, mac in slots.macs(world):
        macs[mac] += 1
    for partition, adapter in slots.ethernets(world):
        if adapter.switch_id not in known:
            yield _finding("adapter-without-switch", f"{partition.name}/{adapter.slot}", f"switch {adapter.switch_id}")
    for mac, count in macs.items():
        if count > 1:
            yield _finding("duplicate-mac", mac, f"{count} adapters have it")
    for vios in world.vioses:
        for trunk in vios.trunks:
            yield _finding("orphan-trunk", f"{vios.name}/{trunk.device}", f"VLANs {sorted(trunk.vlans)}")
    present = {(n.switch_id, n.vlan) for n in world.state.networks}
    for switch_id, vlan in sorted(networks.in_use(world) - present):
        yield _finding("vlan-without-network", f"switch {switch_id} VLAN {vlan}", "in use, but has no virtual network")


def _taps(world: World) -> Iterator[Finding]:
    """Each trunk adapter of the management partition serves one adapter of a guest, on a VLAN of their own."""
    clients: dict[tuple[int, int], list[tuple[Partition, VirtualEthernet]]] = {}
    for partition, adapter in slots.ethernets(world):
        if adapter.trunk_priority is None:
            clients.setdefault((adapter.switch_id, adapter.pvid), []).append((partition, adapter))
    served: set[tuple[int, int]] = set()
    interfaces: Counter[str] = Counter()
    management = world.management
    for trunk in management.adapters if management is not None else ():
        if trunk.trunk_priority is None:
            continue
        name, place = f"{management.name}/{trunk.device}", (trunk.switch_id, trunk.pvid)  # type: ignore[union-attr]
        served.add(place)
        interfaces[taps.external_ids(trunk).get("iface-id", "")] += 1
        mine = clients.get(place, [])
        if not mine:
            yield _finding("orphan-trunk", name, f"no partition has an adapter on VLAN {trunk.pvid}")
        if len(mine) > 1:
            names = ", ".join(sorted(partition.name for partition, _ in mine))
            yield _finding("shared-private-vlan", name, f"VLAN {trunk.pvid} joins {names}")
        macs = [adapter.mac for _, adapter in mine]
        attached = taps.external_ids(trunk).get("attached-mac", "").replace(":", "").upper()
        if attached and macs and attached not in macs:
            yield _finding("wrong-attached-mac", name, f"says {attached}, and {', '.join(macs)} is on its VLAN")
        if trunk.device and not trunk.attached:
            yield _finding("lost-device", name, "its network device went with a restart of the partition")
    for port, count in interfaces.items():
        if port and count > 1:
            yield _finding("duplicate-interface", port, f"{count} ports on Open vSwitch have this iface-id")
    private = next((s.id for s in world.state.switches if s.name == taps.PRIVATE_SWITCH), None)
    for (switch, vlan), found in clients.items():
        if switch == private and (switch, vlan) not in served:
            names = ", ".join(f"{partition.name}/{adapter.slot}" for partition, adapter in found)
            yield _finding("client-without-trunk", names, f"VLAN {vlan} of {taps.PRIVATE_SWITCH} leads nowhere")


def _vnics(world: World) -> Iterator[Finding]:
    live = {vnic.uuid for lpar in world.lpars for vnic in lpar.vnics}
    for _, port, logical in vnics.logical_ports(world):
        if logical.vnic not in live:
            yield _finding("orphan-logical-port", f"{port.location}/{logical.id}", "no partition has its vNIC")
    for lpar in world.lpars:
        for vnic in lpar.vnics:
            for backing_device in vnic.backing:
                if vnics.logical_port(world, backing_device) is None:
                    where = f"adapter {backing_device.adapter}, physical port {backing_device.port}"
                    yield _finding("vnic-without-logical-port", f"{lpar.name}/{vnic.slot}", where)
    for adapter in world.state.sriov:
        for port in adapter.ports:
            if port.allocated > 100 + 1e-6:
                yield _finding("overcommitted-physical-port", port.location, f"{port.allocated:g}% of its capacity")
            if len(port.logical) > port.max_ports:
                yield _finding("overcommitted-physical-port", port.location, f"{len(port.logical)} logical ports")


def _bridges(world: World) -> Iterator[Finding]:
    for bridge in world.state.bridges:
        vlans = [sorted((t.pvid, *t.tagged) for t in sea.trunks) for sea in bridge.seas]
        if any(other != vlans[0] for other in vlans[1:]):
            yield _finding("uneven-bridge", bridge.uuid, "its SEAs carry different VLANs")


def _capacity(world: World) -> Iterator[Finding]:
    name = world.system.name
    if capacity.memory_free(world) < 0:
        yield _finding("memory-overcommitted", name, f"{-capacity.memory_free(world)} MB too much")
    if capacity.units_free(world) < -1e-6:
        yield _finding("processors-overcommitted", name, f"{-capacity.units_free(world):g} units too much")
    for label, values in (
        ("id", Counter(p.id for p in world.partitions)),
        ("name", Counter(p.name for p in world.partitions)),
    ):
        for value, count in values.items():
            if count > 1:
                yield _finding(f"duplicate-partition-{label}", str(value), f"{count} partitions have it")


def _slots(world: World) -> Iterator[Finding]:
    clients = _client_slots(world)
    for partition in world.partitions:
        taken = _own_slots(world, partition) + clients.get(partition.uuid, [])
        for slot, count in Counter(taken).items():
            if count > 1:
                yield _finding("slot-conflict", f"{partition.name}/{slot}", f"{count} adapters are in it")


def _own_slots(world: World, partition: Partition) -> list[int]:
    found = [a.slot for a in partition.adapters]
    if isinstance(partition, Lpar):
        found += [vnic.slot for vnic in partition.vnics]
    if isinstance(partition, Vios):
        found += [t.slot for t in slots.trunks_of(world, partition)]
        found += [s.slot for s in partition.servers] + [f.slot for f in partition.fibre]
    return found


def _client_slots(world: World) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for vios in world.vioses:
        ends: list[ServerAdapter | FibreMapping] = [*vios.servers, *vios.fibre]
        for end in ends:
            if end.client:
                found.setdefault(end.client, []).append(end.client_slot)
    return found


_CHECKS: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _servers, _shared, _fibre, _units, _local_storage, _ethernet, _taps, _vnics, _bridges, _capacity, _slots,
)  # fmt: skip
