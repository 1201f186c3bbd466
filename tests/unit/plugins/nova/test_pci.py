"""SR-IOV functions in the form that Nova's tracker of PCI devices takes."""

from __future__ import annotations

from nova.pci import devspec

from bigiron.model import DirectPort
from bigiron.plugins.nova import pci

PORT = DirectPort(adapter=1, port=2, functions=20, vendor="15b3", product="1014")


def test_addresses_are_valid_and_differ() -> None:
    found = pci.devices([PORT, DirectPort(300, 0, 400, "15b3", "1014")])
    addresses = [device["address"] for device in found]
    assert len(set(addresses)) == len(addresses) == 20 + 255
    assert addresses[:8] == [
        "0001:02:00.1", "0001:02:00.2", "0001:02:00.3", "0001:02:00.4",
        "0001:02:00.5", "0001:02:00.6", "0001:02:00.7", "0001:02:01.0",
    ]  # fmt: skip
    assert addresses[-1] == "012c:00:1f.7"
    assert {device["parent_addr"] for device in found} == {"0001:02:00.0", "012c:00:00.0"}
    for address in addresses:
        assert str(devspec.PhysicalPciAddress(address)) == address


def test_an_operator_names_a_port_by_its_address() -> None:
    spec = devspec.PciDeviceSpec({"address": "0001:02:*.*", "physical_network": "prod"})
    assert all(spec.match(device) for device in pci.devices([PORT]))
    other = DirectPort(adapter=1, port=3, functions=1, vendor="15b3", product="1014")
    assert not any(spec.match(device) for device in pci.devices([other]))
    both = devspec.PciDeviceSpec({"vendor_id": "15b3", "product_id": "1014", "physical_network": "prod"})
    assert all(both.match(device) for device in pci.devices([PORT, other]))


def test_a_function_is_found_by_the_port_whose_bandwidth_placement_has_given_out() -> None:
    (device,) = pci.devices([DirectPort(1, 2, 1, "15b3", "1014", location="U78D2.001-P2-C1-T3")])
    assert device["parent_ifname"] == "U78D2.001-P2-C1-T3"
    assert "parent_ifname" not in pci.devices([PORT])[0]
