"""The physical ports of SR-IOV adapters as values, and the choice of those that are to back a vNIC.

Source: ManagedSystem, AssociatedSystemIOConfiguration/SRIOVAdapters. A port's label is the name of the physical
network that its cable leads to. Capacities are fractions of a port's bandwidth (0.02 = 2 %).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pypowervm.wrappers.iocard import SRIOVAdapter, SRIOVAdapterMode, SRIOVAdapterPersonality, SRIOVAdapterState
from pypowervm.wrappers.managed_system import System

from bigiron.errors import InvalidSpec, NoCapacity
from bigiron.model import DirectPort, NicSpec

DEFAULT_NETWORK = "default"
"""The physical network of ports without a label."""
REDUNDANCY, CAPACITY, MAX_CAPACITY, FIRST = "redundancy", "capacity", "maxcapacity", "allocated_port"
"""Keys of a port's binding details."""
MAX_REDUNDANCY = 6
LOWEST_VLAN, HIGHEST_VLAN = 2, 4094
"""What a port of an SR-IOV adapter can tag frames with (MinimumPortVLANID, MaximumPortVLANID)."""

_EXACT = 1e-6
_SPEED = re.compile(r"E(\d+)([MG])bps")
_UNITS = {"M": 1000, "G": 1000_000}


@dataclass(frozen=True, slots=True)
class PhysicalPort:
    """A port of an adapter that is shared out; `logical` logical ports are there and `max_logical` can be."""

    adapter: int
    port: int
    location: str
    network: str
    link: bool
    granularity: float
    allocated: float
    logical: int
    max_logical: int
    limits: bool = True
    """Whether its adapter can limit what a logical port takes (Personality)."""
    kbps: int = 0
    """What its link carries in either direction, in kilobits per second; 0 where that is unknown."""

    @property
    def free(self) -> float:
        return 1.0 - self.allocated

    def takes(self, capacity: float | None) -> bool:
        """Whether there is room for one more logical port of that capacity; None asks for the smallest."""
        return self.logical < self.max_logical and (capacity or self.granularity) <= self.free + _EXACT


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a port's binding asks of its vNIC."""

    redundancy: int = 1
    capacity: float | None = None
    max_capacity: float | None = None
    first: str = ""
    """The location of the port that is to carry the traffic while all is well, where that was decided elsewhere."""


def shared_adapters(system: System) -> list[SRIOVAdapter]:
    """The adapters in SR-IOV mode that run."""
    return [
        adapter
        for adapter in system.asio_config.sriov_adapters
        if adapter.mode == SRIOVAdapterMode.SRIOV and adapter.state == SRIOVAdapterState.RUNNING
    ]


def physical_ports(system: System) -> tuple[PhysicalPort, ...]:
    """Every physical port that vNICs can be made on, whatever its link."""
    return tuple(
        PhysicalPort(
            adapter=int(adapter.sriov_adap_id),
            port=int(port.port_id),
            location=str(port.loc_code),
            network=str(port.label or "") or DEFAULT_NETWORK,
            link=bool(port.link_status),
            granularity=float(port.min_granularity or 0.0),
            allocated=float(port.allocated_capacity or 0.0),
            logical=int(port.cfg_lps or 0),
            max_logical=int(port.cfg_max_lps or 0),
            limits=adapter.personality == SRIOVAdapterPersonality.MAX_MIN_CAPACITY,
            kbps=_kbps(str(port.curr_speed or "")),
        )
        for adapter in shared_adapters(system)
        for port in adapter.phys_ports
    )


def _kbps(speed: str) -> int:
    """The number in a CurrentConnectionSpeed such as E10Gbps; Auto and Unknown have none."""
    found = _SPEED.fullmatch(speed)
    return int(found[1]) * _UNITS[found[2]] if found else 0


def direct_ports(system: System) -> tuple[DirectPort, ...]:
    """The same for the compute service, with the PCI ids of the slots that the adapters are in."""
    ids = {slot.drc_name: (slot.pci_vendor_id, slot.pci_dev_id) for slot in system.asio_config.io_slots}
    found = []
    for adapter in shared_adapters(system):
        vendor, device = ids.get(adapter.phys_loc_code, (None, None))
        found += [
            DirectPort(
                adapter=int(adapter.sriov_adap_id),
                port=int(port.port_id),
                functions=int(port.cfg_max_lps or 0),
                vendor=_pci_id(vendor),
                product=_pci_id(device),
                location=str(port.loc_code),
            )
            for port in adapter.phys_ports
        ]
    return tuple(found)


def _pci_id(number: str | int | None) -> str:
    return f"{int(number or 0) & 0xFFFF:04x}"


def wanted(nic: NicSpec) -> Wanted:
    """What the details of the port's binding say; raises InvalidSpec that names the key."""
    details = nic.details
    redundancy = _number(nic, REDUNDANCY, details.get(REDUNDANCY, "1"))
    if redundancy != int(redundancy) or not 1 <= redundancy <= MAX_REDUNDANCY:
        raise InvalidSpec(
            f"Port {nic.id} asks for {redundancy:g} logical ports (vnic_required_vfs of its binding:profile, or of "
            f"[AGENT] in the network agent's options), and a vNIC can have 1 to {MAX_REDUNDANCY}."
        )
    capacity, limit = _fraction(nic, CAPACITY), _fraction(nic, MAX_CAPACITY)
    if limit is not None and limit < (capacity or 0.0):
        raise InvalidSpec(
            f"Port {nic.id} has the maxcapacity {limit:g}, which is less than its capacity {capacity:g}; raise one or "
            "lower the other in its binding:profile."
        )
    return Wanted(int(redundancy), capacity, limit, details.get(FIRST, ""))


def _fraction(nic: NicSpec, key: str) -> float | None:
    text = nic.details.get(key)
    if text in (None, "", "None"):
        return None
    value = _number(nic, key, str(text))
    if not 0 < value <= 1:
        raise InvalidSpec(
            f"Port {nic.id} has the {key} {value:g}; it is a fraction of a physical port: above 0, up to 1."
        )
    return value


def _number(nic: NicSpec, key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidSpec(f"Port {nic.id} has the {key} {text!r} in its binding, which is no number.") from None


def choose(ports: Iterable[PhysicalPort], nic: NicSpec, want: Wanted) -> tuple[PhysicalPort, ...]:
    """The ports to back the NIC, the first to be the preferred one: on as many adapters as can be, each port once,
    and of an adapter's the one with most room.

    Raises InvalidSpec where no port leads to the NIC's physical network or none has the capacity's granularity, and
    NoCapacity where too few have their link up and room.
    """
    network = nic.physical_network or DEFAULT_NETWORK
    there: Sequence[PhysicalPort] = [port for port in ports if port.network == network]
    if not there:
        names = ", ".join(sorted({port.network for port in ports})) or "none"
        raise InvalidSpec(
            f"Port {nic.id} is on physical network {network}, and no SR-IOV port of this system has that label "
            f"(there are: {names}). Label the port that leads to it, or correct the network."
        )
    if want.max_capacity is not None and want.max_capacity < 1:
        there = [port for port in there if port.limits]
        if not there:
            raise InvalidSpec(
                f"Port {nic.id} has the maxcapacity {want.max_capacity:g}, and no SR-IOV adapter on physical network "
                f"{network} can limit a logical port; remove maxcapacity from its binding:profile."
            )
    if want.capacity is not None:
        there = _that_give_out(there, nic, want.capacity)
    able = [port for port in there if port.link and port.takes(want.capacity)]
    _check_first(there, able, nic, want)
    if len(able) < want.redundancy:
        # Nova shows users 255 characters of it: what to do comes before the ports.
        raise NoCapacity(
            f"Port {nic.id} needs {want.redundancy} SR-IOV ports of physical network {network} with link and room, and "
            f"{len(able)} have both. Bring links up, or lower vnic_required_vfs or capacity in its binding:profile. "
            f"For {_percent(want.capacity)}: {_state(there, want)}."
        )
    return _spread(able, want.redundancy, want.first)


def _that_give_out(ports: Sequence[PhysicalPort], nic: NicSpec, capacity: float) -> Sequence[PhysicalPort]:
    able = [port for port in ports if gives_out(port.granularity, capacity)]
    if not able:
        steps = "; ".join(f"{port.location} gives out multiples of {port.granularity:g}" for port in ports)
        raise InvalidSpec(
            f"Port {nic.id} asks for a capacity of {capacity:g}, which no SR-IOV port of its physical network gives "
            "out; change capacity in the port's binding:profile, or vnic_vf_capacity of [AGENT] in the network agent's "
            f"options. {steps}."
        )
    return able


def gives_out(granularity: float, capacity: float) -> bool:
    """Whether a port of that granularity (0 where it is not known) can give a logical port this capacity."""
    steps = capacity / granularity if granularity else 1.0
    return math.isclose(steps, round(steps), abs_tol=_EXACT) and round(steps) >= 1


def _check_first(there: Sequence[PhysicalPort], able: Sequence[PhysicalPort], nic: NicSpec, want: Wanted) -> None:
    """Placement has given out bandwidth of one port, so no other will do."""
    if not want.first or any(port.location == want.first for port in able):
        return
    chosen = [port for port in there if port.location == want.first]
    raise NoCapacity(
        f"Port {nic.id} was given bandwidth of SR-IOV port {want.first}, which cannot take it: "
        f"{_state(chosen, want) or 'the system has no such port'}. Wanted was {_percent(want.capacity)}."
    )


def _spread(able: Sequence[PhysicalPort], count: int, first: str = "") -> tuple[PhysicalPort, ...]:
    chosen = [port for port in able if port.location == first]
    used = {port.adapter: 1 for port in chosen}
    left = [port for port in able if port not in chosen]
    while len(chosen) < count:
        best = min(left, key=lambda port: (used.get(port.adapter, 0), port.allocated, port.logical, port.location))
        chosen.append(best)
        left.remove(best)
        used[best.adapter] = used.get(best.adapter, 0) + 1
    return tuple(chosen)


def _percent(capacity: float | None) -> str:
    return "one more logical port" if capacity is None else f"{100 * capacity:g}% of a port"


def _state(ports: Iterable[PhysicalPort], want: Wanted) -> str:
    def said(port: PhysicalPort) -> str:
        if not port.link:
            return "its link is down"
        if port.takes(want.capacity):
            return "could be used"
        return f"{port.logical} of {port.max_logical} logical ports, {100 * port.free:g}% free"

    return "; ".join(f"{port.location}: {said(port)}" for port in ports)


def by_network(ports: Iterable[PhysicalPort]) -> Mapping[str, list[PhysicalPort]]:
    """The ports by the physical network that they lead to."""
    found: dict[str, list[PhysicalPort]] = {}
    for port in ports:
        found.setdefault(port.network, []).append(port)
    return found
