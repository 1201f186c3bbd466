"""The table of image properties: complete, and what it refuses is named with the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from nova.objects.image_meta import ImageMeta, ImageMetaProps

from bigiron import errors
from bigiron.plugins.nova import image_properties, zvm_images
from bigiron.plugins.nova.image_properties import PROPERTIES, ImageProperty, Use

TABLES = {"powervm": PROPERTIES, "zvm": zvm_images.PROPERTIES}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_property_that_nova_knows_is_in_the_table_once(table: Sequence[ImageProperty]) -> None:
    names = [name for one in table for name in one.names]
    assert len(names) == len(set(names))
    assert set(ImageMetaProps.fields) <= set(names)


@pytest.mark.parametrize("platform", TABLES)
def test_the_operators_guide_shows_the_table(platform: str) -> None:
    guide = Path(__file__, f"../../../../../docs/{platform}.rst").resolve().read_text()
    for one in TABLES[platform]:
        if one.use is not Use.IGNORED:
            names = ", ".join(f"``{name}``" for name in one.names)
            values = ", ".join(one.allowed) or ("any" if one.use is Use.HONOURED else "none")
            assert f"   * - {names}\n     - {values}\n     - {one.note}\n" in guide, names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hw_architecture", "x86_64"), ("hw_disk_bus", "virtio"), ("hw_vif_model", "e1000"),
        ("hw_cdrom_bus", "ide"), ("hw_firmware_type", "uefi"), ("hw_machine_type", "pseries"),
        ("hw_cpu_policy", "dedicated"), ("hw_mem_page_size", "large"), ("hw_tpm_model", "tpm-crb"),
        ("os_secure_boot", "required"), ("os_type", "windows"), ("hw_mem_encryption", "true"),
        ("hw_numa_nodes", "2"), ("hw_rescue_bus", "virtio"), ("hw_rescue_device", "cdrom"), ("img_hv_type", "kvm"),
        ("hw_ephemeral_encryption", "true"), ("hw_vm_mode", "xen"), ("os_require_quiesce", "yes"),
    ],
)  # fmt: skip
def test_what_a_partition_cannot_have_is_refused(name: str, value: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=f"property {name} is .*leave it out"):
        image_properties.check(ImageMeta.from_dict({"properties": {name: value}}))


def test_what_it_has_or_what_says_nothing_passes() -> None:
    properties = {
        "hw_architecture": "ppc64le", "hw_disk_bus": "scsi", "hw_vif_model": "spapr-vlan", "hw_cdrom_bus": "scsi",
        "hw_scsi_model": "ibmvscsi", "hw_cpu_policy": "shared", "hw_mem_page_size": "any", "hw_mem_encryption": "no",
        "os_secure_boot": "optional", "os_type": "linux", "os_distro": "rhel", "img_hv_type": "phyp",
        "hw_locked_memory": "true", "hw_video_model": "vga", "hw_rng_model": "virtio", "hw_numa_nodes": "1",
        "hw_rescue_bus": "scsi", "hw_rescue_device": "disk", "hw_cpu_sockets": "2", "traits_required": ["CUSTOM_X"],
    }  # fmt: skip
    image_properties.check(ImageMeta.from_dict({"properties": properties}))
    image_properties.check(ImageMeta.from_dict({}))


@pytest.mark.parametrize(
    ("name", "value"), [("hw_architecture", "ppc64le"), ("img_hv_type", "phyp"), ("hw_mem_page_size", "large")]
)
def test_what_a_zvm_guest_cannot_have_is_refused(name: str, value: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=f"property {name} is .*leave it out"):
        image_properties.check(ImageMeta.from_dict({"properties": {name: value}}), zvm_images.PROPERTIES)
    fitting = {"hw_architecture": "s390x", "img_hv_type": "zvm", "os_distro": "rhel9.4", "hw_disk_bus": "virtio"}
    image_properties.check(ImageMeta.from_dict({"properties": fitting}), zvm_images.PROPERTIES)
