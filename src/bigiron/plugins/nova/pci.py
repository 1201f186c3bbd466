"""The functions of SR-IOV ports as PCI devices, which Nova's tracker counts and claims for ports of vnic_type direct.

A partition never sees these devices: it gets a vNIC, and the platform chooses its logical ports. A device stands for
one logical port that a physical port can have. Its address is made of the platform's numbers: the domain is the
adapter's, the bus the port's, slot and function count from 1, and 0 is the physical port itself. An operator says which
belong to which physical network in [pci] device_spec, such as {"address": "0001:02:*.*", "physical_network": "prod"}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigiron.model import DirectPort

_MOST = 255
"""Slot and function have eight bits."""


def devices(ports: Iterable[DirectPort]) -> list[dict[str, Any]]:
    """What the resource tracker takes as `pci_passthrough_devices`."""
    return [_device(port, index) for port in ports for index in range(1, min(port.functions, _MOST) + 1)]


def address(port: DirectPort, index: int) -> str:
    """The address of a function, in the form dddd:bb:ss.f."""
    return f"{port.adapter & 0xFFFF:04x}:{port.port & 0xFF:02x}:{index >> 3:02x}.{index & 7}"


def _device(port: DirectPort, index: int) -> dict[str, Any]:
    where = address(port, index)
    device = {
        "dev_id": "pci_" + where.replace(":", "_").replace(".", "_"),
        "address": where,
        "parent_addr": address(port, 0),
        "vendor_id": port.vendor,
        "product_id": port.product,
        "label": f"label_{port.vendor}_{port.product}",
        "dev_type": "type-VF",
        "numa_node": None,
    }
    # By it Nova finds functions of the port whose bandwidth Placement has given out, where the request goes by the id
    # of the Neutron port; docs/sriov.rst tells of others. The vNIC is made there anyway.
    return {**device, "parent_ifname": port.location} if port.location else device
