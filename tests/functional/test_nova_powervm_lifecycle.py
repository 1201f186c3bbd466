"""What a server goes through besides start and stop, on a real Nova: soft delete, shelving while stopped, and a host
that is taken out of service, by an operator or because its platform does not answer."""

from __future__ import annotations

import functools
from typing import Any
from unittest import mock

import pytest
from nova import context, utils
from nova.tests.functional.api import client as api_client
from tests.functional import base
from tests.functional.actions import ServerActions
from tests.functional.powervm import PowerVMCloud

from bigiron.plugins.nova import availability
from bigiron.powervm import events

DISABLED = "COMPUTE_STATUS_DISABLED"


class LifecycleBase(PowerVMCloud, ServerActions):
    """What these tests share."""

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=512, disk_gb=1)

    def lpar_state(self, server: dict[str, Any]) -> str:
        return str(self.lpar_of(server)["state"])

    def lpars_of(self, server: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in self.state()["lpars"] if each["description"] == f"openstack:{server['id']}"]


class SoftDelete(LifecycleBase):
    """With `[DEFAULT] reclaim_instance_interval`."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(reclaim_instance_interval=3600)

    def soft_delete(self, server: dict[str, Any]) -> None:
        self.api.delete_server(server["id"])
        self.settle(server, "SOFT_DELETED")

    def test_a_deleted_server_is_stopped_and_comes_back(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.soft_delete(server)
        assert self.lpar_state(server) == "not activated"
        self.act(server, {"restore": None}, "ACTIVE")
        assert self.lpar_state(server) == "running"
        self.soft_delete(server)
        self.api.post_server_action(server["id"], {"forceDelete": None})
        self.wait_until(lambda: not self._exists(server), "the server is gone")

    def test_a_restart_leaves_it_and_the_interval_ends_it(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.soft_delete(server)
        self.compute.stop()
        self.start_compute()
        assert self.admin_api.get_server(server["id"])["status"] == "SOFT_DELETED"
        assert self.lpar_state(server) == "not activated"
        self.flags(reclaim_instance_interval=1)

        def reclaimed() -> bool:
            self.compute.manager._reclaim_queued_deletes(context.get_admin_context())
            return not self._exists(server)

        self.wait_until(reclaimed, "the server is reclaimed")


class Stopped(LifecycleBase):
    """Servers that do not run."""

    def test_a_spawn_can_leave_the_guest_stopped(self) -> None:
        spawn = self.driver.spawn
        with mock.patch.object(self.driver, "spawn", functools.partial(spawn, power_on=False)):
            server = self.boot(flavor_id=self.flavor_id)
        assert self.lpar_state(server) == "not activated"
        assert self.power_state(server) == 4
        self.compute.manager._sync_power_states(context.get_admin_context())
        self.settle(server, "SHUTOFF")
        self._start_server(server)
        assert self.lpar_state(server) == "running"
        self.delete(server)

    @pytest.mark.full
    def test_a_stopped_server_is_shelved_offloaded_and_unshelved(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self._stop_server(server)
        self.flags(shelved_offload_time=-1)
        self.act(server, {"shelve": None}, "SHELVED")
        assert self.lpar_state(server) == "not activated"
        self.act(server, {"shelveOffload": None}, "SHELVED_OFFLOADED")
        assert self.lpars_of(server) == []
        # Nova starts what it unshelves, whatever it was before.
        self.act(server, {"unshelve": None}, "ACTIVE")
        assert self.lpar_state(server) == "running"
        self.delete(server)

    @pytest.mark.full
    def test_a_shelved_server_is_deleted_with_all_it_has(self) -> None:
        for seconds, status in ((-1, "SHELVED"), (0, "SHELVED_OFFLOADED")):
            server = self.boot(flavor_id=self.flavor_id)
            self._stop_server(server)
            self.flags(shelved_offload_time=seconds)
            self.act(server, {"shelve": None}, status)
            self.delete(server)
            self.check_nothing_left()


class OutOfService(LifecycleBase):
    """A host that takes no new servers."""

    def service(self) -> dict[str, Any]:
        (service,) = self.admin_api.get_services(host=base.HOST, binary="nova-compute")
        return dict(service)

    def is_out(self) -> bool:
        return self.service()["status"] == "disabled" and DISABLED in self.traits()

    def is_in(self) -> bool:
        return self.service()["status"] == "enabled" and DISABLED not in self.traits()

    def set_status(self, status: str) -> None:
        self.admin_api.put_service(self.service()["id"], {"status": status})

    def lose_platform(self) -> None:
        self.stop_simulator(self.simulator)

    def test_an_operator_disables_the_service_and_servers_go_on(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.set_status("disabled")
        self.wait_until(self.is_out, "the service is disabled")
        assert "No valid host" in self.boot_fails(name="new", flavor_id=self.flavor_id)
        self._stop_server(server)
        self._start_server(server)
        self.set_status("enabled")
        self.wait_until(self.is_in, "the service is enabled")
        self.delete(server, *[one for one in self.api.get_servers() if one["name"] == "new"])

    def test_a_maintenance_mode_is_refused(self) -> None:
        with (
            utils.temporary_mutation(self.admin_api, microversion="2.42"),
            self.assertRaises(api_client.OpenStackApiException) as refused,
        ):
            self.admin_api.api_put(f"/os-hosts/{base.HOST}", {"maintenance_mode": "enable"})
        assert refused.exception.response.status_code == 501
        assert self.is_in()

    def test_a_platform_that_does_not_answer_takes_the_host_out_until_it_is_back(self) -> None:
        self.enterContext(mock.patch.object(events, "_AWAY_S", 0.0))
        server = self.boot(flavor_id=self.flavor_id)
        self.lose_platform()
        self.wait_until(self.is_out, "the service is disabled")
        assert self.service()["disabled_reason"] == availability.REASON
        self.restart_simulator()
        self.wait_until(self.is_in, "the service is enabled again")
        assert self.service()["disabled_reason"] is None
        self.delete(server)

    def test_what_an_operator_disabled_stays_disabled(self) -> None:
        self.enterContext(mock.patch.object(events, "_AWAY_S", 0.0))
        self.set_status("disabled")
        self.wait_until(self.is_out, "the service is disabled")
        self.lose_platform()
        self.wait_until(lambda: "event stream is interrupted" in self.stdlog.logger.output, "the loss is seen")
        self.restart_simulator()
        self.wait_until(lambda: "stays disabled" in self.stdlog.logger.output, "the return is seen")
        assert self.is_out()

    def test_the_next_start_puts_the_host_back(self) -> None:
        self.enterContext(mock.patch.object(events, "_AWAY_S", 0.0))
        self.lose_platform()
        self.wait_until(self.is_out, "the service is disabled")
        self.compute.stop()
        self.restart_simulator()
        self.start_compute()
        self.wait_until(self.is_in, "the service is enabled again")
