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
from pathlib import Path
from typing import Any

import requests
from openstack.config import OpenStackConfig
from openstack.connection import Connection

SERVERS = 7
_UP_S = 600
_ACTIVE_S = 120


def run() -> dict[str, float]:
    """Medians in seconds; `platform` is the time that the compute driver waited for the platform in a spawn."""
    figures: dict[str, float] = {}
    for driver in ("fake", "powervm"):
        with (
            tempfile.TemporaryDirectory(prefix="bigiron-bench-") as root,
            _lab(Path(root), driver) as (status, seconds),
        ):
            figures[f"cloud.lab_up.seconds.{driver}"] = round(seconds, 1)
            figures[f"cloud.lab.memory_mib.{driver}"] = round(sum(row["rss_mib"] for row in status["programs"]))
            figures |= _create(Path(root), status, driver)
    fake, powervm = (figures[f"cloud.create_to_active.seconds.{driver}"] for driver in ("fake", "powervm"))
    figures["cloud.create_to_active.ratio_to_fake"] = round(
        (powervm - figures["cloud.create_to_active.platform_seconds"]) / fake, 2
    )
    return figures


@contextlib.contextmanager
def _lab(root: Path, driver: str) -> Iterator[tuple[dict[str, Any], float]]:
    command = [sys.executable, "-m", "bigiron.lab", "--dir", str(root / "lab")]
    subprocess.run([*command, "prepare"], check=True, timeout=_UP_S, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    began = time.monotonic()
    try:
        up = subprocess.run(
            [*command, "up", "--driver", driver, "--json"], check=True, timeout=_UP_S, stdout=subprocess.PIPE, text=True
        )
        yield json.loads(up.stdout), time.monotonic() - began
    finally:
        subprocess.run([*command, "destroy", "--json"], check=True, timeout=_UP_S, stdout=subprocess.DEVNULL)


def _create(root: Path, status: dict[str, Any], driver: str) -> dict[str, float]:
    config = OpenStackConfig(config_files=[str(root / "lab" / "clouds.yaml")])
    cloud = Connection(config=config.get_one("bigiron"))
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
    times, platform = [], []
    for number in range(SERVERS):
        began = time.time()
        server = cloud.compute.create_server(
            name=f"bench-{number}", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}],
            config_drive=True,
        )  # fmt: skip
        server = cloud.compute.wait_for_server(server, interval=0.05, wait=_ACTIVE_S)
        times.append(time.time() - began)
        if driver == "powervm":
            platform.append(_platform_seconds(status["addresses"]["sim_control"]))
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.1, wait=_ACTIVE_S)
    figures = {f"cloud.create_to_active.seconds.{driver}": round(statistics.median(times[1:]), 2)}
    if platform:
        figures["cloud.create_to_active.platform_seconds"] = round(statistics.median(platform[1:]), 2)
    return figures


def _platform_seconds(control: str) -> float:
    """Seconds that the platform took for the requests since the last look, long polls for events left out."""
    entries = requests.get(f"{control}/journal", timeout=30).json()
    requests.delete(f"{control}/journal", timeout=30).raise_for_status()
    return sum(e["milliseconds"] for e in entries if "/Event" not in e["path"] or e["method"] != "GET") / 1000
