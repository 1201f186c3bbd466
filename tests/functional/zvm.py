"""A real Nova whose nova-compute runs the z/VM driver against a simulated z/VM under the real Cloud Connector."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from tests.functional import base
from tests.functional.actions import ServerActions
from tests.support import zvm_host
from tests.support.zvm_host import World

from bigiron.plugins.nova import lifecycle, zvm_conf
from bigiron.sim.kernel.journal import Entry
from bigiron.sim.zvm import overview

VSWITCH = "VSWFLAT"
CONFIRM_AFTER_S = 2.0
_UP = "up"


class VswitchNeutron(base.SeaNeutron):
    """Flat networks on a virtual switch; nobody couples the adapters here, which is the network agent's work."""

    physical_network = VSWITCH
    vif_type = "zvm"
    base_mac = "02:00:00"
    """That of the simulated z/VM, which takes only the rest of a MAC from the port."""


class ZVMCloud(ServerActions):
    """Starts the simulator and the connector before Nova, and holds z/VM against what it was before."""

    compute_driver = "bigiron.ZVMDriver"
    neutron_fixture = VswitchNeutron
    node_name = "ZVMSIM1"
    options: dict[str, Any] = {}

    def before_services(self) -> None:
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(lifecycle, "CONFIRM_AFTER_S", CONFIRM_AFTER_S))
        self.world: World = self.enterContext(zvm_host.serve(self.scratch))
        self.simulator = self.world.simulator
        self.cached: set[str] = set()
        """Images that the connector may have at the end, beside the one that servers are made from."""

    def state_path(self) -> Path:
        return self.scratch / "nova"

    def after_services(self) -> None:
        zvm_conf.register(base.CONF)
        self.image_id = self.upload_disk(zvm_host.disk_image())
        self.zvm_options(
            cloud_connector_url=self.simulator.url,
            token_path=str(self.simulator.layout.token),
            connector_image_repository=str(self.simulator.layout.images),
            image_tmp_path=str(self.scratch / "images"),
            connect_timeout=20,
            power_poll_interval=1,
            **self.options,
        )
        self.world.image.id = self.image_id
        self.start_service_under_test()

    def start_service_under_test(self) -> None:
        """Start nova-compute; a test of its start does that itself."""
        self.start_compute()

    def zvm_options(self, **options: Any) -> None:
        """Set options of [zvm] for this test."""
        self.flags(group="zvm", **options)

    def upload_disk(self, content: bytes, **fields: Any) -> str:
        """An image in Glance with what z/VM must know of it; returns its id."""
        return self.upload_image(content, properties={"os_distro": "rhel9.4"}, **fields)

    def tearDown(self) -> None:
        self.check_nothing_left()
        super().tearDown()

    # What z/VM has

    def check_nothing_left(self) -> None:
        """The audit is empty and z/VM is, object by object, what it was when the test began."""
        self.world.check_clean(self.cached)

    def guests_of(self, server: dict[str, Any]) -> list[dict[str, Any]]:
        """The simulated guests of a server, found by its mark: one, or none any more."""
        mark = f"NOVA:{server['id'].upper()}"
        return [guest for guest in self.world.guests().values() if mark in guest["comments"]]

    def guest_of(self, server: dict[str, Any]) -> dict[str, Any]:
        """The simulated guest of a server."""
        (found,) = self.guests_of(server)
        return found

    def up(self, server: dict[str, Any]) -> dict[str, Any]:
        """The guest once its Linux is up, with the files that it was configured with."""
        self.wait_until(lambda: self.guest_of(server)["guest"] == _UP, "the guest is up")
        guest = self.guest_of(server)
        with self.simulator.system.lock:
            return {**guest, **overview.files(self.simulator.system, guest["userid"])}

    def disk_of(self, server: dict[str, Any], vdev: str = "0100") -> Path:
        """The file with what a minidisk of a server's guest holds."""
        with self.simulator.system.lock:
            disk = self.simulator.system.disk(self.guest_of(server)["userid"], vdev)
            return self.simulator.system.disks.path(disk)

    def shape(self, server: dict[str, Any]) -> tuple[str, int, int, list[str]]:
        """The guest's state, memory in MB, processors, and what its disks hold: a system, or a file system."""
        guest = self.guest_of(server)
        disks = [disk["os"] or disk["filesystem"] for disk in guest["disks"]]
        return guest["state"], guest["memory_mb"], len(guest["cpus"]), disks

    # What was asked of it

    def requests(self) -> list[Entry]:
        """The REST requests since the journal was cleared, without those that ask for power states now and then."""
        return [entry for entry in self.simulator.journal.entries() if is_request(entry)]

    def changes(self) -> list[tuple[str, str]]:
        """The method and template of each request that was to change something."""
        return [(entry.method, entry.template) for entry in self.requests() if entry.method != "GET"]


def is_request(entry: Entry) -> bool:
    """Whether it is a request of REST and one of an operation's."""
    if entry.method not in ("GET", "PUT", "POST", "DELETE"):
        return False
    return entry.template != "/token" and not entry.template.endswith("/power_state_real")
