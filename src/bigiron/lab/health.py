"""Know whether each program works, by asking it what a client would ask."""

from __future__ import annotations

from collections.abc import Callable

import openstack
import requests
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from bigiron.lab import broker
from bigiron.lab.spec import COMPUTE_HOST, REGION, LabSpec

_ANSWER_SECONDS = 5.0
_PATHS = {
    "keystone": "/v3", "glance": "/healthcheck", "placement": "/", "nova": "/", "neutron": "/", "cinder": "/",
    "sim_control": "/audit",
}  # fmt: skip


def connection(spec: LabSpec, user: str = "admin") -> Connection:
    """Return the OpenStack SDK's connection to the lab as one of its users."""
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_url=spec.url("keystone") + "/v3", username=user,
        password=spec.secrets[user], project_name=user, user_domain_name="Default", project_domain_name="Default",
        region_name=REGION, api_timeout=60,
    )  # fmt: skip


class Health:
    """Checks by name; each returns whether the program works now and never blocks for long."""

    def __init__(self, spec: LabSpec) -> None:
        self._spec = spec
        self._cloud: Connection | None = None
        self._special: dict[str, Callable[[], bool]] = {
            "broker": lambda: broker.answers(spec.ports["broker"]),
            "sim": lambda: self._answers("sim_control"),
            "compute": self._compute,
            "sea_agent": self._sea_agent,
        }

    def works(self, check: str) -> bool:
        """Run one check."""
        special = self._special.get(check)
        return special() if special else self._answers(check)

    def _answers(self, name: str) -> bool:
        try:
            answer = requests.get(self._spec.url(name) + _PATHS[name], timeout=_ANSWER_SECONDS)
        except requests.RequestException:
            return False
        return answer.status_code < 400

    def _connection(self) -> Connection:
        if self._cloud is None:
            self._cloud = connection(self._spec)
        return self._cloud

    def _compute(self) -> bool:
        """A compute host works when it is mapped into the cell, up, and has its inventory in Placement."""
        try:
            for host in self._connection().compute.hypervisors():
                provider = f"/resource_providers/{host.id}/inventories"
                if host.state == "up" and self._connection().placement.get(provider).json().get("inventories"):
                    return True
        except (SDKException, ClientException):
            return False
        return False

    def _sea_agent(self) -> bool:
        try:
            agents = list(self._connection().network.agents(host=COMPUTE_HOST))
        except (SDKException, ClientException):
            return False
        return any(agent.is_alive for agent in agents)
