"""The one module that knows Nova's test fixtures: a real Nova API, conductor, scheduler, placement and nova-compute.

Nova's fixtures are its internals and change between releases; everything else here asks this module.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import nova.tests.fixtures as nova_fixtures
import sqlalchemy
from futurist._thread import ThreadWorker
from nova import monkey_patch
from nova.db.main import api as main_db_api
from nova.tests.fixtures import glance as glance_fixture
from nova.tests.fixtures import neutron as neutron_fixture
from nova.tests.functional import integrated_helpers
from nova.tests.functional.api import client as api_client
from oslo_config import cfg
from tests.functional import kept
from tests.functional.kept import KeptPolicy

from bigiron.lab import litedb

HOST = "power1"
PHYSICAL_NETWORK = "default"
VLAN = 100
SETTLE_S = 120
CHUNK = 1 << 20
ZEROS = bytes(CHUNK)
IMAGE_BYTES = b"PowerVM boot disk image " * 4096

litedb.install()

try:
    from nova import thread_pool_factory
except ImportError:
    # Nova 33, whose fixtures are made for eventlet.
    if not monkey_patch.is_patched():
        from tests.functional import nova33

        nova33.lend()
else:
    # A service's clean-up goes on in a thread after its fixture has ended, and would then stop the pools for good.
    thread_pool_factory.shutdown_all_executors = lambda: None


def looks(seconds: float = SETTLE_S) -> Iterator[None]:
    """Look again and again, less often as time goes by: a look at a server costs as much as a step of its build."""
    deadline = time.monotonic() + seconds
    pause = 0.02
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


class SeaNeutron(neutron_fixture.NeutronFixture):
    """Nova's Neutron with VLAN networks bound by `pvm_sea`; each port has an id, a MAC and an address of its own."""

    vlan = VLAN
    physical_network = PHYSICAL_NETWORK
    vif_type = "pvm_sea"
    vif_details: dict[str, Any] | None = None
    """The binding's details; None for those of `pvm_sea`."""
    status = "ACTIVE"
    base_mac = "fa:16:3e"
    """How the MACs of all ports begin."""

    def __init__(self, test: Any) -> None:
        super().__init__(test)
        network = copy.deepcopy(self.network_1)
        network["provider:network_type"] = "vlan"
        network["provider:physical_network"] = self.physical_network
        network["provider:segmentation_id"] = self.vlan
        self._networks[network["id"]] = network
        # Guests learn their addresses from their config drives.
        self._subnets[self.subnet_1["id"]] = {**self.subnet_1, "enable_dhcp": False}
        self._ports.clear()
        self._numbers = itertools.count(1)

    def list_ports(self, *args: Any, **params: Any) -> Any:
        if params.get("device_owner") == "network:dhcp":
            return {"ports": []}
        return super().list_ports(*args, **params)

    def _list_resource(self, resources: Any, retrieve_all: Any, **params: Any) -> Any:
        # Servers are built side by side, and Nova's fixture goes through what others may add to meanwhile.
        return super()._list_resource(dict(resources), retrieve_all, **params)

    def create_port(self, body: Any = None) -> Any:
        number = next(self._numbers)
        port = copy.deepcopy(self.default_port)
        port.update(copy.deepcopy((body or {"port": {}})["port"]))
        port["id"] = str(uuid.uuid4())
        port["mac_address"] = f"{self.base_mac}:00:{number // 256:02x}:{number % 256:02x}"
        port["fixed_ips"] = [{"ip_address": f"192.168.1.{10 + number % 200}", "subnet_id": self.subnet_1["id"]}]
        port["binding:vif_type"] = self.vif_type
        details = {"vlan": str(self.vlan), "physical_network": self.physical_network}
        port["binding:vif_details"] = details if self.vif_details is None else dict(self.vif_details)
        port["status"] = self.status
        self._ports[port["id"]] = port
        return {"port": copy.deepcopy(port)}


class ByteGlance(glance_fixture.GlanceFixture):
    """Nova's Glance with images that have bytes; what Nova uploads is kept in files, for a disk is too big."""

    def __init__(self, test: Any) -> None:
        super().__init__(test)
        self.folder = Path(test.enterContext(tempfile.TemporaryDirectory(prefix="glance-")))
        self.upload_error: Exception | None = None
        """Raised in the middle of each upload."""

    def file_of(self, image_id: str) -> Path:
        """The bytes of an image that Nova uploaded."""
        return self.folder / image_id

    def update(self, context: Any, image_id: str, metadata: Any, data: Any = None, purge_props: bool = False) -> Any:
        if data is not None:
            metadata = {**metadata, "size": self._keep(image_id, data)}
        return super().update(context, image_id, metadata, purge_props=purge_props)

    def _keep(self, image_id: str, data: Any) -> int:
        with self.file_of(image_id).open("wb") as file:
            while chunk := data.read(CHUNK):
                if self.upload_error is not None:
                    raise self.upload_error
                if chunk == ZEROS:
                    file.seek(CHUNK, os.SEEK_CUR)
                else:
                    file.write(chunk)
            file.truncate()
            return file.tell()

    def delete(self, context: Any, image_id: str) -> None:
        super().delete(context, image_id)
        self.file_of(image_id).unlink(missing_ok=True)

    def _from_file(self, image_id: str) -> Iterator[bytes]:
        with self.file_of(image_id).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def download(
        self, context: Any, image_id: str, data: Any = None, dst_path: Any = None, trusted_certs: Any = None
    ) -> Iterator[bytes] | None:
        if data is not None or dst_path is not None:
            super().download(context, image_id, data, dst_path, trusted_certs)
            return None
        if self.file_of(image_id).exists():
            return self._from_file(image_id)
        content = self._imagedata.get(image_id)
        if content is None:
            return None
        return (content[start : start + 16384] for start in range(0, len(content), 16384))


class NovaCloud(integrated_helpers.ProviderUsageBaseTestCase):
    """Nova's services in this process; a subclass says which compute driver runs and against what."""

    compute_driver = "bigiron.PowerVMDriver"
    neutron_fixture: type[SeaNeutron] = SeaNeutron
    node_name: str = HOST
    """What the compute node is called."""
    idle_pause_s: float = 0.05
    """How long the idle threads of a pool wait for work before they look whether the pool has ended."""

    def setUp(self) -> None:
        # The reports of services and a build that finds no host lock each other out in the fixtures of Nova's database.
        self.flags(report_interval=0, service_down_time=3600)
        self.flags(api_paste_config=kept.api_paste_config(), group="wsgi")
        # To hold each answer against Nova's own schema costs it more time than all the rest of a look at a server.
        self.flags(response_validation="ignore", group="api")
        self.addCleanup(litedb.release)
        self.before_services()
        with (
            mock.patch.object(nova_fixtures, "NeutronFixture", self.neutron_fixture),
            mock.patch.object(nova_fixtures, "GlanceFixture", ByteGlance),
            mock.patch.object(nova_fixtures, "PolicyFixture", KeptPolicy),
            mock.patch.object(nova_fixtures, "RealPolicyFixture", KeptPolicy),
        ):
            super().setUp()
        # Nova's own tests say 0.01 s, and then the idle threads of its many pools keep the working ones from working.
        ThreadWorker.MAX_IDLE_FOR = self.idle_pause_s
        # Nova's fixture formats every debug message, and pytest formats it once more, for nobody to see.
        logging.getLogger().setLevel(logging.INFO)
        self.flags(host=HOST, state_path=str(self.state_path()))
        # With one host there is none to try next, and Nova then shows why the build failed, not that all hosts have.
        self.flags(max_attempts=1, group="scheduler")
        self.flags(cores=-1, ram=-1, instances=-1, group="quota")
        self.image_id = self.upload_image(IMAGE_BYTES)
        self.after_services()

    def _clear_attrs(self) -> None:
        """Nova's clean-up drops every attribute; pytest put the test method itself there and takes it back."""
        method = self.__dict__[self._testMethodName]
        super()._clear_attrs()
        self.__dict__[self._testMethodName] = method

    def before_services(self) -> None:
        """Start what the compute driver will talk to."""

    def after_services(self) -> None:
        """Set the options and start nova-compute."""

    def state_path(self) -> Path:
        """Where nova-compute keeps what must survive a restart."""
        raise NotImplementedError

    def powervm_options(self, **options: Any) -> None:
        """Set options of [powervm] for this test."""
        self.flags(group="powervm", **options)

    def start_compute(self) -> Any:
        """Start nova-compute, for the first time or again."""
        self.compute = self.start_service("compute", host=HOST)
        self.computes[HOST] = self.compute
        return self.compute

    @property
    def driver(self) -> Any:
        """The compute driver of the running nova-compute."""
        return self.compute.manager.driver

    # Things to boot from

    def upload_image(self, content: bytes, **fields: Any) -> str:
        """An active image in Glance; returns its id."""
        metadata = {
            "id": str(uuid.uuid4()),
            "name": "linux",
            "container_format": "bare",
            "disk_format": "raw",
            "size": len(content),
            "status": "active",
            "visibility": "public",
            "min_ram": 0,
            "min_disk": 0,
            "protected": False,
            "tags": [],
            "properties": {},
            **fields,
        }
        return str(self.glance.create(None, metadata, data=io.BytesIO(content))["id"])

    def make_flavor(
        self,
        memory_mb: int = 1024,
        vcpus: int = 1,
        disk_gb: int = 2,
        extra_specs: dict[str, str] | None = None,
        ephemeral_gb: int = 0,
        swap_mb: int = 0,
    ) -> str:
        """A flavor; returns its id."""
        flavor_id = str(uuid.uuid4())
        body = {"name": flavor_id, "id": flavor_id, "ram": memory_mb, "vcpus": vcpus, "disk": disk_gb}
        body |= {"OS-FLV-EXT-DATA:ephemeral": ephemeral_gb, "swap": swap_mb}
        self.admin_api.post_flavor({"flavor": body})
        if extra_specs:
            self.admin_api.post_extra_spec(flavor_id, {"extra_specs": extra_specs})
        return flavor_id

    # Servers

    def boot(
        self,
        name: str = "web",
        *,
        flavor_id: str | None = None,
        image_id: str | None = None,
        networks: Any = None,
        config_drive: bool = False,
        expected: str | None = "ACTIVE",
        **fields: Any,
    ) -> dict[str, Any]:
        """Create a server and wait for the status; None does not wait."""
        body: dict[str, Any] = {
            "name": name,
            "flavorRef": flavor_id or self.make_flavor(),
            "imageRef": image_id or self.image_id,
            "networks": [{"uuid": SeaNeutron.network_1["id"]}] if networks is None else networks,
            **fields,
        }
        if config_drive:
            body["config_drive"] = True
        server = {**self.api.post_server({"server": body}), "name": name}
        return self.settle(server, expected) if expected else server

    def settle(self, server: dict[str, Any], expected: str) -> dict[str, Any]:
        """Wait until the server has the status, and say why where it gets another one for good."""
        current = dict(server)
        for _ in looks():
            if self._is_stirring(server):
                continue
            current = self.admin_api.get_server(server["id"])
            busy = current["OS-EXT-STS:task_state"] is not None
            if current["status"] == expected and not busy:
                return dict(current)
            if current["status"] == "ERROR" and not busy:
                break
        else:
            current = self.admin_api.get_server(server["id"])
        fault = json.dumps(current.get("fault", {}), indent=1)
        raise AssertionError(f"server {current['name']} is {current['status']}, not {expected}: {fault}")

    def _wait_for_state_change(self, server: dict[str, Any], expected_status: str, **_options: Any) -> dict[str, Any]:
        """Nova's helpers look twice a second and give up after five, which a busy machine may need."""
        return self.settle(server, expected_status)

    def _reboot_server(self, server: dict[str, Any], hard: bool = False) -> dict[str, Any]:
        """Nova's own waits for a notification, and finds that of the server's last reboot."""
        self.api.post_server_action(server["id"], {"reboot": {"type": "HARD" if hard else "SOFT"}})
        return self.settle(server, "ACTIVE")

    def _is_stirring(self, server: dict[str, Any]) -> bool:
        """Whether Nova is at work on the server, from its database: a look through its API costs many times as much."""
        states = self.rows(f"SELECT vm_state, task_state FROM instances WHERE uuid = '{server['id']}' AND deleted = 0")
        return not states or states[0].vm_state == "building" or states[0].task_state is not None

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Poll until something holds; fails the test when it does not come true."""
        deadline = time.monotonic() + SETTLE_S
        while not holds():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(0.02)

    def boot_fails(self, **fields: Any) -> str:
        """Create a server that must end in ERROR; returns the message of its fault."""
        return self.fault_of(self.boot(expected="ERROR", **fields))

    def fault_of(self, server: dict[str, Any]) -> str:
        """The message of the fault of a server in ERROR; Nova saves the status first."""
        for _ in looks():
            current = self.admin_api.get_server(server["id"])
            if "fault" in current:
                return str(current["fault"]["message"])
        raise AssertionError(f"server {server['id']} has no fault")

    def delete(self, *servers: dict[str, Any]) -> None:
        """Delete servers and wait until they are gone."""
        for server in servers:
            self.api.delete_server(server["id"])
        for server in servers:
            assert any(not self._exists(server) for _ in looks()), f"server {server['name']} is not deleted"

    def _exists(self, server: dict[str, Any]) -> bool:
        if self.rows(f"SELECT 1 FROM instances WHERE uuid = '{server['id']}' AND deleted = 0"):
            return True
        try:
            self.admin_api.get_server(server["id"])
        except api_client.OpenStackApiNotFoundException:
            return False
        return True

    def power_state(self, server: dict[str, Any]) -> int:
        return int(self.admin_api.get_server(server["id"])["OS-EXT-STS:power_state"])

    def rows(self, query: str) -> list[Any]:
        """What a query finds in the databases of all cells."""
        fixture = main_db_api.create_context_manager.__self__
        found = []
        for manager in fixture._ctxt_mgrs.values():
            with manager.reader.get_engine().connect() as connection:
                found += connection.execute(sqlalchemy.text(query)).all()
        return found

    def inventory(self) -> dict[str, dict[str, Any]]:
        """What placement has of the host."""
        return dict(self._get_provider_inventory(self._get_provider_uuid_by_host(self.node_name)))

    def traits(self) -> set[str]:
        return set(self._get_provider_traits(self._get_provider_uuid_by_host(self.node_name)))

    def allocations_of(self, servers: Iterable[dict[str, Any]]) -> dict[str, Any]:
        return {server["id"]: self._get_allocations_by_server_uuid(server["id"]) for server in servers}


CONF = cfg.CONF
