"""Virtual switches and couplings: what the connector's answers become, and the requests of each change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.zvm.recorded import Recorded, done, failed

from bigiron.errors import NotFound, Unavailable
from bigiron.zvm import directory
from bigiron.zvm.api import Api
from bigiron.zvm.directory import Coupling
from bigiron.zvm.errors import Exists
from bigiron.zvm.rest import Connector
from bigiron.zvm.vswitches import Adapter, Couple, Grant, Op, Revoke, Switch, Uncouple, Vswitches, obstacle

Make = Callable[..., Connector]
USER = "USER NV000001 LBYONLY 1024M 64G G"


@pytest.fixture
def switches(connector: Make) -> Vswitches:
    return Vswitches(Api(connector()))


def test_the_connectors_list(recorded: Recorded, switches: Vswitches) -> None:
    rows = [
        {"userid": "nv000001", "interface": "1000", "switch": "VSW1", "port": "0A-1", "comments": None},
        {"userid": "TCPIP", "interface": "600", "switch": None, "port": None, "comments": "OSA=0600"},
    ]
    recorded.on("GET", "/guests/nics", done(rows))
    assert switches.adapters() == [Adapter("NV000001", "1000", "0a-1", "VSW1"), Adapter("TCPIP", "0600", "")]


def test_a_switch_with_grants_and_adapters(recorded: Recorded, switches: Vswitches) -> None:
    found = {
        "switch_name": "VSW1", "vlan_awareness": "AWARE", "vlan_id": "0007",
        "authorized_users": {"NV000001": {"vlan_count": 0}}, "adapters": {"NV_00001_1000": {"mac": "02-00"}},
    }  # fmt: skip
    recorded.on("GET", "/vswitches/VSW1", done(found))
    recorded.on("GET", "/vswitches/VSW2", failed(404, 404, 1, 20, "Vswitch VSW2 does not exist"), status=404)
    plain = {"vlan_awareness": "UNAWARE", "vlan_id": "NONE", "authorized_users": {}, "adapters": {}}
    recorded.on("GET", "/vswitches/VSW3", done(plain))
    assert switches.switches(["VSW3", "VSW1", "VSW2"]) == {
        "VSW1": Switch("VSW1", True, 7, frozenset({"NV000001"}), frozenset({("NV_00001", "1000")})),
        "VSW3": Switch("VSW3", False, None, frozenset(), frozenset()),
    }


@pytest.mark.parametrize(
    ("op", "path", "body"),
    [
        (Grant("NV1", "VSW1"), "/vswitches/VSW1", {"vswitch": {"grant_userid": "NV1"}}),
        (Revoke("NV1", "VSW1"), "/vswitches/VSW1", {"vswitch": {"revoke_userid": "NV1"}}),
        (
            Couple("NV1", "1000", Coupling("VSW1", 7), True),
            "/guests/NV1/nic/1000",
            {"info": {"couple": True, "vswitch": "VSW1", "active": True, "vlan_id": 7}},
        ),
        (
            Couple("NV1", "1000", Coupling("VSW1"), False),
            "/guests/NV1/nic/1000",
            {"info": {"couple": True, "vswitch": "VSW1", "active": False}},
        ),
        (Uncouple("NV1", "1000", True), "/guests/NV1/nic/1000", {"info": {"couple": False, "active": True}}),
    ],
)
def test_the_request_of_each_change(op: Op, path: str, body: object, recorded: Recorded, switches: Vswitches) -> None:
    recorded.on("PUT", path)
    switches.apply(op)
    assert recorded.bodies("PUT", path) == [body]


def test_an_entry_that_is_locked_just_now_is_tried_again(
    recorded: Recorded, switches: Vswitches, no_pauses: None
) -> None:
    locked = failed(300, 300, 9, 10, "Failed to resize memory of guest: 'NV1', error: lock user entry failed")
    recorded.on("PUT", "/guests/NV1/nic/1000", locked, locked, done())
    switches.apply(Couple("NV1", "1000", Coupling("VSW1", 7), False))
    assert len(recorded.asked) == 3


def test_a_switch_is_made_with_its_devices(recorded: Recorded, switches: Vswitches) -> None:
    exists = failed(8, 212, 36, 1, "it exists")
    recorded.on("POST", "/vswitches", done(), exists)
    switches.create("VSW1", ("6243", "6246"), 7)
    assert recorded.bodies("POST", "/vswitches") == [{"vswitch": {"name": "VSW1", "rdev": "6243 6246", "vid": 7}}]
    with pytest.raises(Exists):
        switches.create("VSW1", ("6243",), "AWARE")


def test_entries_of_guests_that_are_gone_or_make_no_sense(
    recorded: Recorded, switches: Vswitches, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"user_direct": [USER, "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 VLAN 0007 PORTTYPE ACCESS"]}
    recorded.on("GET", "/guests/NV1/user_direct", done(entry))
    recorded.on("GET", "/guests/NV2/user_direct", failed(404, 404, 1, 10), status=404)
    recorded.on("GET", "/guests/NV3/user_direct", done({"user_direct": ["PROFILE X"]}))
    assert switches.couplings(["NV3", "NV2", "NV1"]) == {"NV1": {"1000": Coupling("VSW1", 7)}, "NV2": {}}
    assert "The directory entry of NV3 cannot be read" in caplog.text


def test_who_runs(recorded: Recorded, switches: Vswitches, caplog: pytest.LogCaptureFixture) -> None:
    recorded.on("GET", "/guests/NV1/power_state_real", done("on"))
    recorded.on("GET", "/guests/NV2/power_state_real", done("off"))
    recorded.on("GET", "/guests/NV3/power_state_real", failed(404, 404, 1, 10), status=404)
    recorded.on("GET", "/guests/NV4/power_state_real", failed(500, 500, 8, 1, "what is this?"), status=500)
    assert switches.running(["NV1", "NV2", "NV3", "NV4"]) == {"NV1": True, "NV2": False, "NV3": False}
    assert "Whether NV4 runs cannot be told" in caplog.text


def test_a_connector_that_is_away_is_no_guest_that_is_off(connector: Make) -> None:
    switches = Vswitches(Api(connector(cloud_connector_url="http://127.0.0.1:9")))
    with pytest.raises(Unavailable):
        switches.running(["NV1"])
    with pytest.raises(Unavailable):
        switches.couplings(["NV1"])


def test_a_change_to_what_is_not_there(recorded: Recorded, switches: Vswitches) -> None:
    recorded.on("PUT", "/vswitches/VSW9", failed(404, 404, 1, 20, "Vswitch VSW9 does not exist"), status=404)
    with pytest.raises(NotFound, match="Granting NV1 virtual switch VSW9: Vswitch VSW9 does not exist"):
        switches.apply(Grant("NV1", "VSW9"))


@pytest.mark.parametrize(
    ("lines", "couplings"),
    [
        (["NICDEF 1000 TYPE QDIO MACID 000001"], {}),
        (["NICDEF 1000 TYPE QDIO", "NICDEF 1000 LAN SYSTEM VSW1"], {"1000": Coupling("VSW1")}),
        (["nicdef 600 type qdio lan system vsw1 vlan 5 porttype access"], {"0600": Coupling("VSW1", 5)}),
        (["NICDEF 1000 LAN SYSTEM VLAN VLAN 7"], {"1000": Coupling("VLAN", 7)}),
        (["NICDEF 1000 LAN TCPIP LAN1"], {}),
        (
            ["NICDEF 1000 LAN SYSTEM VSW1 VLAN 7", "NICDEF 1000 LAN SYSTEM VSW2", "NICDEF 1003 TYPE QDIO"],
            {"1000": Coupling("VSW2")},
        ),
    ],
)
def test_couplings_of_an_entry(lines: list[str], couplings: dict[str, Coupling]) -> None:
    assert directory.parse("NV1", [USER, *lines]).couplings == couplings


@pytest.mark.parametrize(
    ("aware", "default", "vlan", "words"),
    [
        (True, None, 7, ""),
        (True, 1, None, ""),
        (False, None, None, ""),
        (True, None, None, "has no default one"),
        (False, None, 7, "knows no VLANs"),
        (True, None, 0, "VLAN 0 is not between"),
        (True, None, 4095, "VLAN 4095 is not between"),
    ],
)
def test_what_a_switch_can_carry(aware: bool, default: int | None, vlan: int | None, words: str) -> None:
    reason = obstacle("VSW1", aware, default, vlan)
    assert words in reason and bool(words) is bool(reason)
