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

DRIVERS = ("powervm", "fake")
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
)
HOST_PORT_NAMES = ("consoles", "sim", "sim_control", "exporter")
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
_EXAMPLE = Path(__file__).parents[3] / "examples" / "systems" / "one-host.yaml"


@dataclass(frozen=True, slots=True)
class Host:
    """One compute host, by its number from 1 on; `system` is the document of the system that it manages."""

    number: int
    system: str = ""

    def named(self, name: str) -> str:
        """The name of this host's program, port or folder of that kind; those of the first host have no number."""
        return name if self.number == 1 else f"{name}-{self.number}"

    @property
    def compute(self) -> str:
        """What Nova and Neutron call it."""
        return self.named("lab-compute")

    def document(self) -> Path:
        """The system document, checked to exist: the chosen one, or the repository's example."""
        document = Path(self.system).expanduser() if self.system else _EXAMPLE
        if not document.is_file():
            raise LabError(f"system document {document} does not exist: give one with --system FILE.yaml")
        return document

    def direct_ports(self) -> tuple[tuple[str, str], ...]:
        """The PCI addresses of its SR-IOV ports' functions, as Nova is told of them, and their physical networks."""
        document = self.document()
        return _direct_ports(document, document.stat().st_mtime_ns)


@dataclass(frozen=True, slots=True)
class LabSpec:
    """One lab's choices, ports and secrets.

    `systems` are system documents, one for each compute host; empty means one host with the repository's example.
    `broker_url` empty means: run a private RabbitMQ. `telemetry` asks for a polling agent on each PowerVM host.
    `settings` holds options beyond those that the lab itself sets, PROGRAM:GROUP.OPTION -> value.
    """

    driver: str = "powervm"
    systems: Sequence[str] = ()
    latency: str = "none"
    broker_url: str = ""
    debug: bool = False
    telemetry: bool = False
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
    def direct_hosts(self) -> tuple[Host, ...]:
        """The compute hosts with SR-IOV adapters."""
        return tuple(host for host in self.hosts if host.direct_ports()) if self.driver == "powervm" else ()

    @property
    def measured(self) -> bool:
        """Whether polling agents run: they know simulated PowerVM systems only."""
        return self.telemetry and self.driver == "powervm"

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The compute hosts."""
        return tuple(Host(number, system) for number, system in enumerate(self.systems or ("",), 1))

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
def _direct_ports(document: Path, _stamp: int) -> tuple[tuple[str, str], ...]:
    """Documents can have hundreds of partitions, and this is asked again and again."""
    adapters = (_content(document) or {}).get("sriov_adapters") or ()
    shared = [each for each in adapters if each.get("mode") != "Dedicated"]
    return tuple(
        (f"{adapter:04x}:{number:02x}:*.*", port.get("label") or PHYSICAL_NETWORK)
        for adapter, each in enumerate(shared, 1)
        for number, port in enumerate(each["ports"])
    )
