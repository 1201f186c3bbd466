"""The PowerVM platform whole, on a simulated host: what a spawn costs, what it leaves, and what stands in its way."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support import steps
from tests.support.images import BytesImage
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, nic, serve, until, until_read_up

from bigiron import naming
from bigiron.errors import Conflict, Foreign, InvalidSpec, NotFound, PlatformError, Unavailable, Unsupported
from bigiron.hypervisor import Values
from bigiron.model import GuestEvent, GuestSpec, PowerState
from bigiron.powervm.ledger import LedgerEntry
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"
JOB = "/rest/api/uom/jobs/{id}"
SPAWN_CALLS = 14


@pytest.fixture
def image() -> BytesImage:
    return BytesImage(b"a bootable system" * 1000)


def spawn(platform: PowerVM, spec: GuestSpec, folder: Path) -> None:
    platform.check(spec)
    steps.run(steps.around(platform.spawn_steps(spec), spec, folder))


def cached(platform: PowerVM, image: BytesImage, folder: Path) -> None:
    """Have the image in the pool, as after the first spawn of it."""
    spec = guest_spec(image)
    spawn(platform, spec, folder)
    platform.destroy(spec.uuid)


def objects(host: Host) -> dict[str, Any]:
    """What is on the host, object by object, without what only counts: serial numbers, versions and revisions."""
    with host.world.lock:
        state = copy.deepcopy(host.world.to_state())

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: plain(inner)
                for name, inner in value.items()
                if name not in ("serial", "version", "revision", "pool_serial")
            }
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    return dict(plain(state))


def test_a_guest_comes_up_with_all_that_it_asked_for(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    spec = guest_spec(image)
    spawn(platform, spec, tmp_path)
    lpar = host.lpar(naming.lpar_uuid(spec.uuid))
    assert lpar.state == "running"
    assert {adapter.pvid for adapter in lpar.adapters} == {100, 4094}
    for vios in ("vios1", "vios2"):
        assert [kind for kind, _ in host.mapped(vios, lpar.uuid) if kind == "LogicalUnit"] == ["LogicalUnit"]
    assert naming.config_drive(spec.uuid) in host.media("vios1") + host.media("vios2")
    guest = platform.guest(spec.uuid)
    assert (guest.power, guest.memory_mb, guest.vcpus) == (PowerState.RUNNING, 2048, 1)
    assert [state.uuid for state in platform.guests()] == [spec.uuid]
    assert not platform.connection.ledger.making()
    assert not host.audit()


def test_a_spawn_keeps_its_budget_of_requests(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    cached(platform, image, tmp_path)
    spec = guest_spec(image)
    calls = host.calls(lambda: spawn(platform, spec, tmp_path))
    polls = calls.pop(f"GET {JOB}", 0)
    assert polls >= 0
    assert calls.total() <= SPAWN_CALLS, dict(calls)


def test_the_budget_does_not_grow_with_the_host(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    def cost() -> dict[str, int]:
        spec = guest_spec(image, memory_mb=512, options={"powervm:proc_units": "0.05"})
        calls = host.calls(lambda: spawn(platform, spec, tmp_path))
        calls.pop(f"GET {JOB}", None)
        calls.pop(f"GET {LPAR}/quick/PartitionState", None)
        return dict(calls)

    cached(platform, image, tmp_path)
    first = cost()
    for _ in range(20):
        spawn(platform, guest_spec(image, memory_mb=512, options={"powervm:proc_units": "0.05"}), tmp_path)
    assert cost() == first


def test_a_power_sync_costs_nothing(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    specs = [guest_spec(image, config_drive=False) for _ in range(5)]
    for spec in specs:
        spawn(platform, spec, tmp_path)

    def sync() -> None:
        platform.guests()
        for spec in specs:
            platform.guest(spec.uuid)

    until_read_up(host.simulator)
    assert not host.calls(sync)


def test_destroy_leaves_what_was_there_before(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    cached(platform, image, tmp_path)
    before = objects(host)
    spec = guest_spec(image)
    spawn(platform, spec, tmp_path)
    platform.destroy(spec.uuid)
    assert objects(host) == before
    assert not host.audit()
    platform.destroy(spec.uuid)
    with pytest.raises(NotFound):
        platform.guest(spec.uuid)


def test_a_guest_can_be_left_off(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    spec = guest_spec(image, power_on=False)
    spawn(platform, spec, tmp_path)
    assert platform.guest(spec.uuid, fresh=True).power is PowerState.STOPPED
    assert not platform.connection.ledger.making()
    platform.power_on(spec.uuid)
    assert platform.guest(spec.uuid).power is PowerState.RUNNING
    platform.reboot(spec.uuid, hard=True)
    platform.power_off(spec.uuid)
    assert host.lpar(naming.lpar_uuid(spec.uuid)).state == "not activated"


def test_eight_spawns_at_once_share_their_writes(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    cached(platform, image, tmp_path)
    specs = [guest_spec(image, memory_mb=512) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        calls = host.calls(lambda: list(pool.map(lambda spec: spawn(platform, spec, tmp_path), specs)))
    assert all(platform.guest(spec.uuid).power is PowerState.RUNNING for spec in specs)
    assert calls[f"POST {VIOS}"] <= 16
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda spec: platform.destroy(spec.uuid), specs))
    assert not host.audit()
    assert not platform.guests()


def recorded(host: Host, platform: PowerVM, image: BytesImage, folder: Path) -> list[tuple[str, str, int, bool]]:
    """The requests of one spawn as (method, template, n-th of its kind, with If-Match)."""
    spec = guest_spec(image)
    host.simulator.journal.clear()
    spawn(platform, spec, folder)
    entries = [entry for entry in host.simulator.journal.entries() if not entry.template.endswith("/Event")]
    entries += [e for e in host.simulator.journal.entries() if e.template.endswith("/Event") and e.method == "PUT"]
    platform.destroy(spec.uuid)
    seen: dict[tuple[str, str], int] = {}
    found = []
    for entry in entries:
        kind = (entry.method, entry.template)
        if kind == ("GET", JOB) or entry.template.endswith("/PartitionState"):
            continue
        seen[kind] = seen.get(kind, 0) + 1
        found.append((*kind, seen[kind], entry.if_match))
    return found


def test_every_request_of_a_spawn_may_fail(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    cached(platform, image, tmp_path)
    requests = recorded(host, platform, image, tmp_path)
    assert len(requests) >= 10
    before = objects(host)
    for method, template, nth, if_match in requests:
        actions = [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER] + ([Action.STALE] if if_match else [])
        for action in actions:
            case = f"{action} of {method} {template} #{nth}"
            spec = guest_spec(image)
            host.simulator.faults.clear()
            host.fault(method, template, action, nth=nth)
            try:
                spawn(platform, spec, tmp_path)
            except PlatformError as error:
                failed = str(error)
            else:
                failed = ""
            assert host.faults_fired(), case
            host.simulator.faults.clear()
            if failed:
                until(lambda: not platform.guests())
                assert objects(host) == before, f"{case}: {failed}"
                assert not platform.connection.ledger.making(), case
            else:
                platform.destroy(spec.uuid)
                assert objects(host) == before, f"{case}, and destroyed"
            assert not host.audit(), case
    spec = guest_spec(image)
    spawn(platform, spec, tmp_path)
    assert platform.guest(spec.uuid).power is PowerState.RUNNING


def test_a_destroy_that_failed_can_be_repeated(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    cached(platform, image, tmp_path)
    before = objects(host)
    for method, template in (
        ("PUT", f"{LPAR}/do/PowerOff"),
        ("POST", VIOS),
        ("DELETE", "/rest/api/uom/Tier/{uuid}/LogicalUnit/{uuid}"),
        ("DELETE", LPAR),
    ):
        spec = guest_spec(image)
        spawn(platform, spec, tmp_path)
        whole = objects(host)
        host.fault(method, template)
        with pytest.raises(PlatformError):
            platform.destroy(spec.uuid)
        assert host.faults_fired(), template
        host.simulator.faults.clear()
        if template.endswith("PowerOff"):
            # Nothing may be taken from a guest that still runs.
            assert objects(host)["vioses"] == whole["vioses"]
        platform.destroy(spec.uuid)
        assert objects(host) == before, template
    assert not host.audit()


def test_what_serves_a_partition_that_an_undo_has_removed_already_goes_too(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    cached(platform, image, tmp_path)
    before = objects(host)
    spec = guest_spec(image)
    host.fault("PUT", f"{LPAR}/do/PowerOn")
    # The mappings of both VIOSes are made, and cannot be removed.
    host.fault("POST", VIOS, nth=3, times=0)
    with pytest.raises(AssertionError, match="undoing failed"):
        spawn(platform, spec, tmp_path)
    assert host.faults_fired()
    host.simulator.faults.clear()
    assert host.lpar(naming.lpar_uuid(spec.uuid)) is None
    assert "orphan-server-adapter" in {finding["kind"] for finding in host.audit()}
    platform.destroy(spec.uuid)
    assert objects(host) == before
    assert not host.audit()


def test_a_partition_that_only_the_ledger_knows_of_is_removed(host: Host, platform: PowerVM, image: BytesImage) -> None:
    before = objects(host)
    platform.connection.mirror.stop()
    platform.connection.events.stop()
    spec = guest_spec(image)
    create = next(step for step in platform.spawn_steps(spec) if step.name == "create LPAR")
    host.fault("PUT", "/rest/api/uom/ManagedSystem/{uuid}/LogicalPartition", Action.DROP_AFTER)
    with pytest.raises(Unavailable):
        create.execute(Values({}))
    assert host.lpar(naming.lpar_uuid(spec.uuid)) is not None
    host.fault("GET", LPAR)
    with pytest.raises(PlatformError):
        platform.destroy(spec.uuid)
    assert host.faults_fired()
    platform.destroy(spec.uuid)
    assert objects(host) == before
    assert not platform.connection.ledger.making()


def test_foreign_partitions_are_neither_listed_nor_touched(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    spec = guest_spec(image)
    spawn(platform, spec, tmp_path)
    lpar = host.lpar(naming.lpar_uuid(spec.uuid))
    with host.world.lock:
        lpar.description = None
        host.world.changed(lpar, "PartitionName")
    with host.platform() as other:
        assert not other.guests()
        for touch in (other.destroy, other.power_off, other.guest):
            with pytest.raises(Foreign):
                touch(spec.uuid)
        with pytest.raises((Foreign, Conflict)):
            other.check(guest_spec(image, name=spec.name))
        assert other.adopt([(spec.uuid, spec.name)]) == [spec.uuid]
        assert [guest.uuid for guest in other.guests()] == [spec.uuid]
        other.destroy(spec.uuid)
    assert not host.audit()


def test_one_vios_down_is_enough_to_work_with_and_both_are_not(
    host: Host, image: BytesImage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    down(host, "vios2")
    with host.platform() as platform:
        spec = guest_spec(image)
        spawn(platform, spec, tmp_path)
        assert platform.guest(spec.uuid).power is PowerState.RUNNING
        assert not host.mapped("vios2", naming.lpar_uuid(spec.uuid))
        assert "VIOS vios2 does not serve" in caplog.text
        platform.destroy(spec.uuid)
        down(host, "vios1")
        until(lambda: raises_unavailable(platform))
        before = objects(host)
        with pytest.raises(Unavailable, match="vios1, vios2"):
            spawn(platform, guest_spec(image), tmp_path)
        assert objects(host) == before
    with pytest.raises(Unavailable, match="vios1, vios2"), host.platform():
        pass


def down(host: Host, name: str) -> None:
    with host.world.lock:
        host.vios(name).rmc = "inactive"
        host.world.changed(host.vios(name), "RMCState")


def raises_unavailable(platform: PowerVM) -> bool:
    try:
        platform.connection.vioses.active()
    except Unavailable:
        return True
    return False


def test_a_guest_that_was_half_made_is_reconciled(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    cached(platform, image, tmp_path)
    before = objects(host)
    done, half, known = guest_spec(image), guest_spec(image), guest_spec(image)
    for spec in (done, half, known):
        spawn(platform, spec, tmp_path)
    for spec in (half, known):
        platform.connection.ledger.put(LedgerEntry(spec.uuid, spec.name, making=True))
    assert platform.reconcile([known.uuid]) == [half.uuid]
    assert {guest.uuid for guest in platform.guests()} == {done.uuid, known.uuid}
    platform.destroy(done.uuid)
    platform.destroy(known.uuid)
    assert objects(host) == before


def test_an_upload_that_was_interrupted_is_reconciled(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    before = objects(host)
    unit = "/rest/api/uom/Tier/{uuid}/LogicalUnit"
    # The claim and the incomplete copy stay when nothing can be deleted any more, as when the process is killed.
    host.fault("PUT", "/rest/api/web/File", times=0)
    host.fault("DELETE", f"{unit}/{{uuid}}", times=0)
    with pytest.raises(PlatformError):
        spawn(platform, guest_spec(image), tmp_path)
    assert len(host.units) == 2
    host.simulator.faults.clear()
    with host.platform() as restarted:
        assert restarted.reconcile([]) == []
    assert objects(host) == before
    assert not host.audit()


def test_parts_that_a_killed_spawn_left_are_removed_by_name(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    cached(platform, image, tmp_path)
    before = objects(host)
    whole = guest_spec(image)
    names = [step.name for step in platform.spawn_steps(whole)]
    for count in range(1, len(names)):
        spec = guest_spec(image)
        # A process that is killed undoes nothing.
        steps.run([*platform.spawn_steps(spec)[:count], steps.BuildDrive(tmp_path, spec)])
        with host.platform() as restarted:
            restarted.destroy(spec.uuid)
        assert objects(host) == before, names[:count]
    assert not host.audit()


def test_changes_of_state_are_reported(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    spec = guest_spec(image)
    spawn(platform, spec, tmp_path)
    events: list[GuestEvent] = []
    platform.subscribe(events.append)
    with host.platform() as other:
        other.power_off(spec.uuid)
    until(lambda: events[-1:] == [GuestEvent(spec.uuid, PowerState.STOPPED)])
    events.clear()
    platform.power_on(spec.uuid)
    time.sleep(1.0)
    assert not events, "what we did ourselves is no news"
    assert platform.guest(spec.uuid).power is PowerState.RUNNING


def test_the_host_is_described(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    empty = platform.facts()
    assert (empty.hypervisor, empty.memory_mb, empty.processors) == ("PowerVM", 262144, 16.0)
    assert empty.memory_reserved_mb >= 2 * 8192
    assert empty.processors_reserved == 2.0
    assert (empty.disk_gb, empty.guests) == (100, 0)
    assert {"CUSTOM_POWERVM_DISK_SSP", "CUSTOM_POWERVM_IBMI"} <= empty.traits
    spawn(platform, guest_spec(image), tmp_path)
    used = platform.facts()
    assert (used.memory_used_mb, used.guests) == (2048, 1)
    assert used.processors_used == pytest.approx(0.1)
    assert used.memory_reserved_mb == empty.memory_reserved_mb
    assert "up" in platform.uptime()
    assert not host.calls(platform.facts)


def test_the_host_s_processor_time_grows(host: Host, platform: PowerVM) -> None:
    with pytest.raises(Unsupported, match="no samples yet"):
        platform.cpu_stats()
    host.simulator.clock.advance(45)
    first = platform.cpu_stats()
    host.simulator.clock.advance(90)
    second = platform.cpu_stats()
    assert second.kernel_ns > first.kernel_ns and second.user_ns > first.user_ns
    passed = sum((second.kernel_ns, second.user_ns, second.idle_ns)) - sum(
        (first.kernel_ns, first.user_ns, first.idle_ns)
    )
    # A sample is taken every 30 s, of 16 processors.
    assert 60 <= passed / 16e9 <= 120


def test_nics_are_plugged_and_unplugged(host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path) -> None:
    spec = guest_spec(image, nics=(), power_on=False)
    spawn(platform, spec, tmp_path)
    lpar = host.lpar(naming.lpar_uuid(spec.uuid))
    port = nic(vlan=200)
    platform.plug(spec.uuid, port)
    platform.plug(spec.uuid, port)
    assert [adapter.pvid for adapter in lpar.adapters].count(200) == 1
    platform.unplug(spec.uuid, port)
    platform.unplug(spec.uuid, port)
    assert 200 not in [adapter.pvid for adapter in lpar.adapters]


def test_a_start_knows_which_guests_have_their_adapters(host: Host, image: BytesImage, tmp_path: Path) -> None:
    spec = guest_spec(image, nics=(nic(), nic()), power_on=False)
    with host.platform() as platform:
        spawn(platform, spec, tmp_path)
    with host.platform() as platform:
        calls = host.calls(lambda: platform.was_plugged(spec.uuid, spec.nics))
        assert not calls
        assert platform.was_plugged(spec.uuid, spec.nics)
        assert not platform.was_plugged(spec.uuid, (*spec.nics, nic()))
        platform.unplug(spec.uuid, spec.nics[0])
    with host.platform() as platform:
        assert not platform.was_plugged(spec.uuid, spec.nics)
        with pytest.raises(NotFound):
            platform.was_plugged(str(uuid4()), [nic()])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cluster_name": "nowhere"}, InvalidSpec, "cluster_name"),
        ({"disk_driver": "localdisk", "volume_group_name": "nowhere"}, InvalidSpec, "volume_group_name"),
        ({"rest_password": "wrong"}, PlatformError, "rest_password"),
        ({"rest_port": 1}, Unavailable, "rest_host and rest_port"),
    ],
)
def test_a_start_that_cannot_work_names_the_option(
    host: Host, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words), host.platform(**options):
        pass


def test_a_platform_that_is_not_started_says_so(host: Host) -> None:
    platform = PowerVM(host.options)
    platform.stop()
    with pytest.raises(Unavailable, match="not started"):
        platform.guests()


def test_the_service_may_go_down_and_come_back(
    host: Host, platform: PowerVM, image: BytesImage, tmp_path: Path
) -> None:
    cached(platform, image, tmp_path)
    host.simulator.sessions.expire_all()
    spec = guest_spec(image)
    spawn(platform, spec, tmp_path)
    assert platform.guest(spec.uuid, fresh=True).power is PowerState.RUNNING


def test_local_disks_serve_as_well(tmp_path: Path, image: BytesImage) -> None:
    document = copy.deepcopy(DOCUMENT)
    with (
        serve(tmp_path, document) as host,
        host.platform(disk_driver="localdisk", volume_group_name="datavg") as platform,
    ):
        cached(platform, image, tmp_path)
        before = objects(host)
        spec = guest_spec(image)
        spawn(platform, spec, tmp_path)
        assert any(kind == "VirtualDisk" for kind, _ in host.mapped("vios1", naming.lpar_uuid(spec.uuid)))
        platform.destroy(spec.uuid)
        assert objects(host) == before
        assert not host.audit()


def test_a_stop_ends_what_it_can(platform: PowerVM, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = platform._started
    ended: list[str] = []

    def fail() -> None:
        raise OSError("read-only file system")

    stop = parts.consoles.stop
    monkeypatch.setattr(parts.consoles, "stop", fail)
    monkeypatch.setattr(parts.usages, "close", lambda: ended.append("usages"))
    with pytest.raises(OSError, match="read-only"):
        platform.stop()
    assert ended == ["usages"]
    assert parts.connection.session._closed.is_set()
    stop()
