"""Hosts that share a pool, each with Nova's own resource tracker and report client, against a real placement service.

Nova keeps one report client for a process, so what two hosts do at once is tried here: each has one of its own.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import nova.conf
import pytest
from nova import context as nova_context
from nova import exception
from nova.compute.resource_tracker import ResourceTracker
from nova.scheduler.client import report
from nova.tests.functional import fixtures as nova_fixtures
from nova.virt import fake
from tests.support.memory import FACTS, MemoryHypervisor

from bigiron.model import HostFacts
from bigiron.plugins.nova import conf, sharing
from bigiron.plugins.nova.driver import BigironDriver
from bigiron.plugins.nova.placement import Placement
from bigiron.plugins.nova.providers import PROC_UNITS

POOL = sharing.SharedPool("e357a79a-7a3d-35b6-8405-55ab6a2d0de7")
CONSUMERS = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"server {number}")) for number in range(3)]


class Hypervisor(MemoryHypervisor):
    """Reports what a test says."""

    def __init__(self, facts: HostFacts) -> None:
        super().__init__()
        self.now = facts

    def facts(self) -> HostFacts:
        return self.now


class Driver(BigironDriver):
    """Shares its pool where the option of [powervm] says so, as PowerVM's does."""

    @property
    def shares_disk_pool(self) -> bool:
        return bool(nova.conf.CONF.powervm.ssp_sharing_provider)


class Host:
    """A nova-compute as placement sees it: driver, tracker and report client."""

    def __init__(self, api: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.name = api, name
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        self.hypervisor = Hypervisor(dataclasses.replace(FACTS, disk_pool=POOL.pool))
        self.client = report.SchedulerReportClient(adapter=SimpleNamespace())
        self.driver = Driver(fake.FakeVirtAPI())
        self.driver._started = SimpleNamespace(hypervisor=self.hypervisor)
        self.driver._placement = Placement(lambda: self.client)
        self.driver.capabilities = {"supports_attach_interface": True}
        self.driver.hypervisor_type, self.driver.machines = "phyp", ("ppc64le",)
        self.tracker = ResourceTracker(name, self.driver, reportclient=self.client)
        monkeypatch.setattr(self.tracker, "_sync_compute_service_disabled_trait", lambda *_: None)

    def update(self, startup: bool = False) -> None:
        """As Nova does in its periodic task, or as the service starts."""
        self.driver.get_available_resource(self.name)
        self.claim(startup)

    def claim(self, startup: bool = False) -> None:
        """As Nova does when a server comes."""
        node = SimpleNamespace(uuid=self.uuid, hypervisor_hostname=self.name)
        self.tracker._update_to_placement(nova_context.get_admin_context(), node, startup)

    def change(self, **facts: Any) -> None:
        self.hypervisor.now = dataclasses.replace(self.hypervisor.now, **facts)

    def inventory(self) -> dict[str, Any]:
        return inventory(self.api, self.uuid)

    def traits(self) -> set[str]:
        return set(self.api.get(f"/resource_providers/{self.uuid}/traits", version="1.6").body["traits"])


def inventory(api: Any, provider: str) -> dict[str, Any]:
    return dict(api.get(f"/resource_providers/{provider}/inventories").body["inventories"])


def aggregates(api: Any, provider: str) -> list[str]:
    return list(api.get(f"/resource_providers/{provider}/aggregates", version="1.1").body["aggregates"])


def claim(api: Any, consumer: str, **resources: dict[str, int]) -> None:
    """Give a server what the scheduler would have, by provider."""
    allocations = {provider: {"resources": each} for provider, each in resources.items()}
    body = {"allocations": allocations, "consumer_generation": None, "project_id": "p", "user_id": "u"}
    answer = api.put(f"/allocations/{consumer}", body=body, version="1.28")
    assert answer.status == 204, answer.body


def claims(api: Any, consumer: str) -> dict[str, dict[str, int]]:
    found = api.get(f"/allocations/{consumer}", version="1.28").body["allocations"]
    return {provider: each["resources"] for provider, each in found.items()}


@pytest.fixture
def api() -> Iterator[Any]:
    with nova_fixtures.PlacementFixture() as placement:
        yield placement.api


@pytest.fixture
def shared() -> Iterator[Any]:
    """Turns [powervm] ssp_sharing_provider on and off."""
    conf.register(nova.conf.CONF)

    def switch(on: bool) -> None:
        nova.conf.CONF.set_override("ssp_sharing_provider", on, group="powervm")

    switch(True)
    yield switch
    nova.conf.CONF.clear_override("ssp_sharing_provider", group="powervm")


@pytest.fixture
def hosts(api: Any, shared: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Host, Host]:
    return Host(api, "power1", monkeypatch), Host(api, "power2", monkeypatch)


def test_two_hosts_share_one_provider(api: Any, hosts: tuple[Host, Host]) -> None:
    for host in (*hosts, *hosts):
        host.update()
    assert set(inventory(api, POOL.provider)) == {"DISK_GB"}
    assert aggregates(api, POOL.provider) == [POOL.aggregate]
    for host in hosts:
        assert set(host.inventory()) == {"VCPU", "MEMORY_MB", PROC_UNITS}
        assert aggregates(api, host.uuid) == [POOL.aggregate]
    found = api.get("/allocation_candidates?resources=VCPU:1,DISK_GB:10", version="1.35").body["allocation_requests"]
    assert {frozenset(each["allocations"]) for each in found} == {frozenset((h.uuid, POOL.provider)) for h in hosts}
    named = f"/allocation_candidates?resources=VCPU:1,DISK_GB:10&in_tree={hosts[0].uuid}"
    assert not api.get(named, version="1.35").body["allocation_requests"], "the guide says that this finds no room"


def test_hosts_that_write_the_pool_at_once_both_come_through(api: Any, hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    first.update()
    second.update()
    # Each has seen the pool as it was, and writes the size that it now has.
    first.change(disk_gb=600)
    second.change(disk_gb=600)
    first.update()
    second.update()
    second.change(disk_gb=700)
    second.update()
    first.change(disk_gb=700)
    first.update()
    assert inventory(api, POOL.provider)["DISK_GB"]["total"] == 700
    assert aggregates(api, POOL.provider) == [POOL.aggregate]


def test_both_may_make_it(api: Any, hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = hosts
    look = first.client.get_providers_in_tree

    def overtaken(context: Any, provider: str) -> Any:
        found = look(context, provider)
        if provider == POOL.provider and not found:
            second.update()
        return found

    monkeypatch.setattr(first.client, "get_providers_in_tree", overtaken)
    first.update()
    second.update()
    for host in hosts:
        assert aggregates(api, host.uuid) == [POOL.aggregate]
    assert set(inventory(api, POOL.provider)) == {"DISK_GB"}


def test_an_option_that_is_turned_on_moves_what_servers_have(api: Any, hosts: tuple[Host, Host], shared: Any) -> None:
    first, second = hosts
    shared(False)
    for host in hosts:
        host.update(startup=True)
    one, two, three = CONSUMERS
    claim(api, one, **{first.uuid: {"VCPU": 2, "DISK_GB": 20}})
    claim(api, two, **{first.uuid: {"DISK_GB": 30}})
    claim(api, three, **{second.uuid: {"VCPU": 1, "DISK_GB": 40}})
    shared(True)
    with pytest.raises(exception.ReshapeNeeded):
        first.update()
    for host in hosts:
        host.update(startup=True)
        assert "DISK_GB" not in host.inventory()
    assert claims(api, one) == {first.uuid: {"VCPU": 2}, POOL.provider: {"DISK_GB": 20}}
    assert claims(api, two) == {POOL.provider: {"DISK_GB": 30}}
    assert claims(api, three) == {second.uuid: {"VCPU": 1}, POOL.provider: {"DISK_GB": 40}}
    for host in hosts:
        host.update()
    shared(False)
    first.update(startup=True)
    assert claims(api, one) == {first.uuid: {"VCPU": 2, "DISK_GB": 20}}
    assert claims(api, three) == {second.uuid: {"VCPU": 1}, POOL.provider: {"DISK_GB": 40}}
    assert aggregates(api, first.uuid) == []
    assert aggregates(api, second.uuid) == [POOL.aggregate]
    first.update()


def test_a_provider_that_an_operator_shares_survives_the_move(api: Any, hosts: tuple[Host, Host], shared: Any) -> None:
    host, _ = hosts
    shared(False)
    host.update(startup=True)
    other, aggregate = str(uuid.uuid4()), str(uuid.uuid4())
    api.post("/resource_providers", body={"name": "nfs", "uuid": other})
    for path, version, value in (
        ("inventories", "1.0", {"inventories": {"CUSTOM_NFS": {"total": 9}}}),
        ("traits", "1.6", {"traits": ["MISC_SHARES_VIA_AGGREGATE"]}),
        ("aggregates", "1.19", {"aggregates": [aggregate]}),
    ):
        if path == "inventories":
            api.put("/resource_classes/CUSTOM_NFS", body={}, version="1.7")
        generation = api.get(f"/resource_providers/{other}").body["generation"]
        body = {**value, "resource_provider_generation": generation}
        assert api.put(f"/resource_providers/{other}/{path}", body=body, version=version).status == 200
    generation = api.get(f"/resource_providers/{host.uuid}").body["generation"]
    body = {"aggregates": [aggregate], "resource_provider_generation": generation}
    api.put(f"/resource_providers/{host.uuid}/aggregates", body=body, version="1.19")
    host.client.clear_provider_cache()
    shared(True)
    host.update(startup=True)
    assert inventory(api, other)["CUSTOM_NFS"]["total"] == 9
    assert set(aggregates(api, host.uuid)) == {aggregate, POOL.aggregate}
    shared(False)
    host.update(startup=True)
    assert inventory(api, other)["CUSTOM_NFS"]["total"] == 9
    assert aggregates(api, host.uuid) == [aggregate]


def test_a_host_without_servers_needs_no_allocations_to_move(api: Any, hosts: tuple[Host, Host], shared: Any) -> None:
    host, _ = hosts
    shared(False)
    host.update(startup=True)
    shared(True)
    host.update(startup=True)
    assert "DISK_GB" not in host.inventory() and "DISK_GB" in inventory(api, POOL.provider)
    shared(False)
    host.update(startup=True)
    assert "DISK_GB" in host.inventory()


def test_a_reshape_that_another_host_overtakes_is_tried_again(
    api: Any, hosts: tuple[Host, Host], shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = hosts
    shared(False)
    first.update(startup=True)
    claim(api, CONSUMERS[0], **{first.uuid: {"DISK_GB": 20}})
    shared(True)
    second.update(startup=True)
    reshape = first.client._reshape
    tries = []

    def overtaken(*given: Any) -> Any:
        if not tries:
            second.change(disk_gb=555)
            second.update()
        tries.append(1)
        return reshape(*given)

    monkeypatch.setattr(first.client, "_reshape", overtaken)
    first.change(disk_gb=555)
    first.update(startup=True)
    assert len(tries) == 2
    assert claims(api, CONSUMERS[0]) == {POOL.provider: {"DISK_GB": 20}}


def test_what_guests_hold_beyond_their_allocations_is_reserved(api: Any, hosts: tuple[Host, Host]) -> None:
    host, _ = hosts
    host.update()
    claim(api, CONSUMERS[0], **{host.uuid: {"VCPU": 1, "MEMORY_MB": 1024}})
    claim(api, CONSUMERS[1], **{host.uuid: {"VCPU": 1, "MEMORY_MB": 1024, PROC_UNITS: 50}})
    host.change(processors_used=1.0, memory_used_mb=2048)
    host.update()
    found = host.inventory()
    assert found["VCPU"]["reserved"] == 10 + 8
    assert found[PROC_UNITS]["reserved"] == 100 + 50
    assert found["MEMORY_MB"]["reserved"] == 8192
    host.change(processors_used=0.0, memory_used_mb=0)
    host.update()
    assert host.inventory()["VCPU"]["reserved"] == 10


def test_a_server_that_comes_changes_nothing_until_the_next_audit(api: Any, hosts: tuple[Host, Host]) -> None:
    """The scheduler gives of the host all the while, and each of its claims makes what Nova knows of it out of date."""
    host, _ = hosts
    host.update()
    before = host.inventory()
    host.change(processors_used=1.0, memory_reserved_mb=10240)
    for consumer in CONSUMERS:
        claim(api, consumer, **{host.uuid: {"VCPU": 1, "MEMORY_MB": 1024}})
        generation = api.get(f"/resource_providers/{host.uuid}").body["generation"]
        host.claim()
        assert host.inventory() == before
        assert api.get(f"/resource_providers/{host.uuid}").body["generation"] == generation, "nothing was written"
    host.update()
    assert host.inventory()["VCPU"]["reserved"] == 10 + 7


def test_traits_come_and_go_and_the_operators_stay(api: Any, hosts: tuple[Host, Host]) -> None:
    host, _ = hosts
    host.change(traits=frozenset({"CUSTOM_POWERVM_MODE_POWER9", "CUSTOM_POWERVM_SRIOV"}))
    host.update()
    assert {"HW_CPU_PPC64LE_POWER9", "HW_NIC_SRIOV", "CUSTOM_POWERVM_SRIOV"} <= host.traits()
    api.put("/traits/CUSTOM_RACK_7", body={}, version="1.6")
    generation = api.get(f"/resource_providers/{host.uuid}").body["generation"]
    body = {"traits": [*host.traits(), "CUSTOM_RACK_7"], "resource_provider_generation": generation}
    api.put(f"/resource_providers/{host.uuid}/traits", body=body, version="1.6")
    host.change(traits=frozenset({"CUSTOM_POWERVM_MODE_POWER10"}))
    host.update()
    found = host.traits()
    assert {"CUSTOM_RACK_7", "CUSTOM_POWERVM_MODE_POWER10", "COMPUTE_NODE"} <= found
    assert not {"HW_CPU_PPC64LE_POWER9", "HW_NIC_SRIOV", "CUSTOM_POWERVM_MODE_POWER9"} & found
