"""Guests' figures through the REST service of a simulated host: what is asked, and what comes of trouble."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.powervm_host import DOCUMENT, Host, serve, until
from tests.support.simulator import ControlClient

from bigiron import naming
from bigiron.errors import Unavailable
from bigiron.model import GuestUsage, PowerState
from bigiron.powervm.metrics.link import MetricsLink, open_metrics
from bigiron.powervm.metrics.monitor import LongTermMonitor
from bigiron.powervm.metrics.usage import GuestUsages
from bigiron.powervm.network import rmc
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model import adapters, power, vnics
from bigiron.sim.powervm.pcm.documents import traffic, usage
from bigiron.sim.powervm.pcm.vios_document import _transfers

NS = 1_000_000_000
PCM = "/rest/api/pcm/ManagedSystem/{uuid}"
FEED = f"{PCM}/RawMetrics/LongTermMonitor"
DOCUMENTS = {f"GET {FEED}/LTM_{category}.json": 1 for category in ("phyp", "lpar", "vios_1", "vios_2")}
CNA = "/rest/api/uom/LogicalPartition/{uuid}/ClientNetworkAdapter"
WEB, DB = (str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in ("web", "db"))
CARDS = [{"ports": [{}, {}]}, {"ports": [{}, {}]}]


def partition(name: str, instance: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "uuid": naming.lpar_uuid(instance).lower(), "description": naming.mark(instance),
        "memory_mb": 2048, "proc_units": 0.5, "vcpus": 2, "nics": [{"switch": "ETHERNET0", "vlan": 1}],
        "disks": [{"cluster": "cluster1", "size_gb": 10}], "load": "steady", **more,
    }  # fmt: skip


class Measured:
    """A measuring program's connection to a host whose time stands still."""

    def __init__(self, host: Host, link: MetricsLink) -> None:
        self.host, self.link = host, link
        self.control = ControlClient(host.simulator.control_url)
        self.found: Mapping[str, GuestUsage] = {}

    def pass_time(self, seconds: float = 120) -> None:
        self.control.clock(advance=seconds)

    def read(self, *instances: str) -> Mapping[str, GuestUsage]:
        self.found = self.link.usages.read(instances or (WEB, DB))
        return self.found

    def lpar(self, name: str) -> Any:
        return next(lpar for lpar in self.host.world.lpars if lpar.name == name)

    def busy(self, name: str) -> float:
        """How long the guest kept a processor busy by the newest sample."""
        with self.host.world.lock:
            newest = self.host.simulator.monitor.samples()[-1]
        return usage(next(one for one in newest.system.lpars if one.name == name), newest.time).busy


@pytest.fixture
def measured(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Measured]:
    document = {**DOCUMENT, "partitions": [partition("web", WEB), partition("db", DB)], "sriov_adapters": CARDS}
    with serve(tmp_path, document) as host:
        clock = host.simulator.clock
        clock.set_scale(0)
        clock.advance(120 - clock.now() % 120)
        link = open_metrics(host.options)
        made = Measured(host, link)
        made.read()
        made.pass_time(600)
        caplog.clear()
        yield made
        link.close()


def test_the_figures_are_what_the_model_did(measured: Measured) -> None:
    found = measured.read()
    web = found[WEB]
    busy = measured.busy("web")
    assert (web.uuid, web.power, web.vcpus, web.memory_mb, web.resident_mb) == (WEB, PowerState.RUNNING, 2, 2048, 2048)
    assert web.processor is not None and web.memory is not None
    assert web.processor.used_ns == pytest.approx(busy * NS, abs=20) and busy > 100
    assert (web.memory.total_mb, web.memory.used_mb) == (2048, 1024)
    adapter = measured.lpar("web").adapters[0]
    (nic,) = web.nics
    assert nic.mac.replace(":", "") == adapter.mac.lower()
    assert nic.in_bytes == traffic(busy * (1 - adapter.slot % 8 / 16))["receivedBytes"] > 0
    served = {
        f"{vios.name}-{server.name}": _transfers(busy * (1 - server.slot % 8 / 16))["readBytes"]
        for vios in measured.host.world.vioses
        for server in vios.servers
        if server.client == measured.lpar("web").uuid
    }
    assert {disk.name: disk.read_bytes for disk in web.disks} == served
    assert {one.name: (one.capacity_bytes, one.allocation_bytes) for one in web.capacities} == dict.fromkeys(
        served, (10 * 2**30, None)
    )


def test_in_the_steady_state_little_is_asked(measured: Measured) -> None:
    first = measured.host.calls(measured.read)
    assert first == {f"GET {FEED}": 1, **DOCUMENTS, f"GET {CNA}": 2}
    measured.pass_time()
    assert measured.host.calls(measured.read) == {f"GET {FEED}": 1, **DOCUMENTS}
    assert measured.host.calls(measured.read) == {f"GET {FEED}": 1}, "what is known is not read again"


def test_only_what_is_asked_for_is_looked_at(measured: Measured) -> None:
    calls = measured.host.calls(lambda: measured.read(WEB))
    assert calls[f"GET {CNA}"] == 1
    assert set(measured.found) == {WEB}
    assert set(measured.read(str(uuid.uuid4()))) == set(), "a guest of another host"


def test_the_management_adapter_is_left_out_and_a_new_one_is_found(measured: Measured) -> None:
    assert len(measured.read()[WEB].nics) == 1
    world, web = measured.host.world, measured.lpar("web")
    management, ethernet = (next(s for s in world.state.switches if s.name == n) for n in ("MGMTSWITCH", "ETHERNET0"))
    with world.lock:
        for switch, mac in ((management, rmc.mac(WEB)), (ethernet, "fa:16:3e:00:00:07")):
            spec = adapters.AdapterSpec(switch_id=switch.id, pvid=2, mac=mac.replace(":", "").upper())
            adapters.create(world, web, spec)
    measured.pass_time()
    calls = measured.host.calls(measured.read)
    assert calls[f"GET {CNA}"] == 1, "the other guest's are known"
    macs = {nic.mac for nic in measured.found[WEB].nics}
    assert len(macs) == 2 and "fa:16:3e:00:00:07" in macs and rmc.mac(WEB) not in macs


def test_an_adapter_that_was_replaced_in_its_slot_is_known_by_its_new_mac(measured: Measured) -> None:
    measured.read()
    world, web = measured.host.world, measured.lpar("web")
    old = web.adapters[0]
    with world.lock:
        adapters.delete(world, web, old)
        spec = adapters.AdapterSpec(switch_id=old.switch_id, pvid=1, mac="FA163E000008", slot=old.slot)
        adapters.create(world, web, spec)
    measured.pass_time()
    until(lambda: [nic.mac for nic in measured.read()[WEB].nics] == ["fa:16:3e:00:00:08"])


def test_after_lost_events_only_what_has_changed_is_read_again(measured: Measured) -> None:
    from bigiron.powervm.events import MISSING_EVENTS, RestEvent

    many = measured.link.usages._names
    measured.read()
    many.on_event(RestEvent(MISSING_EVENTS, "", ""))
    measured.pass_time()
    assert measured.host.calls(measured.read)[f"GET {CNA}"] == 2, "few were read, and without their etags"
    many.on_event(RestEvent(MISSING_EVENTS, "", ""))
    measured.pass_time()
    again = measured.host.calls(measured.read)
    assert again[f"GET {CNA}"] == 0 and again["GET /rest/api/uom/LogicalPartition"] == 1


def test_a_vnics_ways_are_one_adapter(measured: Measured) -> None:
    world, web = measured.host.world, measured.lpar("web")
    ways = tuple(
        vnics.BackingSpec(measured.host.vios(name).uuid, adapter=number, port=0, priority=number)
        for number, name in ((1, "vios1"), (2, "vios2"))
    )
    with world.lock:
        made = vnics.create(world, web, vnics.VnicSpec(ways))
    measured.pass_time()
    calls = measured.host.calls(measured.read)
    assert calls["GET /rest/api/uom/VirtualIOServer/{uuid}/SRIOVEthernetLogicalPort"] == 2
    nic = next(nic for nic in measured.found[WEB].nics if nic.mac.replace(":", "") == made.mac.lower())
    busy = measured.busy("web") * (1 - made.slot % 8 / 16)
    expected = traffic(busy)["receivedBytes"] + traffic(busy * 0.01)["receivedBytes"]
    assert nic.in_bytes == expected > 0
    measured.pass_time()
    assert sum(measured.host.calls(measured.read).values()) == 5


def test_ports_of_a_vnic_that_cannot_be_read_are_tried_again(
    measured: Measured, caplog: pytest.LogCaptureFixture
) -> None:
    world, web = measured.host.world, measured.lpar("web")
    way = vnics.BackingSpec(measured.host.vios("vios1").uuid, adapter=1, port=0, priority=1)
    with world.lock:
        made = vnics.create(world, web, vnics.VnicSpec((way,)))
    measured.pass_time()
    measured.host.fault("GET", "/rest/api/uom/VirtualIOServer/{uuid}/SRIOVEthernetLogicalPort", times=4)

    def macs() -> set[str]:
        return {nic.mac.replace(":", "") for nic in measured.read()[WEB].nics}

    assert made.mac.lower() not in macs() | macs()
    (told,) = warnings(caplog)
    assert "logical ports of VIOS" in told and "(and 1 more)" in told
    assert made.mac.lower() in macs()


def test_a_stopped_guest_uses_nothing(measured: Measured) -> None:
    measured.read()
    world, web = measured.host.world, measured.lpar("web")
    with world.lock:
        power.begin_off(world, web, "shutdown", restart=False)
        power.finish_off(world, web, restart=False)
    measured.pass_time()
    until(lambda: measured.read()[WEB].power is PowerState.STOPPED)
    found = measured.found[WEB]
    assert (found.processor, found.memory, found.nics, found.disks) == (None, None, (), ())
    assert found.memory_mb == 2048 and len(found.capacities) == 2
    assert measured.found[DB].processor is not None


def test_a_partition_with_another_mark_is_not_the_guests(measured: Measured) -> None:
    twin = f"{int(WEB[0], 16) ^ 8:x}{WEB[1:]}"
    assert naming.lpar_uuid(twin) == naming.lpar_uuid(WEB)
    assert set(measured.read(twin, WEB)) == {WEB}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = ("bigiron.powervm.metrics", "bigiron.complaints")
    return [record.getMessage() for record in caplog.records if record.name.startswith(ours)
            and record.levelno >= logging.WARNING]  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "missing"),
    [("phyp", {"processor", "nics"}), ("lpar", {"memory"}), ("vios1", set()), ("vios2", set())],
)
@pytest.mark.parametrize("how", ["truncated", "text", "empty"])
def test_a_document_of_no_use_takes_no_other_with_it(
    measured: Measured, caplog: pytest.LogCaptureFixture, broken: str, missing: set[str], how: str
) -> None:
    measured.read()
    measured.control.ask("POST", "/pcm", {"broken": {broken: how}})
    for _ in range(3):
        measured.pass_time()
        web = measured.read()[WEB]
        for name in ("processor", "memory", "nics"):
            assert bool(getattr(web, name)) is (name not in missing), name
        assert {disk.name.split("-")[0] for disk in web.disks} == {"vios1", "vios2"} - {broken}
        assert web.power is PowerState.RUNNING and len(web.capacities) == 2
    (told,) = warnings(caplog)
    assert "cannot be read" in told and "JSONDecodeError" in told
    measured.control.ask("DELETE", "/pcm")
    measured.pass_time()
    web = measured.read()[WEB]
    assert web.processor and web.memory and web.nics and len(web.disks) == 2
    assert len(warnings(caplog)) == 1


def test_a_vios_that_gives_no_samples_is_named_once(measured: Measured, caplog: pytest.LogCaptureFixture) -> None:
    measured.read()
    measured.control.ask("POST", "/pcm", {"missing": ["vios1"]})
    for _ in range(4):
        measured.pass_time(150)
        assert [disk.name.split("-")[0] for disk in measured.read()[WEB].disks] == ["vios2"]
    (told,) = warnings(caplog)
    assert "VIOS vios1 has given the monitor no sample for 150 s" in told


def test_a_gap_is_only_a_longer_step(measured: Measured) -> None:
    before = measured.read()[WEB]
    measured.control.ask("POST", "/pcm", {"gap": True})
    measured.pass_time(300)
    assert measured.read()[WEB] == before, "nothing new"
    measured.control.ask("DELETE", "/pcm")
    measured.pass_time(300)
    after = measured.read()[WEB]
    assert before.processor is not None and after.processor is not None
    assert after.processor.used_ns - before.processor.used_ns == pytest.approx(0.6 * 0.5 * 600 * NS, rel=0.001)


def test_a_monitor_that_has_stopped_is_looked_after(measured: Measured, caplog: pytest.LogCaptureFixture) -> None:
    monitor = LongTermMonitor(
        measured.link.connection.adapter, measured.link.connection.system_uuid, now=measured.host.simulator.clock.now
    )
    usages = GuestUsages(measured.link.connection, monitor)
    usages.read([WEB])
    measured.control.ask("POST", "/pcm", {"gap": True})
    looked = 0
    for _ in range(5):
        measured.pass_time(100)
        looked += measured.host.calls(lambda: usages.read([WEB]))[f"GET {PCM}/preferences"]
    assert looked == 4, "somebody may have switched it off"
    (told,) = warnings(caplog)
    assert "has taken no sample for 180 s" in told
    measured.control.ask("DELETE", "/pcm")
    measured.pass_time(100)
    assert measured.host.calls(lambda: usages.read([WEB]))[f"GET {PCM}/preferences"] == 0


def test_a_service_that_does_not_answer_is_an_error(measured: Measured) -> None:
    measured.host.fault("GET", FEED, Action.DROP_BEFORE, times=0)
    with pytest.raises(Unavailable):
        measured.read()
    measured.host.simulator.faults.clear()
    assert measured.read()[WEB].processor is not None


@pytest.mark.parametrize("status", [403, 404])
def test_a_feed_that_is_forbidden_leaves_state_and_size(
    measured: Measured, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    measured.host.fault("GET", FEED, times=0, status=status, message="Not authorised")
    for _ in range(3):
        web = measured.read()[WEB]
        assert (web.power, web.memory_mb, web.processor) == (PowerState.RUNNING, 2048, None)
        assert len(web.capacities) == 2
    (told,) = warnings(caplog)
    assert "Not authorised" in told and "[powervm] rest_username" in told


def test_adapters_that_cannot_be_read_are_tried_again(measured: Measured, caplog: pytest.LogCaptureFixture) -> None:
    measured.host.fault("GET", CNA, times=2)
    assert measured.read()[WEB].nics == () and measured.found[WEB].processor is not None
    assert len(warnings(caplog)) == 1
    measured.pass_time()
    assert len(measured.read()[WEB].nics) == len(measured.found[DB].nics) == 1


FIRST: dict[str, set[str]] = {
    f"GET {PCM}/preferences": set(),
    f"POST {PCM}/preferences": set(),
    f"GET {FEED}": {"processor", "memory", "nics", "disks"},
    f"GET {CNA}": {"nics"},
    f"GET {FEED}/LTM_phyp.json": {"processor", "memory", "nics", "disks"},
    f"GET {FEED}/LTM_lpar.json": {"memory"},
    f"GET {FEED}/LTM_vios_1.json": set(),
    f"GET {FEED}/LTM_vios_2.json": set(),
}
"""The requests of a first reading that finds samples, and what one that fails leaves unknown."""


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
def test_each_request_of_a_reading_may_fail(tmp_path: Path, action: Action) -> None:
    """The next reading has everything, and the preferences are as they were found in the end."""
    with serve(tmp_path, {**DOCUMENT, "partitions": [partition("web", WEB)]}) as host:
        clock, pcm = host.simulator.clock, host.world.state.pcm
        clock.set_scale(0)
        clock.advance(120 - clock.now() % 120)
        for request, cost in FIRST.items():
            # Samples are there, and there is something to switch on.
            prefer(host, compute_ltm=False)
            clock.advance(120)
            prefer(host, compute_ltm=True)
            link = open_metrics(host.options)
            method, _, path = request.partition(" ")
            host.fault(method, path, action, times=0)
            try:
                web = link.usages.read([WEB])[WEB]
            except Unavailable:
                assert request == f"GET {FEED}" and action is not Action.ERROR, request
            else:
                assert {name for name in ("processor", "memory", "nics", "disks") if not getattr(web, name)} == cost, (
                    request
                )
                assert len(web.disks) == (0 if "disks" in cost else 1 if "vios" in request else 2), request
            assert host.faults_fired(), request
            host.simulator.faults.clear()
            link.usages.read([WEB])  # switches on what could not be before
            clock.advance(120)
            web = link.usages.read([WEB])[WEB]
            assert web.processor and web.memory and web.nics and len(web.disks) == 2, request
            link.close()
            assert (pcm.long_term, pcm.compute_ltm) == (True, True), request
        assert host.audit() == []


def prefer(host: Host, compute_ltm: bool) -> None:
    """Somebody sets the monitor's preferences, after what was due under the old ones."""
    with host.world.lock:
        host.simulator.monitor.catch_up()
        host.world.state.pcm.long_term, host.world.state.pcm.compute_ltm = True, compute_ltm
        host.world.touch(host.world.state.pcm)
        host.simulator.monitor.catch_up()


@pytest.mark.parametrize("before", [(False, True), (True, True), (True, False)])
def test_the_monitors_preferences_are_put_back(tmp_path: Path, before: tuple[bool, bool]) -> None:
    with serve(tmp_path, {**DOCUMENT, "partitions": [partition("web", WEB)]}) as host:
        pcm = host.world.state.pcm
        pcm.long_term, pcm.compute_ltm = before
        pcm.aggregation = True
        link = open_metrics(host.options)
        calls = host.calls(lambda: link.usages.read([WEB]))
        assert calls[f"POST {PCM}/preferences"] == (0 if before == (True, False) else 1)
        assert (pcm.long_term, pcm.compute_ltm, pcm.aggregation) == (True, False, True)
        link.close()
        assert (pcm.long_term, pcm.compute_ltm, pcm.aggregation) == (*before, True)


def test_what_others_changed_since_is_theirs(tmp_path: Path) -> None:
    with serve(tmp_path, {**DOCUMENT, "partitions": [partition("web", WEB)]}) as host:
        pcm = host.world.state.pcm
        link = open_metrics(host.options)
        link.usages.read([WEB])
        with host.world.lock:
            pcm.long_term, pcm.aggregation = False, True
            host.world.touch(pcm)
        link.close()
        assert (pcm.long_term, pcm.compute_ltm, pcm.aggregation) == (False, True, True)


def test_preferences_that_somebody_changes_meanwhile_are_read_again(tmp_path: Path) -> None:
    with serve(tmp_path, {**DOCUMENT, "partitions": [partition("web", WEB)]}) as host:
        host.fault("POST", f"{PCM}/preferences", Action.STALE)
        link = open_metrics(host.options)
        calls = host.calls(lambda: link.usages.read([WEB]))
        assert (calls[f"GET {PCM}/preferences"], calls[f"POST {PCM}/preferences"]) == (2, 2)
        assert host.world.state.pcm.long_term
        link.close()


def test_a_monitor_that_may_not_be_switched_on_but_is_on_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(tmp_path, {**DOCUMENT, "partitions": [partition("web", WEB)]}) as host:
        host.simulator.clock.set_scale(0)
        host.world.state.pcm.long_term = True
        host.simulator.clock.advance(120)
        host.fault("POST", f"{PCM}/preferences", times=0, status=403, message="Not authorised")
        link = open_metrics(host.options)
        for _ in range(3):
            host.simulator.clock.advance(120)
            assert link.usages.read([WEB])[WEB].processor is not None
        (told,) = [line for line in warnings(caplog) if "cannot be switched on" in line]
        assert "have an administrator" in told
        link.close()


@pytest.mark.full
def test_500_guests_in_one_reading(tmp_path: Path) -> None:
    names = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"guest {number}")) for number in range(500)]
    document = {
        **DOCUMENT,
        "system": {**DOCUMENT["system"], "memory_mb": 2**21, "processors": 300, "max_partitions": 1000},
        "clusters": [{**DOCUMENT["clusters"][0], "tiers": [{"name": "SYSTEM", "capacity_gb": 10000}]}],
        "partitions": [partition(f"g{number}", name, memory_mb=512) for number, name in enumerate(names)],
    }
    with serve(tmp_path, document) as host:
        host.simulator.clock.set_scale(0)
        link = open_metrics(host.options)
        link.usages.read(names)
        host.simulator.clock.advance(240)
        assert host.calls(lambda: link.usages.read(names))[f"GET {CNA}"] == 500
        host.simulator.clock.advance(120)
        calls = host.calls(lambda: link.usages.read(names))
        assert calls == {f"GET {FEED}": 1, **DOCUMENTS}
        link.close()
