"""A polling agent's surroundings: its option files, the cloud that it asks for servers, and who takes its samples."""

from __future__ import annotations

import json
import textwrap
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from ceilometer import service
from oslo_config import cfg
from werkzeug.wrappers import Request, Response

from bigiron.powervm.options import PowerVMOptions
from bigiron.sim.kernel.serving import HttpServer
from bigiron.zvm.options import ZvmOptions

HOST = "power1"


def prepared(path: Path) -> cfg.ConfigOpts:
    """The options in a file as Ceilometer's programs read them; logging, translation and signals of this process, which
    is not theirs alone, stay as they are."""
    conf = cfg.ConfigOpts()
    with (
        mock.patch.object(service.log, "setup"),
        mock.patch.object(service.oslo_i18n, "enable_lazy"),
        mock.patch.object(service.gmr.TextGuruMeditation, "setup_autorun"),
    ):
        service.prepare_service(["ceilometer-polling", "--config-file", str(path)], conf=conf)
    return conf


def instance_uuid(name: str) -> str:
    """The uuid of the server of that name: the same in every run, with the top bit that a partition's cannot have."""
    made = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    return f"{int(made[0], 16) | 8:x}{made[1:]}"


@dataclass
class Captured:
    """Stands where the notifier sends samples to the bus."""

    samples: list[dict[str, Any]] = field(default_factory=list)

    def sample(self, _context: Any, _event: str, payload: dict[str, Any]) -> None:
        self.samples += payload["samples"]


class TinyCloud:
    """As much of Keystone, Nova and Glance as discovery asks of them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.requests: list[str] = []
        self._http = HttpServer(("127.0.0.1", 0), self._answer, threads=4)

    def __enter__(self) -> TinyCloud:
        self._http.bind()
        self._http.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()

    @property
    def url(self) -> str:
        return self._http.url

    def _answer(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.requests.append(f"{request.method} {request.full_path.rstrip('?')}")
        status, body = self._body(request)
        answer = Response(json.dumps(body), status=status, content_type="application/json")
        if status == 201:
            answer.headers["X-Subject-Token"] = "token"
        return answer(environ, start_response)

    def _body(self, request: Request) -> tuple[int, Any]:
        match request.path.strip("/").split("/"):
            case ["identity", "v3", "auth", "tokens"]:
                return 201, {"token": self._token()}
            case ["identity", "v3"]:
                return 200, {"version": self._version("v3.14", "identity/v3")}
            case ["compute", "v2.1", "servers", "detail"]:
                wanted = request.args.get("host") == HOST and "changes-since" not in request.args
                return 200, {"servers": [self._server(name) for name in self.names] if wanted else []}
            case ["compute", "v2.1", "flavors", _]:
                return 200, {"flavor": {"id": "f1", "name": "m1.tiny", "vcpus": 2, "ram": 2048, "disk": 10,
                                        "OS-FLV-EXT-DATA:ephemeral": 0}}  # fmt: skip
            case ["image", "v2", "images", name]:
                return 200, {"id": name, "name": "aix", "status": "active", "owner": "project1"}
            case ["image"]:
                return 200, {"versions": [self._version("v2.16", "image/v2")]}
        return 404, {"error": {"code": 404, "message": request.path}}

    def _version(self, name: str, path: str) -> dict[str, Any]:
        link = {"rel": "self", "href": f"{self.url}/{path}/"}
        return {"id": name, "status": "stable" if "identity" in path else "CURRENT", "links": [link]}

    def _token(self) -> dict[str, Any]:
        domain = {"id": "default", "name": "Default"}
        catalog = [
            {
                "type": kind, "id": kind, "name": kind,
                "endpoints": [{"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "id": kind,
                               "url": f"{self.url}/{path}"}],
            }
            for kind, path in (("identity", "identity/v3"), ("compute", "compute/v2.1"), ("image", "image"))
        ]  # fmt: skip
        return {
            "methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "catalog": catalog,
            "issued_at": "2026-01-01T00:00:00.000000Z", "roles": [{"id": "r", "name": "admin"}],
            "user": {"id": "u", "name": "ceilometer", "domain": domain},
            "project": {"id": "p", "name": "service", "domain": domain},
        }  # fmt: skip

    def _server(self, name: str) -> dict[str, Any]:
        return {
            "id": instance_uuid(name), "name": name, "status": "ACTIVE", "tenant_id": "project1", "user_id": "user1",
            "hostId": "hashed", "flavor": {"id": "f1"}, "image": {"id": "image1"}, "metadata": {},
            "OS-EXT-SRV-ATTR:instance_name": f"instance-{name}", "OS-EXT-SRV-ATTR:host": HOST,
            "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:task_state": None,
        }  # fmt: skip


def _section(options: PowerVMOptions | ZvmOptions) -> str:
    """Where the platform is."""
    if isinstance(options, ZvmOptions):
        return f"""
        [zvm]
        cloud_connector_url = {options.cloud_connector_url}
        token_path = {options.token_path}
        call_timeout = {options.call_timeout_s}
        """
    return f"""
        [powervm]
        rest_host = {options.rest_host}
        rest_port = {options.rest_port}
        rest_protocol = http
        rest_username = padmin
        rest_password = padmin
        rest_timeout = 30
        """


def write_files(
    folder: Path,
    options: PowerVMOptions | ZvmOptions,
    cloud: TinyCloud,
    interval: int = 60,
    **polling_options: Any,
) -> Path:
    """ceilometer.conf and polling.yaml as an operator would write them; returns the first."""
    more = "\n".join(f"{name} = {value}" for name, value in polling_options.items())
    (folder / "polling.yaml").write_text(f"sources:\n  - name: guests\n    interval: {interval}\n    meters: ['*']\n")
    path = folder / "ceilometer.conf"
    path.write_text(
        textwrap.dedent(f"""
        [DEFAULT]
        host = {HOST}
        transport_url = fake:/

        [polling]
        cfg_file = {folder}/polling.yaml
        pollsters_definitions_dirs = {folder}

        {_section(options)}
        [service_credentials]
        auth_type = password
        auth_url = {cloud.url}/identity/v3
        username = ceilometer
        password = secret
        project_name = service
        user_domain_name = Default
        project_domain_name = Default
        region_name = RegionOne
        interface = public
        """).replace("[polling]\n", f"[polling]\n{more}\n")
    )
    return path
