"""Trunks: the real trunk service, ML2 and our drivers in Neutron, the agent, and a simulated system over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from neutron_lib import context as neutron_context
from neutron_lib import exceptions as neutron_errors
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import exceptions as callback_errors
from neutron_lib.plugins import directory
from neutron_lib.services.trunk import constants as trunk_constants
from oslo_config import cfg
from tests.functional.neutron_base import FAILURES, GUESTS, HOST, SeaTestCase

from bigiron import naming
from bigiron.sim.kernel.faults import Action, Fault

ADAPTERS = "/rest/api/uom/LogicalPartition/{uuid}/ClientNetworkAdapter"
ADAPTER = "/rest/api/uom/LogicalPartition/{uuid}/ClientNetworkAdapter/{uuid}"


class TrunkTestCase(SeaTestCase):
    """A trunk's own port on VLAN 10, and subports on VLANs of their own."""

    database_in_file = True

    def setUp(self) -> None:
        super().setUp()
        self.admin = neutron_context.get_admin_context()
        self.trunks = directory.get_plugin("trunk")
        self.ports: list[Any] = []

    def get_additional_service_plugins(self) -> dict[str, str]:
        return {**super().get_additional_service_plugins(), "trunk_plugin_name": "trunk"}

    def unbound_port(self, vlan: int, physnet: str = "physnet1") -> Any:
        port = self._make_port(self.fmt, self.vlan_network(vlan, physnet)["id"], as_admin=True)["port"]
        self.ports.append(port)
        return port

    def subport(self, vlan: int, **changes: Any) -> dict[str, Any]:
        port = self.unbound_port(vlan)
        return {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": vlan, **changes}

    def trunk(self, parent: Any, *subports: dict[str, Any]) -> str:
        wanted = {"port_id": parent["id"], "sub_ports": list(subports), "project_id": parent["project_id"]}
        return str(self.trunks.create_trunk(self.admin, {"trunk": wanted})["id"])

    def trunk_status(self, trunk: str) -> str:
        return str(self.trunks.get_trunk(self.admin, trunk)["status"])

    def bind(self, port: Any, guest: str = GUESTS[0]) -> Any:
        """What Nova does to a port of a server's before it plugs it."""
        changes = {portbindings.HOST_ID: HOST, "device_id": guest, "device_owner": "compute:nova"}
        self.driver.update_port(self.admin, port["id"], {"port": changes})
        return self.shown(port)

    def unbind(self, port: Any) -> None:
        changes = {portbindings.HOST_ID: "", "device_id": "", "device_owner": ""}
        self.driver.update_port(self.admin, port["id"], {"port": changes})

    def shown(self, port: Any) -> Any:
        return self.driver.get_port(self.admin, port["port_id"] if "port_id" in port else port["id"])

    def tagged(self, port: Any) -> tuple[bool, list[int]]:
        """Whether the adapter of the port takes tags, and which, as the world has it."""
        world = self.simulator.world
        mac = port["mac_address"].replace(":", "").upper()
        with world.lock:
            lpar = world.partition(naming.lpar_uuid(port["device_id"]))
            (adapter,) = (one for one in lpar.adapters if one.mac == mac)
            return adapter.tagged_supported, sorted(adapter.tagged)

    def until_active(self, trunk: str) -> None:
        self.until("the trunk is active", lambda: self.trunk_status(trunk) == trunk_constants.TRUNK_ACTIVE_STATUS)

    def finish(self, parent: Any, trunk: str) -> None:
        """The server goes, then the trunk and all ports; the system is as it was."""
        if parent["id"] in self.hrefs:
            self.unplug(parent)
        self.unbind(parent)
        self.until("all is down", lambda: all(self.shown(port)["status"] == "DOWN" for port in self.ports))
        assert self.trunk_status(trunk) == trunk_constants.TRUNK_DOWN_STATUS
        self.trunks.delete_trunk(self.admin, trunk)
        for port in self.ports:
            assert self.shown(port)[portbindings.HOST_ID] == ""
        self.clean_up(*self.ports)


class TestTrunk(TrunkTestCase):
    """From a trunk of a server to be to the end of it."""

    def test_a_server_starts_with_its_subports_and_gets_and_loses_others(self) -> None:
        self.start_agent()
        parent = self.unbound_port(10)
        first, second = self.subport(101), self.subport(102)
        inherited = {"port_id": self.unbound_port(103)["id"], "segmentation_type": "inherit"}
        trunk = self.trunk(parent, first, second)
        assert self.trunk_status(trunk) == trunk_constants.TRUNK_DOWN_STATUS

        parent = self.bind(parent)
        assert parent[portbindings.VIF_DETAILS]["trunk_vlans"] == "101,102"
        for subport in (first, second):
            assert self.shown(subport)[portbindings.VIF_TYPE] == "pvm_sea"
            assert self.shown(subport)["device_owner"] == trunk_constants.TRUNK_SUBPORT_OWNER
        self.settled()
        assert {self.shown(port)["status"] for port in self.ports} == {"DOWN"}, "nothing is plugged"

        self.plug(parent)
        self.until_active(trunk)
        assert self.tagged(parent) == (True, [101, 102])
        assert self.carried("ent5") == self.carried("ent6") == {10, 101, 102}
        self.until_status("ACTIVE", parent, *(self.shown(one) for one in (first, second)))

        self.trunks.add_subports(self.admin, trunk, {"sub_ports": [inherited]})
        self.until_active(trunk)
        assert self.shown(inherited)["status"] == "ACTIVE"
        assert self.tagged(parent) == (True, [101, 102, 103])
        assert self.carried("ent5") == {10, 101, 102, 103}

        self.trunks.remove_subports(self.admin, trunk, {"sub_ports": [{"port_id": first["port_id"]}]})
        self.until("the tag is gone", lambda: self.tagged(parent) == (True, [102, 103]))
        self.heal()
        assert self.carried("ent5") == self.carried("ent6") == {10, 102, 103}
        assert (self.shown(first)["status"], self.shown(first)[portbindings.HOST_ID]) == ("DOWN", "")
        assert self.trunk_status(trunk) == trunk_constants.TRUNK_ACTIVE_STATUS
        self.finish(parent, trunk)

    def test_a_trunk_without_subports_gets_an_adapter_that_takes_some_later(self) -> None:
        self.start_agent()
        parent = self.unbound_port(10)
        trunk = self.trunk(parent)
        parent = self.bind(parent)
        self.plug(parent)
        self.until_active(trunk)
        assert self.tagged(parent) == (True, [])
        late = self.subport(105)
        self.trunks.add_subports(self.admin, trunk, {"sub_ports": [late]})
        self.until_active(trunk)
        assert self.tagged(parent) == (True, [105])
        self.finish(parent, trunk)

    def test_a_disabled_subport_loses_its_tag_and_gets_it_back(self) -> None:
        self.start_agent()
        parent, subport = self.unbound_port(10), self.subport(101)
        trunk = self.trunk(parent, subport)
        parent = self.bind(parent)
        self.plug(parent)
        self.until_active(trunk)
        for enabled, tags, status in ((False, [], "DOWN"), (True, [101], "ACTIVE")):
            changes = {"port": {"admin_state_up": enabled}}
            self.driver.update_port(self.admin, subport["port_id"], changes)
            self.until(f"tags {tags}", lambda tags=tags: self.tagged(parent) == (True, tags))  # type: ignore[misc]
            self.until_status(status, self.shown(subport))
        self.finish(parent, trunk)

    def test_an_agent_that_was_away_makes_good_what_was_added_and_removed(self) -> None:
        self.start_agent()
        parent, gone = self.unbound_port(10), self.subport(101)
        trunk = self.trunk(parent, gone)
        parent = self.bind(parent)
        self.plug(parent)
        self.until_active(trunk)
        self.stop_agent()
        new = self.subport(102)
        self.trunks.add_subports(self.admin, trunk, {"sub_ports": [new]})
        self.trunks.remove_subports(self.admin, trunk, {"sub_ports": [{"port_id": gone["port_id"]}]})
        self.start_agent()
        self.until_active(trunk)
        assert self.tagged(parent) == (True, [102])
        assert self.shown(new)["status"] == "ACTIVE"
        self.finish(parent, trunk)

    @pytest.mark.full
    def test_each_request_that_changes_tags_may_fail(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        parent = self.unbound_port(10)
        trunk = self.trunk(parent)
        parent = self.bind(parent)
        self.plug(parent)
        self.until_active(trunk)
        cases = [("GET", ADAPTERS, action) for action in (Action.ERROR, Action.DROP_BEFORE)]
        cases += [("POST", ADAPTER, action) for action in FAILURES]
        for vlan, (method, path, action) in enumerate(cases, 101):
            subport = self.subport(vlan)
            self.simulator.faults.clear()
            self.simulator.faults.add(Fault(method, path, action))
            self.trunks.add_subports(self.admin, trunk, {"sub_ports": [subport]})
            self.until_active(trunk)
            (fault,) = self.simulator.faults.faults()
            assert fault.fired == 1, f"{method} {path} {action}"
            assert self.tagged(parent) == (True, list(range(101, vlan + 1)))
        self.simulator.faults.clear()
        self.finish(parent, trunk)


class TestRefusals(TrunkTestCase):
    """What cannot be carried is said before anything is changed."""

    def test_a_subport_whose_tag_is_not_its_networks_vlan(self) -> None:
        self.start_agent()
        parent = self.unbound_port(10)
        trunk = self.trunk(parent, self.subport(101, segmentation_id=500))
        with self.assertLogs("bigiron.plugins.neutron.binding", "ERROR") as logs:
            assert self.bind(parent)[portbindings.VIF_TYPE] == portbindings.VIF_TYPE_BINDING_FAILED
        assert "has segmentation id 500 and its network VLAN 101" in logs.output[0]
        assert "segmentation type inherit" in logs.output[0]
        self.unbind(parent)
        self.trunks.delete_trunk(self.admin, trunk)

    def test_subports_added_to_a_running_guest(self) -> None:
        self.start_agent()
        parent = self.unbound_port(10)
        trunk = self.trunk(parent)
        parent = self.bind(parent)
        for subport, reason in (
            (self.subport(101, segmentation_id=500), "its network VLAN 101"),
            (self.subport(110, segmentation_id=10), "which the trunk's own port"),
            (self._elsewhere(), "is no VLAN of virtual switch ETHERNET0 of host power1"),
        ):
            with pytest.raises(callback_errors.CallbackFailure) as caught:
                self.trunks.add_subports(self.admin, trunk, {"sub_ports": [subport]})
            (inner,) = (error.error for error in caught.value.errors)
            assert isinstance(inner, neutron_errors.InvalidInput) and reason in str(inner)
            assert self.trunks.get_trunk(self.admin, trunk)["sub_ports"] == []
        many = [self.subport(vlan) for vlan in range(200, 221)]
        with pytest.raises(callback_errors.CallbackFailure, match="has 21 subports"):
            self.trunks.add_subports(self.admin, trunk, {"sub_ports": many})

    def test_a_bound_port_becomes_no_trunk(self) -> None:
        self.start_agent()
        parent = self.bind(self.unbound_port(10))
        with pytest.raises(neutron_errors.InUse):
            self.trunk(parent)

    def _elsewhere(self) -> dict[str, Any]:
        port = self.unbound_port(250, "physnet2")
        return {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": 250}
