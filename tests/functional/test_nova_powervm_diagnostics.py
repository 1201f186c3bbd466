"""Server diagnostics through Nova's API: what the platform has of a running server, in both of the API's forms."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest import mock

import pytest
from nova.tests.functional.api import client as api_client
from nova.utils import temporary_mutation
from tests.functional.powervm import PowerVMCloud
from tests.functional.sweep import Call, calls_of, explained, label_of
from tests.support.powervm_host import until_read_up

from bigiron.powervm.network import rmc
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model import power
from bigiron.sim.powervm.pcm.documents import traffic, usage

UOM = "/rest/api/uom"
FEED = "/rest/api/pcm/ManagedSystem/{uuid}/RawMetrics/LongTermMonitor"
READS = Counter(
    {
        ("GET", f"{UOM}/LogicalPartition/{{uuid}}"): 1,
        ("GET", f"{UOM}/LogicalPartition/{{uuid}}/ClientNetworkAdapter"): 1,
        ("GET", FEED): 1,
    }
)
"""While the monitor is off: its feed is empty."""


class ServerDiagnostics(PowerVMCloud):
    """On a shared storage pool, which two VIOSes serve."""

    vioses = {"vios1", "vios2"}

    def diagnostics(self, server: dict[str, Any], microversion: str | None = "2.48") -> dict[str, Any]:
        with temporary_mutation(self.admin_api, microversion=microversion):
            return dict(self.admin_api.get_server_diagnostics(server["id"]))

    def refused(self, server: dict[str, Any], status: int = 409) -> str:
        """The message with which the API refuses."""
        with pytest.raises(api_client.OpenStackApiException) as caught:
            self.diagnostics(server)
        assert caught.value.response.status_code == status
        return str(caught.value)

    def macs_of(self, server: dict[str, Any]) -> set[str]:
        """The port's MAC, and that of the adapter for RMC."""
        (port,) = self.neutron._ports.values()
        return {port["mac_address"], rmc.mac(server["id"])}

    def test_they_tell_what_the_platform_has(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=2048, vcpus=3), config_drive=True)
        self.simulator.clock.advance(7200)
        self.diagnostics(server)  # logs on again: the session has ended meanwhile
        self.simulator.journal.clear()
        found = self.diagnostics(server)
        assert self.asked() == READS
        assert found["state"] == "running"
        assert found["hypervisor"] == "powervm"
        assert found["driver"] is None, "Nova has no name for this driver"
        assert found["hypervisor_os"] is None
        assert found["uptime"] >= 7200
        assert found["config_drive"] is True
        assert found["memory_details"] == {"maximum": 2048, "used": None}
        assert found["num_cpus"] == 3 and [cpu["id"] for cpu in found["cpu_details"]] == [0, 1, 2]
        assert found["num_nics"] == 2
        assert {nic["mac_address"] for nic in found["nic_details"]} == self.macs_of(server)
        assert found["num_disks"] == 1, "the disk that several VIOSes present is one"
        self.delete(server)

    def test_the_older_form_names_the_disks_and_their_sizes(self) -> None:
        server = self.boot(
            flavor_id=self.make_flavor(memory_mb=512, vcpus=2, extra_specs={"powervm:proc_units": "0.4"})
        )
        found = self.diagnostics(server, microversion=None)
        expected = {
            "state": "running",
            "memory_mb": 512,
            "memory_max_mb": 512,
            "vcpus": 2,
            "processors": 0.4,
            "processors_dedicated": False,
            "config_drive": False,
            "disk0_size_gb": 2.0,
        }
        assert {key: found[key] for key in expected} == expected
        assert found["disk0_name"] in self.disk_names(server)
        assert {found["nic0_mac"], found["nic1_mac"]} == self.macs_of(server)
        assert "disk1_name" not in found and "nic2_mac" not in found
        self.delete(server)

    def disk_names(self, server: dict[str, Any]) -> set[str]:
        (pool,) = self.state()["pools"]
        return {unit["name"] for tier in pool["tiers"] for unit in tier["units"]}

    def test_dedicated_processors_and_a_disk_that_has_grown(self) -> None:
        dedicated = {"powervm:dedicated_proc": "true"}
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, vcpus=1, extra_specs=dedicated))
        self.flags(allow_resize_to_same_host=True)
        larger = self.make_flavor(memory_mb=1024, vcpus=2, disk_gb=3, extra_specs=dedicated)
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": larger}})
        self.settle(server, "VERIFY_RESIZE")
        found = self.diagnostics(server, microversion=None)
        assert found["processors_dedicated"] is True and found["processors"] == found["vcpus"] == 2
        assert found["memory_mb"] == 1024 and found["disk0_size_gb"] == 3.0
        self.api.post_server_action(server["id"], {"confirmResize": None})
        self.settle(server, "ACTIVE")
        self.delete(server)

    def test_a_server_that_does_not_run_has_none(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self._stop_server(server)
        assert "power state" in self.refused(server)
        self.delete(server)

    def test_a_partition_that_stopped_behind_our_back_is_reported_as_it_is(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        with self.simulator.services.locked() as simulated:
            lpar = self.partition_of(simulated, server)
            power.begin_off(simulated, lpar, "shutdown", False)
            power.finish_off(simulated, lpar, False)
        self.settle(server, "SHUTOFF")
        self.refused(server)
        self.delete(server)

    @staticmethod
    def partition_of(simulated: Any, server: dict[str, Any]) -> Any:
        return next(lpar for lpar in simulated.lpars if lpar.description == f"openstack:{server['id']}")

    def test_where_the_monitor_is_on_they_have_counters(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, vcpus=1))
        with pytest.raises(NotImplementedError):
            self.driver.get_host_cpu_stats()  # Nova's monitor of processors switches it on
        self.before = {**self.before, "pcm": self.state()["pcm"]}
        with self.simulator.services.locked() as simulated:
            lpar = self.partition_of(simulated, server)
            self.simulator.monitor.set_profile(lpar, "steady")
        self.simulator.clock.set_scale(0)
        self.simulator.clock.advance(1200 - self.simulator.clock.now() % 120)
        found, older = self.diagnostics(server), self.diagnostics(server, microversion=None)
        with self.simulator.services.locked() as simulated:
            (sample,) = self.simulator.monitor.samples()[-1:]
        facts = next(one for one in sample.system.lpars if one.uuid == lpar.uuid)
        busy = usage(facts, sample.time).busy
        assert busy > 10
        assert found["cpu_details"][0]["time"] == older["cpu_used_ns"] == pytest.approx(busy * 1e9, abs=20)
        assert found["memory_details"] == {"maximum": 512, "used": 256}
        (port,) = self.neutron._ports.values()
        nic = next(nic for nic in found["nic_details"] if nic["mac_address"] == port["mac_address"])
        adapter = next(one for one in lpar.adapters if one.mac == port["mac_address"].replace(":", "").upper())
        moved = traffic(busy * next(e.weight for e in facts.ethernets if e.location.endswith(f"-C{adapter.slot}")))
        assert (nic["rx_octets"], nic["tx_packets"]) == (moved["receivedBytes"], moved["sentPackets"])
        names = [key for key in older if key.startswith("adapter") and key.endswith("_name")]
        ways = {older[key]: older[key.replace("_name", "_read_bytes")] for key in names}
        assert {name.split("-")[0] for name in ways} == self.vioses and min(ways.values()) > 0
        assert found["disk_details"][0]["read_bytes"] == sum(ways.values())
        self.simulator.clock.set_scale(1)
        self.delete(server)

    def test_every_read_fails_in_turn_and_the_reason_is_told(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.diagnostics(server)
        until_read_up(self.simulator)
        self.simulator.journal.clear()
        good = self.diagnostics(server) | {"uptime": mock.ANY}
        calls = calls_of(self.calls())
        assert len(calls) == READS.total()
        for call in calls:
            for fault in self.faults_of(call):
                self.strike(server, fault, good)
        self.delete(server)

    @staticmethod
    def faults_of(call: Call) -> list[Fault]:
        """A read that is dropped is repeated by the session, so that it takes two of them to fail."""
        return [fault for fault in call.faults() if fault.action is not Action.STALE]

    def strike(self, server: dict[str, Any], fault: Fault, good: dict[str, Any]) -> None:
        with explained(label_of(fault), self.simulator.journal):
            self.simulator.faults.clear()
            self.simulator.faults.add(fault)
            if fault.action is Action.ERROR and fault.path != FEED:
                assert "LPAR" in (message := self.refused(server)) or "adapters" in message, message
            else:
                assert self.diagnostics(server) == good
            (planned,) = self.simulator.faults.faults()
            self.simulator.faults.clear()
            assert planned.fired == 1
            assert self.diagnostics(server) == good
            assert self.admin_api.get_server(server["id"])["status"] == "ACTIVE"


@pytest.mark.full
class ServerDiagnosticsOnVolumeGroup(ServerDiagnostics):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
    vioses = {"vios1"}

    def disk_names(self, server: dict[str, Any]) -> set[str]:
        groups = [group for vios in self.state()["vioses"] for group in vios["groups"]]
        return {disk["name"] for group in groups for disk in group["disks"]}
