"""Network adapters in directory entries (…_DM) and of running machines: Virtual_Network_Adapter_*."""

from __future__ import annotations

from collections.abc import Iterable

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, networks
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import Nic
from bigiron.sim.zvm.smapi.protocol import DONE, Call

_DEVICES_OF_A_NIC = 3
"""Read, write and data."""
_MAC_ID_DIGITS = 6


def create_dm(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Create_Extended_DM: 404/4 one of its three devices is defined already."""
    entry = system.editable(call.target)
    vdev = directory.device(call.needed("image_device_number"))
    if _span(vdev) & _defined(entry):
        raise SmapiError(404, 4)
    mac_id = call.keyword("mac_id").upper()
    if mac_id and (len(mac_id) != _MAC_ID_DIGITS or not set(mac_id) <= set("0123456789ABCDEF")):
        raise SmapiError(8, 3003, f"mac_id={mac_id} is not six hexadecimal digits")
    line = f"NICDEF {vdev} TYPE {call.keyword('adapter_type', 'QDIO').upper()}"
    system.put_entry(directory.with_line(entry, f"{line} MACID {mac_id}" if mac_id else line))
    return DONE


def _span(vdev: str) -> set[str]:
    return {f"{int(vdev, 16) + offset:04X}" for offset in range(_DEVICES_OF_A_NIC)}


def _defined(entry: Entry) -> set[str]:
    found = {disk.vdev for disk in directory.minidisks(entry)} | directory.dedicated(entry).keys()
    for nic in directory.nics(entry):
        found |= _span(nic.vdev)
    return found


def delete_dm(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Delete_DM: 404/8."""
    entry, vdev = system.editable(call.target), call.vdev()
    if directory.nic(entry, vdev) is None:
        raise SmapiError(404, 8)
    system.put_entry(directory.without_device(entry, "NICDEF", vdev))
    return DONE


def connect_dm(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Connect_Vswitch_DM: 404/8, 212/40."""
    entry, vdev = system.editable(call.target), call.vdev()
    if directory.nic(entry, vdev) is None:
        raise SmapiError(404, 8)
    switch = system.vswitch(call.required("n"))
    system.put_entry(directory.with_line(entry, f"NICDEF {vdev} LAN SYSTEM {switch.name}"))
    return DONE


def disconnect_dm(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Disconnect_DM: 404/8, 212/32 it is coupled to nothing."""
    entry, vdev = system.editable(call.target), call.vdev()
    adapter = directory.nic(entry, vdev)
    if adapter is None:
        raise SmapiError(404, 8)
    if not adapter.lan:
        raise SmapiError(212, 32)
    system.put_entry(directory.uncoupled(entry, vdev))
    return DONE


def create(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Create_Extended: 204/4 the machine has the device already.

    CP's DEFINE NIC takes the MAC address of the entry's NICDEF of the same device number.
    """
    machine = system.running(call.target)
    vdev = directory.device(call.needed("image_device_number"))
    taken = set(machine.disks) | machine.devices.keys()
    for each in machine.adapters:
        taken |= _span(each)
    if _span(vdev) & taken:
        raise SmapiError(204, 4)
    entry = system.state.entries.get(machine.userid)
    nic = directory.nic(entry, vdev) if entry else None
    networks.attach(system, machine, Nic(vdev, nic.mac_id if nic else call.keyword("mac_id")))
    system.touch()
    return DONE


def delete(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Delete: 204/8."""
    machine, vdev = system.running(call.target), call.vdev()
    if machine.adapters.pop(vdev, None) is None:
        raise SmapiError(204, 8)
    system.touch()
    return DONE


def connect(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Connect_Vswitch: 204/8, 204/20 coupled already, 212/8 no right, 212/40."""
    machine, vdev = system.running(call.target), call.vdev()
    networks.couple(system, machine, vdev, system.vswitch(call.required("n")))
    return DONE


def disconnect(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Disconnect: 204/8, 204/48 coupled to nothing."""
    networks.uncouple(system, system.running(call.target), call.vdev())
    return DONE


def query(system: System, call: Call) -> Iterable[str]:
    """Virtual_Network_Adapter_Query_Extended: the adapters of a running machine, or those of an entry."""
    wanted = call.keyword("image_device_number", "*").upper()
    found = list(_adapters(system, call.target, wanted))
    lines = [f"adapter_count={len(found)}"]
    for vdev, mac, lan in found:
        lines += [
            f"adapter_address={vdev}", "port_type=0", "extended_port_status=00", "adapter_type=2",
            f"network_device_count={_DEVICES_OF_A_NIC}", f"adapter_status={'02' if lan else '00'}",
            *(["lan_owner=SYSTEM", f"lan_name={lan}"] if lan else []),
            "device_options=C1000000", "router_status=00", "mac_count=1", f"mac_address={mac}", "mac_address_type=00",
            "mac_status=00", "mac_ip_version=4", "mac_ip_address=", "adapter_info_end",
        ]  # fmt: skip
    return lines


def _adapters(system: System, userid: str, wanted: str) -> Iterable[tuple[str, str, str]]:
    machine = system.state.running.get(userid)
    if machine is not None:
        present = [(each.vdev, each.mac, each.lan) for each in machine.adapters.values()]
    else:
        prefix = system.state.user_prefix
        present = [(n.vdev, prefix + n.mac_id, n.lan) for n in directory.nics(system.entry(userid))]
    return [each for each in sorted(present) if wanted in ("*", each[0])]
