"""SR-IOV adapters inside the managed system's document."""

from __future__ import annotations

from lxml import etree

from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.model.sriov import PhysicalPort, SriovAdapter
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources import markup
from bigiron.sim.powervm.resources.markup import Holder, Many, Rows, typed

_CAPABLE = Many(
    ("Clear Logical Port Stat", "Clear Physical Port Stat", "IEEE8021Q_Priority", "Mac Vlan ACL Restriction", "Pvid")
)
_OPTIONS = Many(
    (
        "autoDuplex", "fullDuplex", "promiscousMode", "receiveFlowControl", "transmitFlowControl", "Veb", "Vepa",
    )
)  # fmt: skip
_SPEEDS = ("Auto", "E1Gbps", "E10Gbps", "E40Gbps", "E100Gbps")


def percent(value: float) -> str:
    """A percentage as the API writes it: 2.0%."""
    return f"{round(float(value), 2)}%"


def _current_options(port: PhysicalPort) -> Many:
    return Many(("fullDuplex", "linkUp", "Veb") if port.link else ("Veb",))


_PORT: Rows = (
    ("ConfiguredConnectionSpeed", "Auto"),
    ("ConfiguredFlowControl", False),
    ("ConfiguredMTU", "E_1500"),
    ("ConfiguredOptions", Many(("autoDuplex", "Veb"))),
    ("ConfiguredPortSwitchMode", "Veb"),
    ("CurrentConnectionSpeed", lambda w, p: p.speed if p.link else "Unknown"),
    ("CurrentOptions", lambda w, p: _current_options(p)),
    ("Label", lambda w, p: p.label),
    ("LocationCode", lambda w, p: p.location),
    ("MaximumDiagnosticsLogicalPorts", 1),
    ("MaximumPromiscuousLogicalPorts", 1),
    ("PhysicalPortID", lambda w, p: p.id),
    ("PortCapabilities", _CAPABLE),
    ("PortType", "Ethernet"),
    ("PortLogicalPortLimit", lambda w, p: p.max_ports),
    ("SubLabel", lambda w, p: p.sublabel),
    ("SupportedConnectionSpeeds", lambda w, p: Many(_SPEEDS[: _SPEEDS.index(p.speed) + 1])),
    ("SupportedMTUs", Many(("E_1500", "E_9000"))),
    ("SupportedOptions", _OPTIONS),
    ("SupportedPriorityAccessControlList", 0),
    ("LinkStatus", lambda w, p: p.link),
    ("AllocatedCapacity", lambda w, p: percent(p.allocated)),
    ("ConfiguredMaxEthernetLogicalPorts", lambda w, p: p.max_ports),
    ("ConfiguredEthernetLogicalPorts", lambda w, p: len(p.logical)),
    ("MaximumPortVLANID", vnics.HIGHEST_PVID),
    ("MaximumVLANID", 4094),
    ("MinimumEthernetCapacityGranularity", lambda w, p: percent(p.granularity)),
    ("MinimumPortVLANID", vnics.LOWEST_PVID),
    ("MinimumVLANID", 2),
    ("MaxSupportedEthernetLogicalPorts", lambda w, p: p.max_ports),
)


def _ports(world: World, adapter: SriovAdapter) -> Holder | None:
    if not adapter.is_shared:
        return None
    return Holder([typed("SRIOVEthernetPhysicalPort", _PORT, world, port) for port in adapter.ports])


_ADAPTER: Rows = (
    ("AdapterID", lambda w, a: a.drc_index),
    ("Description", lambda w, a: a.description),
    ("PhysicalLocation", lambda w, a: a.location),
    ("SRIOVAdapterID", lambda w, a: a.id),
    ("AdapterState", lambda w, a: a.state),
    ("AdapterMode", lambda w, a: a.mode),
    ("Personality", lambda w, a: a.personality if a.is_shared else None),
    ("EthernetPhysicalPorts", _ports),
)
_SLOT: Rows = (
    ("BusGroupingRequired", False),
    ("Description", lambda w, a: a.description),
    ("FeatureCodes", "EN15"),
    ("PCIClass", 512),
    ("PCIDeviceID", lambda w, a: a.device),
    ("PCISubsystemDeviceID", 1039),
    ("PCIRevisionID", 16),
    ("PCIVendorID", lambda w, a: a.vendor),
    ("PCISubsystemVendorID", 4116),
    ("SlotDynamicReconfigurationConnectorIndex", lambda w, a: a.drc_index),
    ("SlotDynamicReconfigurationConnectorName", lambda w, a: a.location),
)


def adapters(world: World) -> Holder:
    """For <SRIOVAdapters>."""
    choices = []
    for adapter in world.state.sriov:
        choice = markup.bare("IOAdapterChoice")
        choice.append(typed("SRIOVAdapter", _ADAPTER, world, adapter))
        choices.append(choice)
    return Holder(choices)


def io_slots(world: World) -> list[etree._Element]:
    """The slots of the cards, for <IOSlots>."""
    return [typed("IOSlot", _SLOT, world, adapter) for adapter in world.state.sriov]
