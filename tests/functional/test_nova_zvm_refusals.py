"""Bad input and a z/VM in trouble: each ends in a message that names the object and the fix, and leaves nothing."""

from __future__ import annotations

from typing import Any
from unittest import mock

from nova import exception
from tests.functional import base
from tests.functional.zvm import ZVMCloud
from tests.support import zvm_host

from bigiron import naming
from bigiron.plugins.nova import availability
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.zvm import rest, watch


class BadInput(ZVMCloud):
    """What a user or an administrator of the cloud can get wrong."""

    def refused(self, words: str, **fields: Any) -> None:
        """A build that must fail with these words and leave nothing."""
        message = self.boot_fails(**fields)
        assert words in message, message
        self.check_nothing_left()

    def image(self, os_distro: str | None = "rhel9.4", content: bytes | None = None, **properties: str) -> str:
        given = {"os_distro": os_distro, **properties} if os_distro else properties
        return self.upload_image(zvm_host.disk_image() if content is None else content, properties=given)

    def test_images_that_cannot_be_used(self) -> None:
        self.refused("--property os_distro=rhel9.4", image_id=self.image(None))
        self.refused("os_distro = plan9", image_id=self.image("plan9"))
        self.refused("CoreOS", image_id=self.image("rhcos4.15"))
        self.refused("no z/VM disk image", image_id=self.image(content=b"\x7fELF" + bytes(4096)))
        self.refused("no z/VM disk image", image_id=self.image(content=b"short"))
        self.refused("hw_machine_type", image_id=self.image(hw_machine_type="q35"))
        qcow2 = self.upload_disk(b"QFI\xfb", disk_format="qcow2")
        self.refused("--disk-format raw", image_id=qcow2)
        self.delete(*self.api.get_servers())

    def test_an_image_larger_than_the_flavors_disk(self) -> None:
        large = self.upload_disk(zvm_host.disk_image(cylinders=5000))
        self.cached.add(large)
        self.refused("needs 3.4 GB. Use a flavor with a larger disk", image_id=large)
        self.delete(*self.api.get_servers())

    def test_an_image_of_another_kind_of_disk(self) -> None:
        self.compute.stop()
        self.zvm_options(disk_pool="ECKD:POOL1")
        self.start_compute()
        blocks = self.upload_disk(zvm_host.disk_image(kind="FBA", unit="BLK"))
        self.cached.add(blocks)
        self.refused("of a disk of kind FBA, and [zvm] disk_pool is ECKD:POOL1", image_id=blocks)
        self.delete(*self.api.get_servers())

    def test_an_image_that_ends_early(self) -> None:
        content = zvm_host.disk_image()
        cut = self.upload_disk(content, size=len(content) + 1000)
        # The connector tells nobody how it calls what has not come to its end.
        self.world.lost_uploads += 1
        self.refused("1000 bytes too early; upload the image again", image_id=cut)
        self.delete(*self.api.get_servers())

    def test_a_flavor_with_a_key_that_is_not_known(self) -> None:
        self.admin_api.microversion = "2.85"
        try:
            flavor = self.make_flavor(extra_specs={"zvm:nothing": "1"})
        finally:
            self.admin_api.microversion = self.microversion
        self.refused("zvm:nothing", flavor_id=flavor)
        self.delete(*self.api.get_servers())

    def test_a_network_that_is_no_virtual_switch(self) -> None:
        self.neutron.vif_type = "tap"
        self.refused("has the interface type tap, and adapters on z/VM are of type zvm")
        self.delete(*self.api.get_servers())

    def test_a_taken_userid_is_passed_over(self) -> None:
        server = self.boot()
        first = self.guest_of(server)["userid"]
        self.flags(shelved_offload_time=0)
        self.act(server, {"shelve": {}}, "SHELVED_OFFLOADED")
        (shelved,) = [each["id"] for each in self.glance.images.values() if each["name"].endswith("-shelved")]
        self.cached.add(shelved)
        api = self.driver.hypervisor.parts.api
        api.create(first, {"vcpus": 1, "memory": 512, "disk_list": []}, "Making another's guest")
        self.act(server, {"unshelve": None}, "ACTIVE")
        assert self.guest_of(server)["userid"] == list(naming.userids(server["id"], "NV"))[1]
        self.delete(server)
        assert first in self.world.guests()
        api.delete(first)


class Full(ZVMCloud):
    """Placement has been told that there is more than there is."""

    def start_service_under_test(self) -> None:
        self.flags(initial_disk_allocation_ratio=100.0, initial_cpu_allocation_ratio=100.0)
        self.zvm_options(max_cpu=4)
        super().start_service_under_test()

    def test_a_pool_that_is_full_is_named(self) -> None:
        flavor = self.make_flavor(disk_gb=1, ephemeral_gb=40)
        for number in range(2):
            self.up(self.boot(f"web-{number}", flavor_id=flavor))
        before = self.world.state()
        message = self.boot_fails(name="third", flavor_id=flavor)
        assert "asks for 41 GB of disks" in message, message
        assert "GB free" in message
        assert self.world.state() == before
        self.delete(*self.api.get_servers())

    def test_more_processors_than_a_guest_may_have_find_no_host(self) -> None:
        assert self.inventory()["VCPU"]["max_unit"] == 4
        assert "No valid host" in self.boot_fails(flavor_id=self.make_flavor(vcpus=5))
        self.check_nothing_left()
        self.delete(*self.api.get_servers())


class NotOnThisPlatform(ZVMCloud):
    """What z/VM cannot do says so and leaves the server as it is."""

    def test_what_z_vm_cannot_do(self) -> None:
        server = self.boot()
        before = self.world.state()
        for action in ({"suspend": None}, {"trigger_crash_dump": None}, {"changePassword": {"adminPass": "secret"}}):
            try:
                self.api.post_server_action(server["id"], action)
            except base.api_client.OpenStackApiException as error:
                assert error.response.status_code in (400, 409, 501), error
            assert self.idle(server)["status"] == "ACTIVE", action
            assert self.world.state() == before, action
        assert "does not keep the state of a guest" in self.stdlog.logger.output
        self.delete(server)

    def test_a_rescue_is_refused_and_a_hard_reboot_mends(self) -> None:
        server = self.boot()
        self.api.post_server_action(server["id"], {"rescue": {}})
        # Nova stops every server before it asks the driver, and sets it to ERROR then.
        self.settle(server, "ERROR")
        assert "cannot start a guest from another disk" in self.fault_of(server)
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        assert self.guest_of(server)["state"] == "on"
        self.delete(server)

    def test_there_is_no_console_but_the_log(self) -> None:
        server = self.boot()
        for protocol, kind in (("vnc", "novnc"), ("serial", "serial")):
            wanted = {"remote_console": {"protocol": protocol, "type": kind}}
            with self.assertRaises(base.api_client.OpenStackApiException) as refused:
                self.api.api_post(f"/servers/{server['id']}/remote-consoles", wanted)
            assert refused.exception.response.status_code in (400, 501)
        self.delete(server)


class Trouble(ZVMCloud):
    """A Cloud Connector that does not do what it should."""

    def halted(self) -> Any:
        processes = self.simulator._processes
        assert processes is not None
        processes.halt()
        self.addCleanup(processes.resume)
        return processes

    def test_a_connector_that_is_down_fails_builds_and_takes_the_host_out(self) -> None:
        self.enterContext(mock.patch.object(watch, "_AWAY_S", 0.0))
        server = self.boot()
        self.cached.add(self.image_id)
        processes = self.halted()
        self.wait_until(lambda: self.service()["status"] == "disabled", "the service is disabled")
        assert self.service()["disabled_reason"] == availability.REASON
        self.api.post_server_action(server["id"], {"os-stop": None})
        assert self.result_of(server, "stop") == "Error"
        assert "cannot be reached" in self.stdlog.logger.output
        assert "cloud_connector_url" in self.stdlog.logger.output
        processes.resume()
        self.wait_until(lambda: self.service()["status"] == "enabled", "the service is enabled again")
        self.act(server, {"os-stop": None}, "SHUTOFF")
        self.delete(server)

    def service(self) -> dict[str, Any]:
        (service,) = self.admin_api.get_services(host=base.HOST, binary="nova-compute")
        return dict(service)

    def test_a_build_while_the_connector_is_down_says_so_and_leaves_nothing(self) -> None:
        processes = self.halted()
        message = self.boot_fails()
        assert "cannot be reached" in message, message
        processes.resume()
        self.check_nothing_left()
        self.delete(*self.api.get_servers())
        self.delete(self.boot())

    def test_a_secret_that_was_changed_is_named_and_taken_when_it_is_right(self) -> None:
        old, copy = self.simulator.layout.token.read_text(), self.scratch / "token"
        copy.write_text(old)
        self.compute.stop()
        self.zvm_options(token_path=str(copy))
        self.start_compute()
        new = "ab" * 20
        self.simulator.layout.token.write_text(new)
        message = self.boot_fails()
        assert "rejects the token" in message, message
        assert "[zvm] token_path" in message
        assert old not in self.stdlog.logger.output
        self.check_nothing_left()
        copy.write_text(new)
        self.delete(*self.api.get_servers())
        self.delete(self.boot())
        assert new not in self.stdlog.logger.output

    def test_a_directory_that_stays_locked_fails_the_build(self) -> None:
        function = "Virtual_Network_Adapter_Create_Extended_DM"
        self.simulator.faults.add(Fault("SMAPI", function, Action.BUSY, times=0))
        with mock.patch.object(rest, "_PAUSES_S", (0.01, 0.02)):
            message = self.boot_fails()
        assert "locked" in message, message
        self.simulator.faults.clear()
        self.check_nothing_left()
        self.delete(*self.api.get_servers())


class Start(ZVMCloud):
    """nova-compute does not come up, and says which option to put right."""

    def start_service_under_test(self) -> None:
        """Each test starts it."""

    def fails(self, words: str, kind: type[Exception] = exception.InvalidConfiguration, **options: Any) -> None:
        self.zvm_options(**options)
        with self.assertRaises(kind) as failed:
            self.start_compute()
        assert words in str(failed.exception), failed.exception
        assert words in self.stdlog.logger.output

    def test_wrong_options_are_named(self) -> None:
        token_path = self.scratch / "guessed"
        token_path.write_text("guessed")
        right = str(self.simulator.layout.token)
        self.fails("[zvm] token_path", token_path=str(token_path))
        self.fails("[zvm] token_path", token_path=str(self.scratch / "missing"))
        self.fails("connector_image_repository", token_path=right, connector_image_repository="/nowhere")
        images = str(self.simulator.layout.images)
        self.fails("[zvm] disk_pool", connector_image_repository=images, disk_pool="nonsense")
        self.fails("NOPOOL", disk_pool="ECKD:NOPOOL")
        self.fails("userid_prefix", disk_pool="", userid_prefix="9")
        self.fails("cloud_connector_url", userid_prefix="NV", cloud_connector_url="ftp://zvm")

    def test_a_connector_that_is_down_is_waited_for(self) -> None:
        processes = self.simulator._processes
        assert processes is not None
        processes.halt()
        try:
            self.fails("cloud_connector_url", exception.HypervisorUnavailable, connect_timeout=1.5)
        finally:
            processes.resume()
        self.start_compute()
        assert self.driver.list_instance_uuids() == []
        assert self.compute.manager.driver.get_available_nodes() == ["ZVMSIM1"]
