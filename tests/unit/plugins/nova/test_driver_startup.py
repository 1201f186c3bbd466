"""What the driver makes of Nova's instances when the service starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception, objects
from nova.compute import power_state, task_states, vm_states
from nova.virt import fake
from tests.support.memory import MemoryHypervisor

from bigiron import errors
from bigiron.model import GuestState, PowerState
from bigiron.plugins.nova.driver import BigironDriver

HERE, GONE, FOREIGN, BUILDING, BUILT = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "12345")


class Host(MemoryHypervisor):
    """A host on which somebody else has the place of two instances."""

    def guest(self, uuid: str, fresh: bool = False) -> GuestState:
        if uuid in (FOREIGN, BUILDING):
            raise errors.Foreign(f"LPAR {uuid} carries no mark: run `bigiron adopt`.")
        return super().guest(uuid, fresh)

    def destroy(self, uuid: str, keep_disks: bool = False) -> None:
        raise errors.Foreign(f"LPAR {uuid} carries no mark: run `bigiron adopt`.")


def instance(uuid: str, vm_state: str = vm_states.ACTIVE, task_state: str | None = None) -> Any:
    return SimpleNamespace(uuid=uuid, vm_state=vm_state, task_state=task_state)


def test_a_server_whose_guest_is_not_ours_does_not_keep_the_service_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host()
    host.guests_by_uuid[HERE] = GuestState(HERE, "here", PowerState.RUNNING)
    driver = BigironDriver(fake.FakeVirtAPI())
    monkeypatch.setattr(driver, "_started", SimpleNamespace(hypervisor=host))
    building = instance(BUILDING, vm_states.BUILDING, task_states.SPAWNING)
    instances = [instance(HERE), instance(GONE), instance(FOREIGN), building]
    kept = driver.process_instances_at_startup(None, instances)
    assert [one.uuid for one in kept] == [HERE, GONE, BUILDING]
    assert f"LPAR {FOREIGN} carries no mark: run `bigiron adopt`" in caplog.text


def test_before_nova_34_the_driver_asks_for_the_instances_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    host.guests_by_uuid[HERE] = GuestState(HERE, "here", PowerState.RUNNING)
    driver = BigironDriver(fake.FakeVirtAPI())
    monkeypatch.setattr(driver, "_started", SimpleNamespace(hypervisor=host))
    driver.hypervisor_type, driver.machines = "phyp", ("ppc64le",)
    foreign = instance(FOREIGN)
    foreign.power_state = power_state.SHUTDOWN
    monkeypatch.setattr(objects.InstanceList, "get_by_host", lambda context, host: [instance(HERE), foreign])
    driver._process_instances("power1")
    assert driver.get_info(foreign).state == power_state.SHUTDOWN, "as Nova has it, so that it does nothing"
    driver.plug_vifs(foreign, [{"id": "p"}])
    assert driver.get_info(instance(HERE)).state == power_state.RUNNING
    driver.get_available_resource("power1")
    with pytest.raises(exception.HypervisorUnavailable, match="carries no mark"):
        driver.get_info(foreign)


@pytest.mark.parametrize(("half_made", "left"), [(False, [BUILT]), (True, [])])
def test_a_complete_guest_stays_though_nova_was_ended_before_it_knew(
    monkeypatch: pytest.MonkeyPatch, half_made: bool, left: list[str]
) -> None:
    host = MemoryHypervisor()
    host.guests_by_uuid[BUILT] = GuestState(BUILT, "built", PowerState.RUNNING)
    host.half_made = {BUILT} if half_made else set()
    driver = BigironDriver(fake.FakeVirtAPI())
    monkeypatch.setattr(driver, "_started", SimpleNamespace(hypervisor=host))
    unshelved = instance(BUILT, vm_states.SHELVED_OFFLOADED, task_states.SPAWNING)
    assert driver.process_instances_at_startup(None, [unshelved]) == [unshelved]
    assert list(host.guests_by_uuid) == left


def test_a_guest_that_is_gone_does_not_keep_the_service_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver = BigironDriver(fake.FakeVirtAPI())
    monkeypatch.setattr(driver, "_started", SimpleNamespace(hypervisor=MemoryHypervisor()))
    driver.process_instances_at_startup(None, [])
    port = {"id": "p", "address": "fa:16:3e:00:00:01", "type": "pvm_sea", "details": {"vlan": 7}, "network": {}}
    with pytest.raises(exception.VirtualInterfacePlugException, match="has no guest"):
        driver.plug_vifs(instance(GONE), [port])
    # It was removed, and Nova ended before it knew.
    driver.plug_vifs(instance(GONE, vm_states.SHELVED, task_states.SHELVING_OFFLOADING), [port])
    assert caplog.text.count("has no guest on this host") == 2
