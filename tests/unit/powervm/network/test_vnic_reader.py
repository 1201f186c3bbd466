"""What the network agent reads of vNICs and physical ports, on a simulated system, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, nic, serve

from bigiron.powervm.events import MODIFY_URI, RestEvent
from bigiron.powervm.network.sriov import by_network
from bigiron.powervm.network.vnic_reader import Vnic, VnicReader
from bigiron.powervm.platform import PowerVM

ADAPTERS = [
    {"ports": [{"label": "prod"}, {"label": "lab", "link": "down"}], "personality": "MIN_CAPACITY"},
    {"ports": [{}]},
]
SYSTEM = "/rest/api/uom/ManagedSystem/{uuid}"
LPARS = "/rest/api/uom/LogicalPartition"
VNICS = "/rest/api/uom/LogicalPartition/{uuid}/VirtualNICDedicated"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path, {**DOCUMENT, "sriov_adapters": ADAPTERS}) as found:
        yield found


@pytest.fixture
def platform(host: Host) -> Iterator[PowerVM]:
    with host.platform() as found:
        yield found


def test_ports_are_read_in_one_request_by_their_labels(host: Host, platform: PowerVM) -> None:
    reader = VnicReader(platform.connection.adapter, platform.connection.system_uuid)
    assert host.calls(reader.ports) == {f"GET {SYSTEM}": 1}
    found = by_network(reader.ports())
    assert {network: [(port.adapter, port.port, port.link) for port in ports] for network, ports in found.items()} == {
        "prod": [(1, 0, True)], "lab": [(1, 1, False)], "default": [(2, 0, True)],
    }  # fmt: skip
    (prod,), (other,) = found["prod"], found["default"]
    assert (prod.granularity, prod.allocated, prod.logical, prod.max_logical) == (0.02, 0.0, 0, 20)
    assert (prod.limits, other.limits) == (False, True)


def test_vnics_are_read_of_the_partitions_that_exist(host: Host, platform: PowerVM) -> None:
    guests = [platform._started.guests.create(guest_spec()) for _ in range(2)]
    ports = [nic(vif_type="pvm_sriov", physical_network="prod", vlan=vlan) for vlan in (7, None)]
    for port in ports:
        platform._started.vnics.create(guests[0].uuid, port)
    reader = VnicReader(platform.connection.adapter, platform.connection.system_uuid)
    wanted = [*(guest.uuid for guest in guests), "00000000-0000-0000-0000-00000000000F"]
    found = reader.of(wanted)
    assert found == [Vnic(guests[0].uuid, ports[0].mac, 7), Vnic(guests[0].uuid, ports[1].mac, 0)]
    assert host.calls(lambda: reader.of(wanted)) == {f"GET {LPARS}": 1}, "nothing has changed"
    platform._started.vnics.delete(guests[0].uuid, ports[0].mac)
    assert host.calls(lambda: reader.of(wanted)) == {f"GET {LPARS}": 1, f"GET {VNICS}": 1}
    assert reader.of(wanted) == found[1:]
    reader.on_event(RestEvent(MODIFY_URI, f"http://host/LogicalPartition/{guests[0].uuid}/VirtualNICDedicated/1", ""))
    assert host.calls(lambda: reader.of(wanted)) == {f"GET {LPARS}": 1, f"GET {VNICS}": 1}
    assert not host.calls(lambda: reader.of([]))
