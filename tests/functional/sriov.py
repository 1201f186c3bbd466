"""A real Nova on a simulated system with SR-IOV adapters: what the tests of direct ports share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.powervm.network import vnic
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.model.sriov import PhysicalPort

PROD, DMZ = base.PHYSICAL_NETWORK, "dmz"
ADAPTERS: list[dict[str, Any]] = [
    {"ports": [{"label": PROD, "max_logical_ports": 4}, {"label": PROD, "link": "down"}, {"label": DMZ}]},
    {"ports": [{"label": PROD, "max_logical_ports": 4}]},
]
"""Two ports with a link lead to the network, each on an adapter of its own; a third one's link is down."""
DEVICES = [
    {"address": "0001:00:*.*", "physical_network": PROD},
    {"address": "0002:*:*.*", "physical_network": PROD},
    {"address": "0001:02:*.*", "physical_network": DMZ},
]
"""What an operator says of the functions' networks."""


class DirectCloud(PowerVMCloud):
    """Direct ports are bound as the mechanism driver would bind them."""

    def before_services(self) -> None:
        super().before_services()
        if self.fresh_s is not None:
            self.enterContext(mock.patch.object(vnic, "_FRESH_S", self.fresh_s))
        filters = [*base.CONF.filter_scheduler.enabled_filters, "PciPassthroughFilter"]
        self.flags(enabled_filters=filters, group="filter_scheduler")

    fresh_s: float | None = None
    """How old a reading of the ports may be that a choice begins with; None leaves it as it is."""

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "sriov_adapters": ADAPTERS}

    def start_service_under_test(self) -> None:
        self.flags(device_spec=[json.dumps(each) for each in DEVICES], group="pci")
        super().start_service_under_test()

    def direct_port(self, redundancy: int = 2, **details: Any) -> str:
        """A port of vnic_type direct; returns its id."""
        body = {"port": {"binding:vnic_type": "direct", "network_id": base.SeaNeutron.network_1["id"]}}
        port = self.neutron.create_port(body)["port"]
        bound = self.neutron._ports[port["id"]]
        bound["binding:vif_type"] = "pvm_sriov"
        bound["binding:vif_details"] |= {
            "physical_ports": ["U78D2.001-P2-C1-T1", "U78D2.001-P2-C2-T1"],
            "redundancy": redundancy,
            **details,
        }
        return str(port["id"])

    def mac(self, port: str) -> str:
        """The port's MAC as the platform writes it."""
        return str(self.neutron._ports[port]["mac_address"]).replace(":", "").upper()

    def vnics_of(self, server: dict[str, Any]) -> list[dict[str, Any]]:
        return list(self.lpar_of(server)["vnics"])

    def claimed(self, server: dict[str, Any]) -> list[str]:
        """The addresses of the PCI devices that Nova has given to the server."""
        query = f"select address from pci_devices where deleted = 0 and instance_uuid = '{server['id']}'"
        return sorted(row[0] for row in self.rows(query))

    def free_devices(self) -> int:
        query = "select count(*) from pci_devices where deleted = 0 and status = 'available'"
        return sum(row[0] for row in self.rows(query))

    def physical_port(self, adapter: int, number: int) -> PhysicalPort:
        found = vnics.find_port(self.simulator.world, adapter, number)
        assert found is not None
        return found


class InTurn:
    """The tests of a spawn of which each request is struck: a part of classes that derive from Spawning."""

    sweep: Callable[..., tuple[Counter[str], int]]

    @pytest.mark.timeout(900)
    def test_every_call_is_refused_in_turn(self) -> None:
        outcomes, faults = self.sweep(Action.ERROR)
        assert outcomes["ERROR"] >= faults // 2, outcomes

    @pytest.mark.timeout(900)
    def test_every_call_and_every_answer_is_lost_in_turn(self) -> None:
        self.sweep(Action.DROP_BEFORE, Action.DROP_AFTER)
