"""Samples of the platform's monitor, made up and captured."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pypowervm.tests

from bigiron.powervm.metrics.documents import (
    Cycles,
    HypervisorSample,
    MemorySample,
    PartitionSample,
    Traffic,
    Transfers,
    ViosSample,
)

CAPTURES = Path(pypowervm.tests.__file__).parent / "data"
HERTZ = 512_000_000.0


def capture(name: str) -> str:
    """The body of an answer that was captured from a real system."""
    return (CAPTURES / name).read_text().split("BODY{", 1)[1].rsplit("END OF SECTION", 1)[0].strip()


def partition(uuid: str, entitled: int = 1, capped: int = 0, uncapped: int = 0, **more: Any) -> PartitionSample:
    """A partition that runs; with `entitled` 0 it does not."""
    cycles = Cycles(entitled, capped, uncapped, more.pop("idle", 0), more.pop("donated", 0), more.pop("waiting", 0))
    fields: dict[str, Any] = {
        "uuid": uuid, "id": 3, "running": entitled > 0, "vcpus": 2, "processors": 0.5, "pool": 0, "memory_mb": 2048,
        "resident_mb": 2048, "cycles": cycles,
    }  # fmt: skip
    return PartitionSample(**{**fields, **more})


def hypervisor(second: float, lpars: Iterable[PartitionSample] = (), **more: Any) -> HypervisorSample:
    """A sample `second` seconds after the system's start."""
    hertz = more.get("hertz", HERTZ)
    fields: dict[str, Any] = {
        "at": float(second), "stamp": str(second), "timebase": second * (hertz or HERTZ), "hertz": hertz,
        "processors": 16.0, "firmware": 0.0, "lpars": {one.uuid: one for one in lpars}, "vioses": {}, "ports": {},
    }  # fmt: skip
    return HypervisorSample(**{**fields, **more})


def traffic(location: str, in_bytes: int = 0, **more: int) -> Traffic:
    """An adapter's counters."""
    names = ("in_packets", "in_drops", "in_errors", "out_bytes", "out_packets", "out_drops", "out_errors")
    return Traffic(location, in_bytes, **{**dict.fromkeys(names, 0), **more})


def vios(second: float, scsi: dict[int, int] | None = None, fibre: dict[str, int] | None = None) -> ViosSample:
    """A VIOS's sample: bytes read by slot and by WWPN."""
    return ViosSample(
        float(second),
        "vios1",
        {slot: Transfers(f"vhost{slot}", read, 0, 0, 0) for slot, read in (scsi or {}).items()},
        {wwpn: Transfers("vfc1", read, 0, 0, 0) for wwpn, read in (fibre or {}).items()},
    )


def memory(second: float, **more: Any) -> MemorySample:
    """What a partition of 2 GiB tells of its memory."""
    fields: dict[str, Any] = {"at": float(second), "total_mb": 2048.0, "available_percent": 75.0, "pages_in": 0.0,
                              "pages_out": 0.0}  # fmt: skip
    return MemorySample(**{**fields, **more})


def document(name: str) -> dict[str, Any]:
    """A capture as JSON."""
    return dict(json.loads(capture(name)))
