"""From a guest's figures to the values that Ceilometer's own pollsters read, in libvirt's units and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ceilometer.compute.virt import inspector

from bigiron.model import GuestUsage, PowerState

_POWER_STATES = {
    PowerState.RUNNING: 1,
    PowerState.PAUSED: 3,
    PowerState.STOPPED: 5,
    PowerState.CRASHED: 6,
    PowerState.SUSPENDED: 7,
}
"""libvirt's numbers of a domain's states, which are what the meter power.state has; 0 is none of them."""


@dataclass(frozen=True, slots=True)
class PowerVMStats:
    """What only a partition has: times in nanoseconds of one processor."""

    entitled: int | None
    capped: int | None
    uncapped: int | None
    donated: int | None
    idle: int | None
    waiting: int | None
    processors: float | None
    pool: int | None


@dataclass(frozen=True, slots=True)
class ZvmStats:
    """What only a virtual machine has: how often CP found its processors at work, and waiting for a real one."""

    in_use: int | None
    delayed: int | None


Measured = tuple[Any, float | None]
"""Values for a sample, and when they were measured; None for what holds at any time."""


def instance(usage: GuestUsage) -> Iterator[Measured]:
    """All in one; processors and memory are measured apart."""
    memory = usage.memory
    stats = inspector.InstanceStats(
        power_state=None if usage.power is None else _POWER_STATES.get(usage.power, 0),
        cpu_number=usage.vcpus,
        cpu_time=usage.processor.used_ns if usage.processor else None,
        memory_actual=usage.memory_mb,
        memory_available=memory.total_mb if memory else None,
        memory_usage=memory.used_mb if memory else None,
        memory_resident=usage.resident_mb,
        memory_swap_in=memory.swapped_in_mb if memory else None,
        memory_swap_out=memory.swapped_out_mb if memory else None,
    )
    yield stats, None


def vnics(usage: GuestUsage) -> Iterator[Measured]:
    """One for each network adapter of the server, the platform's own for management left out."""
    for nic in usage.nics:
        stats = inspector.InterfaceStats(
            name=nic.name,
            mac=nic.mac,
            fref=None,
            # The first two are those that libvirt always gives, where it knows none.
            parameters={"interfaceid": None, "bridge": None, "location": nic.location},
            rx_bytes=nic.in_bytes,
            tx_bytes=nic.out_bytes,
            rx_packets=nic.in_packets,
            tx_packets=nic.out_packets,
            rx_drop=nic.in_drops,
            tx_drop=nic.out_drops,
            rx_errors=nic.in_errors,
            tx_errors=nic.out_errors,
            rx_bytes_delta=None,
            tx_bytes_delta=None,
        )
        yield stats, nic.at


def disks(usage: GuestUsage) -> Iterator[Measured]:
    """One for each storage adapter: the platform counts what goes through it, not what goes to each disk behind it."""
    for disk in usage.disks:
        stats = inspector.DiskStats(
            device=disk.name,
            read_bytes=disk.read_bytes,
            read_requests=disk.read_requests,
            write_bytes=disk.write_bytes,
            write_requests=disk.write_requests,
            errors=0,
            wr_total_times=None,
            rd_total_times=None,
        )
        yield stats, disk.at


def disk_info(usage: GuestUsage) -> Iterator[Measured]:
    """What is behind each storage adapter."""
    for one in usage.capacities:
        yield inspector.DiskInfo(one.name, one.capacity_bytes, one.allocation_bytes, None), None


def powervm(usage: GuestUsage) -> Iterator[Measured]:
    """The processor's figures that libvirt has no names for."""
    found = usage.processor
    if found is not None:
        stats = PowerVMStats(
            entitled=found.entitled_ns,
            capped=found.capped_ns,
            uncapped=found.uncapped_ns,
            donated=found.donated_ns,
            idle=found.idle_ns,
            waiting=found.waiting_ns,
            processors=found.processors,
            pool=found.pool,
        )
        yield stats, found.at


def zvm(usage: GuestUsage) -> Iterator[Measured]:
    """CP's samples of the processors."""
    found = usage.processor
    if found is not None:
        yield ZvmStats(in_use=found.in_use_samples, delayed=found.delay_samples), found.at


INSPECTIONS: Mapping[str, Callable[[GuestUsage], Iterator[Measured]]] = {
    "inspect_instance": instance,
    "inspect_vnics": vnics,
    "inspect_disks": disks,
    "inspect_disk_info": disk_info,
    "inspect_powervm": powervm,
    "inspect_zvm": zvm,
}
"""By the method of Ceilometer's inspector that a stock pollster names."""
MEASURED_IN = {
    "cpu_time": "processor",
    **dict.fromkeys(("memory_usage", "memory_swap_in", "memory_swap_out"), "memory"),
}
"""Of an instance's values those that are measured at a time: in which part of a guest's figures that is."""
