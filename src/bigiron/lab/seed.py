"""Give a new Keystone its administrator, with its own tool, then the lab's users and catalog, through its API."""

from __future__ import annotations

import subprocess
from typing import cast

from openstack.identity.v3._proxy import Proxy

from bigiron.lab.errors import LabError
from bigiron.lab.health import connection
from bigiron.lab.paths import LabPaths, program
from bigiron.lab.services import base_environment
from bigiron.lab.spec import REGION, LabSpec

_DOMAIN = "default"
_INTERFACES = ("public", "internal")
_BOOTSTRAP_SECONDS = 120


def bootstrap(paths: LabPaths, spec: LabSpec) -> None:
    """Make the administrator, the standard roles and Keystone's own endpoints, or bring them up to date."""
    command = [program("keystone-manage"), "--config-file", str(paths.etc / "keystone" / "keystone.conf"), "bootstrap"]
    for interface in ("admin", *_INTERFACES):
        command += [f"--bootstrap-{interface}-url", spec.url("keystone") + "/v3"]
    command += ["--bootstrap-region-id", REGION]
    # The password goes through the environment: a command line is visible to every user of the machine.
    environment = {**base_environment(), "OS_BOOTSTRAP_PASSWORD": spec.secrets["admin"]}
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_BOOTSTRAP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"keystone-manage bootstrap did not end within {_BOOTSTRAP_SECONDS} s: run `bigiron lab up` again when "
            "the machine is less busy"
        ) from error
    if result.returncode:
        raise LabError(f"keystone-manage bootstrap failed: {result.stderr.strip()[-1000:]}")


def seed(spec: LabSpec) -> None:
    """Make users, roles and endpoints what the spec says; running it again changes only what differs."""
    identity = cast(Proxy, connection(spec).identity)
    roles = {role.name: role.id for role in identity.roles()}
    for project, users, granted in (
        ("service", (*spec.endpoints, "ceilometer"), ("admin", "service")),
        ("demo", ("demo",), ("member",)),
    ):
        _project(identity, spec, project, users, [roles[name] for name in granted])
    _catalog(identity, spec)


def _project(identity: Proxy, spec: LabSpec, name: str, users: tuple[str, ...], roles: list[str]) -> None:
    project = identity.find_project(name, domain_id=_DOMAIN) or identity.create_project(name=name, domain_id=_DOMAIN)
    for user_name in users:
        user = identity.find_user(user_name, domain_id=_DOMAIN)
        if user is None:
            user = identity.create_user(
                name=user_name, password=spec.secrets[user_name], domain_id=_DOMAIN, default_project_id=project.id
            )
        for role in roles:
            identity.assign_project_role_to_user(project, user, role)


def _catalog(identity: Proxy, spec: LabSpec) -> None:
    services = {service.type: service for service in identity.services()}
    endpoints = {(each.service_id, each.interface): each for each in identity.endpoints()}
    for name, (kind, url) in spec.endpoints.items():
        service = services.get(kind) or identity.create_service(name=name, type=kind)
        for interface in _INTERFACES:
            existing = endpoints.get((service.id, interface))
            if existing is None:
                identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=REGION)
            elif existing.url != url:
                identity.update_endpoint(existing, url=url)
