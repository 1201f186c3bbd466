"""Guests' figures from recorded answers: which requests are sent, and what becomes of trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.unit.zvm.recorded import Answer, Recorded, done, failed

from bigiron import complaints, naming
from bigiron.errors import AuthError, NotFound, Unavailable
from bigiron.model import DiskCapacity, GuestUsage, PowerState
from bigiron.zvm.api import Api
from bigiron.zvm.metrics.guests import MarkedGuests
from bigiron.zvm.metrics.usage import GuestUsages
from bigiron.zvm.rest import Connector

WEB = "5d4b5c2e-1111-4222-8333-444455556666"
DB = "5d4b5c2e-1111-4222-8333-444455557777"
NAMES = {WEB: "instance-1", DB: "OLD00001"}
CPU = {
    "guest_cpus": 2, "used_cpu_time_us": 7, "elapsed_cpu_time_us": 9, "samples_cpu_in_use": 4, "samples_cpu_delay": 5,
    "used_mem_kb": 1024, "max_mem_kb": 4096,
}  # fmt: skip
NIC = {
    "vswitch_name": "VSW", "nic_vdev": "1000", "nic_fr_rx": 2, "nic_fr_tx": 6, "nic_fr_rx_dsc": 3,
    "nic_fr_tx_dsc": 7, "nic_fr_rx_err": 4, "nic_fr_tx_err": 8, "nic_rx": 1, "nic_tx": 5,
}  # fmt: skip
ENTRY = "/guests/{}/user_direct"
ROOT = DiskCapacity("0100", 7372800, 7372800)
STATS, INTERFACES = "/guests/stats?userid={}", "/guests/interfacestats?userid={}"


def entry(userid: str, instance: str | None, *more: str) -> Any:
    lines = [f"USER {userid} LBYONLY 2G 4G G", "MACHINE ESA 4", "MDISK 0100 3390 1 10 VOL001 MR", *more]
    return done({"user_direct": lines + ([f"* {naming.zvm_mark(instance)}"] if instance else [])})


@pytest.fixture
def usages(recorded: Recorded, connector: Callable[..., Connector], no_pauses: None) -> Iterator[GuestUsages]:
    """Of two guests that run: one with our mark and an adapter, and one that an older driver made."""
    recorded.on("GET", "/guests", done(["NV000001", "OLD00001", "MAINT"]))
    for userid, instance in (("NV000001", WEB), ("OLD00001", None), ("MAINT", None)):
        recorded.on("GET", ENTRY.format(userid), entry(userid, instance))
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), done({"NV000001": CPU, "OLD00001": CPU}))
    recorded.on("GET", INTERFACES.format("NV000001%2COLD00001"), done({"NV000001": [NIC]}))
    adapter = {"adapter_address": "1000", "mac_address": "02:00:00:AB:CD:EF"}
    recorded.on("GET", "/guests/NV000001/adapters", done({"adapters": [adapter]}))
    api, told = Api(connector()), complaints.Complaints()
    yield GuestUsages(api, MarkedGuests(api, told), told, now=lambda: 5000.0)


def test_figures_are_as_the_connector_tells_them(usages: GuestUsages) -> None:
    found = usages.read(NAMES)
    web, db = found[WEB], found[DB]
    assert (web.power, web.vcpus, web.memory_mb) == (PowerState.RUNNING, 2, 4)
    assert web.processor is not None and web.memory is not None
    assert (web.processor.at, web.processor.used_ns) == (5000.0, 7000)
    assert (web.processor.in_use_samples, web.processor.delay_samples) == (4, 5)
    assert (web.memory.used_mb, web.memory.swapped_in_mb) == (1.0, None)
    (nic,) = web.nics
    assert (nic.mac, nic.location) == ("02:00:00:ab:cd:ef", "VSW 1000")
    assert (nic.in_bytes, nic.in_packets, nic.in_drops, nic.in_errors) == (1, 2, 3, 4)
    assert (nic.out_bytes, nic.out_packets, nic.out_drops, nic.out_errors) == (5, 6, 7, 8)
    assert db.nics == () and db.processor is not None
    assert web.capacities == db.capacities == (ROOT,)


def test_the_steady_state_costs_three_requests(usages: GuestUsages, recorded: Recorded) -> None:
    usages.read(NAMES)
    first = [one.path for one in recorded.asked]
    assert len(first) == 3 + 3 + 1, "with each userid's entry and the adapters of one"
    recorded.asked.clear()
    usages.read(NAMES)
    assert [one.path.partition("?")[0] for one in recorded.asked] == [
        "/guests", "/guests/stats", "/guests/interfacestats",
    ]  # fmt: skip


def test_a_stopped_guest_has_its_state_and_one_that_is_nowhere_nothing(usages: GuestUsages, recorded: Recorded) -> None:
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), done({"OLD00001": CPU}))
    recorded.on("GET", INTERFACES.format("OLD00001"), done({}))
    found = usages.read({**NAMES, "5d4b5c2e-1111-4222-8333-444455558888": "instance-3"})
    assert found[WEB] == GuestUsage(WEB, PowerState.STOPPED, None, None, capacities=(ROOT,))
    assert set(found) == {WEB, DB}


def test_many_guests_are_asked_for_in_parts(usages: GuestUsages, recorded: Recorded) -> None:
    userids = [f"NV{number:06d}" for number in range(300)]
    instances = {f"5d4b5c2e-1111-4222-8333-{number:012d}": "" for number in range(300)}
    recorded.on("GET", "/guests", done(userids))
    for userid, instance in zip(userids, instances, strict=True):
        recorded.on("GET", ENTRY.format(userid), entry(userid, instance))
    for part in (userids[:250], userids[250:]):
        recorded.on("GET", STATS.format("%2C".join(part)), done(dict.fromkeys(part, CPU)))
        recorded.on("GET", INTERFACES.format("%2C".join(part)), done({}))
    assert len(usages.read(instances)) == 300


def test_a_guest_that_goes_meanwhile_costs_one_more_try(usages: GuestUsages, recorded: Recorded) -> None:
    usages.read(NAMES)
    recorded.on("GET", "/guests", done(["NV000001", "OLD00001"]), done(["OLD00001"]))
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), failed(404, 404, 1), status=404)
    recorded.on("GET", STATS.format("OLD00001"), done({"OLD00001": CPU}))
    recorded.on("GET", INTERFACES.format("OLD00001"), done({}))
    assert set(usages.read(NAMES)) == {DB}
    recorded.on("GET", STATS.format("OLD00001"), failed(404, 404, 1), status=404)
    with pytest.raises(NotFound):
        usages.read(NAMES)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was complained of; threads of other tests may log meanwhile."""
    return [record.getMessage() for record in caplog.records if record.name == complaints.LOG.name]


@pytest.mark.parametrize(
    ("path", "left"),
    [(STATS.format("NV000001%2COLD00001"), {"nics"}), (INTERFACES.format("NV000001%2COLD00001"), {"processor"}),
     ("/guests/NV000001/adapters", {"processor"})],
)  # fmt: skip
def test_what_cannot_be_read_is_left_out_and_told_once(
    usages: GuestUsages, recorded: Recorded, caplog: pytest.LogCaptureFixture, path: str, left: set[str]
) -> None:
    caplog.set_level("INFO", complaints.LOG.name)
    good = recorded.answers[("GET", path)].copy()
    recorded.on("GET", path, failed(300, 8, 99), status=500)
    for _ in range(3):
        web = usages.read(NAMES)[WEB]
        assert {name for name in ("processor", "nics") if getattr(web, name)} == left
        assert (web.power is None) is (left == {"nics"})
    assert len(told(caplog)) == 1 and "overallRC 300" in caplog.text
    recorded.answers[("GET", path)] = good
    web = usages.read(NAMES)[WEB]
    assert web.processor is not None and web.nics
    assert len(told(caplog)) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer(drop=True), Unavailable), (Answer(failed(101, 101, 3), 500), Unavailable),
     (Answer(failed(400, 400, 401), 401), AuthError)],
)  # fmt: skip
def test_a_connector_that_does_not_answer_is_the_callers(
    usages: GuestUsages, recorded: Recorded, answer: Answer, error: type[Exception]
) -> None:
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), answer)
    with pytest.raises(error):
        usages.read(NAMES)


def test_disks_are_looked_at_again_when_a_guest_was_logged_on_again(usages: GuestUsages, recorded: Recorded) -> None:
    usages.read(NAMES)
    recorded.asked.clear()
    recorded.on("GET", ENTRY.format("NV000001"), entry("NV000001", WEB, "MDISK 0101 FB-512 V-DISK 64000 MR"))
    again = {"NV000001": {**CPU, "elapsed_cpu_time_us": 1, "used_cpu_time_us": 1}, "OLD00001": CPU}
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), done(again))
    usages._now = lambda: 5060.0
    swap = DiskCapacity("0101", 64000 * 512, 64000 * 512)
    assert usages.read(NAMES)[WEB].capacities == (ROOT, swap)
    assert [one.path for one in recorded.asked].count(ENTRY.format("NV000001")) == 1
    assert ENTRY.format("OLD00001") not in recorded.paths()
    recorded.asked.clear()
    usages.read(NAMES)
    assert len(recorded.asked) == 3


def test_disks_are_looked_at_again_when_a_guest_has_started(usages: GuestUsages, recorded: Recorded) -> None:
    """It may have been seen while it was made."""
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), done({"OLD00001": CPU}), done({"NV000001": CPU}))
    recorded.on("GET", INTERFACES.format("OLD00001"), done({}))
    recorded.on("GET", INTERFACES.format("NV000001"), done({}))
    usages.read(NAMES)
    recorded.on("GET", ENTRY.format("NV000001"), entry("NV000001", WEB, "MDISK 0101 3390 1 20 VOL001 MR"))
    assert [disk.name for disk in usages.read(NAMES)[WEB].capacities] == ["0100", "0101"]


def test_a_guest_that_went_without_the_connectors_doing_is_left_out(usages: GuestUsages, recorded: Recorded) -> None:
    usages.read(NAMES)
    recorded.on("GET", STATS.format("NV000001%2COLD00001"), failed(404, 404, 1), status=404)
    recorded.on("GET", ENTRY.format("NV000001"), failed(404, 404, 1), status=404)
    recorded.on("GET", STATS.format("OLD00001"), done({"OLD00001": CPU}))
    recorded.on("GET", INTERFACES.format("OLD00001"), done({}))
    assert set(usages.read(NAMES)) == {DB}
    recorded.asked.clear()
    assert set(usages.read(NAMES)) == {DB}
    assert len(recorded.asked) == 4, "whether it has come back"


def test_an_entry_that_cannot_be_read_is_tried_again(
    usages: GuestUsages, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    recorded.on("GET", ENTRY.format("NV000001"), Answer(failed(300, 8, 99), 500), entry("NV000001", WEB))
    recorded.on("GET", ENTRY.format("MAINT"), Answer(failed(300, 8, 99), 500), entry("MAINT", None))
    recorded.on("GET", STATS.format("OLD00001"), done({"OLD00001": CPU}))
    recorded.on("GET", INTERFACES.format("OLD00001"), done({}))
    assert set(usages.read(NAMES)) == {DB}
    (warning,) = told(caplog)
    assert "(and 1 more) A server that is not found for that has no figures until then" in warning
    assert set(usages.read(NAMES)) == {WEB, DB}
