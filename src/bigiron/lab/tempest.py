"""Run slices of Tempest, OpenStack's own acceptance tests, against the lab."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from bigiron import features
from bigiron.lab import demo_roles, novnc
from bigiron.lab.configs import Renderer
from bigiron.lab.errors import LabError
from bigiron.lab.health import connection
from bigiron.lab.paths import LabPaths, cache_root, program, write_private
from bigiron.lab.services import base_environment
from bigiron.lab.spec import LabSpec

_SERVERS = r"tempest\.api\.compute\.servers\."
_PLUGIN = r"neutron_tempest_plugin\.api\."
SLICES: Mapping[str, tuple[str, ...]] = {
    "smoke": (
        _SERVERS + r"test_create_server\.ServersTestJSON\.",
        _SERVERS + r"test_server_addresses\.ServerAddressesTestJSON\.",
        _SERVERS + r"test_delete_server\.DeleteServersTestJSON\.test_delete_(active|shutoff|server_while_in_b)",
        _SERVERS
        + r"test_server_actions\.ServerActionsTestJSON\.test_(stop_start|reboot_server_(hard|soft)|rebuild_server\b)",
        _SERVERS + r"test_servers\.ServersTestJSON\.",
        r"tempest\.api\.compute\.flavors\.test_flavors\.",
        r"tempest\.api\.compute\.keypairs\.test_keypairs\.",
        r"tempest\.api\.network\.test_networks\.NetworksTest\.",
        r"tempest\.api\.network\.test_ports\.PortsTestJSON\.test_(create_(update_delete_port|port_in)|show_port|list_ports\b)",
    ),
    "wide": (
        r"tempest\.(serial_tests\.)?api\.compute\.",
        r"tempest\.api\.network\.test_(networks|ports|security_groups|subnetpools|tags|versions)",
        r"tempest\.api\.image\.v2\.test_images\.(Basic|List)",
        r"tempest\.api\.identity\.v3\.test_(tokens|projects|users)",
    ),
    "network": (
        r"tempest\.api\.network\.",
        # Of the plug-in: what is layer 2. Routers and all that hangs on them are the control plane's own affair.
        _PLUGIN + r"test_(networks|subnets|subnetpools|ports|trunk|qos|extension_driver_port_security|security_groups)",
        _PLUGIN + r"test_(address_groups|address_scopes|network_ip_availability|revisions|timestamp|extensions)",
        _PLUGIN + r"admin\.test_(agent_management|networks|ports|tag|quotas|security_groups|default_security_group)",
        _PLUGIN + r"admin\.test_(external_network|shared_network|extension_driver_port_security)",
    ),
}
# A platform's host holds a few of these at once; its memory is given in blocks of up to 256 MiB.
_FLAVORS = {"tempest-small": 512, "tempest-large": 768}
# Nova's fake driver uploads nothing.
_FAKE_FLAGS = {"snapshot": False}
FAKE = "fake"
PUBLIC_NETWORK = "tempest-public"
_IMAGES = ("tempest-one", "tempest-two")
_IMAGE_BYTES = 1024 * 1024
_SUMMARY = re.compile(r"^ - (Passed|Skipped|Failed|Unexpected Success): (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What Tempest must be told about this cloud."""

    image: str
    other_image: str
    flavor: str
    other_flavor: str
    max_microversion: str
    network_extensions: tuple[str, ...]
    public_network: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a slice went. `output` is the file with everything Tempest said."""

    passed: int
    skipped: int
    failed: int
    output: Path

    @property
    def good(self) -> bool:
        """Tell whether something was tested and nothing failed."""
        return self.passed > 0 and self.failed == 0


def tested_platform(spec: LabSpec, platform: str | None) -> str:
    """Return the platform whose images Tempest boots: the one asked for, else the first that the lab has."""
    names = spec.platform_names or (FAKE,)
    if platform and platform not in names:
        raise LabError(f"the lab has no {platform} host: start it with `bigiron lab up --platform {platform}`")
    return platform or names[0]


def prepare(paths: LabPaths, spec: LabSpec, platform: str) -> Path:
    """Make the images and flavors that Tempest needs, and write its option file; return that file."""
    workspace = paths.root / "tempest"
    (workspace / "lock").mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = _facts(connection(spec), spec, workspace, platform)
    flags = _FAKE_FLAGS if platform == FAKE else _flags(platform)
    options = workspace / "tempest.conf"
    renderer = Renderer(paths, spec)
    write_private(
        options,
        renderer.text(
            "tempest.conf.j2",
            workspace=workspace,
            facts=facts,
            features=flags,
            network_features={} if platform == FAKE else features.tempest_network_flags(platform),
            public_network=PUBLIC_NETWORK,
        ),
    )
    return options


def run(
    paths: LabPaths, spec: LabSpec, name: str, concurrency: int, seconds: float, platform: str, regex: str = ""
) -> Result:
    """Run one slice, or the tests that match `regex`, and count what came of it."""
    options = prepare(paths, spec, platform)
    include = options.with_name(f"{name}.txt")
    include.write_text("\n".join((regex,) if regex else SLICES[name]) + "\n", encoding="utf-8")
    exclude = options.with_name("excluded.txt")
    left_out = features.exclusions(platform) if platform != FAKE else features.EXCLUSIONS
    exclude.write_text("".join(f"# {each.reason}\n{each.pattern}\n" for each in left_out), encoding="utf-8")
    output = options.with_name(f"{name}.log")
    command = [
        program("tempest", extra="test"), "run", "--config-file", str(options), "--include-list", str(include),
        "--exclude-list", str(exclude), "--concurrency", str(concurrency),
    ]  # fmt: skip
    _await(command, options.parent, output, seconds)
    counts = dict.fromkeys(("Passed", "Skipped", "Failed"), 0)
    text = output.read_text(encoding="utf-8", errors="replace")
    found = {word: int(number) for word, number in _SUMMARY.findall(text)}
    if not found:
        ending = "\n".join(text.splitlines()[-15:])
        raise LabError(f"tempest ran no test; the end of {output}:\n{ending}")
    counts |= found
    return Result(counts["Passed"], counts["Skipped"], counts["Failed"], output)


def _await(command: list[str], folder: Path, output: Path, seconds: float) -> None:
    """Run Tempest with its output in a file; its workers end with it, whatever ends it."""
    with (
        output.open("w", encoding="utf-8") as stream,
        subprocess.Popen(
            command, cwd=folder, env=base_environment(), stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"tempest did not end within {seconds:.0f} s: see {output}") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _flags(platform: str) -> dict[str, bool]:
    """What the driver can do, less what this lab has not."""
    flags = features.tempest_flags(platform)
    if novnc.find(cache_root()) is None:
        # Tempest asks nova-novncproxy for noVNC's web page before it opens the console.
        flags["vnc_console"] = False
    return flags


def _facts(cloud: Connection, spec: LabSpec, workspace: Path, platform: str) -> Facts:
    images = [_image(cloud, name, workspace, platform) for name in _IMAGES]
    flavors = [_flavor(cloud, name, memory) for name, memory in _FLAVORS.items()]
    versions = cloud.compute.get(spec.url("nova") + "/").json()["versions"]
    newest = next(each["version"] for each in versions if each["id"] == "v2.1")
    extensions = tuple(sorted(each.alias for each in cloud.network.extensions()))
    return Facts(images[0], images[1], flavors[0], flavors[1], newest, extensions, _public_network(cloud))


def _public_network(cloud: Connection) -> str:
    """A network for floating addresses, which Neutron gives out although no agent of the lab routes to them.

    With it, and a pool of addresses for the networks that Neutron then makes, servers can ask for `auto` networks.
    """
    existing = cloud.network.find_network(PUBLIC_NETWORK)
    if existing is None:
        existing = cloud.network.create_network(name=PUBLIC_NETWORK, is_router_external=True, is_default=True)
        cloud.network.create_subnet(
            network_id=existing.id, name=PUBLIC_NETWORK, ip_version=4, cidr="172.24.4.0/24", enable_dhcp=False
        )
        cloud.network.create_subnet_pool(
            name=PUBLIC_NETWORK, prefixes=["10.200.0.0/16"], default_prefix_length=26, is_default=True, is_shared=True
        )
    return str(existing.id)


def _image(cloud: Connection, name: str, workspace: Path, platform: str) -> str:
    """An image that boots on the platform; those of z/VM have names of their own, as a lab can have both."""
    if platform == "zvm":
        return _zvm_image(cloud, f"{name}-zvm", workspace)
    existing = cloud.image.find_image(name)
    if existing is None:
        existing = cloud.image.create_image(
            name, data=secrets.token_bytes(_IMAGE_BYTES), disk_format="raw", container_format="bare",
            visibility="public", wait=True,
        )  # fmt: skip
    return str(existing.id)


def _zvm_image(cloud: Connection, name: str, workspace: Path) -> str:
    existing = cloud.image.find_image(name)
    if existing is None:
        file = workspace / f"{name}.img"
        properties: dict[str, Any] = dict(demo_roles.ZVM_PROPERTIES)
        try:
            demo_roles.dasd_image(file)
            existing = cloud.image.create_image(
                name, filename=str(file), disk_format="raw", container_format="bare", visibility="public", wait=True,
                **properties,
            )  # fmt: skip
        finally:
            file.unlink(missing_ok=True)
    return str(existing.id)


def _flavor(cloud: Connection, name: str, memory: int) -> str:
    existing = cloud.compute.find_flavor(name)
    if existing is None:
        existing = cloud.compute.create_flavor(name=name, ram=memory, vcpus=1, disk=1)
    return str(existing.id)
