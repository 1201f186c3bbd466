"""Partitions made and removed on a simulated host: their document, whose they are, and what is refused."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest
from tests.support.powervm_host import Host, guest_spec, until

from bigiron import naming
from bigiron.errors import Conflict, Foreign, InvalidSpec, NoCapacity, NotFound, PlatformError
from bigiron.model import GuestSpec, PowerState
from bigiron.powervm.connection import Connection
from bigiron.powervm.guest import Guests
from bigiron.powervm.ledger import LedgerEntry
from bigiron.sim.kernel.faults import Action

CREATE = "/rest/api/uom/ManagedSystem/{uuid}/LogicalPartition"
LPAR = "/rest/api/uom/LogicalPartition/{uuid}"


@pytest.fixture
def guests(connection: Connection) -> Guests:
    return Guests(connection)


def bare(**fields: object) -> GuestSpec:
    return guest_spec(disks=(), nics=(), config_drive=False, **fields)


def test_a_guest_is_made_with_one_request_and_known_at_once(host: Host, connection: Connection, guests: Guests) -> None:
    spec = bare(memory_mb=4096, vcpus=2)
    calls = host.calls(lambda: guests.create(spec))
    assert calls == {f"PUT {CREATE}": 1}
    made = host.lpar(naming.lpar_uuid(spec.uuid))
    assert (made.name, made.memory.desired, made.processors.vcpus) == (spec.name, 4096, 2)
    assert made.processors.units == pytest.approx(0.2)
    assert made.description == naming.mark(spec.uuid)
    lpar = guests.find(spec.uuid)
    assert (lpar.instance, lpar.power, lpar.id) == (spec.uuid, PowerState.STOPPED, made.id)
    assert connection.mirror.named(spec.name) == lpar


def test_the_flavor_keys_reach_the_platform(host: Host, guests: Guests) -> None:
    keys = {
        "min_mem": "1024", "max_mem": "8192", "max_vcpu": "4", "proc_units": "0.5", "max_proc_units": "2",
        "shared_weight": "200", "availability_priority": "190", "enable_lpar_metric": "true", "uncapped": "true",
    }  # fmt: skip
    spec = bare(memory_mb=2048, vcpus=2, options={f"powervm:{name}": value for name, value in keys.items()})
    guests.create(spec)
    made = host.lpar(naming.lpar_uuid(spec.uuid))
    assert (made.memory.minimum, made.memory.desired, made.memory.maximum) == (1024, 2048, 8192)
    assert (made.processors.vcpus, made.processors.max_vcpus) == (2, 4)
    assert (made.processors.units, made.processors.max_units) == (0.5, 2.0)
    assert (made.processors.weight, made.availability_priority, made.metrics) == (200, 190, True)


def test_dedicated_and_capped_processors(host: Host, guests: Guests) -> None:
    whole = bare(vcpus=2, options={"powervm:dedicated_proc": "true"})
    capped = bare(options={"powervm:uncapped": "false"})
    guests.create(whole)
    guests.create(capped)
    made = host.lpar(naming.lpar_uuid(whole.uuid))
    assert made.processors.dedicated and made.processors.taken == 2
    assert host.lpar(naming.lpar_uuid(capped.uuid)).processors.sharing == "capped"


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"memory_mb": 1000}, InvalidSpec, "memory is 1000 MB, and must be a multiple of 256 MB"),
        ({"memory_mb": 1 << 20}, NoCapacity, "asks for 1048576 MB of memory"),
        ({"vcpus": 15, "options": {"powervm:dedicated_proc": "true"}}, NoCapacity, "asks for 15.00 processors"),
        ({"vcpus": 1000, "options": {"powervm:proc_units": "50"}}, (InvalidSpec, NoCapacity), "Guest"),
        ({"options": {"powervm:processor_compatibility": "POWER6"}}, InvalidSpec, "processor_compatibility"),
        ({"options": {"powervm:shared_proc_pool_name": "gold"}}, InvalidSpec, "shared_proc_pool_name is 'gold'"),
        ({"options": {"powervm:no_such": "1"}}, InvalidSpec, "powervm:no_such is not known"),
    ],
)
def test_what_the_host_cannot_make_is_refused_and_leaves_nothing(
    host: Host, connection: Connection, guests: Guests, fields: dict[str, object], error: type, words: str
) -> None:
    before = len(host.world.lpars)
    with pytest.raises(error) as refused:
        guests.create(bare(**fields))
    assert words in str(refused.value)
    assert len(host.world.lpars) == before
    assert not connection.ledger.making()


def test_the_ledger_knows_of_a_guest_before_the_platform_does(
    host: Host, connection: Connection, guests: Guests
) -> None:
    spec = bare()
    host.fault("PUT", CREATE, Action.DROP_BEFORE)
    with pytest.raises(PlatformError):
        guests.create(spec)
    assert connection.ledger.making() == [LedgerEntry(spec.uuid, spec.name, making=True)]
    files = list((host.options.state_path / "guests").iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]
    guests.discard(spec.uuid)
    assert not connection.ledger.making()


def test_a_create_whose_answer_was_lost_is_found_and_undone(host: Host, connection: Connection, guests: Guests) -> None:
    spec = bare()
    host.fault("PUT", CREATE, Action.DROP_AFTER)
    with pytest.raises(PlatformError):
        guests.create(spec)
    assert host.lpar(naming.lpar_uuid(spec.uuid)) is not None
    guests.discard(spec.uuid)
    assert host.lpar(naming.lpar_uuid(spec.uuid)) is None
    assert connection.mirror.find(naming.lpar_uuid(spec.uuid)) is None
    guests.create(spec)


def test_a_completed_guest_is_marked_on_the_platform_alone(connection: Connection, guests: Guests) -> None:
    spec = bare()
    guests.create(spec)
    guests.completed(spec.uuid)
    assert connection.ledger.find(naming.lpar_uuid(spec.uuid)) is None
    assert guests.find(spec.uuid).instance == spec.uuid


def test_where_the_platform_keeps_no_mark_the_ledger_does(host: Host, connection: Connection, guests: Guests) -> None:
    spec = bare()
    guests.create(spec)
    host.lpar(naming.lpar_uuid(spec.uuid)).description = None
    connection.mirror.load()
    guests.completed(spec.uuid)
    assert guests.find(spec.uuid).instance == spec.uuid
    again = host.connect()
    try:
        assert Guests(again).find(spec.uuid).instance == spec.uuid
    finally:
        again.close()


def test_names_and_uuids_of_others_are_left_alone(host: Host, guests: Guests) -> None:
    spec = bare()
    guests.create(spec)
    with pytest.raises(Conflict, match="made for instance"):
        guests.create(bare(name=spec.name))
    stranger = host.lpar(naming.lpar_uuid(spec.uuid))
    with host.world.lock:
        stranger.description = "payroll, do not touch"
        host.world.touch(stranger)
    other = host.connect()
    guests.completed(spec.uuid)
    other.close()
    fresh = host.connect()
    try:
        with pytest.raises(Foreign, match="carries no mark of OpenStack"):
            Guests(fresh).create(bare(name=spec.name))
        with pytest.raises(Foreign, match="bigiron adopt"):
            Guests(fresh).find(spec.uuid)
    finally:
        fresh.close()
    assert host.lpar(naming.lpar_uuid(spec.uuid)) is stranger


def test_deleting_twice_is_no_error(host: Host, guests: Guests) -> None:
    spec = bare()
    lpar = guests.create(spec)
    calls = host.calls(lambda: guests.delete(lpar))
    assert calls == {f"DELETE {LPAR}": 1}
    guests.delete(lpar)
    with pytest.raises(NotFound, match=spec.uuid):
        guests.find(spec.uuid)


def test_a_guest_deleted_behind_our_back_is_noticed(host: Host, connection: Connection, guests: Guests) -> None:
    spec = bare()
    lpar = guests.create(spec)
    other = host.connect()
    Guests(other).delete(lpar)
    other.close()
    until(lambda: connection.mirror.find(lpar.uuid) is None)


def test_adoption_marks_what_an_older_driver_made(host: Host, connection: Connection, guests: Guests) -> None:
    spec = bare()
    lpar = guests.create(spec)
    guests.completed(spec.uuid)
    made = host.lpar(lpar.uuid)
    with host.world.lock:
        made.description = None
        host.world.touch(made)
    connection.mirror.load()
    with pytest.raises(Foreign):
        guests.find(spec.uuid)
    with pytest.raises(Foreign, match="not adopted"):
        guests.adopt(spec.uuid, "another-name")
    assert guests.adopt(spec.uuid, spec.name)
    assert made.description == naming.mark(spec.uuid)
    assert guests.find(spec.uuid).instance == spec.uuid
    assert not guests.adopt(spec.uuid, spec.name)
    assert not guests.adopt(bare().uuid, "nobody")


def test_the_management_partition_is_never_adopted(host: Host, connection: Connection, guests: Guests) -> None:
    manager = next((lpar for lpar in connection.mirror.lpars() if lpar.management), None)
    if manager is None:
        manager = replace(guests.create(bare()), management=True, instance=None)
        connection.mirror._lpars[manager.uuid] = manager
    with pytest.raises(Foreign, match="belongs to the platform"):
        guests.adopt(manager.uuid.lower(), manager.name)
