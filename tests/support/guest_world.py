"""A small system with a VIOS, a management partition and one client partition that has all a guest can have."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pycdlib

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.powervm.model import power
from bigiron.sim.powervm.model.mapping import ServerAdapter, Target
from bigiron.sim.powervm.model.network import VirtualEthernet, VirtualSwitch
from bigiron.sim.powervm.model.partition import RUNNING, Lpar, Memory, Processors, Vios
from bigiron.sim.powervm.model.state import State
from bigiron.sim.powervm.model.storage import Content, MediaRepository, OpticalMedia, VirtualDisk, VolumeGroup
from bigiron.sim.powervm.model.system import MachineType, ManagedSystem, ManagementConsole, PcmPreferences
from bigiron.sim.powervm.model.world import World

INSTANCE = "c5d2f1b4-0c1f-4e2b-9a53-5f6f5a1a9d11"
LPAR_UUID = "45D2F1B4-0C1F-4E2B-9A53-5F6F5A1A9D11"
MAC = "FAAABBCCDD20"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9mUPvZ8+ZVXy7PSeUCjWqC1IiFXTTLeGFyYqFkQ8lV demo"
META_DATA = {"uuid": INSTANCE, "hostname": "web1.example.org", "name": "web1", "public_keys": {"demo": KEY}}
NETWORK_DATA = {
    "links": [{"id": "tap1", "type": "phy", "ethernet_mac_address": "fa:aa:bb:cc:dd:20"}],
    "networks": [
        {
            "id": "network0",
            "link": "tap1",
            "type": "ipv4",
            "ip_address": "10.20.0.14",
            "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.20.0.1"}],
        }
    ],
    "services": [{"type": "dns", "address": "10.20.0.2"}],
}


def write_config_drive(path: Path, documents: dict[str, Any], label: str = "config-2") -> None:
    """An ISO with these files under openstack/latest; values that are not bytes are written as JSON."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, rock_ridge="1.09", joliet=3)
    iso.add_directory("/OPENSTACK", rr_name="openstack", joliet_path="/openstack")
    iso.add_directory("/OPENSTACK/LATEST", rr_name="latest", joliet_path="/openstack/latest")
    for number, (name, value) in enumerate(documents.items()):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        place = f"/OPENSTACK/LATEST/F{number}.;1"
        iso.add_fp(BytesIO(data), len(data), place, rr_name=name, joliet_path=f"/openstack/latest/{name}")
    iso.write(str(path))
    iso.close()


def guest_world(media_dir: Path, clock: Clock, drive: dict[str, Any] | None = None) -> World:
    """The system; the client partition (id 5, off) has a disk, a network and an RMC adapter, and perhaps a drive."""
    vios = Vios(
        uuid="3443DB77-AED1-47ED-9AA5-3DB9C6CF7089",
        id=1,
        name="vios1",
        type="Virtual IO Server",
        state=RUNNING,
        memory=_memory(4096),
        processors=Processors(),
        groups=[_group(media_dir, drive)],
        servers=[_server(drive is not None)],
    )
    management = Lpar(
        uuid="0A1B2C3D-0000-4000-8000-000000000002",
        id=2,
        name="novalink",
        type="AIX/Linux",
        state=RUNNING,
        memory=_memory(2048),
        processors=Processors(),
        management=True,
    )
    client = Lpar(
        uuid=LPAR_UUID,
        id=5,
        name="web1-c5d2f1b4",
        type="AIX/Linux",
        memory=_memory(1024),
        processors=Processors(vcpus=2),
        description=f"openstack:{INSTANCE}",
        adapters=[
            VirtualEthernet(uuid="a1", slot=32, mac=MAC, pvid=100, switch_id=0),
            VirtualEthernet(uuid="a2", slot=33, mac="FAAABBCCDD21", pvid=4094, switch_id=1),
        ],
    )
    machine = MachineType("9080", "HEX", "78A0001")
    state = State(
        system=ManagedSystem(
            uuid="67DCA605-3923-34DA-BD8F-26A378FC817F",
            name="power1",
            mtms=machine,
            memory=65536,
            firmware_memory=4096,
            region_size=128,
            processors=8.0,
        ),
        console=ManagementConsole(uuid="c1", name="novalink", mtms=machine),
        pcm=PcmPreferences(uuid="p1"),
        users={},
        lpars=[management, client],
        vioses=[vios],
        switches=[VirtualSwitch(uuid="s0", id=0, name="ETHERNET0"), VirtualSwitch(uuid="s1", id=1, name="MGMTSWITCH")],
    )
    world = World(state, clock)
    world.media_dir = media_dir
    return world


def client_of(world: World) -> Lpar:
    """The client partition."""
    lpar = world.partition(LPAR_UUID)
    assert isinstance(lpar, Lpar)
    return lpar


def power_on(world: World, boot_mode: str = "norm", boot_string: str = "") -> Lpar:
    """Do to the client partition what a power-on job does."""
    with world.lock:
        power.begin_on(world, client_of(world), boot_mode, None, boot_string)
        power.finish_on(world, client_of(world))
    return client_of(world)


def power_off(world: World, operation: str = "shutdown") -> Lpar:
    """Do to the client partition what a power-off job does."""
    with world.lock:
        power.begin_off(world, client_of(world), operation, restart=False)
        power.finish_off(world, client_of(world), restart=False)
    return client_of(world)


def _memory(megabytes: int) -> Memory:
    return Memory(desired=megabytes, minimum=megabytes, maximum=megabytes)


def _group(media_dir: Path, drive: dict[str, Any] | None) -> VolumeGroup:
    media = []
    if drive is not None:
        media_dir.mkdir(parents=True, exist_ok=True)
        write_config_drive(media_dir / "medium", drive)
        content = Content(file="medium", size=(media_dir / "medium").stat().st_size, sha256="")
        media = [OpticalMedia(name="cfg.iso", udid="0eM", size=0.001, content=content)]
    return VolumeGroup(
        uuid="g1",
        name="rootvg",
        udid="0eG",
        serial="00g",
        capacity=100.0,
        disks=[VirtualDisk(name="boot_web1", udid="0eD", capacity=1.0)],
        repository=MediaRepository(name="VMLibrary", size=1.0, media=media),
    )


def _server(with_medium: bool) -> ServerAdapter:
    targets = [Target(kind="VirtualDisk", key="0eD", name="vtscsi0", lua="0x8100000000000000", udid="u1")]
    if with_medium:
        medium = Target(kind="VirtualOpticalMedia", key="0eM", name="vtopt0", lua="0x8200000000000000", udid="u2")
        targets.append(medium)
    return ServerAdapter(
        slot=10, name="vhost0", udid="v1", client_id=5, client_slot=4, client=LPAR_UUID, targets=targets
    )
