"""Operations on one server that overlap: Nova's API lets them through, and the driver brings them to a clean end.

The first one is held in the middle, at a request that the simulated service does not answer for a while; the second
one begins then.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from nova.tests.functional.api import client as api_client
from tests.functional.powervm import PowerVMCloud

from bigiron.sim.kernel.faults import Action, Fault

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
HELD_S = 1.5
STOP = {"os-stop": None}
SOFT, HARD = {"reboot": {"type": "SOFT"}}, {"reboot": {"type": "HARD"}}
OFF, ON = ("PUT", f"{LPAR}/do/PowerOff"), ("PUT", f"{LPAR}/do/PowerOn")


@pytest.mark.full
class Overlap(PowerVMCloud):
    """Two operations on one server at a time."""

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=512, disk_gb=1)

    def server(self) -> dict[str, Any]:
        return self.boot(flavor_id=self.flavor_id)

    def held(self, server: dict[str, Any], action: dict[str, Any], request: tuple[str, str]) -> None:
        """Begin an action and return while its request is held."""
        method, template = request
        fault = self.simulator.faults.add(Fault(method=method, path=template, action=Action.HANG, seconds=HELD_S))
        self.api.post_server_action(server["id"], action)
        self.until_held(fault)

    def until_held(self, fault: Fault) -> None:
        self.wait_until(
            lambda: any(each.id == fault.id and each.fired for each in self.simulator.faults.faults()),
            f"{fault.method} {fault.path}",
        )

    def is_idle(self, server: dict[str, Any]) -> bool:
        return self.admin_api.get_server(server["id"])["OS-EXT-STS:task_state"] is None

    def ended(self, server: dict[str, Any]) -> None:
        """The server is deleted, and nothing of either operation is left."""
        self.delete(server)
        self.simulator.faults.clear()
        # What was held may still come to its end.
        self.wait_until(self.at_rest, "nothing is under way")
        self.check_nothing_left()

    def at_rest(self) -> bool:
        """Whether no operation is left in the driver."""
        images = [image["status"] for image in list(self.glance.images.values())]
        return not self.driver.started.lifecycle._operations and not {"queued", "saving"} & set(images)

    def test_a_delete_during_a_stop(self) -> None:
        server = self.server()
        self.held(server, STOP, OFF)
        self.ended(server)

    def test_a_delete_during_a_start(self) -> None:
        server = self.server()
        self._stop_server(server)
        self.held(server, {"os-start": None}, ON)
        self.ended(server)

    def test_a_delete_during_reboots(self) -> None:
        for action in (SOFT, HARD):
            server = self.server()
            self.held(server, action, OFF)
            self.ended(server)

    def test_a_delete_during_two_reboots(self) -> None:
        server = self.server()
        self.held(server, SOFT, OFF)
        self.api.post_server_action(server["id"], HARD)
        self.ended(server)

    def test_a_hard_reboot_during_a_soft_one(self) -> None:
        server = self.server()
        self.held(server, SOFT, OFF)
        self.api.post_server_action(server["id"], HARD)
        self.wait_until(lambda: self.is_idle(server) and self.at_rest(), "both reboots end")
        self.settle(server, "ACTIVE")
        assert self.lpar_of(server)["state"] == "running"
        self.ended(server)

    def test_what_nova_refuses_meanwhile(self) -> None:
        server = self.server()
        self.held(server, STOP, OFF)
        for action in (STOP, SOFT, {"os-start": None}, {"createImage": {"name": "snap"}}):
            with self.assertRaises(api_client.OpenStackApiException) as refused:
                self.api.post_server_action(server["id"], action)
            assert refused.exception.response.status_code == 409
        self.settle(server, "SHUTOFF")
        assert self.lpar_of(server)["state"] == "not activated"
        self.ended(server)

    def test_a_delete_during_a_snapshot(self) -> None:
        server = self.server()
        self.held(server, {"createImage": {"name": "snap"}}, ("POST", "/rest/api/uom/VirtualIOServer/{uuid}"))
        self.ended(server)

    def test_a_delete_during_an_attach(self) -> None:
        server = self.server()
        self._stop_server(server)
        fault = self.simulator.faults.add(
            Fault(method="PUT", path=f"{LPAR}/ClientNetworkAdapter", action=Action.HANG, seconds=HELD_S)
        )
        outcome: list[int] = []

        def attach() -> None:
            body = {"interfaceAttachment": {"net_id": self.neutron.network_1["id"]}}
            try:
                self.api.api_post(f"/servers/{server['id']}/os-interface", body)
                outcome.append(200)
            except api_client.OpenStackApiException as error:
                outcome.append(error.response.status_code)

        thread = threading.Thread(target=attach, daemon=True)
        thread.start()
        self.until_held(fault)
        self.ended(server)
        thread.join(30)
        assert len(outcome) == 1
        assert self.neutron._ports == {}

    def test_a_delete_during_a_rescue(self) -> None:
        server = self.server()
        self.held(server, {"rescue": {"rescue_image_ref": self.image_id}}, ON)
        self.ended(server)

    def test_a_delete_during_a_resize(self) -> None:
        server = self.server()
        self.flags(allow_resize_to_same_host=True)
        larger = self.make_flavor(memory_mb=1024, disk_gb=1)
        self.held(server, {"resize": {"flavorRef": larger}}, ("POST", LPAR))
        self.ended(server)

    def test_two_deletes(self) -> None:
        server = self.server()
        fault = self.simulator.faults.add(Fault(*OFF, action=Action.HANG, seconds=HELD_S))
        self.api.delete_server(server["id"])
        self.until_held(fault)
        self.ended(server)
