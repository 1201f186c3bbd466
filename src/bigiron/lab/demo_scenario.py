"""The demo's story: an image, a VLAN network, a flavor, a key, and one server from its birth to its end."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from openstack.connection import Connection
from rich.console import Console

from bigiron.lab.demo_platform import Platform, console_panel, picture
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, program, write_private

NAME = "demo"
_WAIT_SECONDS = 180
_POLL_SECONDS = 0.5
_BOOT_SECONDS = 120.0
_CONSOLE_LINES = 12
_IMAGE_BYTES = 16 * 1024 * 1024
_EXTRA_SPECS = {
    "powervm:proc_units": "0.5",
    "powervm:uncapped": "true",
    "powervm:shared_weight": "128",
    "powervm:availability_priority": "127",
}
_USER_DATA = b"#cloud-config\npackage_update: false\nfinal_message: bigiron demo is up\n"


@dataclass(slots=True)
class Stage:
    """Where the story is told, and how long each of its steps took."""

    console: Console
    times: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Show a step while it runs; what is put into the list is shown beside its time."""
        notes: list[str] = []
        begun = time.monotonic()
        with self.console.status(title):
            yield notes
        self.times[title] = time.monotonic() - begun
        note = f"  [dim]{'; '.join(notes)}[/dim]" if notes else ""
        self.console.print(f"[green]✓[/green] {title}  [bold]{self.times[title]:.1f} s[/bold]{note}", soft_wrap=True)


@dataclass(slots=True)
class Scenario:
    """One run against one lab. `platform` is None with Nova's fake driver, which has none to look at."""

    paths: LabPaths
    cloud: Connection
    platform: Platform | None
    stage: Stage

    def run(self) -> None:
        """Tell the whole story."""
        self._clear()
        before = self.platform.inventory() if self.platform else None
        image, network, flavor = self._image(), self._network(), self._flavor()
        self._keypair()
        server = self._create(image, network, flavor)
        self._show(server)
        self._operate(server)
        with self.stage.step("delete the server"):
            self.cloud.compute.delete_server(server.id)
            self.cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT_SECONDS)
        if self.platform and before:
            with self.stage.step("ask the platform what is left") as notes:
                self._check_nothing_left(before)
                notes.append("no partition, disk, mapping, medium or adapter more than before; its audit is empty")

    def _clear(self) -> None:
        """Remove the server of an earlier run that was interrupted."""
        server = self.cloud.compute.find_server(NAME)
        if server:
            with self.stage.step("remove the server of an earlier run"):
                self.cloud.compute.delete_server(server.id)
                self.cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT_SECONDS)

    def _image(self) -> Any:
        with self.stage.step("image") as notes:
            image = self.cloud.image.find_image(NAME)
            if image:
                notes.append("kept from an earlier run")
                return image
            # Not compressible and the same each time, as an installed system is.
            blocks = (hashlib.sha256(f"bigiron {number}".encode()).digest() for number in range(_IMAGE_BYTES // 32))
            notes.append(f"{_IMAGE_BYTES >> 20} MB, raw")
            return self.cloud.image.create_image(
                NAME, data=b"".join(blocks), disk_format="raw", container_format="bare", visibility="public",
                wait=True,
            )  # fmt: skip

    def _network(self) -> Any:
        with self.stage.step("VLAN network with a subnet") as notes:
            network = self.cloud.network.find_network(NAME)
            if not network:
                network = self.cloud.network.create_network(name=NAME)
                self.cloud.network.create_subnet(
                    name=NAME, network_id=network.id, ip_version=4, cidr="192.0.2.0/24", enable_dhcp=False,
                    dns_nameservers=["192.0.2.53"],
                )  # fmt: skip
            network = self.cloud.network.get_network(network.id)
            notes.append(
                f"VLAN {network.provider_segmentation_id} of physical network {network.provider_physical_network}"
            )
            return network

    def _flavor(self) -> Any:
        with self.stage.step("flavor with powervm:* extra specs") as notes:
            flavor = self.cloud.compute.find_flavor(NAME)
            if not flavor:
                flavor = self.cloud.compute.create_flavor(name=NAME, ram=2048, vcpus=2, disk=10)
                if self.platform:
                    self.cloud.compute.create_flavor_extra_specs(flavor, _EXTRA_SPECS)
            notes.append("2 vCPU, 2048 MB, 10 GB" + (f", {', '.join(_EXTRA_SPECS)}" if self.platform else ""))
            return flavor

    def _keypair(self) -> None:
        with self.stage.step("keypair") as notes:
            file = self.paths.root / "demo-key.pem"
            if not self.cloud.compute.find_keypair(NAME):
                key = self.cloud.compute.create_keypair(name=NAME)
                write_private(file, key.private_key)
            notes.append(str(file))

    def _create(self, image: Any, network: Any, flavor: Any) -> Any:
        with self.stage.step("server with config drive: create until ACTIVE") as notes:
            server = self.cloud.compute.create_server(
                name=NAME, image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}], key_name=NAME,
                config_drive=True, user_data=base64.b64encode(_USER_DATA).decode(),
            )  # fmt: skip
            server = self._until(server, "ACTIVE")
            notes.append(server.id)
        if self.platform:
            with self.stage.step("the guest boots and reads its config drive") as notes:
                partition = self.platform.await_boot(server.id, NAME, _BOOT_SECONDS)
                notes.append(f"its host name is {partition['hostname']}")
        return server

    def _show(self, server: Any) -> None:
        """Show both views: what OpenStack knows, and what the platform has."""
        columns = ("id", "name", "status", "OS-EXT-STS:power_state", "OS-EXT-SRV-ATTR:host",
                   "OS-EXT-SRV-ATTR:instance_name", "addresses", "config_drive", "key_name")  # fmt: skip
        words = [word for column in columns for word in ("-c", column)]
        width = str(self.stage.console.width)
        self.stage.console.print("\n[bold]$ openstack server show demo[/bold]")
        self.stage.console.print(
            self._openstack("server", "show", server.id, "--max-width", width, *words), markup=False, soft_wrap=True
        )
        if self.platform:
            partition = self.platform.partition_of(server.id)
            self.stage.console.print("[bold]The platform's own view[/bold]")
            self.stage.console.print(picture(self.platform, partition))
            text = self.platform.console(partition["uuid"])
            self.stage.console.print(console_panel(text, _CONSOLE_LINES, f"console of {partition['name']}"))

    def _openstack(self, *words: str) -> str:
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.paths.clouds_yaml), "OS_CLOUD": "bigiron",
                       "PYTHONWARNINGS": "ignore"}  # fmt: skip
        result = subprocess.run(
            [program("openstack"), *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if result.returncode:
            raise LabError(f"openstack {' '.join(words[:3])} failed: {result.stderr.strip()}")
        return result.stdout

    def _operate(self, server: Any) -> None:
        compute = self.cloud.compute
        with self.stage.step("stop") as notes:
            compute.stop_server(server)
            self._until(server, "SHUTOFF")
            self._note_power(server, notes)
        with self.stage.step("start") as notes:
            compute.start_server(server)
            self._until(server, "ACTIVE")
            self._note_power(server, notes)
        for kind in ("soft", "hard"):
            if self.platform:
                self.platform.await_boot(server.id, NAME, _BOOT_SECONDS)
            with self.stage.step(f"{kind} reboot") as notes:
                compute.reboot_server(server, kind.upper())
                self._until(server, "ACTIVE")
                self._note_power(server, notes)

    def _note_power(self, server: Any, notes: list[str]) -> None:
        if self.platform:
            notes.append(f"the partition is {self.platform.partition_of(server.id)['state']}")

    def _until(self, server: Any, status: str) -> Any:
        """Wait until a server has a status and no task; asked anew each time, as a reboot begins and ends ACTIVE."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            server = self.cloud.compute.get_server(server.id)
            if server.status == status and server.task_state is None:
                return server
            if server.status == "ERROR" or time.monotonic() > deadline:
                fault = (server.fault or {}).get("message", f"its status is {server.status}, task {server.task_state}")
                raise LabError(
                    f"server {NAME} ({server.id}) did not become {status}: {fault}; see `bigiron lab logs nova-compute`"
                )
            time.sleep(_POLL_SECONDS)

    def _check_nothing_left(self, before: Any) -> None:
        assert self.platform is not None
        found = [*self.platform.inventory().left_from(before), *map(str, self.platform.ask("/audit"))]
        if found:
            raise LabError("the platform still has: " + "; ".join(found))
