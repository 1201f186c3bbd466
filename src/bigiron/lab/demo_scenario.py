"""The demo's story: an image, a network, a flavor, a key, and one server of each platform from birth to end."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from openstack.connection import Connection
from rich.console import Console

from bigiron.lab import demo_load
from bigiron.lab.demo_platform import Inventory, console_panel
from bigiron.lab.demo_roles import NAME, Role
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, program, write_private

_WAIT_SECONDS = 180
_POLL_SECONDS = 0.5
_BOOT_SECONDS = 120.0
_CONSOLE_LINES = 12
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
    """One run against one lab, with one server for each role."""

    paths: LabPaths
    cloud: Connection
    roles: Sequence[Role]
    stage: Stage

    def run(self) -> None:
        """Tell the whole story."""
        for role in self.roles:
            self._clear(role)
        before = {role.name: role.platform.inventory() for role in self.roles if role.platform}
        network = self._network()
        self._keypair()
        servers = {role.name: self._create(role, self._image(role), network, self._flavor(role)) for role in self.roles}
        for role in self.roles:
            self._show(role, servers[role.name])
            self._load(role, servers[role.name])
        for role in self.roles:
            self._operate(role, servers[role.name])
        for role in self.roles:
            with self._step(role, "delete the server"):
                self._delete(servers[role.name])
        for role in self.roles:
            if role.platform:
                with self._step(role, "ask the platform what is left") as notes:
                    self._check_nothing_left(role, before[role.name])
                    notes.append(f"{role.nothing_left} more than before; its audit is empty")

    def _step(self, role: Role, title: str) -> AbstractContextManager[list[str]]:
        """A step of one server; of which platform it is matters where there are several."""
        return self.stage.step(f"{role.title}: {title}" if len(self.roles) > 1 else title)

    def _clear(self, role: Role) -> None:
        """Remove the server of an earlier run that was interrupted."""
        server = self.cloud.compute.find_server(role.name)
        if server:
            with self._step(role, "remove the server of an earlier run"):
                self._delete(server)

    def _delete(self, server: Any) -> None:
        self.cloud.compute.delete_server(server.id)
        self.cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT_SECONDS)

    def _image(self, role: Role) -> Any:
        with self._step(role, "image") as notes:
            image = self.cloud.image.find_image(role.name)
            if image:
                notes.append("kept from an earlier run")
                return image
            file = self.paths.root / f"{role.name}.img"
            properties: dict[str, Any] = dict(role.properties)
            try:
                notes += [role.make_image(file), *(f"{key}={value}" for key, value in role.properties.items())]
                return self.cloud.image.create_image(
                    role.name, filename=str(file), disk_format="raw", container_format="bare", visibility="public",
                    wait=True, **properties,
                )  # fmt: skip
            finally:
                file.unlink(missing_ok=True)

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

    def _flavor(self, role: Role) -> Any:
        with self._step(role, "flavor with powervm:* extra specs" if role.extra_specs else "flavor") as notes:
            flavor = self.cloud.compute.find_flavor(role.name)
            if not flavor:
                flavor = self.cloud.compute.create_flavor(name=role.name, ram=2048, vcpus=2, disk=10)
                if role.extra_specs:
                    self.cloud.compute.create_flavor_extra_specs(flavor, dict(role.extra_specs))
            notes.append(", ".join(("2 vCPU, 2048 MB, 10 GB", *role.extra_specs)))
            return flavor

    def _keypair(self) -> None:
        with self.stage.step("keypair") as notes:
            file = self.paths.root / "demo-key.pem"
            if not self.cloud.compute.find_keypair(NAME):
                key = self.cloud.compute.create_keypair(name=NAME)
                write_private(file, key.private_key)
            notes.append(str(file))

    def _create(self, role: Role, image: Any, network: Any, flavor: Any) -> Any:
        with self._step(role, "server with config drive: create until ACTIVE") as notes:
            server = self.cloud.compute.create_server(
                name=role.name, image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}], key_name=NAME,
                config_drive=True, user_data=base64.b64encode(_USER_DATA).decode(),
            )  # fmt: skip
            server = self._until(role, server, "ACTIVE")
            notes.append(server.id)
        if role.platform:
            with self._step(role, "the guest boots and reads its config drive") as notes:
                guest = role.platform.await_boot(server.id, role.name, _BOOT_SECONDS)
                notes.append(f"its host name is {guest['hostname']}")
        return server

    def _show(self, role: Role, server: Any) -> None:
        """Show both views: what OpenStack knows, and what the platform has."""
        columns = ("id", "name", "status", "OS-EXT-STS:power_state", "OS-EXT-SRV-ATTR:host",
                   "OS-EXT-SRV-ATTR:instance_name", "addresses", "config_drive", "key_name")  # fmt: skip
        words = [word for column in columns for word in ("-c", column)]
        width = str(self.stage.console.width)
        self.stage.console.print(f"\n[bold]$ openstack server show {role.name}[/bold]")
        self.stage.console.print(
            self._openstack("server", "show", server.id, "--max-width", width, *words), markup=False, soft_wrap=True
        )
        if role.platform:
            guest = role.platform.guest_of(server.id)
            self.stage.console.print("[bold]The platform's own view[/bold]")
            self.stage.console.print(role.platform.picture(guest))
            text = role.platform.console(guest)
            name = role.platform.name_of(guest)
            self.stage.console.print(console_panel(text, _CONSOLE_LINES, f"console of {name}"))

    def _load(self, role: Role, server: Any) -> None:
        """Show how busy the server is in its diagnostics while its load is raised on the platform."""
        if role.platform is None:
            return
        subject = demo_load.subject(role.platform, server.id)
        with self._step(role, "raise the server's load on the platform, and see it in its diagnostics"):
            looks = demo_load.watch(self.cloud, subject)
        self.stage.console.print(demo_load.panel(subject, looks))

    def _openstack(self, *words: str) -> str:
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.paths.clouds_yaml), "OS_CLOUD": "bigiron",
                       "PYTHONWARNINGS": "ignore"}  # fmt: skip
        result = subprocess.run(
            [program("openstack"), *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if result.returncode:
            raise LabError(f"openstack {' '.join(words[:3])} failed: {result.stderr.strip()}")
        return result.stdout

    def _operate(self, role: Role, server: Any) -> None:
        compute = self.cloud.compute
        with self._step(role, "stop") as notes:
            compute.stop_server(server)
            self._until(role, server, "SHUTOFF")
            self._note_power(role, server, notes)
        with self._step(role, "start") as notes:
            compute.start_server(server)
            self._until(role, server, "ACTIVE")
            self._note_power(role, server, notes)
        for kind in ("soft", "hard"):
            if role.platform:
                role.platform.await_boot(server.id, role.name, _BOOT_SECONDS)
            with self._step(role, f"{kind} reboot") as notes:
                compute.reboot_server(server, kind.upper())
                self._until(role, server, "ACTIVE")
                self._note_power(role, server, notes)

    def _note_power(self, role: Role, server: Any, notes: list[str]) -> None:
        if role.platform:
            guest = role.platform.guest_of(server.id)
            notes.append(f"{role.platform.name_of(guest)} is {guest['state']}")

    def _until(self, role: Role, server: Any, status: str) -> Any:
        """Wait until a server has a status and no task; asked anew each time, as a reboot begins and ends ACTIVE."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            server = self.cloud.compute.get_server(server.id)
            if server.status == status and server.task_state is None:
                return server
            if server.status == "ERROR" or time.monotonic() > deadline:
                fault = (server.fault or {}).get("message", f"its status is {server.status}, task {server.task_state}")
                raise LabError(
                    f"server {role.name} ({server.id}) did not become {status}: {fault}; see "
                    f"`bigiron lab logs {role.compute}`"
                )
            time.sleep(_POLL_SECONDS)

    def _check_nothing_left(self, role: Role, before: Inventory) -> None:
        assert role.platform is not None
        found = [*role.platform.inventory().left_from(before), *map(str, role.platform.ask("/audit"))]
        if found:
            raise LabError("the platform still has: " + "; ".join(found))
