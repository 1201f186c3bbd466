"""A real Nova whose nova-compute runs the z/VM driver against a simulated z/VM under the real Cloud Connector."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from tests.functional import base
from tests.support import zvm_host
from tests.support.zvm_host import World

from bigiron.plugins.nova import lifecycle, zvm_conf

VSWITCH = "VSWFLAT"
CONFIRM_AFTER_S = 2.0


class VswitchNeutron(base.SeaNeutron):
    """Flat networks on a virtual switch; nobody couples the adapters here, which is the network agent's work."""

    physical_network = VSWITCH
    vif_type = "zvm"


class ZVMCloud(base.NovaCloud):
    """Starts the simulator and the connector before Nova, and holds z/VM against what it was before."""

    compute_driver = "bigiron.ZVMDriver"
    neutron_fixture = VswitchNeutron
    options: dict[str, Any] = {}

    def before_services(self) -> None:
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(lifecycle, "CONFIRM_AFTER_S", CONFIRM_AFTER_S))
        self.world: World = self.enterContext(zvm_host.serve(self.scratch))

    def state_path(self) -> Path:
        return self.scratch / "nova"

    def after_services(self) -> None:
        zvm_conf.register(base.CONF)
        self.image_id = self.upload_image(zvm_host.disk_image(), properties={"os_distro": "rhel9.4"})
        simulator = self.world.simulator
        self.flags(
            group="zvm",
            cloud_connector_url=simulator.url,
            token_path=str(simulator.layout.token),
            connector_image_repository=str(simulator.layout.images),
            image_tmp_path=str(self.scratch / "images"),
            connect_timeout=20,
            power_poll_interval=1,
            **self.options,
        )
        self.world.image.id = self.image_id
        self.start_compute()

    def tearDown(self) -> None:
        self.world.check_clean()
        super().tearDown()

    def guest_of(self, server: dict[str, Any]) -> dict[str, Any]:
        """The simulated guest of a server, found by its mark."""
        mark = f"NOVA:{server['id'].upper()}"
        (found,) = [guest for guest in self.world.guests().values() if mark in guest["comments"]]
        return found
