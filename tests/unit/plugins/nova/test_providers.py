"""What placement and Nova are told of the host."""

from __future__ import annotations

import dataclasses

import pytest
from oslo_config import cfg
from tests.support.memory import FACTS

from bigiron.plugins.nova import providers
from bigiron.plugins.nova.providers import PROC_UNITS, Policy

POLICY = Policy({"VCPU": 1.0, "MEMORY_MB": 1.0, "DISK_GB": 1.0})


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    for name, initial in (("cpu", 4.0), ("ram", 1.0), ("disk", 1.0)):
        made.register_opt(cfg.FloatOpt(f"{name}_allocation_ratio"))
        made.register_opt(cfg.FloatOpt(f"initial_{name}_allocation_ratio", default=initial))
    made([])
    return made


def test_the_hypervisors_and_the_service_partitions_share_is_reserved() -> None:
    inventory = providers.inventory(FACTS, POLICY, {})
    assert (inventory["MEMORY_MB"]["total"], inventory["MEMORY_MB"]["reserved"]) == (65536, 8192)
    assert (inventory["VCPU"]["total"], inventory["VCPU"]["reserved"]) == (80, 10)
    assert (inventory[PROC_UNITS]["total"], inventory[PROC_UNITS]["reserved"]) == (800, 100)
    assert "DISK_GB" not in inventory


def test_an_operator_may_reserve_more_but_not_less() -> None:
    more = dataclasses.replace(POLICY, reserved_memory_mb=16384, reserved_vcpus=20)
    inventory = providers.inventory(FACTS, more, {})
    assert (inventory["MEMORY_MB"]["reserved"], inventory["VCPU"]["reserved"]) == (16384, 20)
    less = dataclasses.replace(POLICY, reserved_memory_mb=512, reserved_vcpus=1)
    assert providers.inventory(FACTS, less, {}) == providers.inventory(FACTS, POLICY, {})


def test_memory_comes_in_blocks_and_processors_up_to_the_partitions_limit() -> None:
    inventory = providers.inventory(FACTS, POLICY, {})
    assert (inventory["MEMORY_MB"]["min_unit"], inventory["MEMORY_MB"]["step_size"]) == (256, 256)
    assert inventory["VCPU"]["max_unit"] == 64
    assert inventory[PROC_UNITS]["max_unit"] == 800
    odd = dataclasses.replace(FACTS, memory_mb=65600, memory_reserved_mb=8200)
    memory = providers.inventory(odd, POLICY, {})["MEMORY_MB"]
    assert (memory["total"], memory["reserved"], memory["max_unit"]) == (65536, 8448, 65536)


def test_what_guests_hold_beyond_their_allocations_is_not_offered_again() -> None:
    busy = dataclasses.replace(FACTS, processors_used=2.0)
    inventory = providers.inventory(busy, POLICY, {"VCPU": 4, "MEMORY_MB": 4096})
    assert inventory["VCPU"]["reserved"] == 10 + 16, "20 VCPUs' worth are held, and 4 are allocated"
    assert inventory[PROC_UNITS]["reserved"] == 100 + 200, "no flavor asked for any"
    asked = providers.inventory(busy, POLICY, {"VCPU": 4, PROC_UNITS: 150})
    assert asked[PROC_UNITS]["reserved"] == 100 + 50


def test_allocations_that_are_there_always_fit() -> None:
    """Nova moves them from server to migration and back, and placement then holds them against the capacity."""
    for used in (0.0, 0.35, 1.0, 3.17, 6.99, 7.0):
        for allocated in (0, 1, 3, 17, 69, 70):
            busy = dataclasses.replace(FACTS, processors_used=used)
            vcpu = providers.inventory(busy, POLICY, {"VCPU": allocated})["VCPU"]
            assert vcpu["total"] - vcpu["reserved"] >= allocated


def test_a_ratio_that_an_operator_set_applies_to_what_guests_hold_as_well() -> None:
    busy = dataclasses.replace(FACTS, processors_used=2.0)
    policy = dataclasses.replace(POLICY, ratios={**POLICY.ratios, "VCPU": 4.0})
    vcpu = providers.inventory(busy, policy, {"VCPU": 4})["VCPU"]
    assert (vcpu["reserved"], vcpu["allocation_ratio"]) == (10 + 4, 4.0)


def test_factors_that_do_not_divide_evenly_lose_no_vcpu() -> None:
    facts = dataclasses.replace(FACTS, processors=0.3, processors_reserved=0.0, processors_per_vcpu=0.1)
    assert providers.inventory(facts, POLICY, {})["VCPU"]["total"] == 3


def test_a_pool_of_nothing_is_left_out() -> None:
    assert providers.disk_inventory(0, POLICY) == {}
    disk = providers.disk_inventory(500, dataclasses.replace(POLICY, reserved_disk_gb=5))["DISK_GB"]
    assert (disk["total"], disk["reserved"], disk["max_unit"]) == (500, 5, 500)


def test_nothing_is_shared_out_twice_unless_an_operator_says_so(conf: cfg.ConfigOpts) -> None:
    assert providers.allocation_ratios(conf, {}) == POLICY.ratios
    assert providers.allocation_ratios(conf, {"VCPU": {"allocation_ratio": 2.0}})["VCPU"] == 2.0
    conf.set_override("initial_cpu_allocation_ratio", 3.0)
    assert providers.allocation_ratios(conf, {})["VCPU"] == 3.0
    assert providers.allocation_ratios(conf, {"VCPU": {"allocation_ratio": 2.0}})["VCPU"] == 2.0
    conf.set_override("cpu_allocation_ratio", 8.0)
    assert providers.allocation_ratios(conf, {"VCPU": {"allocation_ratio": 2.0}})["VCPU"] == 8.0


def test_the_resource_view_counts_what_is_reserved_as_used() -> None:
    view = providers.resource_view(FACTS, "node", "phyp", ("ppc64", "ppc64le"))
    assert (view["vcpus"], view["vcpus_used"]) == (80, 10)
    assert (view["memory_mb"], view["memory_mb_used"]) == (65536, 8192)
    assert (view["local_gb"], view["local_gb_used"], view["disk_available_least"]) == (500, 10, 490)
    assert view["hypervisor_hostname"] == "node"
    assert ("ppc64le", "phyp", "hvm") in view["supported_instances"]


def test_traits_name_the_architecture_and_what_the_platform_adds() -> None:
    assert {"HW_ARCH_PPC64LE", "COMPUTE_ARCH_PPC64LE", "CUSTOM_POWERVM"} <= providers.traits(FACTS)
    modes = dataclasses.replace(FACTS, traits=frozenset({"CUSTOM_POWERVM_MODE_POWER9", "CUSTOM_POWERVM_MODE_POWER10"}))
    assert {"HW_CPU_PPC64LE_POWER9", "CUSTOM_POWERVM_MODE_POWER10"} <= providers.traits(modes)
    assert "HW_CPU_PPC64LE_POWER8" not in providers.traits(modes)


def test_only_the_drivers_own_traits_are_ever_taken_back() -> None:
    names = ["CUSTOM_POWERVM_DISK_SSP", "CUSTOM_RACK_7", "HW_ARCH_PPC64LE", "CUSTOM_POWERVMISH", "HW_NIC_SRIOV"]
    assert providers.own(FACTS, names) == {"CUSTOM_POWERVM_DISK_SSP", "HW_NIC_SRIOV"}
