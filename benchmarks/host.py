"""A simulated PowerVM host in a process of its own, with as many guests of ours on it as a benchmark asks for."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml

from bigiron import naming
from bigiron.powervm.options import PowerVMOptions

_SYSTEM = Path(__file__).parents[1] / "examples" / "systems" / "one-host.yaml"
_NAMESPACE = uuid.UUID("5b7d7f0e-6c43-4a55-9d5b-3a0c0b1f8f11")
_TIMEOUT_S = 60
FIRST_VLAN, VLANS = 100, 60
"""The VLANs that the guests of the beginning are on, in turn."""


def resident_instances(count: int) -> list[str]:
    """The uuids of the guests that are there from the beginning: the same in every run."""
    return [str(uuid.uuid5(_NAMESPACE, str(number))) for number in range(count)]


@dataclass(frozen=True, slots=True)
class SimulatedHost:
    """A running simulator."""

    url: str
    control: str
    process: psutil.Process
    scratch: Path

    def options(self, **changes: Any) -> PowerVMOptions:
        """The options by which a driver reaches it."""
        protocol, rest = self.url.split("://")
        address, port = rest.rstrip("/").split(":")
        return PowerVMOptions(
            **{
                "rest_host": address,
                "rest_port": int(port),
                "rest_protocol": protocol,
                "rest_username": "padmin",
                "rest_password": "padmin",
                "disk_driver": "ssp",
                "cluster_name": "cluster1",
                "state_path": self.scratch,
                **changes,
            }
        )

    def latency(self, profile: str) -> None:
        """Select a latency profile."""
        requests.post(f"{self.control}/latency", json={"profile": profile}, timeout=_TIMEOUT_S).raise_for_status()

    def audit(self) -> list[Any]:
        """What is orphaned or inconsistent on it."""
        answer = requests.get(f"{self.control}/audit", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        found: list[Any] = answer.json()
        return found

    def memory_mb(self) -> float:
        """Resident memory of the simulator."""
        return float(self.process.memory_info().rss) / 2**20


@contextlib.contextmanager
def simulated_host(residents: int) -> Iterator[SimulatedHost]:
    """A host with this many running guests of ours; ends with the block."""
    with tempfile.TemporaryDirectory(prefix="bigiron-bench-") as scratch:
        folder = Path(scratch)
        system = folder / "system.yaml"
        system.write_text(yaml.safe_dump(_document(residents)))
        command = [
            *(str(Path(sys.executable).with_name("bigiron")), "sim", "powervm"),
            *("--system", str(system), "--state", str(folder / "state")),
            *("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                ready = process.stdout.readline().split()
                if len(ready) != 2:
                    raise RuntimeError("The simulator did not start; its message stands above.")
                control = json.loads((folder / "state" / "endpoints.json").read_text())["control"]
                yield SimulatedHost(ready[1], control, psutil.Process(process.pid), folder)
            finally:
                process.terminate()


def _document(residents: int) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(_SYSTEM.read_text())
    document["system"] |= {"memory_mb": 4 * 2**20, "processors": 400}
    document["clusters"][0]["tiers"][0]["capacity_gb"] = 100_000
    document["partitions"] += [
        {
            "name": f"resident{number}",
            "uuid": naming.lpar_uuid(instance).lower(),
            "description": naming.mark(instance),
            "memory_mb": 2048,
            "proc_units": 0.1,
            "vcpus": 1,
            "nics": [
                {"switch": "ETHERNET0", "vlan": FIRST_VLAN + number % VLANS},
                {"switch": "MGMTSWITCH", "vlan": 4094},
            ],
            "disks": [{"cluster": "cluster1", "size_gb": 20}],
        }
        for number, instance in enumerate(resident_instances(residents))
    ]
    return document
