"""What the host reports to Nova and placement: inventory, traits and the resource view, all from HostFacts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import os_resource_classes as orc
import os_traits

from bigiron.model import HostFacts

_TRAITS = {
    "ppc64le": (os_traits.HW_ARCH_PPC64LE, os_traits.COMPUTE_ARCH_PPC64LE),
    "ppc64": (os_traits.HW_ARCH_PPC64, os_traits.HW_ARCH_PPC64LE, os_traits.COMPUTE_ARCH_PPC64LE),
}


def inventory(facts: HostFacts, ratios: Mapping[str, float], reserved_disk_gb: int) -> dict[str, dict[str, Any]]:
    """The inventory of the compute node's provider.

    A VCPU is the share of a processor that a virtual processor gets by default, so that placement counts what the
    platform will really hand out. Memory is dedicated to a guest and given out in blocks of `memory_unit_mb`; what
    the hypervisor and the service partitions hold is reserved.
    """
    vcpus = math.floor(facts.processors / facts.processors_per_vcpu + 1e-6)
    reserved_vcpus = min(vcpus, math.ceil(facts.processors_reserved / facts.processors_per_vcpu - 1e-6))
    result: dict[str, dict[str, Any]] = {
        orc.MEMORY_MB: {
            "total": facts.memory_mb,
            "reserved": min(facts.memory_mb, facts.memory_reserved_mb),
            "min_unit": facts.memory_unit_mb,
            "max_unit": facts.memory_mb,
            "step_size": facts.memory_unit_mb,
            "allocation_ratio": ratios[orc.MEMORY_MB],
        },
    }
    if vcpus:
        result[orc.VCPU] = {
            "total": vcpus,
            "reserved": reserved_vcpus,
            "min_unit": 1,
            "max_unit": max(1, min(vcpus, facts.max_vcpus_per_guest)),
            "step_size": 1,
            "allocation_ratio": ratios[orc.VCPU],
        }
    # Placement refuses an inventory of nothing, which is what a pool that cannot be read just now reports.
    if facts.disk_gb > 0:
        result[orc.DISK_GB] = {
            "total": facts.disk_gb,
            "reserved": min(facts.disk_gb, reserved_disk_gb),
            "min_unit": 1,
            "max_unit": facts.disk_gb,
            "step_size": 1,
            "allocation_ratio": ratios[orc.DISK_GB],
        }
    return result


def allocation_ratios(conf: Any, current: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The ratios that nova.conf sets, else those that an operator set in placement, else 1.0: nothing is shared out
    twice on a platform that dedicates what it gives."""
    configured = {
        orc.VCPU: conf.cpu_allocation_ratio,
        orc.MEMORY_MB: conf.ram_allocation_ratio,
        orc.DISK_GB: conf.disk_allocation_ratio,
    }
    return {
        name: float(ratio or current.get(name, {}).get("allocation_ratio") or 1.0) for name, ratio in configured.items()
    }


def traits(facts: HostFacts) -> set[str]:
    """The traits that the host itself has; the driver adds those of its capabilities."""
    return set(_TRAITS.get(facts.architecture, ())) | set(facts.traits)


def own(facts: HostFacts, names: Iterable[str]) -> set[str]:
    """Those that only the driver sets: with the platform's name for a prefix."""
    prefix = f"CUSTOM_{facts.hypervisor.upper()}_"
    return {name for name in names if name.startswith(prefix)}


def resource_view(facts: HostFacts, nodename: str, hypervisor_type: str, machines: Sequence[str]) -> dict[str, Any]:
    """The dictionary that Nova's resource tracker keeps for the node."""
    per_vcpu = facts.processors_per_vcpu
    return {
        "vcpus": math.floor(facts.processors / per_vcpu + 1e-6),
        "vcpus_used": math.ceil((facts.processors_reserved + facts.processors_used) / per_vcpu - 1e-6),
        "memory_mb": facts.memory_mb,
        "memory_mb_used": facts.memory_reserved_mb + facts.memory_used_mb,
        "local_gb": facts.disk_gb,
        "local_gb_used": facts.disk_used_gb,
        "disk_available_least": max(0, facts.disk_gb - facts.disk_used_gb),
        "hypervisor_type": hypervisor_type,
        "hypervisor_version": facts.version,
        "hypervisor_hostname": nodename,
        "cpu_info": json.dumps({"vendor": "ibm", "arch": facts.architecture, "model": facts.model}),
        "supported_instances": [(machine, hypervisor_type, "hvm") for machine in machines],
        "numa_topology": None,
        "stats": {
            "memory_region_size": facts.memory_unit_mb,
            "proc_units": f"{facts.processors:.2f}",
            "proc_units_reserved": f"{facts.processors_reserved:.2f}",
            "proc_units_used": f"{facts.processors_used:.2f}",
            **facts.details,
        },
    }
