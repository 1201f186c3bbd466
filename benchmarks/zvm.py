"""Spawns on z/VM: connector calls and seconds, beside Nova's in-tree driver on the same simulated system.

Both make guests from an image that the Cloud Connector has, each with a network adapter and a config drive, several at
once. The connector asks for no token, as the in-tree driver cannot give one, and files are handed over on its own host:
by scp there, by `[zvm] shared_path` here. Counted is what Nova's manager has a driver ask for a spawn: at the claim of
resources, where ours asks nothing, for the guest, and for its state afterwards. What Nova does itself is left out on
both sides. Times are the simulated system's.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests
import yaml

from benchmarks.guests import Provide
from bigiron.hypervisor import CONFIG_DRIVE, NICS_READY, nic_plugged
from bigiron.model import DiskRole, DiskSpec, FixedAddress, GuestSpec, NicSpec
from bigiron.plugins.nova import flows
from bigiron.plugins.nova.configdrive import write_iso
from bigiron.zvm import header
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.platform import Zvm

GUESTS, WIDTH = 16, 8
DIRECTORY_S = 2.0
"""What a change of the user directory takes under the profile `realistic`; they are made one at a time."""
_SYSTEM = Path(__file__).parents[1] / "examples" / "systems" / "zvm.yaml"
_CLOCK_SCALE = 4.0
_CYLINDERS = 100
_IMAGE_BYTES = 16 * 2**20
_REST = ("GET", "PUT", "POST", "DELETE")
_DIRECTORY = ("_DM",)
_READS = ("Image_Query_DM", "Image_Name_Query_DM", "Image_Volume_Space_Query_DM")
_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class DiskImage:
    """A disk image in z/VM's format, of zeros."""

    id: str = "4a1f9b52-7b8e-4a57-8c35-0d0d2a6b7c21"
    name: str = "bench"
    size_bytes: int = header.HEADER_BYTES + _IMAGE_BYTES
    sha256: str | None = None
    distro: str | None = "rhel9.4"

    def open(self) -> BinaryIO:
        return io.BytesIO(header.write(_CYLINDERS) + bytes(_IMAGE_BYTES))


class System:
    """A simulated z/VM in a process of its own, with the Cloud Connector on it."""

    def __init__(self, url: str, control: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._control = control

    def _get(self, what: str) -> Any:
        answer = requests.get(f"{self._control}/{what}", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def latency(self, profile: str) -> None:
        """Select a latency profile."""
        body = {"profile": profile}
        requests.post(f"{self._control}/latency", json=body, timeout=_TIMEOUT_S).raise_for_status()

    @contextlib.contextmanager
    def measured(self) -> Iterator[dict[str, float]]:
        """Seconds, connector calls, and changes of the user directory while the block runs, under `realistic`."""
        found: dict[str, float] = {}
        self.latency("realistic")
        requests.delete(f"{self._control}/journal", timeout=_TIMEOUT_S).raise_for_status()
        began = self._get("clock")["now"]
        yield found
        found["seconds"] = self._get("clock")["now"] - began
        entries = self._get("journal")
        found["calls"] = sum(entry["method"] in _REST for entry in entries)
        found["directory"] = sum(
            entry["method"] == "SMAPI" and entry["template"].endswith(_DIRECTORY) and entry["template"] not in _READS
            for entry in entries
        )
        self.latency("none")

    def check_empty(self) -> None:
        """Nothing that was made is left, and nothing is inconsistent."""
        findings = self._get("audit")
        assert not findings, findings
        left = [guest["userid"] for guest in self._get("guests") if not guest["foreign"]]
        assert not left, left

    def options(self, **changes: Any) -> ZvmOptions:
        """The options by which our driver reaches it."""
        values = {
            "cloud_connector_url": self.url,
            "connector_image_repository": str(self.folder / "state" / "connector" / "images"),
            "state_path": self.folder / "ours",
            "power_poll_s": 0.0,
            "call_timeout_s": float(_TIMEOUT_S),
        }
        return ZvmOptions(**{**values, **changes})


@contextlib.contextmanager
def simulated_system() -> Iterator[System]:
    """A simulated z/VM; ends with the block."""
    with tempfile.TemporaryDirectory(prefix="bigiron-bench-") as scratch:
        folder = Path(scratch)
        document = yaml.safe_load(_SYSTEM.read_text())
        document["connector"]["options"]["wsgi"] = {"auth": "none"}
        system = folder / "system.yaml"
        system.write_text(yaml.safe_dump(document))
        command = [
            *(str(Path(sys.executable).with_name("bigiron")), "sim", "zvm"),
            *("--system", str(system), "--state", str(folder / "state"), "--clock-scale", str(_CLOCK_SCALE)),
            *("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout is not None
                ready = process.stdout.readline().split()
                if len(ready) != 2:
                    raise RuntimeError("The simulated z/VM did not start: run `make connector` first.")
                control = json.loads((folder / "state" / "endpoints.json").read_text())["control"]
                yield System(ready[1], control, folder)
            finally:
                process.terminate()


class Maker:
    """Makes and removes guests as the compute driver does."""

    def __init__(self, platform: Zvm, iso: Path) -> None:
        self._platform = platform
        self._executor = ThreadPoolExecutor(WIDTH * 6)
        self._iso = iso

    def spawn(self, number: int) -> str:
        """Make one running guest; returns its instance uuid."""
        spec = _spec(number)
        self._platform.check(spec)
        steps = [
            *self._platform.spawn_steps(spec),
            Provide("config drive", CONFIG_DRIVE, value=self._iso),
            Provide("network", NICS_READY, tuple(nic_plugged(nic) for nic in spec.nics)),
        ]
        flows.run(f"spawn {spec.uuid}", steps, self._executor)
        self._platform.guest(spec.uuid)
        return spec.uuid

    def spawn_many(self, count: int) -> list[str]:
        """Make guests, several at a time."""
        with ThreadPoolExecutor(WIDTH) as threads:
            return list(threads.map(self.spawn, range(count)))

    def destroy_all(self, instances: Sequence[str]) -> None:
        """Remove guests, several at a time."""
        with ThreadPoolExecutor(WIDTH) as threads:
            list(threads.map(self._platform.destroy, instances))


def _spec(number: int) -> GuestSpec:
    fixed = FixedAddress(f"10.0.0.{number + 5}", "10.0.0.0/24", "10.0.0.1", ())
    return GuestSpec(
        uuid=str(uuid.uuid4()),
        name=f"bench-{number}",
        memory_mb=1024,
        vcpus=1,
        disks=(DiskSpec(DiskRole.ROOT, 1, DiskImage()),),
        nics=(NicSpec(str(uuid.uuid4()), f"02:00:00:00:00:{number + 1:02x}", "zvm", fixed=fixed),),
        config_drive=True,
    )


def run() -> dict[str, float]:
    """Figures by name."""
    with simulated_system() as system:
        iso = system.folder / "config.iso"
        write_iso(iso, [("openstack/latest/meta_data.json", "{}")])
        by_rest = _ours(system, iso, 1)
        by_scp = _ours(system, iso, 1, scp_host="nova@127.0.0.1")
        shared = system.folder / "shared"
        shared.mkdir()
        ours = _ours(system, iso, GUESTS, shared_path=str(shared))
        theirs = _in_tree(system, iso)
        system.check_empty()
    calls, in_tree = ours["calls"] / GUESTS, theirs["calls"] / GUESTS
    return {
        "zvm.spawn.calls": round(calls, 2),
        "zvm.spawn.calls.all_by_rest": by_rest["calls"],
        "zvm.spawn.calls.by_scp": by_scp["calls"],
        "zvm.spawn.calls.in_tree": round(in_tree, 2),
        "zvm.spawn.calls_ratio_to_in_tree": round(calls / in_tree, 2),
        "zvm.spawn.seconds.16": round(ours["seconds"], 1),
        "zvm.spawn.seconds.16.in_tree": round(theirs["seconds"], 1),
        "zvm.spawn.throughput_ratio_to_in_tree": round(theirs["seconds"] / ours["seconds"], 2),
        "zvm.spawn.directory_changes": round(ours["directory"] / GUESTS, 2),
        "zvm.spawn.seconds_ratio_to_directory": round(ours["seconds"] / (ours["directory"] * DIRECTORY_S), 2),
    }


def _ours(system: System, iso: Path, count: int, **options: Any) -> dict[str, float]:
    platform = Zvm(system.options(**options))
    platform.start()
    maker = Maker(platform, iso)
    maker.destroy_all([maker.spawn(0)])  # the connector has the image from here on
    with system.measured() as found:
        instances = maker.spawn_many(count)
    maker.destroy_all(instances)
    platform.stop()
    return found


def _in_tree(system: System, iso: Path) -> dict[str, float]:
    """The same with Nova's own driver, in a process of its own that has the connector's client."""
    home = system.folder / "state" / "connector" / "home"
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.zvm_in_tree"]
    request = {"url": system.url, "image": DiskImage().id, "iso": str(iso), "guests": GUESTS, "width": WIDTH}
    request["folder"] = str(system.folder / "theirs")
    with subprocess.Popen(
        command, env={**os.environ, "HOME": str(home)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        _expect(process.stdout.readline(), "ready")
        with system.measured() as found:
            process.stdin.write("spawn\n")
            process.stdin.flush()
            _expect(process.stdout.readline(), "spawned")
        process.stdin.write("destroy\n")
        process.stdin.flush()
        _expect(process.stdout.readline(), "destroyed")
    return found


def _expect(line: str, wanted: str) -> None:
    if line.strip() != wanted:
        raise RuntimeError(f"Nova's in-tree driver did not get as far as {wanted!r}; its message stands above.")
