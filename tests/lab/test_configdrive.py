"""A server's config drive as real cloud-init reads it: Debian's package, unpacked beside the lab and not installed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from openstack.connection import Connection
from tests.support import cloud_init as reader
from tests.support.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(600)]

_WAIT = 120
_USER_DATA = b"#cloud-config\nhostname: web\n"


@pytest.fixture(scope="module")
def cloud_init() -> Path:
    """Where the module cloudinit is, with what it needs and this environment has not."""
    return reader.packages()


def extracted(lab: Lab, folder: Path) -> Path:
    """The files of the only optical medium, as the guest mounts it."""
    platform = lab.platform()
    assert platform is not None
    groups = [group for vios in platform.ask("/state")["vioses"] for group in vios["groups"]]
    (medium,) = [medium for group in groups for medium in (group["repository"] or {"media": []})["media"]]
    (stored,) = (lab.paths.data / "sim").rglob(Path(medium["content"]["file"]).name)
    with stored.open("rb") as stream:
        return reader.extract(stream, folder)


def test_cloud_init_takes_all_of_it(
    request: pytest.FixtureRequest, lab: Lab, cloud: Connection, parts: dict[str, str], cloud_init: Path, tmp_path: Path
) -> None:
    compute = cloud.compute
    key = compute.create_keypair(name=parts["name"], type="ssh", public_key=_public_key())
    server = compute.create_server(
        name="web", image_id=parts["image_id"], flavor_id=parts["flavor_id"], config_drive=True, key_name=key.name,
        user_data=base64.b64encode(_USER_DATA).decode(), metadata={"role": "web"},
        networks=[{"uuid": parts["network_id"]}],
    )  # fmt: skip
    request.addfinalizer(lambda: _end(cloud, server, key))
    server = compute.wait_for_server(server, wait=_WAIT, interval=1)
    (port,) = cloud.network.ports(device_id=server.id)
    drive = extracted(lab, tmp_path)
    links = json.loads((drive / "openstack/latest/network_data.json").read_text(encoding="utf-8"))["links"]
    macs = {link["ethernet_mac_address"]: f"eth{number}" for number, link in enumerate(links)}
    read = reader.read(cloud_init, drive, macs)
    assert read["metadata"]["instance-id"] == server.id
    # Nova adds the domain of its option dhcp_domain.
    assert read["metadata"]["local-hostname"].partition(".")[0] == "web"
    assert read["metadata"]["meta"] == {"role": "web"}
    assert list(read["metadata"]["public_keys"].values()) == [key.public_key]
    assert read["userdata"].encode() == _USER_DATA
    (first,) = [each for each in read["network"]["config"] if each.get("mac_address") == port.mac_address]
    assert first["name"] == "eth0"
    assert [subnet["address"] for subnet in first["subnets"]] == [port.fixed_ips[0]["ip_address"]]


def _end(cloud: Connection, server: Any, key: Any) -> None:
    cloud.compute.delete_server(server.id)
    cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
    cloud.compute.delete_keypair(key)


def _public_key() -> str:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
