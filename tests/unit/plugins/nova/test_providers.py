"""What placement and Nova are told of the host."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from tests.support.memory import FACTS

from bigiron.plugins.nova import providers

RATIOS = {"VCPU": 1.0, "MEMORY_MB": 1.0, "DISK_GB": 1.0}
UNSET = SimpleNamespace(cpu_allocation_ratio=None, ram_allocation_ratio=None, disk_allocation_ratio=None)


def test_the_hypervisors_and_the_service_partitions_share_is_reserved() -> None:
    inventory = providers.inventory(FACTS, RATIOS, reserved_disk_gb=5)
    assert (inventory["MEMORY_MB"]["total"], inventory["MEMORY_MB"]["reserved"]) == (65536, 8192)
    assert (inventory["VCPU"]["total"], inventory["VCPU"]["reserved"]) == (80, 10)
    assert (inventory["DISK_GB"]["total"], inventory["DISK_GB"]["reserved"]) == (500, 5)


def test_memory_comes_in_blocks_and_processors_up_to_the_partitions_limit() -> None:
    inventory = providers.inventory(FACTS, RATIOS, 0)
    assert (inventory["MEMORY_MB"]["min_unit"], inventory["MEMORY_MB"]["step_size"]) == (256, 256)
    assert inventory["VCPU"]["max_unit"] == 64


def test_factors_that_do_not_divide_evenly_lose_no_vcpu() -> None:
    facts = dataclasses.replace(FACTS, processors=0.3, processors_reserved=0.0, processors_per_vcpu=0.1)
    assert providers.inventory(facts, RATIOS, 0)["VCPU"]["total"] == 3


def test_a_pool_of_nothing_is_left_out() -> None:
    assert "DISK_GB" not in providers.inventory(dataclasses.replace(FACTS, disk_gb=0), RATIOS, 0)


def test_nothing_is_shared_out_twice_unless_an_operator_says_so() -> None:
    assert providers.allocation_ratios(UNSET, {}) == RATIOS
    assert providers.allocation_ratios(UNSET, {"VCPU": {"allocation_ratio": 4.0}})["VCPU"] == 4.0
    conf = SimpleNamespace(cpu_allocation_ratio=8.0, ram_allocation_ratio=None, disk_allocation_ratio=None)
    assert providers.allocation_ratios(conf, {"VCPU": {"allocation_ratio": 4.0}})["VCPU"] == 8.0


def test_the_resource_view_counts_what_is_reserved_as_used() -> None:
    view = providers.resource_view(FACTS, "node", "phyp", ("ppc64", "ppc64le"))
    assert (view["vcpus"], view["vcpus_used"]) == (80, 10)
    assert (view["memory_mb"], view["memory_mb_used"]) == (65536, 8192)
    assert (view["local_gb"], view["local_gb_used"], view["disk_available_least"]) == (500, 10, 490)
    assert view["hypervisor_hostname"] == "node"
    assert ("ppc64le", "phyp", "hvm") in view["supported_instances"]


def test_traits_name_the_architecture_and_what_the_platform_adds() -> None:
    assert {"HW_ARCH_PPC64LE", "COMPUTE_ARCH_PPC64LE", "CUSTOM_POWERVM"} <= providers.traits(FACTS)


def test_only_the_drivers_own_traits_are_ever_taken_back() -> None:
    names = ["CUSTOM_POWERVM_DISK_SSP", "CUSTOM_RACK_7", "HW_ARCH_PPC64LE", "CUSTOM_POWERVMISH"]
    assert providers.own(FACTS, names) == {"CUSTOM_POWERVM_DISK_SSP"}
