"""Jobs of a VIOS that change nothing here but that clients wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigiron.sim.powervm.errors import JobFailed
from bigiron.sim.powervm.model.reach import need_vios
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobHandler, JobRun


def _rescan(world: World, vios: Any, parameters: Mapping[str, str]) -> JobRun:
    """Look at a virtual disk's size again; -1 is the answer for one that the VIOS does not have."""
    need_vios(vios)
    udid = parameters.get("VirtualDiskUDID", "")
    known = any(d.udid == udid for g in vios.groups for d in g.disks)
    return JobRun(0.0, lambda: {"RETURN_CODE": "0" if known else "-1"})


def _remove_device(world: World, vios: Any, parameters: Mapping[str, str]) -> JobRun:
    """Forget a disk that nothing uses any more."""
    need_vios(vios)
    name = parameters.get("devName", "")
    volume = next((v for v in vios.volumes if v.name == name), None)
    if volume is None:
        raise JobFailed(f"Virtual I/O Server {vios.name} has no device {name}.")
    used = volume.group or any(t.key == volume.udid for s in vios.servers for t in s.targets)
    if used:
        raise JobFailed(f"Device {name} of {vios.name} is in use.")

    def finish() -> dict[str, str]:
        vios.volumes = [v for v in vios.volumes if v is not volume]
        world.changed(vios, "ViosStorage")
        return {}

    return JobRun(0.0, finish)


JOBS: dict[str, JobHandler] = {"RescanVirtualDisk": _rescan, "RemoveDevice": _remove_device}
