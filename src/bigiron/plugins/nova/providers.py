"""What the host reports to Nova and placement: inventory, traits and the resource view, all from HostFacts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import os_resource_classes as orc
import os_traits
from oslo_config import cfg

from bigiron.model import HostFacts
from bigiron.plugins.nova import pci

PROC_UNITS = "CUSTOM_POWERVM_PROC_UNITS"
"""Hundredths of a processor, for flavors that say `resources:CUSTOM_POWERVM_PROC_UNITS`."""

_TRAITS = {
    "ppc64le": (os_traits.HW_ARCH_PPC64LE, os_traits.COMPUTE_ARCH_PPC64LE),
    "s390x": (os_traits.HW_ARCH_S390X, os_traits.COMPUTE_ARCH_S390X),
    "ppc64": (os_traits.HW_ARCH_PPC64, os_traits.HW_ARCH_PPC64LE, os_traits.COMPUTE_ARCH_PPC64LE),
}
_STANDARD = {
    "CUSTOM_POWERVM_MODE_POWER8": os_traits.HW_CPU_PPC64LE_POWER8,
    "CUSTOM_POWERVM_MODE_POWER9": os_traits.HW_CPU_PPC64LE_POWER9,
    "CUSTOM_POWERVM_SRIOV": os_traits.HW_NIC_SRIOV,
}
"""OpenStack's names beside the platform's, where it has them; POWER10 and POWER11 have none."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What nova.conf and placement say of the inventory: ratios by resource class, and what is to be kept back."""

    ratios: Mapping[str, float]
    reserved_memory_mb: int = 0
    reserved_vcpus: int = 0
    reserved_disk_gb: int = 0


def inventory(facts: HostFacts, policy: Policy, allocated: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """The inventory of the compute node's provider, its disks apart; `allocated` is what placement has given out.

    A VCPU is the share of a processor that a virtual processor gets by default. A flavor may ask for more of a
    processor with each, and placement would not know: what guests hold beyond what is allocated to them is reserved,
    so that what is free is free. In this way no move of an allocation that is there can be refused. Memory is
    dedicated to a guest and given out in blocks of `memory_unit_mb`; what the hypervisor and the service partitions
    hold is reserved, and `reserved_host_memory_mb` where that is more.
    """
    per_vcpu, unit = facts.processors_per_vcpu, facts.memory_unit_mb
    memory = facts.memory_mb // unit * unit
    held = math.ceil(facts.memory_reserved_mb / unit) * unit
    vcpus = math.floor(facts.processors / per_vcpu + _EXACT)
    limit = max(1, min(vcpus, facts.max_vcpus_per_guest))
    sizes = (
        _Size(orc.MEMORY_MB, memory, max(held, policy.reserved_memory_mb), facts.memory_used_mb, memory, unit),
        _Size(
            orc.VCPU,
            vcpus,
            max(math.ceil(facts.processors_reserved / per_vcpu - _EXACT), policy.reserved_vcpus),
            math.floor(facts.processors_used / per_vcpu + _EXACT),
            limit,
        ),
        *(_processor_units(facts) if facts.divides_processors else ()),
    )
    # Placement refuses an inventory of nothing.
    return {one.name: one.record(policy.ratios, allocated) for one in sizes if one.total > 0}


def _processor_units(facts: HostFacts) -> tuple[_Size, ...]:
    """The processors once more, by the hundredth."""
    return (
        _Size(
            PROC_UNITS,
            _hundredths(facts.processors),
            _hundredths(facts.processors_reserved),
            _hundredths(facts.processors_used),
            min(_hundredths(facts.processors), 100 * facts.max_vcpus_per_guest),
        ),
    )


_EXACT = 1e-6
"""What a quotient of binary fractions may be off by."""


def _hundredths(processors: float) -> int:
    return round(100 * processors)


@dataclass(frozen=True, slots=True)
class _Size:
    """One resource class of a host: what there is, what is kept back, and what our guests hold of the rest."""

    name: str
    total: int
    reserved: int
    held: int
    largest: int
    unit: int = 1

    def record(self, ratios: Mapping[str, float], allocated: Mapping[str, int]) -> dict[str, Any]:
        ratio = ratios.get(self.name, 1.0)
        # Placement applies the ratio to what is left after the reservation.
        beyond = math.floor(max(0, self.held - allocated.get(self.name, 0)) / ratio)
        return {
            "total": self.total,
            "reserved": min(self.total, self.reserved + beyond),
            "min_unit": self.unit,
            "max_unit": self.largest,
            "step_size": self.unit,
            "allocation_ratio": ratio,
        }


def disk_inventory(total_gb: int, policy: Policy) -> dict[str, dict[str, Any]]:
    """The inventory of disks; empty where nothing is known of the pool, as placement refuses one of nothing."""
    if total_gb <= 0:
        return {}
    return {
        orc.DISK_GB: {
            "total": total_gb,
            "reserved": min(total_gb, policy.reserved_disk_gb),
            "min_unit": 1,
            "max_unit": total_gb,
            "step_size": 1,
            "allocation_ratio": policy.ratios[orc.DISK_GB],
        }
    }


def allocation_ratios(conf: Any, current: Mapping[str, Mapping[str, Any]], dedicated: bool = True) -> dict[str, float]:
    """The ratios that nova.conf sets, else those that placement has, else the initial ones of nova.conf.

    On a platform that dedicates what it gives, an initial ratio counts where an operator wrote it: Nova's own for VCPU
    is 4, and processors must not be promised four times over.
    """
    found = {}
    for name, option in ((orc.VCPU, "cpu"), (orc.MEMORY_MB, "ram"), (orc.DISK_GB, "disk")):
        kept = current.get(name, {}).get("allocation_ratio")
        initial = f"initial_{option}_allocation_ratio"
        first = getattr(conf, initial) if not dedicated or _is_written(conf, initial) else 1.0
        found[name] = float(getattr(conf, f"{option}_allocation_ratio") or kept or first)
    return found


def _is_written(conf: Any, option: str) -> bool:
    location = conf.get_location(option)
    return location is not None and location.location not in (cfg.Locations.opt_default, cfg.Locations.set_default)


def traits(facts: HostFacts) -> set[str]:
    """The traits that the host itself has; the driver adds those of its capabilities."""
    standard = {_STANDARD[name] for name in facts.traits if name in _STANDARD}
    return set(_TRAITS.get(facts.architecture, ())) | set(facts.traits) | standard


def own(facts: HostFacts, names: Iterable[str]) -> set[str]:
    """Those that only the driver sets: with the platform's name for a prefix, and OpenStack's names for the same."""
    prefix = f"CUSTOM_{facts.hypervisor.upper()}_"
    return {name for name in names if name.startswith(prefix) or name in _STANDARD.values()}


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
        "pci_passthrough_devices": json.dumps(pci.devices(facts.direct_ports)),
        "stats": {
            "memory_region_size": facts.memory_unit_mb,
            **(_unit_stats(facts) if facts.divides_processors else {}),
            **facts.details,
        },
    }


def _unit_stats(facts: HostFacts) -> dict[str, str]:
    return {
        "proc_units": f"{facts.processors:.2f}",
        "proc_units_reserved": f"{facts.processors_reserved:.2f}",
        "proc_units_used": f"{facts.processors_used:.2f}",
    }
