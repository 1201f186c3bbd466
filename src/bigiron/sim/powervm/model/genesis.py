"""From a system document to a world: every object it names, placed by the same rules that clients meet."""

from __future__ import annotations

import base64
import hashlib
import uuid as uuidlib
from collections.abc import Iterator, Mapping
from typing import Any

from bigiron.sim.powervm import documents
from bigiron.sim.powervm.errors import RestError
from bigiron.sim.powervm.model import adapters, backing, bridges, lpars, mappings, networks, pool
from bigiron.sim.powervm.model.mapping import EthernetPort, FibreAdapter, FibrePort
from bigiron.sim.powervm.model.network import NetworkBridge, SharedEthernet, VirtualSwitch
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, RUNNING, Lpar, Memory, Processors, Vios
from bigiron.sim.powervm.model.sriov import (
    DEDICATED,
    MAX_MIN,
    NOT_CONFIGURED,
    SHARED,
    PhysicalPort,
    SriovAdapter,
)
from bigiron.sim.powervm.model.sriov import (
    RUNNING as ADAPTER_RUNNING,
)
from bigiron.sim.powervm.model.state import State
from bigiron.sim.powervm.model.storage import (
    Cluster,
    MediaRepository,
    PhysicalVolume,
    SharedStoragePool,
    Tier,
    VirtualDisk,
    VolumeGroup,
)
from bigiron.sim.powervm.model.system import (
    MachineType,
    ManagedSystem,
    ManagementConsole,
    PcmPreferences,
    SharedProcessorPool,
)
from bigiron.sim.powervm.model.world import Clock, World

_NAMESPACE = uuidlib.UUID("6f6e652d-686f-5374-8000-706f77657276")
_MODES = ["default", "POWER7", "POWER8", "POWER9_Base", "POWER9", "POWER10"]


def build(document: Mapping[str, Any], clock: Clock) -> World:
    """The world of a document; raises DocumentError that names what does not fit."""
    documents.validate(document)
    world = World(_state(document), clock)
    try:
        for number, spec in enumerate(document["vioses"], 1):
            world.insert(_vios(world, spec, number))
        for spec in document.get("bridges", []):
            _bridge(world, spec)
        for spec in document.get("clusters", []):
            _cluster(world, spec)
        for spec in _partitions(document):
            _partition(world, spec)
    except RestError as error:
        raise documents.DocumentError(f"the system document does not fit together: {error.message}") from error
    networks.sync(world)
    return world


def loads(document: Mapping[str, Any]) -> dict[str, str]:
    """The loads that the document gives to partitions, by name."""
    return {spec["name"]: spec["load"] for spec in (*document["vioses"], *_partitions(document)) if "load" in spec}


def fixed_uuid(*names: object) -> str:
    """The uuid of a thing that the document names: the same each time it is loaded."""
    return str(uuidlib.uuid5(_NAMESPACE, "/".join(map(str, names))))


def _state(document: Mapping[str, Any]) -> State:
    spec = document["system"]
    machine = MachineType(**spec["machine"])
    console = document.get("console", {})
    system = ManagedSystem(
        uuid=fixed_uuid("system", machine),
        name=spec["name"],
        mtms=machine,
        memory=spec["memory_mb"],
        firmware_memory=spec.get("hypervisor_memory_mb", 4096),
        region_size=spec.get("region_size_mb", 256),
        processors=float(spec["processors"]),
        max_partitions=spec.get("max_partitions", 1000),
        max_vcpus=spec.get("max_vcpus", 256),
        compatibility_modes=spec.get("compatibility_modes", _MODES),
    )
    pools = [{"name": "DefaultPool"}, *document.get("processor_pools", [])]
    return State(
        system=system,
        console=ManagementConsole(
            uuid=fixed_uuid("console", machine),
            name=console.get("name", "novalink"),
            mtms=machine,
            address=console.get("address", "127.0.0.1"),
            public_key=_public_key(str(machine), spec["name"]),
        ),
        pcm=PcmPreferences(uuid=system.uuid),
        users=dict(document["users"]),
        processor_pools=[
            SharedProcessorPool(uuid=fixed_uuid("pool", machine, n), id=n, name=p["name"], maximum=p.get("maximum", 0))
            for n, p in enumerate(pools)
        ],
        switches=[
            VirtualSwitch(uuid=fixed_uuid("switch", machine, n), id=n, name=s["name"], mode=s.get("mode", "Veb"))
            for n, s in enumerate(document["switches"])
        ],
        sriov=_sriov(document),
    )


def _sriov(document: Mapping[str, Any]) -> list[SriovAdapter]:
    found: list[SriovAdapter] = []
    for number, spec in enumerate(document.get("sriov_adapters", []), 1):
        location = spec.get("location", f"U78D2.001-P2-C{number}")
        shared = spec.get("mode", SHARED) == SHARED
        found.append(
            SriovAdapter(
                drc_index=553714000 + number,
                location=location,
                id=1 + sum(a.is_shared for a in found) if shared else None,
                mode=SHARED if shared else DEDICATED,
                state=ADAPTER_RUNNING if shared else NOT_CONFIGURED,
                personality=spec.get("personality", MAX_MIN),
                vendor=int(spec.get("vendor_id", "15b3"), 16),
                device=int(spec.get("product_id", "1014"), 16),
                ports=[_sriov_port(location, n, port) for n, port in enumerate(spec["ports"])] if shared else [],
            )
        )
    return found


def _sriov_port(adapter: str, number: int, spec: Mapping[str, Any]) -> PhysicalPort:
    return PhysicalPort(
        id=number,
        location=f"{adapter}-T{number + 1}",
        label=spec.get("label", ""),
        link=spec.get("link", "up") == "up",
        speed=spec.get("speed", "E10Gbps"),
        granularity=float(spec.get("granularity", 2)),
        max_ports=spec.get("max_logical_ports", 20),
    )


def _public_key(seed: str, name: str) -> str:
    """Looks like a key; nothing can be opened with it."""
    return f"ssh-rsa {base64.b64encode(hashlib.sha512(seed.encode()).digest()).decode()} {name}"


def _vios(world: World, spec: Mapping[str, Any], number: int) -> Vios:
    lpars.check_name(world, spec["name"])
    udid = fixed_uuid("vios", world.system.mtms, spec["name"])
    vios = Vios(
        uuid=udid.upper(),
        id=number,
        name=spec["name"],
        type="Virtual IO Server",
        memory=Memory(desired=spec["memory_mb"], minimum=spec["memory_mb"], maximum=spec["memory_mb"]),
        processors=_processors(spec),
        state=RUNNING,
        rmc=RMC_ACTIVE,
        rmc_address=spec.get("address", f"10.0.0.{number}"),
        max_slots=spec.get("max_virtual_slots", 4096),
        os_version="VIOS 3.1.4.10",
        availability_priority=191,
        management=spec.get("management", False),
        serial=world.system.mtms.serial,
        mac_prefix=world.new_hex(10),
        started=world.clock.now(),
        volumes=[_volume(spec, v, n) for n, v in enumerate(spec["volumes"])],
        ethernet=[
            EthernetPort(name=e, location=f"U78D2.001-P1-C{number}-T{n}")
            for n, e in enumerate(spec.get("ethernet", []), 1)
        ],
        fibre_cards=_fibre(spec, number),
    )
    for group in spec.get("volume_groups", []):
        vios.groups.append(_group(vios, group))
    return vios


def _processors(spec: Mapping[str, Any]) -> Processors:
    vcpus, top, units = spec["vcpus"], spec.get("max_vcpus", spec["vcpus"]), spec.get("proc_units")
    if units is None:
        return Processors(dedicated=True, vcpus=vcpus, min_vcpus=1, max_vcpus=top, sharing="sre idle proces")
    # The most units that the maximum of virtual processors can use, as a real profile is usually made.
    return Processors(
        units=units, min_units=0.05, max_units=max(units, float(top)), vcpus=vcpus, min_vcpus=1, max_vcpus=top
    )


def _volume(vios: Mapping[str, Any], spec: Mapping[str, Any], number: int) -> PhysicalVolume:
    seed = spec.get("udid") or f"{vios['name']}/{spec['name']}"
    digest = hashlib.sha256(seed.encode()).hexdigest()[:32].upper()
    fibre = spec.get("fibre_channel", False)
    return PhysicalVolume(
        name=spec["name"],
        udid="01" + base64.b64encode(f"3213600{digest}04214503IBMfcp".encode()).decode(),
        size=int(spec["size_gb"] * 1024),
        location=f"U78D2.001-P1-C14-T{number + 1}-L1-T{number + 1}",
        description="MPIO IBM 2107 FC Disk" if fibre else "SAS Disk Drive",
        unique_id=f"3213600{digest}04214503IBMfcp",
        fibre_channel=fibre,
    )


def _fibre(spec: Mapping[str, Any], number: int) -> list[FibreAdapter]:
    ports = spec.get("fibre_channel", [])
    if not ports:
        return []
    location = f"U78D2.001-P1-C{number + 4}"
    return [
        FibreAdapter(
            location=location,
            drc_index=553713680 + number,
            ports=[
                FibrePort(
                    name=p["name"],
                    wwpn=p["wwpn"].upper(),
                    location=f"{location}-T{n}",
                    npiv_total=p.get("npiv_ports", 64),
                )
                for n, p in enumerate(ports, 1)
            ],
        )
    ]


def _group(vios: Vios, spec: Mapping[str, Any]) -> VolumeGroup:
    members = []
    for name in spec["volumes"]:
        volume = next((v for v in vios.volumes if v.name == name), None)
        if volume is None or volume.group:
            raise documents.DocumentError(f"volume group {spec['name']} of {vios.name}: {name} is missing or in use")
        volume.group = spec["name"]
        members.append(volume)
    uuid = fixed_uuid("group", vios.uuid, spec["name"])
    serial = uuid.replace("-", "")
    group = VolumeGroup(
        uuid=uuid, name=spec["name"], udid=f"04{serial}", serial=serial, capacity=sum(v.size for v in members) / 1024
    )
    for number, disk in enumerate(spec.get("disks", []), 1):
        udid = f"03{serial}.{number}"
        group.disks.append(VirtualDisk(name=disk["name"], udid=udid, capacity=disk["size_gb"], foreign=True))
    if "repository_gb" in spec:
        group.repository = MediaRepository(name="VMLibrary", size=spec["repository_gb"])
    return group


def _find_vios(world: World, name: str) -> Vios:
    found = next((v for v in world.vioses if v.name == name), None)
    if found is None:
        raise documents.DocumentError(f"there is no VIOS {name} in the document")
    return found


def _find_switch(world: World, name: str) -> VirtualSwitch:
    found = next((s for s in world.state.switches if s.name == name), None)
    if found is None:
        raise documents.DocumentError(f"there is no switch {name} in the document")
    return found


def _bridge(world: World, spec: Mapping[str, Any]) -> None:
    switch = _find_switch(world, spec["switch"])
    uuid = fixed_uuid("bridge", world.system.uuid, switch.name, spec["adapters"][0]["device"])
    failover = len(spec["adapters"]) > 1
    bridge = NetworkBridge(
        uuid=uuid,
        pvid=spec["pvid"],
        udid=f"12{uuid.replace('-', '')}",
        switch_id=switch.id,
        seas=[],
        failover=failover,
        load_balancing=False,
        control_channel_id=spec.get("control_channel"),
    )
    world.state.bridges.append(bridge)
    for priority, entry in enumerate(spec["adapters"], 1):
        bridge.seas.append(_sea(world, bridge, entry, priority))
        if bridge.failover and bridge.control_channel_id:
            _control_channel(world, bridge, bridge.seas[-1])
    vlans = [v for v in spec.get("vlans", []) if v != spec["pvid"]]
    groups: list[tuple[int, tuple[int, ...]]] = [(spec["pvid"], ())]
    for number, start in enumerate(range(0, len(vlans), adapters.MAX_TAGGED)):
        groups.append((4093 - number, tuple(vlans[start : start + adapters.MAX_TAGGED])))
    bridges.apply_groups(world, bridge, groups)


def _sea(world: World, bridge: NetworkBridge, spec: Mapping[str, Any], priority: int) -> SharedEthernet:
    vios = _find_vios(world, spec["vios"])
    port = next((p for p in vios.ethernet if p.name == spec["backing"]), None)
    if port is None:
        raise documents.DocumentError(f"VIOS {vios.name} has no Ethernet port {spec['backing']} for {spec['device']}")
    trunk = bridges.new_trunk(world, vios, bridge.switch_id, bridge.pvid, priority)
    return SharedEthernet(
        vios=vios.uuid,
        device=spec["device"],
        backing=port.name,
        pvid=bridge.pvid,
        udid=f"13{world.new_hex(16)}",
        trunks=[trunk],
        ha_mode="auto" if bridge.failover else "disabled",
        primary=priority == 1,
        address=vios.rmc_address,
        location=port.location,
    )


def _control_channel(world: World, bridge: NetworkBridge, sea: SharedEthernet) -> None:
    vios = world.vios(sea.vios)
    channel = bridges.new_trunk(world, vios, bridge.switch_id, bridge.control_channel_id or 0, None)
    sea.control_channel = channel.device
    vios.adapters.append(channel)


def _cluster(world: World, spec: Mapping[str, Any]) -> None:
    nodes = [_find_vios(world, name) for name in spec["nodes"]]
    pool_uuid = fixed_uuid("ssp", spec["name"], spec["pool"])
    serial = pool_uuid.replace("-", "")
    tiers = [
        Tier(
            uuid=fixed_uuid("tier", pool_uuid, t["name"]),
            name=t["name"],
            udid=f"25{serial}{n:016x}",
            capacity=float(t["capacity_gb"]),
            default=n == 0,
        )
        for n, t in enumerate(spec["tiers"])
    ]
    world.state.pools.append(
        SharedStoragePool(
            uuid=pool_uuid,
            name=spec["pool"],
            udid=f"24{serial}0000000000{serial[:22]}",
            volumes=[
                _cluster_volume(f"hdisk{8 + n}", f"{pool_uuid}/{n}", int(t.capacity * 1024))
                for n, t in enumerate(tiers)
            ],
            tiers=tiers,
        )
    )
    world.state.clusters.append(
        Cluster(
            uuid=fixed_uuid("cluster", spec["name"]),
            id=f"22{serial}",
            name=spec["name"],
            pool=pool_uuid,
            nodes=[v.uuid for v in nodes],
            repository=[_cluster_volume("hdisk7", f"{pool_uuid}/repository", 10240)],
        )
    )


def _cluster_volume(name: str, seed: str, size: int) -> PhysicalVolume:
    digest = hashlib.sha256(seed.encode()).hexdigest()[:32].upper()
    return PhysicalVolume(
        name=name,
        udid="01" + base64.b64encode(f"3213600{digest}04214503IBMfcp".encode()).decode(),
        size=size,
        location="",
        description="MPIO IBM 2107 FC Disk",
        fibre_channel=True,
        group="ssp",
    )


def _partitions(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from document.get("partitions", [])
    many = document.get("generate", {}).get("partitions")
    for number in range(1, many["count"] + 1) if many else ():
        yield {**many["like"], "name": many["like"]["name"].replace("{n}", f"{number:03d}")}


def _partition(world: World, spec: Mapping[str, Any]) -> None:
    running = spec.get("state", "running") == "running"
    memory = spec["memory_mb"]
    lpar = lpars.create(
        world,
        lpars.PartitionSpec(
            name=spec["name"],
            uuid=spec.get("uuid") or fixed_uuid("lpar", world.system.mtms, spec["name"]),
            type=spec.get("type", "AIX/Linux"),
            memory=Memory(
                desired=memory, minimum=min(memory, world.system.region_size), maximum=spec.get("max_memory_mb", memory)
            ),
            processors=_processors(spec),
            fields={
                "os_version": spec.get("os", "Unknown"),
                "management": spec.get("management", False),
                "description": spec.get("description"),
                "max_slots": spec.get("max_virtual_slots", 64),
                "foreign": True,
            },
        ),
    )
    for nic in spec.get("nics", []):
        switch = _find_switch(world, nic["switch"])
        adapters.create(world, lpar, adapters.AdapterSpec(switch_id=switch.id, pvid=nic["vlan"]))
    for number, disk in enumerate(spec.get("disks", [])):
        _disk(world, lpar, disk, number)
    if running:
        lpar.state, lpar.rmc, lpar.started = RUNNING, RMC_ACTIVE, world.clock.now()
        lpar.reference_code = "Linux ppc64le"


def _disk(world: World, lpar: Lpar, spec: Mapping[str, Any], number: int) -> None:
    cluster = next((c for c in world.state.clusters if c.name == spec["cluster"]), None)
    if cluster is None:
        raise documents.DocumentError(f"partition {lpar.name}: there is no cluster {spec['cluster']} in the document")
    tier = next(p for p in world.state.pools if p.uuid == cluster.pool).tiers[0]
    unit = pool.create(world, tier, pool.UnitSpec(name=f"{lpar.name}-disk{number}", capacity=float(spec["size_gb"])))
    for uuid in cluster.nodes:
        mappings.connect(world, world.vios(uuid), lpar, backing.UNIT, unit.udid)
