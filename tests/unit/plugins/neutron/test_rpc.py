"""What the server's answers become, and what happens when there are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg

from bigiron.errors import Unavailable
from bigiron.plugins.neutron.ports import Port
from bigiron.plugins.neutron.rpc import Endpoint, NeutronServer

HOST = "power1"
ID = "5f1d7a52-9c1e-4b8e-8a55-1f2f3f4f5f6f"
MAC = "fa:16:3e:00:00:01"
GUEST = "9f3c2a10-0000-4000-8000-000000000001"
PORT = Port(ID, MAC, "physnet1", 100, enabled=True, active=True, guest=GUEST, device=ID, allowed="NONE")


@pytest.fixture(autouse=True)
def options() -> Iterator[None]:
    """Neutron's request contexts read the policy options."""
    cfg.CONF([], project="neutron", default_config_files=[])
    yield
    cfg.CONF.reset()


def listed(**changes: Any) -> dict[str, Any]:
    port = {
        "id": ID,
        "mac_address": MAC.upper(),
        "binding:vif_type": "pvm_sea",
        "binding:host_id": HOST,
        "binding:vif_details": {"vlan": "100", "physical_network": "physnet1"},
        "admin_state_up": True,
        "status": "ACTIVE",
        "device_id": GUEST,
    }
    return {**port, **changes}


def detailed(device: str, **changes: Any) -> dict[str, Any]:
    details = {
        "device": device,
        "port_id": ID,
        "mac_address": MAC,
        "network_type": "vlan",
        "physical_network": "physnet1",
        "segmentation_id": 100,
        "admin_state_up": True,
    }
    return {**details, **changes}


class Api:
    """A server with the given answers."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, method: str) -> Any:
        def call(_context: Any, *arguments: Any, **named: Any) -> Any:
            self.calls.append((method, arguments[0] if arguments else named))
            answer = self.answers[method]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return call


@pytest.mark.parametrize("device_id", ["", "my server", "../../ManagedSystem", None])
def test_a_port_whose_device_id_is_no_instance_has_no_guest(device_id: str | None) -> None:
    api: Any = Api(get_ports_by_vnic_type_and_host=[listed(device_id=device_id, status="DOWN")])
    assert NeutronServer(HOST, api).ports() == [replace(PORT, guest="", active=False, down=True)]


def test_ports_of_other_drivers_and_those_about_to_arrive_are_not_ours() -> None:
    listing = [listed(), listed(**{"binding:vif_type": "ovs"}), listed(**{"binding:host_id": "power2"})]
    api: Any = Api(get_ports_by_vnic_type_and_host=listing)
    assert NeutronServer(HOST, api).ports() == [PORT]
    assert len(api.calls) == 1


def test_a_port_bound_by_an_older_driver_is_looked_up() -> None:
    api: Any = Api(
        get_ports_by_vnic_type_and_host=[listed(**{"binding:vif_details": {"vlan": "100"}})],
        get_devices_details_list_and_failed_devices={"devices": [detailed(ID)], "failed_devices": []},
    )
    (port,) = NeutronServer(HOST, api).ports()
    assert (port.physical_network, port.vlan, port.guest) == ("physnet1", 100, GUEST)
    assert not port.active, "looking it up has made Neutron count it as being built"


def test_ids_and_macs_are_asked_for_each_in_their_way_and_in_portions() -> None:
    api: Any = Api(
        get_devices_details_list_and_failed_devices={"devices": [detailed(ID)], "failed_devices": []},
        get_devices_details_list=lambda devices, *_: [detailed(device) for device in devices],
    )
    macs = [f"fa:16:3e:00:00:{n:02x}" for n in range(60)]
    found = NeutronServer(HOST, api).lookup([ID, *macs])
    assert [port.device for port in found] == [ID, *macs]
    assert [(method, len(devices)) for method, devices in api.calls] == [
        ("get_devices_details_list_and_failed_devices", 1),
        ("get_devices_details_list", 50),
        ("get_devices_details_list", 10),
    ]


@pytest.mark.parametrize("entry", [{"device": MAC}, {"device": MAC, "no_active_binding": True}])
def test_what_is_not_bound_here_is_no_port(entry: dict[str, Any]) -> None:
    assert NeutronServer(HOST, Api(get_devices_details_list=[entry])).lookup([MAC]) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            {"get_devices_details_list_and_failed_devices": oslo_messaging.MessagingTimeout("no answer")},
            "did not answer",
        ),
        ({"get_devices_details_list_and_failed_devices": {"devices": [], "failed_devices": [ID]}}, f"look up {ID}"),
    ],
)
def test_a_server_that_fails_is_worth_a_retry(answers: dict[str, Any], message: str) -> None:
    with pytest.raises(Unavailable, match=message) as caught:
        NeutronServer(HOST, Api(**answers)).lookup([ID])  # type: ignore[arg-type]
    assert caught.value.retryable


def test_a_state_that_the_server_did_not_take_is_worth_a_retry() -> None:
    answer = {"devices_up": [], "devices_down": [], "failed_devices_up": [ID], "failed_devices_down": []}
    with pytest.raises(Unavailable, match=f"take the state of {ID}"):
        NeutronServer(HOST, Api(update_device_list=answer)).report([ID], [])  # type: ignore[arg-type]


class Heard:
    def __init__(self) -> None:
        self.changed: list[Any] = []
        self.gone: list[str] = []
        self.subports: list[Any] = []
        self.trunks: list[Any] = []
        self.arrived: list[str] = []
        self.addresses: list[Any] = []

    def addresses_changed(self, *arguments: Any) -> None:
        self.addresses.append(arguments)

    def port_changed(self, *arguments: Any) -> None:
        self.changed.append(arguments)

    def subport_changed(self, *arguments: Any) -> None:
        self.subports.append(arguments)

    def trunk_changed(self, *arguments: Any) -> None:
        self.trunks.append(arguments)

    def port_gone(self, port_id: str) -> None:
        self.gone.append(port_id)

    def port_arrived(self, port_id: str) -> None:
        self.arrived.append(port_id)


def test_only_what_concerns_this_host_and_driver_is_passed_on() -> None:
    heard = Heard()
    endpoint = Endpoint(HOST, heard)
    update = {"network_type": "vlan", "segmentation_id": 100, "physical_network": "physnet1"}
    endpoint.port_update(None, port=listed(), **update)
    endpoint.port_update(None, port=listed(**{"id": "u", "binding:vif_type": "unbound"}), **update)
    endpoint.port_update(None, port=listed(), **{**update, "segmentation_id": None})
    endpoint.port_delete(None, port_id=ID)
    endpoint.binding_activate(None, port_id="a", host=HOST)
    endpoint.binding_activate(None, port_id="b", host="power2")
    endpoint.binding_deactivate(None, port_id="c", host=HOST, network_id="n")
    endpoint.binding_deactivate(None, port_id="d", host="power2", network_id="n")
    assert heard.changed == [(ID, HOST, "physnet1", 100, True, True)]
    assert (heard.arrived, heard.gone) == (["a"], ["u", ID, "c"])
    assert heard.addresses == [(ID, "NONE")]


SUB = "6f1d7a52-9c1e-4b8e-8a55-1f2f3f4f5f6f"
LEFT = "7f1d7a52-9c1e-4b8e-8a55-1f2f3f4f5f6f"


def trunked(*subports: str) -> dict[str, Any]:
    return {"trunk_details": {"trunk_id": "t", "sub_ports": [{"port_id": one} for one in subports]}}


def test_a_subport_has_the_guest_and_the_adapter_of_its_trunks_own_port() -> None:
    details = {"vlan": "200", "physical_network": "physnet1"}
    subport = listed(**{"id": SUB, "mac_address": "fa:16:3e:00:00:09", "device_id": "", "binding:vif_details": details})
    stray = {**subport, "id": LEFT}
    api: Any = Api(get_ports_by_vnic_type_and_host=[listed(**trunked(SUB, "elsewhere")), subport, stray])
    assert NeutronServer(HOST, api).ports() == [
        replace(PORT, trunk=True, allowed="ALL"),
        Port(SUB, MAC, "physnet1", 200, True, True, guest=GUEST, device=SUB, parent=ID, allowed="NONE"),
        Port(LEFT, "fa:16:3e:00:00:09", "physnet1", 200, True, True, guest="", device=LEFT, allowed="NONE"),
    ]


def test_updates_of_trunks_and_of_their_subports_are_told_apart() -> None:
    heard = Heard()
    endpoint = Endpoint(HOST, heard)
    update = {"network_type": "vlan", "segmentation_id": 200, "physical_network": "physnet1"}
    endpoint.port_update(None, port=listed(id=SUB, device_owner="trunk:subport", status="DOWN"), **update)
    assert (heard.subports, heard.changed, heard.trunks) == ([(SUB, HOST, 200, True, False)], [], [])
    endpoint.port_update(None, port=listed(**trunked(SUB)), **update)
    assert heard.trunks == [(ID, frozenset([SUB]))]
    assert heard.changed == [(ID, HOST, "physnet1", 200, True, True)]
