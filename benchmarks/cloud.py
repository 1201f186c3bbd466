"""Create-to-ACTIVE through the whole cloud, with the PowerVM driver and with Nova's FakeDriver; what a lab costs."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from openstack.config import OpenStackConfig
from openstack.connection import Connection

WARM_UPS, SERVERS = 2, 12
_UP_S = 600
_ACTIVE_S = 120


def run() -> dict[str, float]:
    """Medians in seconds; `platform_seconds` is the time that the compute driver waited for the platform in a spawn.

    Both labs run side by side and make their servers in turn, so that a machine's good and bad moments meet both. The
    ratio compares servers without a config drive: FakeDriver makes none, even when asked.
    """
    figures: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        labs = {driver: stack.enter_context(_lab(driver)) for driver in ("fake", "powervm")}
        for lab in labs.values():
            figures[f"cloud.lab_up.seconds.{lab.driver}"] = round(lab.up_seconds, 1)
            figures[f"cloud.lab.memory_mib.{lab.driver}"] = round(sum(r["memory_mib"] for r in lab.status["programs"]))
        control = labs["powervm"].status["addresses"]["sim_control"]
        rounds = []
        for number in range(WARM_UPS + SERVERS):
            fake, plain = (lab.create(number, config_drive=False) for lab in labs.values())
            waited = _platform_seconds(control)
            with_drive = labs["powervm"].create(number, config_drive=True)
            rounds.append((fake, plain, waited, with_drive, _platform_seconds(control)))
    fake, plain, waited, with_drive, waited_with_drive = map(statistics.median, zip(*rounds[WARM_UPS:], strict=True))
    return figures | {
        "cloud.create_to_active.seconds.fake": round(fake, 2),
        "cloud.create_to_active.seconds.powervm": round(plain, 2),
        "cloud.create_to_active.seconds.powervm_with_config_drive": round(with_drive, 2),
        "cloud.create_to_active.platform_seconds": round(waited, 2),
        "cloud.create_to_active.ratio_to_fake": round((plain - waited) / fake, 2),
        "cloud.create_to_active.ratio_to_fake_with_config_drive": round((with_drive - waited_with_drive) / fake, 2),
    }


@dataclass(frozen=True, slots=True)
class _Lab:
    """A running lab with what a server needs."""

    driver: str
    status: dict[str, Any]
    up_seconds: float
    cloud: Connection
    wishes: dict[str, Any]

    def create(self, number: int, config_drive: bool) -> float:
        """Create a server and delete it again; returns the seconds until it was ACTIVE."""
        began = time.time()
        server = self.cloud.compute.create_server(name=f"bench-{number}", config_drive=config_drive, **self.wishes)
        server = self.cloud.compute.wait_for_server(server, interval=0.05, wait=_ACTIVE_S)
        seconds = time.time() - began
        self.cloud.compute.delete_server(server)
        self.cloud.compute.wait_for_delete(server, interval=0.1, wait=_ACTIVE_S)
        return seconds


@contextlib.contextmanager
def _lab(driver: str) -> Iterator[_Lab]:
    with tempfile.TemporaryDirectory(prefix="bigiron-bench-") as folder:
        root = Path(folder) / "lab"
        command = [sys.executable, "-m", "bigiron.lab", "--dir", str(root)]
        subprocess.run([*command, "prepare", "--json"], check=True, timeout=_UP_S, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        try:
            options = ["--driver", driver, "--set", "nova-compute:DEFAULT.force_config_drive=false", "--json"]
            up = subprocess.run(
                [*command, "up", *options], check=True, timeout=_UP_S, stdout=subprocess.PIPE, text=True
            )
            seconds = time.monotonic() - began
            cloud = Connection(config=OpenStackConfig(config_files=[str(root / "clouds.yaml")]).get_one("bigiron"))
            yield _Lab(driver, json.loads(up.stdout), seconds, cloud, _wishes(cloud))
        finally:
            subprocess.run([*command, "destroy", "--json"], check=True, timeout=_UP_S, stdout=subprocess.DEVNULL)


def _wishes(cloud: Connection) -> dict[str, Any]:
    """Make an image, a flavor and a network; returns what a server asks for."""
    image = cloud.image.create_image(
        name="bench",
        disk_format="raw",
        container_format="bare",
        data=io.BytesIO(bytes(8 * 2**20)),
        validate_checksum=False,
    )
    flavor = cloud.compute.create_flavor(name="bench", ram=512, vcpus=1, disk=1)
    network = cloud.network.create_network(name="bench")
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.99.0.0/24")
    return {"image_id": image.id, "flavor_id": flavor.id, "networks": [{"uuid": network.id}]}


def _platform_seconds(control: str) -> float:
    """Seconds that the platform took for the requests since the last look, long polls for events left out."""
    entries = requests.get(f"{control}/journal", timeout=30).json()
    requests.delete(f"{control}/journal", timeout=30).raise_for_status()
    return sum(e["milliseconds"] for e in entries if "/Event" not in e["path"] or e["method"] != "GET") / 1000
