"""The driver that all platforms share, in a real Nova, over a platform in memory."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from nova import context as nova_context
from nova import objects
from nova.compute import task_states, vm_states
from tests.functional import base
from tests.support.memory import MemoryHypervisor

from bigiron import errors
from bigiron.hypervisor import Hypervisor
from bigiron.model import NicSpec, PowerState
from bigiron.plugins.nova import conf
from bigiron.plugins.nova.driver import BigironDriver

HOST: list[MemoryHypervisor] = []


class MemoryDriver(BigironDriver):
    platform = "powervm"
    hypervisor_type = "phyp"
    machines = ("ppc64le",)
    flavor_namespace = "powervm:"

    def make_hypervisor(self) -> Hypervisor:
        return HOST[-1]

    def image_folder(self) -> Path:
        return Path(base.CONF.powervm.image_conversion_path)

    def start_timeout_s(self) -> float:
        return float(base.CONF.powervm.rest_connect_timeout)


class SharedDriver(base.NovaCloud):
    compute_driver = "bigiron_memory.MemoryDriver"

    def before_services(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        HOST.append(MemoryHypervisor())
        self.platform = HOST[-1]
        module = types.ModuleType("nova.virt.bigiron_memory")
        module.MemoryDriver = MemoryDriver  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)

    def state_path(self) -> Path:
        return Path(self.scratch.name)

    def after_services(self) -> None:
        conf.register(base.CONF)
        self.start_compute()

    def test_a_server_lives_and_leaves_nothing(self) -> None:
        server = self.boot(config_drive=True)
        assert self.platform.images[server["id"]] == base.IMAGE_BYTES
        assert b"config-2" in self.platform.drives[server["id"]]
        (nic,) = self.platform.nics[server["id"]]
        assert (nic.vif_type, nic.vlan, nic.physical_network) == ("pvm_sea", base.VLAN, base.PHYSICAL_NETWORK)
        self._stop_server(server)
        assert ("power_off", server["id"], 60) in self.platform.calls
        self._start_server(server)
        self._reboot_server(server)
        self._reboot_server(server, hard=True)
        assert [call[2] for call in self.platform.calls if call[0] == "reboot"] == [False, True]
        self.delete(server)
        assert self.platform.nothing_left()

    def test_a_refused_build_says_why_and_is_not_tried_again(self) -> None:
        self.platform.refusal = errors.InvalidSpec("Flavor key powervm:shared_weight is '999', ...")
        message = self.boot_fails()
        assert "powervm:shared_weight" in message
        assert self.platform.nothing_left()

    def test_a_build_that_fails_half_way_is_undone(self) -> None:
        for step in ("define", "copy", "upload", "start"):
            self.platform.fail = {step: errors.Unavailable(f"{step}: the REST service cannot be reached")}
            assert f"{step}: the REST service" in self.boot_fails(config_drive=True)
            assert self.platform.nothing_left(), step

    def test_a_guest_that_stops_by_itself_is_seen_to(self) -> None:
        server = self.boot()
        self.platform.set_power(server["id"], PowerState.STOPPED)
        self.settle(server, "SHUTOFF")
        self.delete(server)

    def test_the_guest_starts_after_neutron_has_reported_its_port(self) -> None:
        self.flags(vif_plugging_timeout=60)
        self.neutron.status = "DOWN"
        reported: list[str] = []

        def report(uuid: str, nic: NicSpec) -> None:
            assert self.platform.guests_by_uuid[uuid].power is PowerState.STOPPED
            reported.append(nic.id)
            event = {"name": "network-vif-plugged", "server_uuid": uuid, "tag": nic.id, "status": "completed"}
            self.admin_api.create_server_external_events([event])

        self.platform.on_plug = report
        server = self.boot()
        assert reported == [nic.id for nic in self.platform.nics[server["id"]]]
        assert self.platform.guests_by_uuid[server["id"]].power is PowerState.RUNNING
        self.delete(server)

    def test_a_port_that_never_comes_up_fails_the_build_and_leaves_nothing(self) -> None:
        self.flags(vif_plugging_timeout=1)
        self.neutron.status = "DOWN"
        assert "Failed to allocate the network" in self.boot_fails()
        assert self.platform.nothing_left()

    def test_a_port_that_never_comes_up_is_passed_over_where_that_is_not_fatal(self) -> None:
        self.flags(vif_plugging_timeout=1, vif_plugging_is_fatal=False)
        self.neutron.status = "DOWN"
        self.delete(self.boot())

    def test_an_image_of_another_format_is_refused_with_what_to_do(self) -> None:
        image_id = self.upload_image(b"KDMV", disk_format="vmdk")
        assert "qemu-img convert" in self.boot_fails(image_id=image_id)
        assert self.platform.nothing_left()

    def test_a_build_that_a_dead_process_left_is_removed_at_the_next_start(self) -> None:
        server = self.boot()
        instance = objects.Instance.get_by_uuid(nova_context.get_admin_context(), server["id"])
        instance.vm_state, instance.task_state = vm_states.BUILDING, task_states.SPAWNING
        instance.save()
        self.platform.half_made.add(server["id"])
        self.compute.stop()
        self.start_compute()
        assert self.platform.nothing_left()
        assert self.admin_api.get_server(server["id"])["status"] == "ERROR"
        self.delete(server)

    def test_inventory_and_traits(self) -> None:
        inventory: dict[str, dict[str, Any]] = self.inventory()
        assert inventory["MEMORY_MB"]["total"] == 65536
        assert inventory["MEMORY_MB"]["reserved"] == 8192
        assert inventory["MEMORY_MB"]["step_size"] == 256
        assert inventory["MEMORY_MB"]["allocation_ratio"] == 1.0
        assert inventory["VCPU"]["total"] == 80
        assert inventory["VCPU"]["reserved"] == 10
        assert inventory["VCPU"]["max_unit"] == 64
        assert inventory["DISK_GB"]["total"] == 500
        assert {"HW_ARCH_PPC64LE", "COMPUTE_ARCH_PPC64LE", "CUSTOM_POWERVM"} <= self.traits()
