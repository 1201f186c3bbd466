"""The real Cloud Connector on a simulated z/VM: one for a module's tests, which leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import zvm

from bigiron.sim.zvm.server import Settings, Simulator

IMAGE = "small"
CYLINDERS = 100
CONTENT = bytes(range(256)) * 64 + b"\0" * 300_000 + b"the end"
"""What is on the root disk of every guest: not text, with a hole."""


@pytest.fixture(scope="module", name="simulator")
def served_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    settings = Settings(clock_scale=zvm.CLOCK_SCALE)
    with Simulator(zvm.system_document(), tmp_path_factory.mktemp("zvm"), settings) as served:
        yield served


@pytest.fixture(scope="module", name="api")
def served_api(simulator: Simulator) -> zvm.Api:
    served = zvm.Api(simulator)
    served.import_image(IMAGE, zvm.image(CYLINDERS, CONTENT))
    return served


@pytest.fixture(autouse=True)
def left_as_found(simulator: Simulator, api: zvm.Api) -> Iterator[None]:
    """After each test the system is what it was, object by object, and nothing is left over anywhere."""
    before, images = zvm.picture(simulator), _names(api)
    yield
    simulator.faults.clear()
    try:
        found = simulator.findings()
        assert found == [], found
        assert zvm.picture(simulator) == before
        assert api.call("GET", "/guests") == []
        assert _names(api) == images
        assert not list((simulator.state_dir / "dasd").glob("VOL*"))
        assert not list((simulator.state_dir / "spool").glob("*"))
    finally:
        # What one test has left is not to fail the others.
        for userid in api.call("GET", "/guests"):
            api.call("DELETE", f"/guests/{userid}")
        for name in _names(api) - images:
            api.call("DELETE", f"/images/{name}")


def _names(api: zvm.Api) -> set[str]:
    return {str(each["imagename"]) for each in api.call("GET", "/images")}


def create(api: zvm.Api, userid: str, *extra: dict[str, Any], **values: Any) -> list[dict[str, Any]]:
    """Create a guest with a root disk and `extra` disks; the disks as the server tells them."""
    disks = [{"size": str(CYLINDERS + 10), "is_boot_disk": True}, *extra]
    guest = {"userid": userid, "vcpus": 2, "memory": 2048, "max_mem": "8g", "max_cpu": 8, "disk_list": disks, **values}
    made: list[dict[str, Any]] = api.call("POST", "/guests", {"guest": guest})
    return made


def deploy(
    api: zvm.Api, userid: str, user_data: bytes = b"", network_data: dict[str, Any] | None = None, **meta_data: Any
) -> None:
    """Put the image on a guest's root disk; with meta data, a config drive goes along."""
    drive = {}
    if meta_data:
        content = zvm.config_drive(meta_data, user_data, network_data)
        drive["transportfiles"] = api.send_file(content, "cfgdrive.iso")
    api.act(userid, "deploy", image=IMAGE, **drive)


def running(api: zvm.Api, userid: str) -> None:
    """A guest that has booted and answers."""
    create(api, userid)
    deploy(api, userid)
    api.act(userid, "start", timeout=60)
