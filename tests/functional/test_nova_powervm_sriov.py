"""Servers with direct ports, through a real Nova and over HTTP: vNICs on SR-IOV ports, counted as PCI devices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.functional import base
from tests.functional import test_nova_powervm_interfaces as interfaces
from tests.functional import test_nova_powervm_sweeps as sweeps
from tests.functional.sriov import DirectCloud, InTurn
from tests.functional.sweep import Call
from tests.functional.test_nova_powervm_faults import LPAR, Spawning

from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.model.partition import RMC_ACTIVE

VNICS = f"{LPAR}{{uuid}}/VirtualNICDedicated"


class DirectPorts(DirectCloud):
    """On a shared storage pool; the disks do not matter here."""

    def test_a_server_gets_a_vnic_and_gives_it_back(self) -> None:
        free = self.free_devices()
        assert free == 4 + 4 + 20
        port = self.direct_port()
        networks = [{"port": port}, {"uuid": base.SeaNeutron.network_1["id"]}]
        self.simulator.journal.clear()
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=networks)
        assert self.kinds()["PUT", VNICS] == 1
        (vnic,) = self.vnics_of(server)
        assert (vnic["mac"], vnic["pvid"], vnic["auto_failback"]) == (self.mac(port), base.VLAN, True)
        assert [(way["adapter"], way["port"], way["priority"]) for way in vnic["backing"]] == [(1, 0, 1), (2, 0, 2)]
        assert len({way["vios"] for way in vnic["backing"]}) == 2
        # The guest sees its adapters in the order of the request: this one, the other port's, RMC's.
        assert vnic["slot"] < min(adapter["slot"] for adapter in self.lpar_of(server)["adapters"])
        (claimed,) = self.claimed(server)
        profile = self.neutron._ports[port]["binding:profile"]
        assert profile["pci_slot"] == claimed
        assert (profile["pci_vendor_info"], profile["physical_network"]) == ("15b3:1014", base.PHYSICAL_NETWORK)
        assert self.free_devices() == free - 1
        self.delete(server)
        assert self.free_devices() == free
        assert list(vnics.logical_ports(self.simulator.world)) == []

    def test_a_running_server_takes_a_direct_port_and_gives_it_back(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest's RMC connection")
        port = self.direct_port(redundancy=1, capacity="0.5")
        self.told()
        self.api.attach_interface(server["id"], {"interfaceAttachment": {"port_id": port}})
        (vnic,) = self.vnics_of(server)
        assert vnic["mac"] == self.mac(port)
        assert len(self.claimed(server)) == 1
        assert self.told() == [("plug", "pvm_sriov", port)]
        diagnosed = self.driver.hypervisor.report(server["id"]).macs
        assert self.neutron._ports[port]["mac_address"] in diagnosed
        self.api.detach_interface(server["id"], port)
        self.wait_until(lambda: not self.vnics_of(server), "the vNIC goes")
        self.wait_until(lambda: not self.claimed(server), "Nova gives the device back")
        assert self.told() == [("unplug", "pvm_sriov", port)]
        self.delete(server)

    def told(self) -> list[tuple[str, str, str]]:
        """(action, type, port) of what the network agents were told since this was last asked."""
        events = self.simulator.services.events.take("a network agent", 0)
        found = [json.loads(event.detail) for event in events if "NOVA_PVM_VIF" in event.detail]
        return [(one["action"], one["type"], one["port"]) for one in found]

    def test_a_server_keeps_its_vnic_when_resized_and_gets_one_anew_when_rebuilt(self) -> None:
        self.flags(allow_resize_to_same_host=True)
        port = self.direct_port()
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=[{"port": port}])
        (first,) = self.vnics_of(server)
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": self.make_flavor(memory_mb=768)}})
        self.settle(server, "VERIFY_RESIZE")
        self.api.post_server_action(server["id"], {"confirmResize": None})
        self.settle(server, "ACTIVE")
        assert self.vnics_of(server) == [first]
        assert len(self.claimed(server)) == 1
        self.api.post_server_action(server["id"], {"rebuild": {"imageRef": self.image_id}})
        self.settle(server, "ACTIVE")
        (second,) = self.vnics_of(server)
        assert second["uuid"] != first["uuid"]
        assert second["mac"] == first["mac"] == self.mac(port)
        assert len(self.claimed(server)) == 1
        self.delete(server)

    def test_too_few_ports_with_a_link_are_named(self) -> None:
        message = self.boot_fails(networks=[{"port": self.direct_port(redundancy=3)}])
        assert f"needs 3 SR-IOV ports of physical network {base.PHYSICAL_NETWORK} with link and room" in message
        assert "lower vnic_required_vfs or capacity in its binding:profile." in message
        assert "U78D2.001-P2-C1-T2: its link is down" in self.stdlog.logger.output
        self.check_nothing_left()

    def test_a_mistake_in_the_binding_is_named_before_anything_is_made(self) -> None:
        self.simulator.journal.clear()
        message = self.boot_fails(networks=[{"port": self.direct_port(capacity="0.03")}])
        assert "asks for a capacity of 0.03, which no SR-IOV port of its physical network gives out" in message
        assert not [entry for entry in self.calls() if entry.method != "GET"]


class FewFunctions(DirectCloud):
    """Each physical port has one logical port to give."""

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        few = [{"label": base.PHYSICAL_NETWORK, "max_logical_ports": 1}]
        return {**document, "sriov_adapters": [{"ports": few}, {"ports": few}]}

    def test_a_network_without_functions_left_finds_no_host(self) -> None:
        flavor = self.make_flavor(memory_mb=512)
        servers = [self.boot(f"web-{n}", flavor_id=flavor, networks=[{"port": self.direct_port(1)}]) for n in range(2)]
        backing = [way for server in servers for vnic in self.vnics_of(server) for way in vnic["backing"]]
        assert {way["adapter"] for way in backing} == {1, 2}
        assert self.free_devices() == 0
        message = self.boot_fails(flavor_id=flavor, networks=[{"port": self.direct_port(1)}])
        assert "No valid host was found" in message
        self.delete(*servers)


class DirectSpawning(DirectCloud, Spawning):
    """A spawn with a direct port of two ways, of which any request can be struck."""

    fresh_s = 0.0

    def spawn(self, number: int, expected: str | None = None) -> dict[str, Any]:
        server = self.boot(
            f"web-{number}",
            flavor_id=self.flavor_id,
            networks=[{"port": self.direct_port()}],
            config_drive=True,
            expected=None,
        )
        return self.finished(server, expected)

    def record(self) -> list[Call]:
        calls = super().record()
        assert any(call.template == VNICS for call in calls)
        return calls

    def strike(self, number: int, fault: Any) -> str:
        free = self.free_devices()
        outcome = super().strike(number, fault)
        self.wait_until(lambda: self.free_devices() == free, "Nova has its devices back")
        return outcome


@pytest.mark.full
class DirectSpawnSweep(InTurn, DirectSpawning):
    """Afterwards no logical port is left and Nova has all its devices back."""


@pytest.mark.full
class DirectDeleteSweep(DirectCloud, sweeps.DeleteSweep):
    """A server whose only port is a direct one."""

    fresh_s = 0.0

    def boot(self, name: str = "web", **fields: Any) -> dict[str, Any]:
        return super().boot(name, networks=[{"port": self.direct_port()}], **fields)


@pytest.mark.full
class DirectInterfaceSweep(DirectCloud, interfaces.InterfaceSweep):
    """A running server takes a direct port and gives it back."""

    fresh_s = 0.0

    def attach(self, server: dict[str, Any]) -> str:
        port = self.direct_port()
        self.api.attach_interface(server["id"], {"interfaceAttachment": {"port_id": port}})
        return port

    def macs(self, server: dict[str, Any]) -> list[str]:
        made = [":".join(one["mac"][i : i + 2] for i in range(0, 12, 2)).lower() for one in self.vnics_of(server)]
        return [*super().macs(server), *made]
