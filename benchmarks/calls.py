"""REST calls and bytes of what Nova asks for, on hosts of growing size."""

from __future__ import annotations

import time
from unittest import mock

from benchmarks.guests import Maker, Tally, nics_of, total_bytes
from benchmarks.host import resident_instances, simulated_host
from bigiron import naming
from bigiron.model import NicSpec
from bigiron.powervm import platform as platform_module
from bigiron.powervm.platform import PowerVM

SIZES = (1, 50, 500)


def run() -> dict[str, float]:
    """Figures by name, such as powervm.spawn.calls.50; bytes of VIOS documents are counted apart.

    `service_start` is what nova-compute's driver asks when the service comes up: the platform's own start, what
    half-made guests are left, each instance's mark, state and adapters, and the first audit of resources.
    """
    figures: dict[str, float] = {}
    for size in SIZES:
        with simulated_host(residents=size) as host:
            tally = Tally()
            platform = PowerVM(host.options(), journal=tally)
            began = time.monotonic()
            residents = resident_instances(size)
            with tally.stretch() as service_start:
                with tally.stretch() as start:
                    platform.start()
                figures[f"powervm.start.seconds.{size}"] = round(time.monotonic() - began, 2)
                _look_after(platform, residents)
            figures[f"powervm.service_start.seconds.{size}"] = round(time.monotonic() - began, 2)
            maker = Maker(platform, host.scratch, parallel=1)
            first = maker.spawn()  # brings the image into the pool
            with tally.stretch() as spawn:
                second = maker.spawn()
            with tally.stretch() as sync:
                states = [platform.guest(instance) for instance in residents]
                assert len(platform.guests()) == len(states) + 2
            with tally.stretch() as audit, mock.patch.object(platform_module, "_CAPACITY_AGE_S", 0):
                assert platform.facts().guests == len(states) + 2
            with tally.stretch() as destroy:
                platform.destroy(second)
                platform.unplugged(nics_of(second))
            platform.destroy(first)
            maker.close()
            platform.stop()
            leftovers = host.audit()
            assert not leftovers, leftovers
            stretches = {
                "start": start, "service_start": service_start, "spawn": spawn, "power_sync": sync,
                "resource_audit": audit, "destroy": destroy,
            }  # fmt: skip
            for name, calls in stretches.items():
                figures[f"powervm.{name}.calls.{size}"] = len(calls)
                figures[f"powervm.{name}.bytes.{size}"] = total_bytes(calls, vios=False)
                figures[f"powervm.{name}.vios_bytes.{size}"] = total_bytes(calls, vios=True)
            figures[f"powervm.simulator.memory_mb.{size}"] = round(host.memory_mb(), 1)
    first, last = min(SIZES), max(SIZES)
    figures[f"powervm.spawn.bytes_ratio.{last}_to_{first}"] = round(
        figures[f"powervm.spawn.bytes.{last}"] / figures[f"powervm.spawn.bytes.{first}"], 3
    )
    return figures


def _look_after(platform: PowerVM, instances: list[str]) -> None:
    """What Nova asks about its instances when nova-compute starts, and its first audit."""
    assert not platform.reconcile(instances)
    for instance in instances:
        platform.guest(instance)
        assert platform.was_plugged(instance, [NicSpec("port", "", naming.VIF_TYPE_PVM_SEA)])
    platform.facts()
