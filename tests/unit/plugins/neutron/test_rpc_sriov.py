"""Direct ports in the server's answers: their own driver's only, and those of flat networks among them."""

from __future__ import annotations

from typing import Any

from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.plugins.neutron.rpc import Endpoint, NeutronServer

from .test_rpc import HOST, ID, MAC, Api, Heard, detailed, listed, options  # noqa: F401 - a fixture for every test

DIRECT = {"binding:vif_type": "pvm_sriov"}
FLAT = {"binding:vif_details": {"physical_network": "prod", "physical_ports": ["T1"]}}


def test_direct_ports_are_asked_for_and_a_flat_networks_have_no_vlan() -> None:
    answer = [listed(**DIRECT, **FLAT), listed(**DIRECT, id="tagged"), listed(id="other")]
    api: Any = Api(get_ports_by_vnic_type_and_host=answer)
    found = NeutronServer(HOST, api, SRIOV).ports()
    assert [(port.id, port.physical_network, port.vlan) for port in found] == [
        (ID, "prod", 0), ("tagged", "physnet1", 100),
    ]  # fmt: skip
    assert api.calls == [("get_ports_by_vnic_type_and_host", {"vnic_type": "direct", "host": HOST})]


def test_ports_of_flat_networks_are_looked_up_too() -> None:
    flat = detailed(MAC, network_type="flat", segmentation_id=None)
    tunnel = detailed(MAC, network_type="vxlan", segmentation_id=7)
    asked: list[Any] = []

    def answer(devices: Any, agent_id: str, host: str) -> Any:
        asked.append((agent_id, host))
        return [flat, tunnel]

    (port,) = NeutronServer(HOST, Api(get_devices_details_list=answer), SRIOV).lookup([MAC])  # type: ignore[arg-type]
    assert port.vlan == 0
    assert asked == [("sriov-agent-power1", HOST)]


def test_changes_of_its_own_ports_are_passed_on() -> None:
    heard = Heard()
    endpoint = Endpoint(HOST, heard, SRIOV)  # type: ignore[arg-type]
    endpoint.port_update(None, port=listed(**DIRECT), segmentation_id=None, physical_network="prod")
    endpoint.port_update(None, port=listed(id="s"), segmentation_id=5, physical_network="prod")
    assert heard.changed == [(ID, HOST, "prod", 0, True, True)]
    assert heard.gone == ["s"]
