"""The z/VM driver's own: how Nova finds it, its capabilities, its options, and what it makes of images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nova.conf
import pytest
from nova.objects.image_meta import ImageMeta
from nova.virt import driver
from oslo_config import fixture
from oslo_utils import importutils

from bigiron import errors, features
from bigiron.model import DiskRole, DiskSpec, FixedAddress, HostFacts
from bigiron.plugins.nova import capabilities, localdisks, providers, translate, zvm, zvm_conf
from bigiron.plugins.nova.options import OptionError

CONF = nova.conf.CONF


@pytest.fixture
def conf(tmp_path: Path) -> Any:
    with fixture.Config(CONF) as config:
        config.config(state_path=str(tmp_path))
        config.config(group="zvm", cloud_connector_url="https://zvm.example.org:8080/")
        yield config


def test_its_name_leads_to_the_driver() -> None:
    assert importutils.import_class("nova.virt.bigiron.ZVMDriver") is zvm.ZVMDriver


def test_every_capability_that_nova_knows_is_said_and_none_besides() -> None:
    known = set(driver.ComputeDriver.capabilities) | set(driver.CAPABILITY_TRAITS_MAP)
    assert set(zvm.ZVMDriver.capabilities) == known
    assert set(capabilities.NEVER).isdisjoint(features.capabilities("zvm"))
    assert zvm.ZVMDriver.capabilities["supports_image_type_raw"]


def test_the_options(conf: Any, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("x")
    conf.config(group="zvm", token_path=str(secret), userid_prefix="os", reachable_timeout=60, disk_pool="ECKD:POOL1")
    conf.config(group="zvm", scp_host="nova@power1")
    options = zvm_conf.to_options(CONF)
    assert options.cloud_connector_url == "https://zvm.example.org:8080/"
    assert (options.userid_prefix, options.reachable_timeout_s, options.disk_pool) == ("OS", 60, "ECKD:POOL1")
    assert options.scp_host == "nova@power1"
    assert options.ephemeral_format == "ext3"
    assert options.state_path == tmp_path / "bigiron"
    assert "x" not in repr(options).split("token_path=")[1].split(",")[0].replace(str(secret), "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cloud_connector_url": None}, "cloud_connector_url"),
        ({"token_path": "/nowhere"}, "token_path"),
        ({"ca_file": "/nowhere"}, "ca_file"),
        ({"userid_prefix": "1X"}, "userid_prefix"),
        ({"userid_prefix": "TOOLONG"}, "userid_prefix"),
        ({"disk_pool": "POOL1"}, "disk_pool"),
        ({"account": "a\nb"}, "account"),
        ({"scp_host": "somewhere"}, "scp_host"),
        ({"scp_host": "-v@10.0.0.5"}, "scp_host"),
        ({"scp_host": "nova@10.0.0.5", "shared_path": "/srv/zvm"}, "leave one"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(conf: Any, options: dict[str, Any], words: str) -> None:
    conf.config(group="zvm", **options)
    with pytest.raises(OptionError, match=words):
        zvm_conf.to_options(CONF)


def test_a_format_that_nobody_makes(conf: Any) -> None:
    conf.config(default_ephemeral_format="vfat")
    with pytest.raises(OptionError, match="vfat"):
        zvm_conf.to_options(CONF)


def test_images_are_raw_and_name_their_distribution(conf: Any) -> None:
    made = zvm.ZVMDriver(SimpleNamespace())
    assert not made.capabilities["supports_image_type_qcow2"]
    values = {"id": "7f1bdc0a-70cd-4a8b-a3ef-5a0b2d3f1c11", "name": "rhel", "size": 3}
    raw = ImageMeta.from_dict({**values, "disk_format": "raw", "properties": {"os_distro": "rhel9.4"}})
    source = made.image_source(None, raw)
    assert source is not None and source.distro == "rhel9.4"
    with pytest.raises(errors.InvalidSpec, match="disk-format raw"):
        made.image_source(None, ImageMeta.from_dict({**values, "disk_format": "qcow2"}))


def test_a_disk_image_is_not_taken_for_a_vmdk(conf: Any) -> None:
    """Its first line is text and what follows is not, with which Nova's look at formats does not come to terms."""
    content = b"xCAT CKD Disk Image:        3338 CYL HLen: 0055 GZIP: 0".ljust(512) + bytes(range(1, 256)) * 5000
    made = zvm.ZVMDriver(SimpleNamespace())
    made._image_api = SimpleNamespace(download=lambda *_, **__: iter([content]))
    values = {"id": "7f1bdc0a-70cd-4a8b-a3ef-5a0b2d3f1c11", "name": "rhel", "size": len(content)}
    source = made.image_source(None, ImageMeta.from_dict({**values, "disk_format": "raw"}))
    assert source is not None
    assert source.open().read() == content


def test_pause_is_supported_and_a_dump_is_not() -> None:
    made = zvm.ZVMDriver(SimpleNamespace())
    made.check_supported("operation.pause")
    with pytest.raises(NotImplementedError, match="dumped"):
        made.trigger_crash_dump(SimpleNamespace(uuid="x"))
    with pytest.raises(NotImplementedError):
        made.suspend(None, SimpleNamespace(uuid="x"))


def test_empty_disks_have_file_systems() -> None:
    flavor = SimpleNamespace(ephemeral_gb=2, swap=512, root_gb=3)
    rules = zvm.ZVMDriver.disk_rules
    mapping = {
        "ephemerals": [
            {"size": 1, "guest_format": "xfs", "device_type": None, "disk_bus": None},
            {"size": 1, "guest_format": None, "device_type": "disk", "disk_bus": "dasd"},
        ]
    }
    made = localdisks.empty_disks(flavor, mapping, rules)
    assert made == (
        DiskSpec(DiskRole.EPHEMERAL, 1, format="xfs"),
        DiskSpec(DiskRole.EPHEMERAL, 1),
        DiskSpec(DiskRole.SWAP, 0.5),
    )
    mapping["ephemerals"][0]["guest_format"] = "ntfs"
    with pytest.raises(errors.InvalidSpec, match="xfs"):
        localdisks.empty_disks(flavor, mapping, rules)


def test_a_port_brings_its_first_ipv4_address() -> None:
    subnets = [
        {"cidr": "fd00::/64", "ips": [{"address": "fd00::5"}], "gateway": {"address": "fd00::1"}, "dns": []},
        {
            "cidr": "10.0.0.0/24",
            "ips": [{"address": "10.0.0.5"}],
            "gateway": {"address": "10.0.0.1"},
            "dns": [{"address": "10.0.0.2"}, {"address": "fd00::2"}],
        },
    ]
    vif = {"id": "p", "address": "02:00:00:00:00:01", "type": "zvm", "network": {"subnets": subnets, "meta": {}}}
    assert translate.nic_spec(vif).fixed == FixedAddress("10.0.0.5", "10.0.0.0/24", "10.0.0.1", ("10.0.0.2",))
    vif["network"] = {"subnets": subnets[:1], "meta": {}}
    assert translate.nic_spec(vif).fixed is None


def test_the_host_is_reported_without_parts_of_processors() -> None:
    facts = HostFacts(
        "ZVMSIM1", "zvm", 730, "s390x", "8561", 262144, 0, 4096, 1, 8.0, 0.0, 0.0, 1.0, 64, 80, 0, 0,
        divides_processors=False,
    )  # fmt: skip
    ratios = {"VCPU": 4.0, "MEMORY_MB": 1.0, "DISK_GB": 1.0}
    found = providers.inventory(facts, providers.Policy(ratios), {})
    assert set(found) == {"VCPU", "MEMORY_MB"}
    assert (found["VCPU"]["total"], found["VCPU"]["allocation_ratio"]) == (8, 4.0)
    assert {"HW_ARCH_S390X", "COMPUTE_ARCH_S390X"} <= providers.traits(facts)
    view = providers.resource_view(facts, "ZVMSIM1", "zvm", ("s390x",))
    assert view["supported_instances"] == [("s390x", "zvm", "hvm")]
    assert "proc_units" not in view["stats"]
    # Nova's own initial ratio counts where processors are shared.
    conf = SimpleNamespace(
        initial_cpu_allocation_ratio=4.0, initial_ram_allocation_ratio=1.0, initial_disk_allocation_ratio=1.0,
        cpu_allocation_ratio=None, ram_allocation_ratio=None, disk_allocation_ratio=None,
    )  # fmt: skip
    assert providers.allocation_ratios(conf, {}, dedicated=False)["VCPU"] == 4.0
