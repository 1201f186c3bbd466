"""Diagnostics from a report and from figures of use, in both of the forms that Nova has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bigiron.errors import Unavailable
from bigiron.model import (
    DiskReport,
    DiskUsage,
    GuestReport,
    GuestUsage,
    MemoryUsage,
    NicUsage,
    PowerState,
    ProcessorUsage,
)
from bigiron.plugins.nova.compute.diagnostics import Diagnostics

UUID = "8bb3e8a4-7a5b-4a0e-a8d3-0f0a5f3a1c11"
MAC, OTHER = "fa:16:3e:00:00:01", "02:00:00:00:00:01"
WAYS = tuple(DiskUsage(25.0, name, 21, 22, 23, 24) for name in ("vios1-vhost3", "vios2-vhost4"))
USAGE = GuestUsage(
    UUID, PowerState.RUNNING, 1, 4096,
    processor=ProcessorUsage(30.0, 11, 12, 13, 14, 15, 16, 17, 0.5, 0),
    memory=MemoryUsage(20.0, 4096.0, 1023.6, 3.0, None),
    nics=(NicUsage(30.0, MAC, MAC, "U9-V3-C2", 1, 2, 3, 4, 5, 6, 7, 8),),
    disks=WAYS,
)  # fmt: skip


def report(vcpus: int = 1, disks: int = 1) -> GuestReport:
    return GuestReport(
        PowerState.RUNNING, 60, 4096, 8192, vcpus, 0.5, False, "POWER9", "Linux", (MAC, OTHER),
        tuple(DiskReport(f"disk{number}", 10.0) for number in range(disks)), False,
    )  # fmt: skip


class Driver(Diagnostics):
    """The part of the driver that makes diagnostics, on a platform that tells what it is given."""

    platform = "powervm"

    def __init__(self, told: GuestReport, used: Any) -> None:
        self.told, self.used = told, used

    @property
    def hypervisor(self) -> Any:
        def usage(_uuids: Any) -> Any:
            if isinstance(self.used, Exception):
                raise self.used
            return self.used

        return SimpleNamespace(report=lambda _uuid: self.told, usage=usage)


def instance() -> Any:
    return SimpleNamespace(uuid=UUID)


def test_novas_object_has_the_counters() -> None:
    found = Driver(report(), {UUID: USAGE}).get_instance_diagnostics(instance())
    assert found.cpu_details[0].time == 11
    assert (found.memory_details.maximum, found.memory_details.used) == (4096, 1024)
    nic, management = found.nic_details
    assert (nic.rx_octets, nic.rx_packets, nic.rx_drop, nic.rx_errors) == (1, 2, 3, 4)
    assert (nic.tx_octets, nic.tx_packets, nic.tx_drop, nic.tx_errors) == (5, 6, 7, 8)
    assert (management.mac_address, management.rx_octets) == (OTHER, None)
    (disk,) = found.disk_details
    assert (disk.read_bytes, disk.read_requests, disk.write_bytes, disk.write_requests) == (42, 44, 46, 48)


def test_what_cannot_be_shared_out_is_left_out() -> None:
    """Time is counted for all processors together, and transfers for adapters."""
    found = Driver(report(vcpus=2, disks=2), {UUID: USAGE}).get_instance_diagnostics(instance())
    assert [cpu.time for cpu in found.cpu_details] == [None, None]
    assert [disk.read_bytes for disk in found.disk_details] == [None, None]


def test_the_older_form_has_all() -> None:
    found = Driver(report(), {UUID: USAGE}).get_diagnostics(instance())
    assert (found["cpu_used_ns"], found["cpu_uncapped_ns"], found["cpu_waiting_ns"]) == (11, 14, 17)
    assert (found["nic0_mac"], found["nic0_in_bytes"], found["nic0_out_errors"]) == (MAC, 1, 8)
    assert "nic1_in_bytes" not in found
    assert (found["adapter1_name"], found["adapter1_write_requests"]) == ("vios2-vhost4", 24)
    assert found["memory_used_mb"] == 1023.6 and "memory_swapped_out_mb" not in found


@pytest.mark.parametrize("used", [{}, Unavailable("no answer")])
def test_without_figures_the_rest_is_there(used: Any) -> None:
    driver = Driver(report(), used)
    found, older = driver.get_instance_diagnostics(instance()), driver.get_diagnostics(instance())
    assert (found.num_cpus, found.num_nics, found.num_disks) == (1, 2, 1)
    assert "used" not in found.memory_details or found.memory_details.used is None
    assert older["memory_mb"] == 4096 and "cpu_used_ns" not in older and "adapter0_name" not in older
