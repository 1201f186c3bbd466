"""Starting, stopping and restarting on a simulated host; what is already so is a success."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.powervm_host import Host, guest_spec, until, until_read_up

from bigiron.errors import Conflict, PlatformError, Timeout, Unavailable
from bigiron.model import PowerState
from bigiron.powervm import jobs
from bigiron.powervm.connection import Connection
from bigiron.powervm.guest import Guests
from bigiron.powervm.partition import Lpar
from bigiron.powervm.power import Power
from bigiron.sim.kernel.faults import Action

ON = "/rest/api/uom/LogicalPartition/{uuid}/do/PowerOn"
OFF = "/rest/api/uom/LogicalPartition/{uuid}/do/PowerOff"
JOB = "/rest/api/uom/jobs/{id}"


@pytest.fixture
def connection(host: Host) -> Iterator[Connection]:
    connection = host.connect(job_timeout_s=20)
    yield connection
    connection.close()


@pytest.fixture
def power(connection: Connection) -> Power:
    return Power(connection)


@pytest.fixture
def lpar(connection: Connection) -> Lpar:
    return Guests(connection).create(guest_spec(disks=(), nics=(), config_drive=False))


def submitted(host: Host) -> list[str]:
    """The jobs that were submitted, in order."""
    entries = host.simulator.journal.entries()
    return [entry.path.rsplit("/", 1)[-1] for entry in entries if "/do/" in entry.path and entry.method == "PUT"]


def state(connection: Connection, lpar: Lpar) -> PowerState:
    found = connection.mirror.find(lpar.uuid)
    assert found is not None
    return found.power


def give_rmc(host: Host, lpar: Lpar) -> None:
    with host.world.lock:
        host.lpar(lpar.uuid).rmc = "active"
        host.world.touch(host.lpar(lpar.uuid))


def test_a_start_costs_two_requests_and_its_polls(host: Host, connection: Connection, power: Power, lpar: Lpar) -> None:
    calls = host.calls(lambda: power.start(lpar))
    other = {call: count for call, count in calls.items() if call != f"GET {JOB}"}
    assert other == {f"PUT {ON}": 1, f"DELETE {JOB}": 1}
    assert host.lpar(lpar.uuid).state == "running"
    assert state(connection, lpar) is PowerState.RUNNING


def test_a_start_can_be_told_what_to_boot_from(host: Host, power: Power, lpar: Lpar) -> None:
    path = "/vdevice/v-scsi@30000002/disk@8100000000000000"
    power.start(lpar, boot=path)
    assert host.lpar(lpar.uuid).boot_string == path
    power.stop(lpar)
    power.start(lpar)
    assert host.lpar(lpar.uuid).boot_string == ""


def test_what_runs_is_not_started_again(host: Host, power: Power, lpar: Lpar) -> None:
    power.start(lpar)
    until_read_up(host.simulator)
    assert not host.calls(lambda: power.start(lpar))
    # Even where we believe it is off: the platform says that it is on already.
    power.start(lpar, known_off=True)
    assert host.lpar(lpar.uuid).state == "running"


def test_a_dump_restarts_what_runs_and_nothing_else(
    host: Host, connection: Connection, power: Power, lpar: Lpar
) -> None:
    with pytest.raises(Conflict, match="is not running"):
        power.dump(lpar)
    power.start(lpar)
    started = host.lpar(lpar.uuid).started
    power.dump(lpar)
    assert (host.lpar(lpar.uuid).state, host.lpar(lpar.uuid).started > started) == ("running", True)
    assert state(connection, lpar) is PowerState.RUNNING


def test_a_hard_stop_and_a_stop_of_what_is_off(host: Host, connection: Connection, power: Power, lpar: Lpar) -> None:
    power.start(lpar)
    power.stop(lpar)
    assert host.lpar(lpar.uuid).state == "not activated"
    assert state(connection, lpar) is PowerState.STOPPED
    host.simulator.journal.clear()
    power.stop(lpar)
    power.stop(lpar, known_on=True)
    assert submitted(host) == ["PowerOff"]


def test_a_gentle_stop_asks_the_operating_system_when_it_can(host: Host, power: Power, lpar: Lpar) -> None:
    power.start(lpar)
    give_rmc(host, lpar)
    host.simulator.journal.clear()
    power.stop(lpar, timeout_s=10)
    assert host.lpar(lpar.uuid).state == "not activated"
    assert submitted(host) == ["PowerOff"]


def test_a_state_that_cannot_be_read_for_a_moment_does_not_end_a_gentle_stop(
    host: Host, power: Power, lpar: Lpar
) -> None:
    power.start(lpar)
    give_rmc(host, lpar)
    host.simulator.journal.clear()
    host.fault("GET", "/rest/api/uom/LogicalPartition/{uuid}/quick/PartitionState", Action.DROP_BEFORE)
    power.stop(lpar, timeout_s=10)
    assert host.faults_fired()
    assert host.lpar(lpar.uuid).state == "not activated"
    assert submitted(host) == ["PowerOff"]


def test_a_guest_that_does_not_answer_is_stopped_all_the_same(host: Host, power: Power, lpar: Lpar) -> None:
    power.start(lpar)
    give_rmc(host, lpar)
    host.simulator.journal.clear()
    host.fault("PUT", OFF, Action.ERROR, times=2)
    with pytest.raises(PlatformError):
        power.stop(lpar, timeout_s=1)
    # Errors of the service end it; refusals by the guest do not.
    assert host.lpar(lpar.uuid).state == "running"
    assert submitted(host) == ["PowerOff"]


def test_escalation_from_the_system_to_the_platform(
    host: Host, power: Power, lpar: Lpar, monkeypatch: pytest.MonkeyPatch
) -> None:
    power.start(lpar)
    give_rmc(host, lpar)
    tried: list[dict[str, str]] = []
    run = jobs.run

    def stubborn(adapter, resource, uuid, operation, parameters, timeout_s, what):  # type: ignore[no-untyped-def]
        tried.append(dict(parameters))
        if len(tried) == 1:
            raise Timeout("the guest hangs")
        if len(tried) == 2:
            raise jobs.JobFailed("the platform could not", detail="HSCL0DB4")
        return run(adapter, resource, uuid, operation, parameters, timeout_s, what)

    monkeypatch.setattr("bigiron.powervm.power.jobs.run", stubborn)
    power.stop(lpar, timeout_s=5)
    assert tried == [
        {"operation": "osshutdown", "immediate": "true"},
        {"operation": "shutdown"},
        {"operation": "shutdown", "immediate": "true"},
    ]
    assert host.lpar(lpar.uuid).state == "not activated"


@pytest.mark.parametrize("hard", [True, False])
def test_a_restart_leaves_the_guest_running(
    host: Host, connection: Connection, power: Power, lpar: Lpar, hard: bool
) -> None:
    power.start(lpar)
    started = host.lpar(lpar.uuid).started
    power.restart(lpar, hard, timeout_s=10)
    assert host.lpar(lpar.uuid).state == "running"
    assert host.lpar(lpar.uuid).started > started
    assert state(connection, lpar) is PowerState.RUNNING


def test_a_restart_of_what_is_off_starts_it(host: Host, power: Power, lpar: Lpar) -> None:
    power.restart(lpar, hard=False, timeout_s=10)
    assert host.lpar(lpar.uuid).state == "running"
    assert submitted(host) == ["PowerOn"]


@pytest.mark.parametrize("action", [Action.DROP_AFTER, Action.DROP_BEFORE])
def test_a_start_whose_answer_was_lost(
    host: Host, connection: Connection, power: Power, lpar: Lpar, action: Action
) -> None:
    host.fault("PUT", ON, action)
    if action is Action.DROP_AFTER:
        power.start(lpar)
    else:
        with pytest.raises(PlatformError):
            power.start(lpar)
    assert host.faults_fired()
    running = action is Action.DROP_AFTER
    assert host.lpar(lpar.uuid).is_on is running
    until(lambda: (state(connection, lpar) is PowerState.RUNNING) is running)


def test_polls_that_fail_do_not_end_the_wait(host: Host, power: Power, lpar: Lpar) -> None:
    host.world.power_seconds = 0.5
    host.fault("GET", JOB, Action.ERROR, times=2)
    power.start(lpar)
    assert host.faults_fired()
    assert host.lpar(lpar.uuid).state == "running"


def test_a_job_that_the_service_has_forgotten_is_judged_by_the_state(
    host: Host, connection: Connection, power: Power, lpar: Lpar
) -> None:
    host.world.power_seconds = 0.05
    host.fault("GET", JOB, Action.ERROR, status=404)
    power.start(lpar)
    assert host.faults_fired()
    assert state(connection, lpar) is PowerState.RUNNING
    host.world.power_seconds = 60.0
    host.fault("GET", JOB, Action.ERROR, status=404)
    with pytest.raises(Unavailable, match="no longer knows job"):
        power.stop(lpar)
    assert host.faults_fired()
    assert connection.mirror.find(lpar.uuid) is not None


def test_a_job_that_cannot_be_deleted_is_no_failure(host: Host, power: Power, lpar: Lpar) -> None:
    host.fault("DELETE", JOB, Action.ERROR)
    power.start(lpar)
    assert host.faults_fired()


def test_a_job_that_takes_too_long_is_cancelled(host: Host, connection: Connection, lpar: Lpar) -> None:
    host.world.power_seconds = 60.0
    with pytest.raises(Timeout, match="PowerOn of x: not finished after 0 s"):
        jobs.run(connection.adapter, "LogicalPartition", lpar.uuid, "PowerOn", {}, 0.3, "PowerOn of x")
    cancelled = [entry for entry in host.simulator.journal.entries() if entry.path.endswith("/cancel")]
    assert len(cancelled) == 1


def test_a_stop_behind_our_back_is_told(host: Host, connection: Connection, power: Power, lpar: Lpar) -> None:
    power.start(lpar)
    told: list[PowerState] = []
    connection.mirror.watch(lambda before, after: told.append(after.power))
    other = host.connect()
    Power(other).stop(lpar)
    other.close()
    until(lambda: state(connection, lpar) is PowerState.STOPPED)
    until(lambda: told[-1:] == [PowerState.STOPPED])


def test_actions_on_one_guest_take_turns(host: Host, power: Power, lpar: Lpar) -> None:
    host.world.power_seconds = 0.2
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            list(pool.map(lambda _: power.start(lpar), range(3)))
            list(pool.map(lambda _: power.stop(lpar), range(3)))
    assert submitted(host) == ["PowerOn", "PowerOff"] * 3


def test_nothing_starts_a_partition_that_is_taken_apart(
    host: Host, connection: Connection, power: Power, lpar: Lpar
) -> None:
    with power.ending(lpar), pytest.raises(Conflict, match="being deleted"):
        power.restart(lpar, hard=True, timeout_s=0)
    assert submitted(host) == []
    power.start(lpar)
    assert state(connection, lpar) is PowerState.RUNNING
