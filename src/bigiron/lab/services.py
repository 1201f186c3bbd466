"""The table of the lab's programs: how each is started, after which others, and how it is known to work."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bigiron.lab import broker, openvswitch
from bigiron.lab.database import file_url
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, program
from bigiron.lab.spec import PHYSICAL_BRIDGE, Host, LabSpec

# Steps that are no processes, but that programs wait for.
BOOTSTRAP = "administrator"
SEED = "users and catalog"
_HURRIED = 20


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process. `after` names programs (or steps) that must work first; `check` is a key of health."""

    name: str
    argv: tuple[str, ...]
    check: str
    port: str = ""
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    deadline: float = 180.0
    stop_seconds: int = 10
    own_log: bool = True
    """Whether it writes its log file itself, and begins a new one in time; otherwise the supervisor does."""


def programs(
    paths: LabPaths, spec: LabSpec, broker_binaries: broker.Binaries | None, switch: openvswitch.Binaries | None = None
) -> tuple[Program, ...]:
    """Return the programs of this lab, in the order in which they are shown."""
    table = list(_control_plane(paths, spec))
    if broker_binaries is not None:
        table.insert(0, _broker(paths, spec, broker_binaries))
    if spec.hosts_of("powervm"):
        table += (_console_proxy(paths, name) for name in ("nova-novncproxy", "nova-serialproxy"))
    for host in spec.hosts:
        if host.platform != "fake":
            table.append(_simulator(paths, spec, host, switch))
        if switch is not None and host in spec.switched_hosts:
            table += _switch(paths, host, switch)
        if host.platform == "powervm":
            table.append(_agent(paths, host, "sea"))
            if host in spec.direct_hosts:
                table.append(_agent(paths, host, "sriov"))
        if host.platform == "zvm":
            table.append(_agent(paths, host, "zvm"))
        table.append(_compute(paths, host))
        if host in spec.measured_hosts:
            table.append(_polling(paths, host))
    if spec.measured_hosts:
        table.append(_charts(spec))
    return tuple(table)


def _control(name: str, config: Path, spec: LabSpec) -> tuple[str, ...]:
    launcher = f"bigiron.lab.control.{name}"
    return (sys.executable, "-W", "ignore", "-m", launcher, str(config), str(spec.ports[name]))


def _control_plane(paths: LabPaths, spec: LabSpec) -> tuple[Program, ...]:
    etc = paths.etc
    bus = () if spec.broker_url else ("broker",)
    cell0 = file_url(paths.databases / "nova_cell0.sqlite")
    return (
        Program(
            "keystone", _control("keystone", etc / "keystone" / "keystone.conf", spec), "keystone", "keystone",
            (BOOTSTRAP,),
        ),
        Program("placement", _control("placement", etc / "placement", spec), "placement", "placement", (SEED,)),
        Program("glance", _control("glance", etc / "glance", spec), "glance", "glance", (SEED,)),
        Program(
            "nova", _control("nova", etc / "nova", spec), "nova", "nova", (*bus, SEED),
            environment={"BIGIRON_CELL0": cell0, "BIGIRON_COMPUTE_HOSTS": str(len(spec.hosts))},
        ),
        Program("neutron", _control("neutron", etc / "neutron", spec), "neutron", "neutron", bus),
        Program("cinder", _control("cinder", etc / "cinder" / "cinder.conf", spec), "cinder", "cinder", (*bus, SEED)),
    )  # fmt: skip


def _broker(paths: LabPaths, spec: LabSpec, binaries: broker.Binaries) -> Program:
    folder = paths.data / "broker"
    port = spec.ports["broker"]
    root = folder / "erlang"
    return Program(
        "broker", broker.command(port, root), "broker", "broker",
        environment=broker.environment(folder, port, binaries, root), stop_seconds=20, own_log=False,
    )  # fmt: skip


def _compute(paths: LabPaths, host: Host) -> Program:
    name = host.named("nova-compute")
    after = ("nova", "neutron", "placement", *((host.named("sim"),) if host.platform != "fake" else ()))
    options = paths.etc / name / "nova.conf"
    return Program(
        name, (program("nova-compute"), "--config-file", str(options)), name, after=after,
        environment=_concurrency(), stop_seconds=20,
    )  # fmt: skip


def _concurrency() -> dict[str, str]:
    """How nova-compute works side by side: as $BIGIRON_LAB_CONCURRENCY says; Nova 33 has no option for it."""
    wanted = os.environ.get("BIGIRON_LAB_CONCURRENCY")
    return {"OS_NOVA_DISABLE_EVENTLET_PATCHING": str(wanted == "threading").lower()} if wanted else {}


def _console_proxy(paths: LabPaths, name: str) -> Program:
    options = paths.etc / name / "nova.conf"
    return Program(
        name, (program(name), "--config-file", str(options)), name, name, ("nova",),
        # These two are Nova's last programs whose default is eventlet.
        environment={"OS_NOVA_DISABLE_EVENTLET_PATCHING": "true"},
    )  # fmt: skip


def _simulator(paths: LabPaths, spec: LabSpec, host: Host, switch: openvswitch.Binaries | None) -> Program:
    """The simulated system of a host; that of a z/VM runs the real Cloud Connector."""
    sim = host.named("sim")
    listen, control = (f"127.0.0.1:{spec.ports[host.named(name)]}" for name in ("sim", "sim_control"))
    command = (
        program("bigiron"), "sim", host.platform, "--system", str(host.document().resolve()),
        "--state", str(paths.data / sim), "--listen", listen, "--control", control, "--latency", spec.latency,
    )  # fmt: skip
    if switch is not None and host in spec.switched_hosts:
        at = openvswitch.sockets(paths, host)
        return Program(
            sim, (*command, "--ovsdb", at.database), sim, sim, (host.named("ovs-vswitchd"),),
            environment=switch.environment(at.folder), own_log=False,
        )  # fmt: skip
    if host.platform != "zvm":
        return Program(sim, command, sim, sim, own_log=False)
    # The connector waits for 15 s in each shutdown: a lab without latency does not, unless what guests use in a second
    # is to be seen.
    scale = _HURRIED if spec.latency == "none" and not spec.telemetry else 1
    return Program(
        sim, (*command, "--clock-scale", str(scale), "--connector", str(connector_environment())), sim, sim,
        own_log=False, stop_seconds=20,
    )  # fmt: skip


def create_switch(paths: LabPaths, host: Host, switch: openvswitch.Binaries) -> None:
    """Make the database of a host's Open vSwitch, with the bridges that its agent needs."""
    openvswitch.sockets(paths, host).folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    openvswitch.create(_switch_database(paths, host), (openvswitch.INTEGRATION_BRIDGE, PHYSICAL_BRIDGE), switch)


def _switch_database(paths: LabPaths, host: Host) -> Path:
    return paths.data / host.named("ovsdb-server") / "conf.db"


def _switch(paths: LabPaths, host: Host, switch: openvswitch.Binaries) -> Iterator[Program]:
    """The Open vSwitch of a host and Neutron's own agent for it."""
    at = openvswitch.sockets(paths, host)
    server, daemon, agent = map(host.named, ("ovsdb-server", "ovs-vswitchd", "neutron-openvswitch-agent"))
    environment = switch.environment(at.folder)
    logging = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
    yield Program(
        server,
        (
            switch.program("ovsdb-server"), str(_switch_database(paths, host)), *logging,
            f"--remote=p{at.database}", f"--unixctl={at.control('ovsdb-server')}",
        ),
        server, environment=environment, own_log=False,
    )  # fmt: skip
    yield Program(
        daemon,
        (
            switch.program("ovs-vswitchd"), at.database, *logging,
            "--enable-dummy=override", f"--unixctl={at.control('ovs-vswitchd')}",
        ),
        daemon, after=(server,), environment=environment, own_log=False,
    )  # fmt: skip
    options = paths.etc / agent / "neutron.conf"
    yield Program(
        agent, (program("neutron-openvswitch-agent"), "--config-file", str(options)), agent,
        after=("neutron", daemon, SEED), environment=environment,
    )  # fmt: skip


def connector_environment() -> Path:
    """Return the virtual environment of the z/VM Cloud Connector: $BIGIRON_ZVM_CONNECTOR or the one inside ours."""
    return Path(os.environ.get("BIGIRON_ZVM_CONNECTOR") or Path(sys.prefix) / "zvm-connector")


def check_connector() -> None:
    """Refuse to start where the Cloud Connector is not installed."""
    environment = connector_environment()
    if not (environment / "bin" / "sdkserver").exists():
        raise LabError(
            f"there is no z/VM Cloud Connector in {environment}: `make connector` installs it, or name its virtual "
            "environment in $BIGIRON_ZVM_CONNECTOR"
        )


def _agent(paths: LabPaths, host: Host, kind: str) -> Program:
    """The Neutron agent of a host for Shared Ethernet Adapters (`sea`), SR-IOV adapters (`sriov`) or z/VM (`zvm`)."""
    name = host.named(f"neutron-{kind}-agent")
    command = (program(f"bigiron-neutron-{kind}-agent"), "--config-file", str(paths.etc / name / "neutron.conf"))
    return Program(name, command, name, after=("neutron", host.named("sim"), SEED))


def _polling(paths: LabPaths, host: Host) -> Program:
    """Ceilometer's agent, whose figures Prometheus reads."""
    name = host.named("ceilometer-polling")
    options = paths.etc / name / "ceilometer.conf"
    command = (
        program("ceilometer-polling", "ceilometer"),
        "--polling-namespaces",
        host.platform,
        "--config-file",
        str(options),
    )
    return Program(name, command, name, host.named("exporter"), after=("nova", "glance", host.named("sim"), SEED))


def _charts(spec: LabSpec) -> Program:
    """The page that draws the agents' figures."""
    if importlib.util.find_spec("plotly") is None:
        raise LabError("Plotly, which draws the charts, is missing: install it with pip install 'bigiron[charts]'")
    exporters = [f"{spec.url(host.named('exporter'))}/metrics" for host in spec.measured_hosts]
    words = [word for exporter in exporters for word in ("--exporter", exporter)]
    command = (sys.executable, "-W", "ignore", "-m", "bigiron.lab.charts", "--port", str(spec.ports["charts"]), *words)
    return Program("charts", command, "charts", "charts", own_log=False)


def base_environment() -> dict[str, str]:
    """Return the environment of the supervisor and its programs: nothing of the user's shell but what tools need."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONWARNINGS": "ignore",
        # Dozens of mostly idle threads per process: one heap per thread would double the memory.
        "MALLOC_ARENA_MAX": "2",
    }
