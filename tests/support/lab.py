"""Drive a lab as its user does: through the `bigiron lab` command and the OpenStack SDK."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from bigiron.lab import demo_roles, spec
from bigiron.lab.demo_platform import Platform
from bigiron.lab.paths import LabPaths, program

REPOSITORY = Path(__file__).parents[2]
SYSTEM = REPOSITORY / "examples" / "systems" / "one-host.yaml"
UP_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab and the command that drives it."""

    paths: LabPaths

    def command(self, *words: str, seconds: float = UP_SECONDS, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `bigiron lab` on this lab; `check` shows what the command said when it fails."""
        result = subprocess.run(
            [program("bigiron"), "lab", "--dir", str(self.paths.root), *words],
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def json(self, *words: str, seconds: float = UP_SECONDS) -> dict[str, Any]:
        """Run `bigiron lab` with --json and read its answer."""
        answer: dict[str, Any] = json.loads(self.command(*words, "--json", seconds=seconds).stdout)
        return answer

    def tempest(self, name: str, seconds: int, concurrency: int, *options: str) -> dict[str, int]:
        """Run a slice of Tempest; returns how many tests passed, were skipped, and failed, which none must."""
        result = self.command(
            "tempest", "--slice", name, "--concurrency", str(concurrency), "--timeout", str(seconds - 20), "--json",
            *options, seconds=seconds, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        counts: dict[str, int] = json.loads(result.stdout)
        return counts

    def cloud(self) -> Connection:
        """Return the OpenStack SDK's connection as the lab's administrator, made from clouds.yaml as a user would."""
        return Connection(config=OpenStackConfig(config_files=[str(self.paths.clouds_yaml)]).get_one("bigiron"))

    def platform(self, host: int = 1) -> Platform | None:
        """Return the simulated platform of a compute host; None with Nova's fake driver."""
        current = spec.require(self.paths)
        chosen = current.hosts[host - 1]
        return None if chosen.platform == "fake" else demo_roles.platform(current, chosen)

    def processes(self) -> list[psutil.Process]:
        """Return the supervisor and everything that runs below it."""
        supervisor = next(row for row in self.json("status")["programs"] if row["name"] == "supervisord")
        process = psutil.Process(supervisor["pid"])
        return [process, *process.children(recursive=True)]


@contextmanager
def parts_of(cloud: Connection, prefix: str, image: Path | None = None, **properties: str) -> Iterator[dict[str, str]]:
    """An image with its properties, a flavor and a VLAN network, removed afterwards; without a file, 1 MiB of data."""
    name = f"{prefix}-{secrets.token_hex(4)}"
    content: dict[str, Any] = {"filename": str(image)} if image else {"data": secrets.token_bytes(1 << 20)}
    made = cloud.image.create_image(
        name, disk_format="raw", container_format="bare", wait=True, **content, **properties
    )  # fmt: skip
    flavor = cloud.compute.create_flavor(name=name, ram=512, vcpus=1, disk=1)
    network = cloud.network.create_network(name=name)
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.77.0.0/24", enable_dhcp=False)
    yield {"name": name, "image_id": made.id, "flavor_id": flavor.id, "network_id": network.id}
    cloud.network.delete_network(network.id)
    cloud.compute.delete_flavor(flavor.id)
    cloud.image.delete_image(made.id)
