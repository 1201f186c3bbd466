"""The real polling agent of Ceilometer with our namespace, against a simulated system and a small cloud over HTTP."""

from __future__ import annotations

import contextlib
import json
import logging
import textwrap
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ceilometer.polling import manager as polling
from tests.support.powervm_host import DOCUMENT, Host, serve
from tests.support.simulator import ControlClient
from tests.support.telemetry_conf import prepared
from werkzeug.wrappers import Request, Response

from bigiron import naming
from bigiron.sim.kernel.serving import HttpServer
from bigiron.sim.powervm.pcm.documents import usage
from bigiron.sim.powervm.pcm.facts import PartitionFacts
from bigiron.sim.powervm.pcm.monitor import Sample

HOST = "power1"
PCM = "/rest/api/pcm/ManagedSystem/{uuid}"
FEED = f"{PCM}/RawMetrics/LongTermMonitor"
UOM = "/rest/api/uom"


def instance_uuid(name: str) -> str:
    """The uuid of the server of that name: the same in every run, with the top bit that a partition's cannot have."""
    made = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    return f"{int(made[0], 16) | 8:x}{made[1:]}"


def guest(name: str, load: str = "idle", **more: Any) -> dict[str, Any]:
    """A server's partition in a system document."""
    return {
        "name": name, "uuid": naming.lpar_uuid(instance_uuid(name)).lower(),
        "description": naming.mark(instance_uuid(name)), "memory_mb": 2048, "proc_units": 0.5, "vcpus": 2,
        "nics": [{"switch": "ETHERNET0", "vlan": 1}], "disks": [{"cluster": "cluster1", "size_gb": 10}],
        "load": load, **more,
    }  # fmt: skip


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
                return 200, {"id": name, "name": "aix", "status": "active"}
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


@dataclass
class Captured:
    """Stands where the notifier sends samples to the bus."""

    samples: list[dict[str, Any]] = field(default_factory=list)

    def sample(self, _context: Any, _event: str, payload: dict[str, Any]) -> None:
        self.samples += payload["samples"]


@dataclass
class Telemetry:
    """An agent with its system and its cloud."""

    host: Host
    cloud: TinyCloud
    agent: polling.AgentManager
    tasks: Sequence[polling.PollingTask]
    captured: Captured

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.host.simulator.control_url)

    def pass_time(self, seconds: float) -> None:
        self.control.clock(advance=seconds)

    def script(self, **wish: Any) -> None:
        """Spoil the monitor's samples; without a wish, no more."""
        self.control.ask("POST", "/pcm", wish)

    def poll(self) -> list[dict[str, Any]]:
        """The samples of one poll of everything."""
        self.captured.samples.clear()
        for task in self.tasks:
            task.poll_and_notify()
        return list(self.captured.samples)

    def calls(self) -> Counter[str]:
        """What one poll asks of the platform; long polls for events are not counted."""
        return self.host.calls(self.poll)

    # What the model says

    def newest(self) -> Sample:
        with self.host.world.lock:
            return self.host.simulator.monitor.samples()[-1]

    def facts(self, name: str) -> PartitionFacts:
        """A partition in the newest sample."""
        return next(one for one in self.newest().system.lpars if one.name == name)

    def busy(self, name: str) -> float:
        """How long the model says a partition kept a processor busy, by the newest sample, in seconds."""
        return usage(self.facts(name), self.newest().time).busy

    def partition(self, name: str) -> Any:
        return next(lpar for lpar in self.host.world.lpars if lpar.name == name)


def volumes(samples: Sequence[dict[str, Any]], meter: str, name: str) -> dict[str, float]:
    """A meter's values of one server, by resource id."""
    return {
        one["resource_id"]: one["counter_volume"]
        for one in samples
        if one["counter_name"] == meter and one["resource_metadata"]["instance_id"] == instance_uuid(name)
    }


def volume(samples: Sequence[dict[str, Any]], meter: str, name: str) -> float:
    """The value of a meter of which a server has one."""
    (found,) = volumes(samples, meter, name).values()
    return found


def meters(samples: Sequence[dict[str, Any]], name: str) -> set[str]:
    """The meters that a server has samples of."""
    return {one["counter_name"] for one in samples if one["resource_metadata"]["instance_id"] == instance_uuid(name)}


def write_files(folder: Path, host: Host, cloud: TinyCloud, interval: int = 60, **polling_options: Any) -> Path:
    """ceilometer.conf and polling.yaml as an operator would write them; returns the first."""
    more = "\n".join(f"{name} = {value}" for name, value in polling_options.items())
    (folder / "polling.yaml").write_text(f"sources:\n  - name: powervm\n    interval: {interval}\n    meters: ['*']\n")
    path = folder / "ceilometer.conf"
    path.write_text(
        textwrap.dedent(f"""
        [DEFAULT]
        host = {HOST}
        transport_url = fake:/

        [polling]
        cfg_file = {folder}/polling.yaml
        pollsters_definitions_dirs = {folder}

        [powervm]
        rest_host = {host.options.rest_host}
        rest_port = {host.options.rest_port}
        rest_protocol = http
        rest_username = padmin
        rest_password = padmin
        rest_timeout = 30

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


@contextlib.contextmanager
def telemetry(
    folder: Path, partitions: Sequence[dict[str, Any]], ready: Callable[[Host], None] | None = None, **document: Any
) -> Iterator[Telemetry]:
    """An agent that has connected and polled once, with a sample of the monitor; time stands still."""
    names = [one["name"] for one in partitions]
    logging.getLogger("bigiron").setLevel(logging.INFO)
    with (
        serve(folder, {**DOCUMENT, **document, "partitions": list(partitions)}) as host,
        TinyCloud(names) as cloud,
    ):
        clock = host.simulator.clock
        clock.set_scale(0)
        clock.advance(120 - clock.now() % 120)
        if ready is not None:
            ready(host)
        agent = polling.AgentManager(0, prepared(write_files(folder, host, cloud)), ["powervm"])
        captured = agent.notifier = Captured()
        agent.polling_manager = polling.PollingManager(agent.conf)
        tasks = list(agent.setup_polling_tasks().values())
        try:
            yield Telemetry(host, cloud, agent, tasks, captured)
        finally:
            agent.terminate()
