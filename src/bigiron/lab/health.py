"""Know whether each program works, by asking it what a client would ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import openstack
import requests
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from bigiron.lab import broker, openvswitch
from bigiron.lab.novnc import PAGE
from bigiron.lab.paths import LabPaths
from bigiron.lab.spec import REGION, Host, LabSpec

_ANSWER_SECONDS = 5.0
_PATHS = {
    "keystone": "/v3", "glance": "/healthcheck", "placement": "/", "nova": "/", "neutron": "/", "cinder": "/",
    "nova-novncproxy": f"/{PAGE}", "nova-serialproxy": "/", "charts": "/data",
}  # fmt: skip
# Without web pages a console proxy refuses everything but web sockets, and works; so does a Cloud Connector that asks
# for a token.
_REFUSAL = {"nova-novncproxy": 405, "nova-serialproxy": 405}
_CONNECTOR_REFUSAL = 401


def connection(spec: LabSpec, user: str = "admin") -> Connection:
    """Return the OpenStack SDK's connection to the lab as one of its users."""
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_url=spec.url("keystone") + "/v3", username=user,
        password=spec.secrets[user], project_name=user, user_domain_name="Default", project_domain_name="Default",
        region_name=REGION, api_timeout=60,
    )  # fmt: skip


class Health:
    """Checks by name; each returns whether the program works now and never blocks for long.

    Programs without an API of their own are known by their reports to the control plane. A report counts when it is
    younger than the process, because the database still shows the one before as up for a minute.
    """

    def __init__(self, paths: LabPaths, spec: LabSpec) -> None:
        self._spec = spec
        self._cloud: Connection | None = None
        self._reporting: dict[str, Callable[[float], bool]] = {}
        self._simulators: dict[str, list[tuple[str, str]]] = {}
        self._refusals = _REFUSAL | {host.named("sim"): _CONNECTOR_REFUSAL for host in spec.hosts_of("zvm")}
        self._exporters: dict[str, str] = {}
        self._sockets: dict[str, Path] = {}
        for host in spec.hosts:
            self._reporting[host.named("nova-compute")] = partial(self._compute, host.compute)
            for agent in ("neutron-sea-agent", "neutron-sriov-agent", "neutron-zvm-agent"):
                self._reporting[host.named(agent)] = partial(self._agent, host.compute, f"bigiron-{agent}")
            stock = "neutron-openvswitch-agent"
            self._reporting[host.named(stock)] = partial(self._agent, host.compute, stock)
            for program in ("ovsdb-server", "ovs-vswitchd"):
                self._sockets[host.named(program)] = openvswitch.sockets(paths, host).control(program)
            self._simulators[host.named("sim")] = _questions(host)
            self._exporters[host.named("ceilometer-polling")] = host.named("exporter")

    def works(self, check: str, since: float) -> bool:
        """Run one check of a process that was started at `since` (seconds since the epoch)."""
        if check == "broker":
            return broker.answers(self._spec.ports["broker"])
        if check in self._simulators:
            return all(self._answers(name, path) for name, path in self._simulators[check])
        if check in self._sockets:
            return openvswitch.answers(self._sockets[check])
        if check in self._exporters:
            return self._answers(self._exporters[check], "/metrics")
        if check in self._reporting:
            try:
                return self._reporting[check](since)
            except (SDKException, ClientException):
                return False
        return self._answers(check, _PATHS[check])

    def _answers(self, name: str, path: str) -> bool:
        try:
            answer = requests.get(self._spec.url(name) + path, timeout=_ANSWER_SECONDS)
        except requests.RequestException:
            return False
        return answer.status_code < 400 or answer.status_code == self._refusals.get(name)

    def _connection(self) -> Connection:
        if self._cloud is None:
            self._cloud = connection(self._spec)
        return self._cloud

    def _compute(self, name: str, since: float) -> bool:
        """A compute host works when it reports, is mapped into the cell, and has its inventory in Placement."""
        cloud = self._connection()
        services = list(cloud.compute.services(binary="nova-compute", host=name))
        # The first report is stamped when the service is created, and has no time of its own.
        if not any(each.state == "up" and (not each.updated_at or _after(each.updated_at, since)) for each in services):
            return False
        for hypervisor in cloud.compute.hypervisors(details=True):
            provider = f"/resource_providers/{hypervisor.id}/inventories"
            ours = hypervisor.service_details["host"] == name
            if ours and cloud.placement.get(provider).json().get("inventories"):
                return True
        return False

    def _agent(self, name: str, binary: str, since: float) -> bool:
        agents = self._connection().network.agents(host=name, binary=binary)
        return any(agent.is_alive and _after(agent.last_heartbeat_at, since) for agent in agents)


def _questions(host: Host) -> list[tuple[str, str]]:
    """The ports and paths at which a simulator must answer: the Cloud Connector on a z/VM comes later than its control
    address."""
    control = (host.named("sim_control"), "/audit")
    return [control, (host.named("sim"), "/")] if host.platform == "zvm" else [control]


def _after(stamp: str, since: float) -> bool:
    """Tell whether a UTC time of an OpenStack API is not before a moment; APIs cut it to whole seconds."""
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() >= int(since)
