"""A simulated z/VM under the real Cloud Connector for tests: its REST API, images and config drives."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pycdlib
import requests

from bigiron.sim.zvm import documents
from bigiron.sim.zvm.audit import audit
from bigiron.sim.zvm.linux import images
from bigiron.sim.zvm.server import Simulator

SYSTEM = Path(__file__).parents[2] / "examples" / "systems" / "zvm.yaml"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl user@host"
CLOCK_SCALE = 20.0
"""The server waits for whole seconds here and there, such as 15 after each shutdown."""
_TIMEOUT_S = 60.0
_COUNTERS = ("next_spool", "next_mac", "ipl_time")


def system_document() -> dict[str, Any]:
    """The example system."""
    return documents.read(SYSTEM)


class Refused(Exception):
    """The server answered with another status than 200, or with an error."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        try:
            self.body = response.json()
        except ValueError:
            self.body = {"errmsg": response.text}
        super().__init__(f"{response.request.method} {response.request.path_url}: {self.status} {self.body}")

    @property
    def codes(self) -> tuple[int, int, int]:
        """overallRC, rc and rs."""
        return self.body["overallRC"], self.body["rc"], self.body["rs"]


class Api:
    """The server's REST API, used plainly: one request at a time, and no error is tolerated."""

    def __init__(self, simulator: Simulator) -> None:
        self._url = simulator.url
        self._session = requests.Session()
        self._session.trust_env = False
        answer = self._session.post(
            f"{self._url}/token", headers={"X-Admin-Token": simulator.token}, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        self._session.headers["X-Auth-Token"] = answer.headers["X-Auth-Token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The `output` of a request. Raises Refused."""
        answer = self._session.request(method, self._url + path, json=body, timeout=_TIMEOUT_S)
        said = answer.json() if answer.status_code == 200 and answer.content else {"overallRC": 0, "output": ""}
        # A listing has the status 200 where the server's own other half does not answer it.
        if answer.status_code != 200 or said["overallRC"] != 0:
            raise Refused(answer)
        return said["output"]

    def act(self, userid: str, action: str, **values: Any) -> Any:
        """An action on a guest."""
        return self.call("POST", f"/guests/{userid}/action", {"action": action, **values})

    def send_file(self, data: bytes, name: str | None = None) -> str:
        """Send a file through PUT /files; its path on the server, under a name of its own if one is given."""
        answer = self._session.put(
            f"{self._url}/files", data=data, headers={"Content-Type": "application/octet-stream"}, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        path = Path(answer.json()["output"]["dest_url"].removeprefix("file://"))
        return str(path if name is None else path.rename(path.with_name(name)))

    def import_image(self, name: str, data: bytes, os_version: str = "rhel9.4") -> None:
        """Send an image and have it imported."""
        url = f"file://{self.send_file(data)}"
        image = {"image_name": name, "url": url, "image_meta": {"os_version": os_version}}
        self.call("POST", "/images", {"image": image})

    def export_image(self, name: str, folder: Path) -> bytes:
        """The bytes of an image of the repository."""
        target = folder / f"{name}.exported"
        self.call("PUT", f"/images/{name}", {"location": {"dest_url": f"file://{target}"}})
        return target.read_bytes()


def image(cylinders: int, content: bytes, compression: int = 0) -> bytes:
    """A disk image of an ECKD disk, as z/VM's tools make them."""
    head = f"{images.CKD_TAG}{f'{cylinders} CYL':>16} HLen: 0055 GZIP: {compression}".encode().ljust(512)
    return head + content


def config_drive(
    meta_data: Mapping[str, Any], user_data: bytes = b"", network_data: Mapping[str, Any] | None = None
) -> bytes:
    """An OpenStack config drive."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    iso.add_directory("/OPENSTACK", rr_name="openstack", joliet_path="/openstack")
    iso.add_directory("/OPENSTACK/LATEST", rr_name="latest", joliet_path="/openstack/latest")
    network = json.dumps(network_data).encode() if network_data else b""
    parts = {"meta_data.json": json.dumps(meta_data).encode(), "user_data": user_data, "network_data.json": network}
    for number, (name, content) in enumerate(parts.items()):
        if content:
            iso.add_fp(
                io.BytesIO(content), len(content), f"/OPENSTACK/LATEST/F{number}.;1", rr_name=name,
                joliet_path=f"/openstack/latest/{name}",
            )  # fmt: skip
    target = io.BytesIO()
    iso.write_fp(target)
    iso.close()
    return target.getvalue()


def picture(simulator: Simulator) -> dict[str, Any]:
    """The whole simulated system without what only counts on, for comparing before and after."""
    with simulator.system.lock:
        simulator.system.settle()
        state = simulator.system.to_state()
    return {key: value for key, value in state.items() if key not in _COUNTERS}


def findings(simulator: Simulator) -> list[dict[str, str]]:
    """What the audit has to say."""
    with simulator.system.lock:
        return audit(simulator.system)
