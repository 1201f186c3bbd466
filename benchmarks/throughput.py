"""Spawns per minute at 1, 8 and 32 at once, on a host with 500 partitions, under the realistic latency profile."""

from __future__ import annotations

import time

from benchmarks.guests import Maker, Tally
from benchmarks.host import simulated_host
from bigiron.powervm.platform import PowerVM

WIDTHS = (1, 8, 32)
RESIDENTS = 500


def run() -> dict[str, float]:
    """Figures by name: spawns per minute, VIOS updates per spawn, and the ratios to one at a time."""
    figures: dict[str, float] = {}
    with simulated_host(residents=RESIDENTS) as host:
        tally = Tally()
        platform = PowerVM(host.options(max_parallel=256), journal=tally)
        platform.start()
        maker = Maker(platform, host.scratch, parallel=max(WIDTHS))
        maker.destroy_all([maker.spawn()])  # the image is in the pool from here on
        for width in WIDTHS:
            host.latency("realistic")
            began = time.monotonic()
            with tally.stretch() as calls:
                instances = maker.spawn_many(width)
            seconds = time.monotonic() - began
            host.latency("none")
            figures[f"powervm.spawn.per_minute.{width}"] = round(60 * width / seconds, 2)
            figures[f"powervm.spawn.seconds.{width}"] = round(seconds, 2)
            updates = [c for c in calls if c.method == "POST" and "/VirtualIOServer/" in c.path]
            figures[f"powervm.spawn.vios_updates_per_spawn.{width}"] = round(len(updates) / width, 3)
            maker.destroy_all(instances)
        maker.close()
        platform.stop()
        leftovers = host.audit()
        assert not leftovers, leftovers
    for width in WIDTHS[1:]:
        one = figures["powervm.spawn.per_minute.1"]
        figures[f"powervm.spawn.throughput_ratio.{width}_to_1"] = round(
            figures[f"powervm.spawn.per_minute.{width}"] / one, 2
        )
    return figures
