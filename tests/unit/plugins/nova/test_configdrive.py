"""The config drive's file system: names, label, content and file mode, read back from the ISO."""

from __future__ import annotations

import io
import ipaddress
import stat
from pathlib import Path

import pycdlib
import pytest
from nova.network import model as network_model
from nova.virt import netutils

from bigiron import errors
from bigiron.plugins.nova import configdrive
from bigiron.powervm.network import rmc

FILES: list[tuple[str, str | bytes]] = [
    ("openstack/latest/meta_data.json", '{"uuid": "ü"}'),
    ("openstack/latest/user_data", b"\x00\xff" * 5000),
    ("openstack/2012-08-10/meta_data.json", "{}"),
    ("openstack/content/0000", "injected"),
    ("ec2/latest/meta-data.json", "{}"),
    ("openstack/latest/empty", b""),
]


def read(path: Path, **name: str) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    try:
        out = io.BytesIO()
        iso.get_file_from_iso_fp(out, **name)
        return out.getvalue()
    finally:
        iso.close()


def test_files_keep_their_names_and_bytes_in_both_extensions(tmp_path: Path) -> None:
    path = tmp_path / "drive.iso"
    configdrive.write_iso(path, FILES)
    for name, content in FILES:
        expected = content.encode() if isinstance(content, str) else content
        assert read(path, rr_path=f"/{name}") == expected
        assert read(path, joliet_path=f"/{name}") == expected


def test_the_label_is_the_one_that_guests_look_for(tmp_path: Path) -> None:
    path = tmp_path / "drive.iso"
    configdrive.write_iso(path, FILES)
    # The volume identifier stands at byte 40 of the primary descriptor in sector 16.
    assert path.read_bytes()[16 * 2048 + 40 :][:32].rstrip() == b"config-2"


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "drive.iso"
    configdrive.write_iso(path, FILES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_format_is_refused_at_start() -> None:
    configdrive.check_format("iso9660")
    with pytest.raises(errors.InvalidSpec, match=r"config_drive_format = vfat .* iso9660"):
        configdrive.check_format("vfat")


def test_the_management_adapter_is_in_the_network_data_with_its_link_local_address() -> None:
    mac = rmc.mac("8bb3e8a4-7a5b-4a0e-a8d3-0f0a5f3a1c11")
    vif = configdrive.link_local_vif(mac, rmc.link_local(mac), "powervm-management")
    data = netutils.get_network_metadata(network_model.NetworkInfo([vif]))
    (link,) = data["links"]
    (network,) = data["networks"]
    assert link["ethernet_mac_address"] == mac
    assert (network["type"], network["link"]) == ("ipv6", link["id"])
    assert ipaddress.ip_address(network["ip_address"]).is_link_local
    assert data["services"] == []
