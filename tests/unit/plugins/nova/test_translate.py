"""Nova's objects in, bigiron's values out: the spec of a guest, its NICs and image, and errors the other way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception
from nova.compute import power_state
from nova.network import model as network_model
from nova.objects import flavor as flavor_obj
from nova.objects import image_meta as image_meta_obj

from bigiron import errors
from bigiron.model import DiskRole, GuestOs, PowerState
from bigiron.plugins.nova import translate
from bigiron.plugins.nova.image import GlanceImage

FOLDER = Path("never-written")
UUID = "8bb3e8a4-7a5b-4a0e-a8d3-0f0a5f3a1c11"


def instance(**flavor: Any) -> Any:
    fields = {
        "name": "small", "memory_mb": 2048, "vcpus": 2, "root_gb": 10, "ephemeral_gb": 0, "swap": 0,
        "extra_specs": {"powervm:uncapped": "true", "hw:cpu_policy": "dedicated", "powervm:proc_units": "0.5"},
    }  # fmt: skip
    return SimpleNamespace(uuid=UUID, name="web-1", task_state=None, flavor=flavor_obj.Flavor(**{**fields, **flavor}))


def image_meta(**fields: Any) -> Any:
    plain = {"id": UUID, "name": "linux", "disk_format": "raw", "size": 1000, "properties": {}}
    return image_meta_obj.ImageMeta.from_dict({**plain, **fields})


def vif(**fields: Any) -> Any:
    network = network_model.Network(id="net", label="private", mtu=1450, physical_network="default")
    plain = {"id": "port", "address": "fa:16:3e:00:00:01", "type": "pvm_sea", "details": {"vlan": "100"}}
    return network_model.VIF(**{**plain, "network": network, **fields})


class FakeImages:
    """The part of Nova's image API that a driver calls."""

    def __init__(self, chunks: list[bytes] | None) -> None:
        self.chunks = chunks
        self.downloads = 0

    def download(self, context: Any, image_id: str, trusted_certs: Any = None) -> Any:
        self.downloads += 1
        return None if self.chunks is None else iter(self.chunks)


def spec_of(inst: Any, meta: Any, vifs: Any = (), block_device_info: Any = None) -> Any:
    return translate.guest_spec(
        inst,
        meta,
        vifs,
        block_device_info,
        namespace="powervm:",
        config_drive=True,
        power_on=True,
        image=translate.image_source(None, meta, FakeImages([b"x"]), FOLDER),
    )


def test_a_guest_has_what_the_flavor_the_image_and_the_ports_say() -> None:
    spec = spec_of(instance(), image_meta(), [vif()])
    assert (spec.uuid, spec.name, spec.memory_mb, spec.vcpus, spec.os) == (UUID, "web-1", 2048, 2, GuestOs.LINUX)
    assert spec.options == {"powervm:uncapped": "true", "powervm:proc_units": "0.5"}
    (disk,) = spec.disks
    assert (disk.role, disk.size_gb, disk.image.id) == (DiskRole.ROOT, 10, UUID)
    (nic,) = spec.nics
    assert (nic.id, nic.mac, nic.vif_type, nic.vlan) == ("port", "fa:16:3e:00:00:01", "pvm_sea", 100)
    assert (nic.physical_network, nic.mtu, nic.tagged_vlans) == ("default", 1450, None)
    assert (spec.config_drive, spec.power_on) == (True, True)


@pytest.mark.parametrize(
    ("distro", "expected"), [("ibmi", GuestOs.IBMI), ("AIX", GuestOs.AIX), ("rhel", GuestOs.LINUX)]
)
def test_the_image_names_the_operating_system(distro: str, expected: GuestOs) -> None:
    assert spec_of(instance(), image_meta(properties={"os_distro": distro})).os is expected


def test_the_vlan_is_the_bindings_before_the_networks() -> None:
    network = network_model.Network(id="net", vlan=7, physical_network="other")
    assert translate.nic_spec(vif(network=network)).vlan == 100
    assert translate.nic_spec(vif(network=network, details={})).vlan == 7
    assert translate.nic_spec(vif(details={})).vlan is None
    assert translate.nic_spec(vif(details={"physical_network": "p", "vlan": "1"})).physical_network == "p"


def test_the_bridge_on_open_vswitch_is_the_bindings_before_novas() -> None:
    network = network_model.Network(id="net", bridge="br-nova")
    assert translate.nic_spec(vif(network=network, type="ovs", details={})).details["bridge_name"] == "br-nova"
    bound = vif(network=network, type="ovs", details={"bridge_name": "br-int", "ovs_hybrid_plug": False})
    details = {"bridge_name": "br-int", "ovs_hybrid_plug": "False", "vnic_type": "normal"}
    assert translate.nic_spec(bound).details == details
    assert "bridge_name" not in translate.nic_spec(vif(network=network)).details


@pytest.mark.parametrize(
    ("inst", "meta", "block_device_info", "says"),
    [
        (instance(), image_meta(disk_format="vmdk"), None, "qemu-img convert"),
        (instance(), image_meta(properties={"hw_disk_bus": "ide"}), None, "hw_disk_bus"),
        (instance(), image_meta_obj.ImageMeta.from_dict({}), None, "name an image"),
        (instance(), image_meta(), {"ephemerals": [{"size": 5, "guest_format": "ext4"}]}, "guest_format"),
        (instance(), image_meta(), {"block_device_mapping": [{"mount_device": "/dev/vda"}]}, "volumes"),
    ],
)
def test_what_the_host_cannot_make_is_refused(inst: Any, meta: Any, block_device_info: Any, says: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=says):
        spec_of(inst, meta, (), block_device_info)


def test_an_image_streams_from_its_first_byte_each_time_and_only_when_opened(tmp_path: Path) -> None:
    images = FakeImages([b"abc", b"", b"defgh", b"i"])
    source = translate.image_source(None, image_meta(size=9), images, tmp_path)
    assert source is not None
    assert (source.size_bytes, source.name, images.downloads) == (9, "linux", 0)
    with source.open() as stream:
        assert [stream.read(2), stream.read(4), stream.read(), stream.read(1)] == [b"ab", b"cdef", b"ghi", b""]
    assert source.open().read() == b"abcdefghi"
    assert images.downloads == 2


def test_an_image_without_bytes_is_named() -> None:
    with pytest.raises(errors.NotFound, match="image lost has no data"):
        GlanceImage("lost", "lost", 1, lambda: None, FOLDER).open()


def test_root_disk_first_then_ephemeral_disks_and_swap() -> None:
    disks = spec_of(instance(ephemeral_gb=5, swap=512), image_meta()).disks
    assert [(disk.role, disk.size_gb) for disk in disks] == [
        (DiskRole.ROOT, 10),
        (DiskRole.EPHEMERAL, 5),
        (DiskRole.SWAP, 0.5),
    ]


def test_a_rebuild_that_finds_no_room_keeps_its_allocations() -> None:
    rebuilt = instance()
    rebuilt.task_state = "rebuild_spawning"
    with pytest.raises(exception.BuildAbortException, match="full"), translate.build_errors(rebuilt):
        raise errors.NoCapacity("full")


@pytest.mark.parametrize("state", list(PowerState))
def test_every_power_state_has_a_number_of_novas(state: PowerState) -> None:
    assert translate.nova_power_state(state) in power_state.STATE_MAP


def test_a_state_in_between_is_none_that_nova_acts_on() -> None:
    assert translate.nova_power_state(PowerState.CHANGING) == power_state.NOSTATE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidSpec("why"), exception.BuildAbortException),
        (errors.Unsupported("why"), exception.BuildAbortException),
        (errors.Foreign("why"), exception.BuildAbortException),
        (errors.NoCapacity("why"), exception.ComputeResourcesUnavailable),
        (errors.Unavailable("why"), exception.InstanceDeployFailure),
        (errors.Timeout("why"), exception.InstanceDeployFailure),
    ],
)
def test_a_failed_build_aborts_or_goes_to_another_host_and_says_why(error: Exception, expected: type) -> None:
    with pytest.raises(expected, match="why") as caught, translate.build_errors(instance()):
        raise error
    assert caught.value.__cause__ is error


def test_a_missing_guest_is_an_instance_not_found() -> None:
    with (
        pytest.raises(exception.InstanceNotFound, match=UUID),
        translate.nova_errors(instance(), exception.HypervisorUnavailable),
    ):
        raise errors.NotFound("gone")


def test_a_resize_takes_the_new_flavors_figures_and_grows_the_disk_where_asked() -> None:
    made = instance()
    made.image_meta = image_meta(properties={"os_distro": "aix"})
    bigger = flavor_obj.Flavor(
        name="big", memory_mb=8192, vcpus=4, root_gb=40, ephemeral_gb=0, swap=0,
        extra_specs={"powervm:uncapped": "false", "hw:cpu_policy": "shared"},
    )  # fmt: skip
    spec = translate.resize_spec(made, bigger, namespace="powervm:", power_on=False, empty=(), root_gb=40)
    assert (spec.uuid, spec.name, spec.memory_mb, spec.vcpus, spec.os) == (UUID, "web-1", 8192, 4, GuestOs.AIX)
    assert [(disk.role, disk.size_gb, disk.image) for disk in spec.disks] == [(DiskRole.ROOT, 40, None)]
    assert (spec.options, spec.power_on) == ({"powervm:uncapped": "false"}, False)
    assert translate.resize_spec(made, bigger, namespace="powervm:", power_on=True, empty=()).disks == ()


@pytest.mark.parametrize(("text", "vlans"), [("101,102", (101, 102)), ("", ())])
def test_a_trunks_port_has_further_vlans(text: str, vlans: tuple[int, ...]) -> None:
    assert translate.nic_spec(vif(details={"vlan": "100", "trunk_vlans": text})).tagged_vlans == vlans
