"""Pollsters with figures handed in: which samples come, and which do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
from ceilometer.sample import TYPE_CUMULATIVE, Sample
from oslo_config import cfg

from bigiron.errors import Unavailable
from bigiron.model import (
    DiskCapacity,
    DiskUsage,
    GuestUsage,
    MemoryUsage,
    NicUsage,
    PowerState,
    ProcessorUsage,
)
from bigiron.plugins.ceilometer import source as source_module
from bigiron.plugins.ceilometer.powervm import PowerVMPollster
from bigiron.plugins.ceilometer.source import Source, source_of

PROCESSOR = ProcessorUsage(30.0, 11, 12, 13, 14, 15, 16, 17, 0.5, 2)
MEMORY = MemoryUsage(20.0, 2048.0, 512.0, 3.0, 4.0)
NIC = NicUsage(30.0, "fa:16:3e:00:00:01", "fa:16:3e:00:00:01", "U9-V3-C2", 1, 2, 3, 4, 5, 6, 7, 8)
DISK = DiskUsage(25.0, "vios1-vhost3", 21, 22, 23, 24)
USAGE = GuestUsage(
    "u1", PowerState.RUNNING, 2, 4096, 4000, PROCESSOR, MEMORY, (NIC,), (DISK,), (DiskCapacity("vios1-vhost3", 9, 5),)
)  # fmt: skip
VALUES = {
    "power.state": 1, "cpu": 11, "vcpus": 2, "memory": 4096, "memory.available": 2048, "memory.usage": 512,
    "memory.resident": 4000, "memory.swap.in": 3, "memory.swap.out": 4, "network.incoming.bytes": 1,
    "network.incoming.packets": 2, "network.incoming.packets.drop": 3, "network.incoming.packets.error": 4,
    "network.outgoing.bytes": 5, "network.outgoing.packets": 6, "network.outgoing.packets.drop": 7,
    "network.outgoing.packets.error": 8, "disk.device.read.bytes": 21, "disk.device.read.requests": 22,
    "disk.device.write.bytes": 23, "disk.device.write.requests": 24, "disk.device.capacity": 9,
    "disk.device.allocation": 5, "powervm.cpu.entitled": 12, "powervm.cpu.capped": 13, "powervm.cpu.uncapped": 14,
    "powervm.cpu.idle": 15, "powervm.cpu.donated": 16, "powervm.cpu.wait": 17, "powervm.processor.units": 0.5,
    "powervm.processor.pool": 2,
}  # fmt: skip
OURS = {
    point.name: point.load()
    for point in entry_points(group="ceilometer.poll.powervm")
    if issubclass(point.load(), PowerVMPollster)
}

ONE = {"u1": "instance-1"}
Read = Callable[[], Mapping[str, GuestUsage]]


def server(uuid: str = "u1") -> Any:
    """A server as the discovery gives it."""
    flavor = {"id": "f1", "name": "m1.tiny", "vcpus": 2, "ram": 4096, "disk": 10, "ephemeral": 0}
    return SimpleNamespace(
        id=uuid, name="web", flavor=flavor, image=None, tenant_id="p", user_id="u", hostId="h", status="ACTIVE",
        metadata={}, **{"OS-EXT-SRV-ATTR:instance_name": "instance-1", "OS-EXT-SRV-ATTR:host": "power1"},
    )  # fmt: skip


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a pollster that gets its figures from the function given."""

    def make(meter: str, read: Read) -> Any:
        source = Source("PowerVM", lambda: SimpleNamespace(read=lambda _instances: read(), close=lambda: None))
        monkeypatch.setattr("bigiron.plugins.ceilometer.pollsters.source_of", lambda *_: source)
        conf = cfg.ConfigOpts()
        conf.register_opt(cfg.ListOpt("reserved_metadata_namespace", default=[]))
        conf.register_opt(cfg.ListOpt("reserved_metadata_keys", default=[]))
        conf.register_opt(cfg.IntOpt("reserved_metadata_length", default=256))
        conf([])
        return OURS[meter](conf)

    return make


def samples(pollster: Any, *uuids: str) -> list[Sample]:
    return list(pollster.get_samples(None, {}, [server(uuid) for uuid in uuids or ("u1",)]))


@pytest.mark.parametrize("meter", sorted(VALUES))
def test_each_meter_takes_its_own_value(polled: Any, meter: str) -> None:
    (found,) = samples(polled(meter, lambda: {"u1": USAGE}))
    assert (found.name, found.volume) == (meter, VALUES[meter])
    assert (found.project_id, found.user_id) == ("p", "u")


def test_no_meter_is_forgotten() -> None:
    assert set(OURS) == set(VALUES)


@pytest.mark.parametrize("meter", sorted(VALUES))
def test_what_is_not_known_gives_no_sample(polled: Any, meter: str) -> None:
    bare = GuestUsage("u1", PowerState.STOPPED, 2, 4096)
    found = [one.volume for one in samples(polled(meter, lambda: {"u1": bare}))]
    assert found == {"power.state": [5], "vcpus": [2], "memory": [4096]}.get(meter, [])


def test_resources_are_named_as_by_the_libvirt_pollsters(polled: Any) -> None:
    names = {
        meter: samples(polled(meter, lambda: {"u1": USAGE}))[0].resource_id
        for meter in ("cpu", "network.outgoing.bytes", "disk.device.read.bytes", "disk.device.capacity")
    }
    assert names == {
        "cpu": "u1",
        "network.outgoing.bytes": "instance-1-u1-fa:16:3e:00:00:01",
        "disk.device.read.bytes": "u1-vios1-vhost3",
        "disk.device.capacity": "u1-vios1-vhost3",
    }


@pytest.mark.parametrize("meter", sorted(name for name in VALUES if OURS[name].sample_type == TYPE_CUMULATIVE))
def test_a_counter_is_told_once_for_each_measurement(polled: Any, meter: str) -> None:
    now: dict[str, GuestUsage] = {"u1": USAGE}
    pollster = polled(meter, lambda: now)
    assert len(samples(pollster)) == 1
    assert samples(pollster) == []
    now.clear()
    assert samples(pollster) == [], "the service was away"
    now["u1"] = USAGE
    assert samples(pollster) == [], "and has nothing new"
    later = {"at": 60.0}
    now["u1"] = replace(
        USAGE, processor=replace(PROCESSOR, **later), memory=replace(MEMORY, **later), nics=(replace(NIC, **later),),
        disks=(replace(DISK, **later),),
    )  # fmt: skip
    assert len(samples(pollster)) == 1


def test_guests_that_the_system_does_not_have_are_left_out(polled: Any) -> None:
    pollster = polled("vcpus", lambda: {"u2": replace(USAGE, uuid="u2")})
    assert [one.resource_id for one in samples(pollster, "u1", "u2", "u3")] == ["u2"]


def test_one_poll_reads_once_whatever_asks() -> None:
    reads: list[Any] = []

    def read(instances: Any) -> Mapping[str, GuestUsage]:
        reads.append(instances)
        return {"u1": USAGE}

    opened: list[bool] = []

    def opener() -> Any:
        opened.append(True)
        return SimpleNamespace(read=read, close=lambda: None)

    source = Source("PowerVM", opener)
    poll: dict[str, Any] = {}
    assert source.usages(poll, ONE) == source.usages(poll, ONE) == {"u1": USAGE}
    source.usages({}, ONE)
    assert (len(reads), len(opened)) == (2, 1)


def test_trouble_is_told_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", source_module.LOG.name)
    answers: list[Any] = [Unavailable("no"), Unavailable("no"), "link", "link", Unavailable("gone")]

    def opener() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(read=lambda _instances: {"u1": USAGE}, close=lambda: None)

    source = Source("PowerVM", opener)
    found = [bool(source.usages({}, ONE)) for _ in range(4)]
    assert found == [False, False, True, True]
    told = [record.getMessage() for record in caplog.records if record.name == source_module.LOG.name]
    assert told == ["There are no figures of PowerVM guests until this is over: no",
                    "There are figures of PowerVM guests again"]  # fmt: skip


def test_the_connection_ends_with_the_agent() -> None:
    ends: list[str] = []
    link = SimpleNamespace(read=lambda _instances: {}, close=lambda: ends.append("closed"))
    source = Source("PowerVM", lambda: link)
    agent = SimpleNamespace(terminate=lambda: ends.append("agent"))
    for _ in range(3):
        source.usages({}, {}, agent)
    agent.terminate()
    assert ends == ["closed", "agent"]


def test_a_poll_under_way_does_not_connect_again_as_the_agent_ends() -> None:
    opened: list[bool] = []
    found: list[Mapping[str, GuestUsage]] = []

    def opener() -> Any:
        opened.append(True)
        return SimpleNamespace(
            read=lambda _instances: {"u1": USAGE}, close=lambda: found.append(source.usages({}, ONE))
        )

    source = Source("PowerVM", opener)
    assert source.usages({}, ONE)
    source.close()
    source.close()
    assert found == [{}] and len(opened) == 1


def test_pollsters_of_one_agent_share_a_source() -> None:
    first, second = cfg.ConfigOpts(), cfg.ConfigOpts()
    opener = PowerVMPollster.open
    assert source_of(first, "PowerVM", opener) is source_of(first, "PowerVM", opener)
    assert source_of(first, "PowerVM", opener) is not source_of(second, "PowerVM", opener)
    assert source_of(first, "PowerVM", opener) is not source_of(first, "z/VM", opener)
