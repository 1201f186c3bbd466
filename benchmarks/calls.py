"""REST calls and bytes of a spawn, a destroy, a power sync and a start, on hosts of growing size."""

from __future__ import annotations

import time

from benchmarks.guests import Maker, Tally, total_bytes
from benchmarks.host import resident_instances, simulated_host
from bigiron.powervm.platform import PowerVM

SIZES = (1, 50, 500)


def run() -> dict[str, float]:
    """Figures by name, such as powervm.spawn.calls.50; bytes of VIOS documents are counted apart."""
    figures: dict[str, float] = {}
    for size in SIZES:
        with simulated_host(residents=size) as host:
            tally = Tally()
            platform = PowerVM(host.options(), journal=tally)
            began = time.monotonic()
            with tally.stretch() as start:
                platform.start()
            figures[f"powervm.start.seconds.{size}"] = time.monotonic() - began
            maker = Maker(platform, host.scratch, parallel=1)
            first = maker.spawn()  # brings the image into the pool
            with tally.stretch() as spawn:
                second = maker.spawn()
            with tally.stretch() as sync:
                states = [platform.guest(instance) for instance in resident_instances(size)]
                assert len(platform.guests()) == len(states) + 2
            with tally.stretch() as destroy:
                platform.destroy(second)
            platform.destroy(first)
            maker.close()
            platform.stop()
            leftovers = host.audit()
            assert not leftovers, leftovers
            for name, calls in {"start": start, "spawn": spawn, "power_sync": sync, "destroy": destroy}.items():
                figures[f"powervm.{name}.calls.{size}"] = len(calls)
                figures[f"powervm.{name}.bytes.{size}"] = total_bytes(calls, vios=False)
                figures[f"powervm.{name}.vios_bytes.{size}"] = total_bytes(calls, vios=True)
            figures[f"powervm.simulator.memory_mb.{size}"] = round(host.memory_mb(), 1)
    first, last = min(SIZES), max(SIZES)
    figures[f"powervm.spawn.bytes_ratio.{last}_to_{first}"] = round(
        figures[f"powervm.spawn.bytes.{last}"] / figures[f"powervm.spawn.bytes.{first}"], 3
    )
    return figures
