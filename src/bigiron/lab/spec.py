"""What one lab is: the choices of its user and the secrets made for it, kept in lab.json between commands."""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from bigiron.lab import ports
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, write_private

PLATFORMS = ("powervm", "zvm")
BOTH = "both"
DRIVERS = (*PLATFORMS, BOTH, "fake")
PLATFORM_TITLES = {"powervm": "PowerVM", "zvm": "z/VM"}
PORT_NAMES = (
    "broker",
    "keystone",
    "glance",
    "placement",
    "nova",
    "neutron",
    "cinder",
    "nova-novncproxy",
    "nova-serialproxy",
    "charts",
)
HOST_PORT_NAMES = ("consoles", "sim", "sim_control", "exporter", "openflow")
SECRET_NAMES = (
    "admin",
    "demo",
    "broker",
    "cookie",
    "metadata",
    "glance",
    "placement",
    "nova",
    "neutron",
    "cinder",
    "ceilometer",
)
CONTROL_HOST = "lab-control"
REGION = "RegionOne"
PHYSICAL_NETWORK = "default"
PHYSICAL_BRIDGE = "br-default"
"""Of Open vSwitch, to that network."""
_MAC_PREFIX = "020000"
"""The simulator's own."""
_EXAMPLES = Path(__file__).parents[3] / "examples" / "systems"
_EXAMPLE = {"powervm": _EXAMPLES / "one-host.yaml", "zvm": _EXAMPLES / "zvm.yaml"}


@dataclass(frozen=True, slots=True)
class Host:
    """One compute host, by its number from 1 on; `system` is the document of the system that it manages.

    `platform` is that system's; `fake` is none, for Nova's own fake driver.
    """

    number: int
    system: str = ""
    platform: str = "powervm"

    def named(self, name: str) -> str:
        """The name of this host's program, port or folder of that kind; those of the first host have no number."""
        return name if self.number == 1 else f"{name}-{self.number}"

    @property
    def compute(self) -> str:
        """What Nova and Neutron call it."""
        return self.named("lab-compute")

    def document(self) -> Path:
        """The system document, checked to exist: the chosen one, or the repository's example."""
        document = Path(self.system).expanduser() if self.system else _EXAMPLE[self.platform]
        if not document.is_file():
            raise LabError(f"system document {document} does not exist: give one with --system FILE.yaml")
        return document

    def mac_prefix(self) -> str:
        """The six digits that a z/VM puts before the last three bytes of every adapter's MAC address."""
        system = (_content(self.document()) or {}).get("system") or {}
        return str(system.get("user_mac_prefix") or system.get("mac_prefix") or _MAC_PREFIX).lower()

    def vswitches(self) -> tuple[tuple[str, str], ...]:
        """The physical networks of a z/VM host with their virtual switches.

        The first one that knows VLANs carries the lab's own physical network; others have networks of their names.
        """
        if self.platform != "zvm":
            return ()
        document = self.document()
        return _vswitches(document, document.stat().st_mtime_ns)

    def direct_ports(self) -> tuple[tuple[str, str], ...]:
        """The PCI addresses of its SR-IOV ports' functions, as Nova is told of them, and their physical networks."""
        if self.platform != "powervm":
            return ()
        document = self.document()
        return _direct_ports(document, document.stat().st_mtime_ns)


@dataclass(frozen=True, slots=True)
class LabSpec:
    """One lab's choices, ports and secrets.

    `driver` is the platform of the compute hosts, `both` for hosts of each, or `fake` for Nova's own fake driver.
    `systems` are system documents, one for each compute host; empty means one host of each platform, with the
    repository's example of it.
    `broker_url` empty means: run a private RabbitMQ. `telemetry` asks for a polling agent for each host, and a page
    with charts, `open_vswitch` for an Open vSwitch with Neutron's agent on each PowerVM host.
    `settings` holds options beyond those that the lab itself sets, PROGRAM:GROUP.OPTION -> value.
    """

    driver: str = "powervm"
    systems: Sequence[str] = ()
    latency: str = "none"
    broker_url: str = ""
    debug: bool = False
    telemetry: bool = False
    open_vswitch: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    seeded: str = ""
    platforms: Sequence[str] = ()
    """The digests of the system documents that the simulated platforms were made from."""

    @property
    def physical_networks(self) -> tuple[str, ...]:
        """Every physical network that a host leads to, that of the bridges first."""
        found = {network for host in self.direct_hosts for _, network in host.direct_ports()}
        return (PHYSICAL_NETWORK, *sorted(found - {PHYSICAL_NETWORK}))

    @property
    def flat_networks(self) -> tuple[str, ...]:
        """Every physical network that can be had untagged: of z/VM's virtual switches also those without VLANs."""
        switches = {network for host in self.hosts for network, _ in host.vswitches()}
        return (*self.physical_networks, *sorted(switches - set(self.physical_networks)))

    @property
    def base_mac(self) -> str:
        """What Neutron's MAC addresses begin with where there are z/VM hosts; empty where there are none."""
        prefixes = {host.mac_prefix() for host in self.hosts_of("zvm")}
        if len(prefixes) > 1:
            raise LabError(
                f"the z/VM systems have different user prefixes of MAC addresses ({', '.join(sorted(prefixes))}): "
                "give their documents the same user_mac_prefix, as Neutron has one"
            )
        return "".join(f"{prefix[:2]}:{prefix[2:4]}:{prefix[4:6]}:00:00:00" for prefix in prefixes)

    @property
    def direct_hosts(self) -> tuple[Host, ...]:
        """The compute hosts with SR-IOV adapters."""
        return tuple(host for host in self.hosts if host.direct_ports())

    @property
    def measured_hosts(self) -> tuple[Host, ...]:
        """The compute hosts with a polling agent: Nova's fake driver has nothing to measure."""
        return tuple(host for host in self.hosts if host.platform in PLATFORMS) if self.telemetry else ()

    @property
    def switched_hosts(self) -> tuple[Host, ...]:
        """The compute hosts with an Open vSwitch."""
        return self.hosts_of("powervm") if self.open_vswitch else ()

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The compute hosts. Raises LabError for a system document that a lab of both platforms cannot read."""
        if self.driver != BOTH:
            return tuple(Host(number, system, self.driver) for number, system in enumerate(self.systems or ("",), 1))
        if not self.systems:
            return tuple(Host(number, "", platform) for number, platform in enumerate(PLATFORMS, 1))
        described = [Host(number, system) for number, system in enumerate(self.systems, 1)]
        return tuple(replace(host, platform=platform_of(host.document())) for host in described)

    def hosts_of(self, platform: str) -> tuple[Host, ...]:
        """The compute hosts of one platform."""
        return tuple(host for host in self.hosts if host.platform == platform)

    @property
    def platform_names(self) -> tuple[str, ...]:
        """The platforms that the lab has hosts of."""
        return tuple(platform for platform in PLATFORMS if self.hosts_of(platform))

    def check_systems(self) -> None:
        """Refuse system documents of another platform than was chosen."""
        for host in self.hosts:
            if host.platform in PLATFORMS and platform_of(host.document()) != host.platform:
                found = platform_of(host.document())
                raise LabError(
                    f"system document {host.document()} describes a {PLATFORM_TITLES[found]} system and the lab's "
                    f"platform is {PLATFORM_TITLES[host.platform]}: start it with --platform {found}, or {BOTH}"
                )
        _ = self.base_mac
        if self.open_vswitch and not self.switched_hosts:
            raise LabError("ports on Open vSwitch are PowerVM's: leave out --open-vswitch, or add --platform powervm")
        missing = [PLATFORM_TITLES[each] for each in PLATFORMS if not self.hosts_of(each)]
        if self.driver == BOTH and missing:
            raise LabError(
                f"no system document describes a {missing[0]} system: a lab of both platforms needs one of each"
            )

    def url(self, name: str) -> str:
        """Return the base URL of a service of the lab, without a trailing slash."""
        return f"http://{ports.LOOPBACK}:{self.ports[name]}"

    @property
    def transport_url(self) -> str:
        """oslo.messaging's address of the broker."""
        if self.broker_url:
            return self.broker_url
        return f"rabbit://lab:{self.secrets['broker']}@{ports.LOOPBACK}:{self.ports['broker']}/"

    @property
    def endpoints(self) -> dict[str, tuple[str, str]]:
        """The catalog: service name -> (type, URL)."""
        return {
            "glance": ("image", self.url("glance")),
            "placement": ("placement", self.url("placement")),
            "nova": ("compute", self.url("nova") + "/v2.1"),
            "neutron": ("network", self.url("neutron")),
            "cinder": ("block-storage", self.url("cinder") + "/v3"),
        }

    def equipped(self) -> LabSpec:
        """Return a copy in which every port is free and every secret exists."""
        made = {name: self.secrets.get(name) or secrets.token_hex(16) for name in SECRET_NAMES}
        names = (*PORT_NAMES, *(host.named(name) for host in self.hosts for name in HOST_PORT_NAMES))
        return replace(self, ports=ports.choose(names, self.ports), secrets=made)


def load(paths: LabPaths) -> LabSpec | None:
    """Read a lab's spec; None when no lab was ever started in this directory."""
    try:
        text = paths.spec.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found = LabSpec(**json.loads(text))
        return replace(found, systems=tuple(found.systems), platforms=tuple(found.platforms))
    except (ValueError, TypeError) as error:
        raise LabError(f"{paths.spec} is damaged ({error}): remove the lab with `bigiron lab destroy`") from error


def save(paths: LabPaths, spec: LabSpec) -> None:
    """Keep a lab's spec for the next command."""
    write_private(paths.spec, json.dumps(asdict(spec), indent=2, sort_keys=True) + "\n")


def require(paths: LabPaths) -> LabSpec:
    """Read the spec of a lab that must exist."""
    spec = load(paths)
    if spec is None:
        raise LabError(f"no lab in {paths.root}: start one with `bigiron lab up`")
    return spec


def require_any(paths: LabPaths) -> None:
    """Refuse a directory that holds no lab; its spec may be damaged, or of another version."""
    if not paths.spec.is_file():
        raise LabError(f"no lab in {paths.root}: start one with `bigiron lab up`")


def chosen_driver(platform: str | None, driver: str | None) -> str | None:
    """Return what --platform and --driver ask for together; None where neither was given."""
    if platform and driver and platform != driver:
        raise LabError(f"--driver {driver} and --platform {platform} cannot both be: give --platform only")
    return platform or driver


def platform_of(document: Path) -> str:
    """Return which platform a system document describes: only that of a z/VM tells of a Cloud Connector."""
    return _platform_of(document, document.stat().st_mtime_ns)


def digest(document: Path) -> str:
    """Return a digest of what a system document says, whatever its comments and its layout."""
    content = _content(document)
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _content(document: Path) -> Any:
    try:
        return yaml.safe_load(document.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabError(f"system document {document} is not YAML: {error}") from error


@functools.cache
def _platform_of(document: Path, _stamp: int) -> str:
    content = _content(document)
    return "zvm" if isinstance(content, dict) and "connector" in content else "powervm"


@functools.cache
def _vswitches(document: Path, _stamp: int) -> tuple[tuple[str, str], ...]:
    switches = (_content(document) or {}).get("vswitches") or ()
    aware = next((each["name"] for each in switches if each.get("vlan_aware")), None)
    return tuple((PHYSICAL_NETWORK if each["name"] == aware else each["name"], each["name"]) for each in switches)


@functools.cache
def _direct_ports(document: Path, _stamp: int) -> tuple[tuple[str, str], ...]:
    """Documents can have hundreds of partitions, and this is asked again and again."""
    adapters = (_content(document) or {}).get("sriov_adapters") or ()
    shared = [each for each in adapters if each.get("mode") != "Dedicated"]
    return tuple(
        (f"{adapter:04x}:{number:02x}:*.*", port.get("label") or PHYSICAL_NETWORK)
        for adapter, each in enumerate(shared, 1)
        for number, port in enumerate(each["ports"])
    )
