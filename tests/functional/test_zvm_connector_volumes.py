"""FCP volumes through the real z/VM Cloud Connector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.functional.zvm_base import left_as_found, running, served_api, served_system  # noqa: F401 - fixtures
from tests.support import zvm

from bigiron.sim.zvm import overview
from bigiron.sim.zvm.server import Simulator

pytestmark = pytest.mark.full

WWPNS = ["0x20076D8500005182", "0x20076D8500005183"]
LUN = "0x2222000000000000"


@pytest.fixture
def template(api: zvm.Api) -> Iterator[str]:
    made = api.call(
        "POST", "/volumes/fcptemplates", {"name": "paths", "fcp_devices": "1A00-1A07;1B00-1B07", "host_default": True}
    )
    yield made["fcp_template"]["id"]
    api.call("DELETE", f"/volumes/fcptemplates/{made['fcp_template']['id']}")


def connector(api: zvm.Api, userid: str, template: str, *, reserve: bool) -> dict[str, Any]:
    info = {"reserve": reserve, "fcp_template_id": template, "storage_provider": ""}
    found: dict[str, Any] = api.call("GET", f"/volumes/conn/{userid}", {"info": info})
    return found


def volume(userid: str, devices: list[str], lun: str = LUN) -> dict[str, Any]:
    connection = {
        "assigner_id": userid, "zvm_fcp": devices, "target_wwpn": WWPNS, "target_lun": lun, "os_version": "rhel9.4",
        "multipath": "true", "mount_point": "/dev/sdz",
    }  # fmt: skip
    return {"info": {"connection": connection}}


def files(simulator: Simulator, userid: str) -> set[str]:
    with simulator.system.lock:
        return {path for path in overview.files(simulator.system, userid)["files"] if path.startswith("/dev/")}


def test_a_volume_is_attached_and_detached(api: zvm.Api, simulator: Simulator, template: str) -> None:
    running(api, "VOLS")
    found = connector(api, "VOLS", template, reserve=True)
    devices = found["zvm_fcp"]
    assert len(devices) == 2 and found["wwpns"] == [f"c05076de3300{device}" for device in devices]
    api.call("POST", "/guests/volumes", volume("VOLS", devices))
    paths = {f"/dev/disk/by-path/ccw-0.0.{d}-fc-{w.lower()}-lun-{LUN}" for d in devices for w in WWPNS}
    assert files(simulator, "VOLS") == {"/dev/sdz", *paths}
    assert sorted(simulator.system.state.running["VOLS"].devices.values()) == sorted(d.upper() for d in devices)
    api.call("DELETE", "/guests/volumes", volume("VOLS", devices))
    assert files(simulator, "VOLS") == set() and simulator.system.state.running["VOLS"].devices == {}
    connector(api, "VOLS", template, reserve=False)
    api.call("DELETE", "/guests/VOLS")


def test_a_volume_that_cannot_be_reached_is_refused(
    api: zvm.Api,
    simulator: Simulator,
    template: str,
) -> None:
    running(api, "NOPATH")
    devices = connector(api, "NOPATH", template, reserve=True)["zvm_fcp"]
    with pytest.raises(zvm.Refused, match="did not show up"):
        api.call("POST", "/guests/volumes", volume("NOPATH", devices, "0x9999000000000000"))
    assert files(simulator, "NOPATH") == set()
    connector(api, "NOPATH", template, reserve=False)
    api.call("DELETE", "/guests/NOPATH")


def test_the_paths_of_a_boot_volume_are_found(api: zvm.Api) -> None:
    info = {"fcpchannel": ["1a00", "1b00"], "wwpn": [WWPNS[0][2:]], "lun": LUN[2:]}
    paths = api.call("PUT", "/volumes/volume_refresh_bootmap", {"info": info})
    assert paths == {"1a00": [WWPNS[0][2:]], "1b00": [WWPNS[0][2:]]}
