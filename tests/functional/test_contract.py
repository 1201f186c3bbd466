"""What hypervisor.py says of its verbs, held against both platforms: the same tests, a simulator beneath each."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.functional import world
from tests.support import powervm_host, zvm_host
from tests.support import steps as runner
from tests.support.images import BytesImage

from bigiron.errors import Conflict, NotFound, PlatformError
from bigiron.hypervisor import NICS_READY, Hypervisor, Key, Step, Values
from bigiron.model import DiskRole, DiskSpec, GuestSpec, NicSpec, PowerState

PLATFORMS = ("powervm", "zvm")


@dataclass
class Contract:
    """A started platform, and how to make guests on it and to see all that it has."""

    hypervisor: Hypervisor
    folder: Path
    make_spec: Callable[..., GuestSpec]
    make_nic: Callable[[], NicSpec]
    image: BytesImage
    state: Callable[[], Any]

    def spec(self, **fields: Any) -> GuestSpec:
        return self.make_spec(**{"memory_mb": 1024, "nics": (), "config_drive": True, "power_on": False, **fields})

    def run(self, spec: GuestSpec) -> None:
        self.hypervisor.check(spec)
        runner.run(runner.around(self.hypervisor.spawn_steps(spec), spec, self.folder))

    def spawn(self, **fields: Any) -> GuestSpec:
        spec = self.spec(**fields)
        self.run(spec)
        return spec

    def power(self, spec: GuestSpec) -> PowerState:
        return self.hypervisor.guest(spec.uuid, fresh=True).power


@contextlib.contextmanager
def on_powervm(folder: Path) -> Iterator[Contract]:
    image = BytesImage(b"boot disk " * 1000)
    with powervm_host.serve(folder) as host, host.platform() as platform:

        def spec(**fields: Any) -> GuestSpec:
            return powervm_host.guest_spec(image, **fields)

        def state() -> Any:
            with host.simulator.services.locked() as simulated:
                return world.objects(simulated.to_state())

        yield Contract(platform, folder, spec, powervm_host.nic, image, state)
        assert host.audit() == []


@contextlib.contextmanager
def on_zvm(folder: Path) -> Iterator[Contract]:
    with zvm_host.serve(folder) as host, host.started() as platform:

        def state() -> Any:
            found = host.state()
            for guest in found["guests"].values():
                # What a guest that does not run is told of its adapters waits there until it starts.
                del guest["reader"]
            return found

        yield Contract(platform, folder, host.spec, host.nic, host.image, state)
        host.check_clean()


@pytest.fixture(scope="module", params=PLATFORMS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    make = {"powervm": on_powervm, "zvm": on_zvm}[request.param]
    with make(tmp_path_factory.mktemp(request.param)) as contract:
        # The image, and what is made once, is there from here on.
        contract.hypervisor.destroy(contract.spawn().uuid)
        yield contract


@pytest.fixture
def contract(served: Contract) -> Iterator[Contract]:
    """Each test leaves the platform as it found it."""
    before = served.state()
    yield served
    try:
        assert served.hypervisor.guests() == []
        assert served.state() == before
    finally:
        # What one test has left is not to fail the others.
        for state in served.hypervisor.guests():
            served.hypervisor.destroy(state.uuid)


def test_what_is_not_there_is_not_found(contract: Contract) -> None:
    nobody, hypervisor = str(uuid.uuid4()), contract.hypervisor
    asked: list[Callable[[], object]] = [
        lambda: hypervisor.guest(nobody),
        lambda: hypervisor.report(nobody),
        lambda: hypervisor.power_on(nobody),
        lambda: hypervisor.power_off(nobody),
        lambda: hypervisor.reboot(nobody, hard=True),
        lambda: hypervisor.console_output(nobody, 100),
        lambda: hypervisor.attach(nobody, contract.make_nic()),
        lambda: hypervisor.detach(nobody, contract.make_nic()),
    ]
    for ask in asked:
        with pytest.raises(NotFound):
            ask()
    assert not hypervisor.is_made(nobody)
    assert not hypervisor.is_half_made(nobody)
    assert hypervisor.destroy(nobody) is False
    assert nobody not in hypervisor.reconcile([])


def test_a_guest_is_made_once_and_destroyed_once(contract: Contract) -> None:
    hypervisor = contract.hypervisor
    spec = contract.spawn(nics=(contract.make_nic(),), power_on=True)
    (state,) = hypervisor.guests()
    assert (state.uuid, state.name, state.memory_mb, state.vcpus) == (spec.uuid, spec.name, 1024, 1)
    assert contract.power(spec) is PowerState.RUNNING
    assert hypervisor.is_made(spec.uuid)
    assert not hypervisor.is_half_made(spec.uuid)
    with pytest.raises(Conflict, match=r"already|is taken"):
        contract.run(spec)
    hypervisor.check(spec, replacing=True)
    assert hypervisor.reconcile([]) == []
    assert hypervisor.destroy(spec.uuid) is True
    assert hypervisor.destroy(spec.uuid) is False


def test_power_that_is_already_so_is_a_success(contract: Contract) -> None:
    hypervisor = contract.hypervisor
    spec = contract.spawn()
    assert contract.power(spec) is PowerState.STOPPED
    for verb, state in (
        (hypervisor.power_on, PowerState.RUNNING),
        (hypervisor.power_off, PowerState.STOPPED),
    ):
        for _ in range(2):
            verb(spec.uuid)
            assert contract.power(spec) is state
    hypervisor.reboot(spec.uuid, hard=True)
    assert contract.power(spec) is PowerState.RUNNING
    hypervisor.reboot(spec.uuid, hard=True)
    hypervisor.destroy(spec.uuid)


class Fails(Step):
    """In the place of the plug-in's wait for the network, without which no guest starts: it does not work."""

    name = "fails"
    provides = NICS_READY

    def __init__(self, after: Key[Any]) -> None:
        self.needs = (after,)

    def execute(self, values: Values) -> None:
        raise PlatformError("As it is told to.")


def test_what_fails_in_the_middle_leaves_nothing(contract: Contract) -> None:
    before = contract.state()
    for part in (0.0, 0.5, 1.0):
        spec = contract.spec(nics=(contract.make_nic(),))
        steps = contract.hypervisor.spawn_steps(spec)
        keys = [step.provides for step in steps if step.provides is not None and NICS_READY not in step.needs]
        failing = Fails(keys[int(part * (len(keys) - 1))])
        around = [step for step in runner.around(steps, spec, contract.folder) if step.provides is not NICS_READY]
        with pytest.raises(PlatformError, match="As it is told to"):
            runner.run([*around, failing])
        assert contract.state() == before
        assert not contract.hypervisor.is_made(spec.uuid)
        assert not contract.hypervisor.is_half_made(spec.uuid)


def test_steps_provide_each_thing_once(contract: Contract) -> None:
    spec = contract.spec(nics=(contract.make_nic(), contract.make_nic()))
    steps = contract.hypervisor.spawn_steps(spec)
    provided = [step.provides.name for step in steps if step.provides is not None]
    assert len(provided) == len(set(provided))
    assert len({step.name for step in steps}) == len(steps)


def test_adapters_that_are_already_so_are_a_success(contract: Contract) -> None:
    hypervisor = contract.hypervisor
    spec = contract.spawn()
    bare = contract.state()
    nic = contract.make_nic()
    hypervisor.attach(spec.uuid, nic)
    attached = contract.state()
    hypervisor.plug(spec.uuid, nic)
    assert contract.state() == attached
    for _ in range(2):
        hypervisor.detach(spec.uuid, nic)
    hypervisor.plug(spec.uuid, nic)
    for _ in range(2):
        hypervisor.unplug(spec.uuid, nic)
    assert contract.state() == bare
    hypervisor.destroy(spec.uuid)


def test_a_resize_to_what_is_there_has_no_steps(contract: Contract) -> None:
    hypervisor = contract.hypervisor
    spec = contract.spawn()
    shape = replace(spec, disks=(), nics=())
    assert list(hypervisor.resize_steps(shape)) == []
    for memory_mb in (2048, 1024):
        runner.run(hypervisor.resize_steps(replace(shape, memory_mb=memory_mb)))
        assert hypervisor.guest(spec.uuid).memory_mb == memory_mb
        assert hypervisor.report(spec.uuid).memory_mb == memory_mb
        assert contract.power(spec) is PowerState.STOPPED
    assert list(hypervisor.resize_steps(shape)) == []
    hypervisor.destroy(spec.uuid)


def test_images_are_fetched_once_and_go_when_they_are_old(contract: Contract) -> None:
    hypervisor = contract.hypervisor
    before = contract.state()
    other = replace(contract.image, id=str(uuid.uuid4()))
    assert hypervisor.cache_image(other) is True
    assert hypervisor.cache_image(other) is False
    assert hypervisor.trim_images({contract.image.id, other.id}, 0.0) == []
    assert hypervisor.trim_images({contract.image.id}, 1000.0) == []
    assert len(hypervisor.trim_images({contract.image.id}, 0.0)) == 1
    assert contract.state() == before


def test_the_host_says_what_it_has(contract: Contract) -> None:
    spec = contract.spec(disks=(DiskSpec(DiskRole.ROOT, 1, contract.image),))
    contract.run(spec)
    facts = contract.hypervisor.facts()
    assert facts.guests == 1
    assert 0 < facts.memory_used_mb + facts.memory_reserved_mb < facts.memory_mb
    assert facts.disk_used_gb <= facts.disk_gb
    assert contract.hypervisor.uptime()
    report = contract.hypervisor.report(spec.uuid)
    assert (report.memory_mb, report.vcpus, report.config_drive) == (1024, 1, True)
    contract.hypervisor.destroy(spec.uuid)
