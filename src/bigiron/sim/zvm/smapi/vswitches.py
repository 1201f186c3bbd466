"""Virtual switches: Virtual_Network_Vswitch_*."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, networks
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import Grant, Vswitch
from bigiron.sim.zvm.model.virtual_machine import Adapter, VirtualMachine
from bigiron.sim.zvm.smapi.protocol import DONE, Call

_MAX_VLAN = 4094
_NAME_LENGTH = 8
_DEFINED, _DISCONNECTED, _READY = "1", "4", "8"
"""switch_status: without a real device, not connected to it, and carrying traffic."""
_ACTIVE, _BACKUP = "1", "2"
"""device_status: the first device carries the traffic, the others stand by."""
_RECEIVED_PER_SECOND, _SENT_PER_SECOND = 400, 300
"""Frames per second of work."""
_RECEIVED_SIZE, _SENT_SIZE = 900, 600
_RECEIVED_PER_DISCARD, _RECEIVED_PER_ERROR = 5000, 20000
_COUNTERS = ("fr_rx", "fr_rx_dsc", "fr_rx_err", "fr_tx", "fr_tx_dsc", "fr_tx_err", "rx", "tx")


def query(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Vswitch_Query: 212/40 where there is none."""
    wanted = call.option("s", "*").upper()
    found = [name for name in sorted(system.state.vswitches) if wanted in ("*", name)]
    if not found:
        raise SmapiError(212, 40)
    return [f"VSWITCH:  Name: {name}" for name in found]


def create(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Vswitch_Create_Extended: 212/36 exists."""
    name = call.needed("switch_name").upper()
    if len(name) > _NAME_LENGTH:
        raise SmapiError(8, 3003, f"{name} is longer than eight characters")
    if name in system.state.vswitches:
        raise SmapiError(212, 36)
    vlan = call.keyword("vlan_id", "UNAWARE").upper()
    aware = vlan != "UNAWARE"
    system.put_vswitch(
        Vswitch(
            name,
            transport=call.keyword("transport_type", "ETHERNET").upper(),
            aware=aware,
            vlan=None if vlan in ("AWARE", "UNAWARE") else _vlan(vlan),
            native_vlan=_vlan(call.keyword("native_vlanid", "1")) if aware else None,
            port_type=call.keyword("port_type", "ACCESS").upper() if aware else "NONE",
            gvrp=aware and call.keyword("gvrp_value").upper() == "GVRP",
            queue_mb=int(call.keyword("queue_memory_limit", "8")),
            router=call.keyword("routing_value", "NONROUTER").upper(),
            rdevs=tuple(directory.device(word) for word in call.keyword("real_device_address").split()),
            controller=call.keyword("controller_name", "*").upper(),
            connected=call.keyword("connection_value", "CONNECT").upper() == "CONNECT",
            persistent=call.keyword("persist", "NO").upper() == "YES",
        )
    )
    return DONE


def _vlan(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= _MAX_VLAN:
        raise SmapiError(8, 3003, f"{text} is no VLAN id: use 1 to {_MAX_VLAN}")
    return int(text)


def delete(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Vswitch_Delete_Extended: adapters that are coupled to it lose that."""
    switch = system.vswitch(call.needed("switch_name"))
    for machine, adapter in networks.coupled(system, switch.name):
        networks.uncouple(system, machine, adapter.vdev)
    del system.state.vswitches[switch.name]
    system.touch()
    return DONE


def change(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Vswitch_Set_Extended: grants, VLANs of a grant, and revocations.

    396/2846: a VLAN for a switch that knows none. Revoking what was not granted is no error.
    """
    switch = system.vswitch(call.needed("switch_name"))
    grants = dict(switch.grants)
    userid = directory.check_userid(call.keyword("grant_userid")) if call.keyword("grant_userid") else ""
    if vlans := call.keyword("user_vlan_id"):
        if not switch.aware:
            raise SmapiError(396, 2846)
        grants[userid] = Grant(userid, tuple(_vlan(word) for word in vlans.replace(",", " ").split()))
    elif userid:
        grants[userid] = Grant(userid, grants[userid].vlans if userid in grants else ())
    revoked = call.keyword("revoke_userid").upper()
    grants.pop(revoked, None)
    changed = system.put_vswitch(switch, grants=grants)
    for name in filter(None, (userid, revoked)):
        networks.regrant(system, changed, name)
    return DONE


def query_extended(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Vswitch_Query_Extended: 21 attributes, real devices, grants and coupled adapters."""
    wanted = call.needed("switch_name").upper()
    switches = list(system.state.vswitches.values()) if wanted == "*" else [system.vswitch(wanted)]
    return [line for switch in switches for line in _described(system, switch)]


def _described(system: System, switch: Vswitch) -> Iterator[str]:
    gvrp = "GVRP" if switch.gvrp else "NOGVRP"
    status = _DEFINED if not switch.rdevs else _READY if switch.connected else _DISCONNECTED
    attributes = {
        "switch_name": switch.name, "transport_type": switch.transport, "port_type": switch.port_type,
        "queue_memory_limit": str(switch.queue_mb),
        "routing_value": "NA" if switch.transport == "ETHERNET" else switch.router,
        "vlan_awareness": "AWARE" if switch.aware else "UNAWARE", "vlan_id": str(switch.vlan or "NONE"),
        "native_vlan_id": str(switch.native_vlan or "NONE"), "mac_address": _mac(system, switch),
        "gvrp_request_attribute": gvrp, "gvrp_enabled_attribute": gvrp, "switch_status": status,
        "link_ag": "NOLACP", "lag_interval": "0", "lag_group": "(NONE)", "IP_timeout": "5", "switch_type": "QDIO",
        "isolation_status": "NOISOLATION", "MAC_protect": "NOMACPROTECT", "user_port_based": "USERBASED",
        "VLAN_counters": "OFF",
    }  # fmt: skip
    yield from (f" {key}: {value}" for key, value in attributes.items())
    yield " vepa_status: OFF"
    for number, rdev in enumerate(switch.rdevs):
        yield from (f"real_device_address: {rdev}", f"virtual_device_address: {rdev}", "controller_name: DTCVSW1")
        yield from ("port_name: (NONE)", f"device_status: {_BACKUP if number else _ACTIVE}", "device_error_status 0")
    for number, grant in enumerate(switch.grants.values()):
        yield from (f"port_num: {number}", f"grant_userid: {grant.userid}", "promiscuous_mode: NOPROM")
        yield from ("osd_sim: NOOSDSIM", f"vlan_count: {len(grant.vlans)}")
        yield from (f"user_vlan_id: {vlan:04d}" for vlan in grant.vlans)
    for machine, adapter in networks.coupled(system, switch.name):
        mac = "-".join(adapter.mac[at : at + 2] for at in range(0, 12, 2))
        yield from (f"adapter_owner: {machine.userid}", f"adapter_vdev: {adapter.vdev}", f"adapter_macaddr: {mac}")
        yield "adapter_type: QDIO"


def _mac(system: System, switch: Vswitch) -> str:
    number = sorted(system.state.vswitches).index(switch.name) + 1
    digits = f"{system.state.mac_prefix}{0xF00000 + number:06X}"
    return "-".join(digits[at : at + 2] for at in range(0, 12, 2))


def byte_stats(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Vswitch_Query_Byte_Stats: counters of uplinks, bridge ports and adapters."""
    wanted = call.needed("switch_name").upper()
    found = [s for s in system.state.vswitches.values() if wanted in ("*", s.name)]
    if not found:
        raise SmapiError(212, 40)
    lines = [f"vswitch count: {len(found)}", ""]
    for number, switch in enumerate(found, 1):
        lines += [f"vswitch number: {number}", f"vswitch name: {switch.name}", f"uplink count: {len(switch.rdevs)}"]
        for rdev in switch.rdevs:
            lines += [f"uplink_conn: {rdev}", *(f"uplink_{name}: 0" for name in _COUNTERS)]
        lines += [f"bridge_{name}: 0" for name in _COUNTERS]
        adapters = networks.coupled(system, switch.name)
        lines.append(f"nic count: {len(adapters)}")
        for machine, adapter in adapters:
            counts = traffic(system, machine, adapter)
            lines.append(f"nic_id: {machine.userid} {adapter.vdev}")
            lines += [f"nic_{name}: {count}" for name, count in zip(_COUNTERS, counts, strict=True)]
        lines += ["vlan count: 0", ""]
    return lines


def traffic(system: System, machine: VirtualMachine, adapter: Adapter) -> tuple[int, ...]:
    """Frames and bytes since the adapter was coupled, in the order of the counters: they follow the machine's work."""
    used = system.meter(machine).at(system.clock.now()).used
    work = (used - adapter.base) * _weight(adapter.vdev)
    received, sent = int(work * _RECEIVED_PER_SECOND), int(work * _SENT_PER_SECOND)
    lost = received // _RECEIVED_PER_DISCARD, received // _RECEIVED_PER_ERROR
    return received, *lost, sent, 0, 0, received * _RECEIVED_SIZE, sent * _SENT_SIZE


def _weight(vdev: str) -> float:
    """Between 0.5 and 1: no two adapters of a machine need have the same counters."""
    return 1 - int(vdev, 16) // 0x10 % 8 / 16
