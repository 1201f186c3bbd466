"""Render the option files of every program of the lab, as an operator would write them."""

from __future__ import annotations

import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.fernet import Fernet
from jinja2 import Environment, PackageLoader, StrictUndefined

from bigiron.lab import novnc, openvswitch
from bigiron.lab import spec as lab_spec
from bigiron.lab.database import file_url
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, cache_root, write_private
from bigiron.lab.spec import Host, LabSpec
from bigiron.lab.supervise import LOG_MEGABYTES

# Template -> file under etc/ (clouds.yaml, which users read, lies at the top).
_FILES = {
    "keystone.conf.j2": "keystone/keystone.conf",
    "glance-api.conf.j2": "glance/glance-api.conf",
    "placement.conf.j2": "placement/placement.conf",
    "nova.conf.j2": "nova/nova.conf",
    "nova-novncproxy.conf.j2": "nova-novncproxy/nova.conf",
    "nova-serialproxy.conf.j2": "nova-serialproxy/nova.conf",
    "neutron.conf.j2": "neutron/neutron.conf",
    "ml2_conf.ini.j2": "neutron/ml2_conf.ini",
    "cinder.conf.j2": "cinder/cinder.conf",
}
# Likewise for each compute host, whose number the folder has from the second on.
_HOST_FILES = {"nova-compute.conf.j2": ("nova-compute", "nova.conf")}
_SEA_FILES = {"neutron-sea-agent.conf.j2": ("neutron-sea-agent", "neutron.conf")}
"""For those of PowerVM."""
_ZVM_FILES = {"neutron-zvm-agent.conf.j2": ("neutron-zvm-agent", "neutron.conf")}
_SWITCHED_FILES = {"neutron-openvswitch-agent.conf.j2": ("neutron-openvswitch-agent", "neutron.conf")}
"""For those with an Open vSwitch."""
_DIRECT_FILES = {"neutron-sriov-agent.conf.j2": ("neutron-sriov-agent", "neutron.conf")}
"""For those that have SR-IOV adapters."""
_POLLING_FILES = {
    "ceilometer-polling.conf.j2": ("ceilometer-polling", "ceilometer.conf"),
    "polling.yaml.j2": ("ceilometer-polling", "polling.yaml"),
}
"""Where telemetry is asked for."""
_SETTING = re.compile(r"(?P<key>(?P<program>[\w-]+):(?P<group>\w+)\.(?P<option>\w+))=(?P<value>[^\r\n]*)")
_MACROS = ("logging", "database", "auth", "token", "rabbit", "console_proxy")
_STATE_FOLDERS = (
    "glance/images",
    "glance/tasks",
    "glance/staging",
    "glance/lock",
    "nova/lock",
    "nova-novncproxy/lock",
    "nova-serialproxy/lock",
    "neutron/lock",
    "cinder/lock",
    "cinder/coordination",
)
_HOST_STATE_FOLDERS = (
    ("nova-compute", "lock"),
    ("neutron-sea-agent", "lock"),
    ("neutron-sriov-agent", "lock"),
    ("neutron-zvm-agent", "lock"),
    ("neutron-openvswitch-agent", "lock"),
    ("sim", ""),
    ("port-line", ""),
)


@dataclass(frozen=True, slots=True)
class Renderer:
    """The templates and the values that all of them may use."""

    paths: LabPaths
    spec: LabSpec

    def text(self, template: str, **values: object) -> str:
        """Fill in one template; an unknown name in it is an error."""
        # These are option files, not HTML: nothing is to be escaped.
        environment = Environment(
            loader=PackageLoader("bigiron.lab"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
            autoescape=False, keep_trailing_newline=True,
        )  # fmt: skip
        environment.globals.update(self._values())
        macros = environment.get_template("macros.j2").make_module()
        environment.globals.update({name: _stripped(getattr(macros, name)) for name in _MACROS})
        return environment.get_template(template).render(values)

    def _values(self) -> dict[str, object]:
        powervm = bool(self.spec.hosts_of("powervm"))
        return {
            "spec": self.spec,
            "paths": self.paths,
            "shared": shared_folder(),
            "log_megabytes": LOG_MEGABYTES,
            "region": lab_spec.REGION,
            "control_host": lab_spec.CONTROL_HOST,
            "physical_bridge": lab_spec.PHYSICAL_BRIDGE,
            "integration_bridge": openvswitch.INTEGRATION_BRIDGE,
            "switch_sockets": partial(openvswitch.sockets, self.paths),
            "executables": Path(sys.executable).parent,
            "physical_network": lab_spec.PHYSICAL_NETWORK,
            "physical_networks": self.spec.physical_networks,
            "flat_networks": self.spec.flat_networks,
            "base_mac": self.spec.base_mac,
            "novnc_pages": novnc.find(cache_root()) or "",
            "mechanism_drivers": ",".join(_mechanism_drivers(self.spec)),
            # The trunk service does not start where no mechanism driver knows of trunks.
            "service_plugins": "router,trunk,qos,placement" if powervm else "router,qos,placement",
            "database_url": lambda name: file_url(self.paths.databases / f"{name}.sqlite"),
        }


def _mechanism_drivers(spec: LabSpec) -> list[str]:
    # The first one that can bind a port does.
    switched = ["openvswitch"] if spec.switched_hosts else []
    drivers = {"powervm": [*switched, "pvm_sea", "pvm_sriov"], "zvm": ["zvm"]}
    return [name for platform in spec.platform_names for name in drivers[platform]] or ["lab_fake"]


def _stripped(macro: Callable[..., str]) -> Callable[..., str]:
    """Leave the blank lines around a macro's text to the template that calls it."""
    return lambda *args: macro(*args).strip()


def shared_folder() -> Path:
    """Return where the OpenStack wheels put their paste files: etc/ of the environment they are installed in."""
    folder = Path(sys.prefix) / "etc"
    if not (folder / "nova" / "api-paste.ini").is_file():
        raise LabError(f"{folder}/nova/api-paste.ini is missing: install OpenStack with pip install 'bigiron[lab]'")
    return folder


def write(paths: LabPaths, spec: LabSpec) -> None:
    """Write every option file and make every state directory."""
    of_hosts = [str(Path(host.named(name), below)) for host in spec.hosts for name, below in _HOST_STATE_FOLDERS]
    for folder in (*_STATE_FOLDERS, *of_hosts):
        (paths.data / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    renderer = Renderer(paths, spec)
    for template, name in _FILES.items():
        write_private(paths.etc / name, renderer.text(template) + _added(_program(name), spec.settings))
    for host in spec.hosts:
        for template, (folder, name) in _files_of(host, spec).items():
            text = renderer.text(template, host=host, direct_ports=host.direct_ports())
            if name.endswith(".conf"):
                text += _added(folder, spec.settings)
            write_private(paths.etc / host.named(folder) / name, text)
    write_private(paths.clouds_yaml, renderer.text("clouds.yaml.j2"))
    (paths.etc / "neutron" / "policy.d").mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(shared_folder() / "nova" / "api-paste.ini", paths.etc / "nova" / "api-paste.ini")
    if spec.driver == "fake":
        # Nova's fake driver derives its node's uuid from the host name but never writes it down, and nova-compute
        # refuses a second start without it.
        for host in spec.hosts:
            identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, host.compute))
            write_private(paths.data / host.named("nova-compute") / "compute_id", identity)
    for repository in ("fernet-keys", "credential-keys"):
        _write_keys(paths.data / "keystone" / repository)


def _files_of(host: Host, spec: LabSpec) -> dict[str, tuple[str, str]]:
    """Template -> folder and file of one compute host."""
    return (
        _HOST_FILES
        | (_SEA_FILES if host.platform == "powervm" else {})
        | (_ZVM_FILES if host.platform == "zvm" else {})
        | (_DIRECT_FILES if host in spec.direct_hosts else {})
        | (_SWITCHED_FILES if host in spec.switched_hosts else {})
        | (_POLLING_FILES if host in spec.measured_hosts else {})
    )


def settings(texts: Iterable[str]) -> dict[str, str]:
    """Read options given as PROGRAM:GROUP.OPTION=VALUE; raises LabError for one that no program would find.

    What a program of the compute hosts is given holds on all of them.
    """
    programs = [
        *filter(None, map(_program, _FILES.values())),
        *(folder for folder, _ in (_HOST_FILES | _SEA_FILES | _ZVM_FILES | _DIRECT_FILES | _SWITCHED_FILES).values()),
        "ceilometer-polling",
    ]
    found = {}
    for text in texts:
        match = _SETTING.fullmatch(text)
        if match is None:
            raise LabError(f"{text!r} is no setting: write PROGRAM:GROUP.OPTION=VALUE, e.g. nova:DEFAULT.debug=true")
        if match["program"] not in programs:
            raise LabError(f"{text!r} names no program with options of its own: choose from {', '.join(programs)}")
        found[match["key"]] = match["value"]
    return found


def _program(name: str) -> str:
    """The program that an option file under etc/ is for; plug-ins' own files are for none."""
    return name.partition("/")[0] if name.endswith(".conf") else ""


def _added(program: str, chosen: Mapping[str, str]) -> str:
    """The lines that give a program what the user chose: of an option given twice, oslo.config takes the last."""
    matches = [_SETTING.fullmatch(f"{key}={value}") for key, value in chosen.items()]
    return "".join(
        f"\n[{match['group']}]\n{match['option']} = {match['value']}\n"
        for match in matches
        if match and match["program"] == program
    )


def _write_keys(repository: Path) -> None:
    """Give Keystone its keys: 0 is the next one, 1 signs; existing keys stay, or old tokens would become invalid."""
    if (repository / "1").exists():
        return
    for name in ("0", "1"):
        write_private(repository / name, Fernet.generate_key().decode())
