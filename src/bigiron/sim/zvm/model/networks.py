"""Virtual network adapters of running machines, and what virtual switches allow them."""

from __future__ import annotations

from dataclasses import replace

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import Nic, Vswitch
from bigiron.sim.zvm.model.virtual_machine import Adapter, VirtualMachine


def mac_address(system: System, mac_id: str) -> str:
    """A MAC address as twelve digits: of the userid's own choice, or the next of the system's."""
    if mac_id:
        return (system.state.user_prefix + mac_id).upper()
    number = system.state.next_mac
    system.state.next_mac += 1
    return f"{system.state.mac_prefix}{number:06X}".upper()


def authorized(switch: Vswitch, userid: str, nic: Nic | None) -> bool:
    """Whether a userid may couple: by a grant, or because its entry gives the adapter a VLAN itself."""
    return userid in switch.grants or (nic is not None and nic.lan == switch.name and nic.vlan is not None)


def vlans(switch: Vswitch, userid: str, nic: Nic | None) -> tuple[int, ...]:
    """The VLANs of an adapter: its own, else those of the grant, else the switch's default."""
    if not switch.aware:
        return ()
    if nic is not None and nic.vlan is not None:
        return (nic.vlan,)
    if userid in switch.grants and switch.grants[userid].vlans:
        return switch.grants[userid].vlans
    return (switch.vlan,) if switch.vlan is not None else ()


def attach(system: System, machine: VirtualMachine, nic: Nic) -> None:
    """Give a machine an adapter, coupled as its entry says; at logon CP goes on when it may not couple."""
    adapter = Adapter(nic.vdev, mac_address(system, nic.mac_id))
    machine.adapters[nic.vdev] = adapter
    if not nic.lan:
        return
    switch = system.state.vswitches.get(nic.lan)
    if switch is None:
        system.print(machine.userid, f"HCPCPL2788E NIC {nic.vdev} not connected; LAN SYSTEM {nic.lan} does not exist\n")
    elif not authorized(switch, machine.userid, nic):
        system.print(machine.userid, f"HCPCPL6011E You are not authorized to COUPLE to SYSTEM {nic.lan}\n")
    else:
        machine.adapters[nic.vdev] = replace(adapter, lan=nic.lan, vlans=vlans(switch, machine.userid, nic))


def couple(system: System, machine: VirtualMachine, vdev: str, switch: Vswitch) -> None:
    """Couple an adapter of a running machine. SMAPI 204/8, 204/20, 212/8."""
    adapter = machine.adapters.get(vdev)
    if adapter is None:
        raise SmapiError(204, 8)
    if adapter.lan:
        raise SmapiError(204, 20)
    entry = system.state.entries.get(machine.userid)
    nic = directory.nic(entry, vdev) if entry else None
    if not authorized(switch, machine.userid, nic):
        raise SmapiError(212, 8)
    base = system.meter(machine).at(system.clock.now()).used
    machine.adapters[vdev] = replace(adapter, lan=switch.name, vlans=vlans(switch, machine.userid, nic), base=base)
    system.touch()


def uncouple(system: System, machine: VirtualMachine, vdev: str) -> None:
    """Uncouple an adapter of a running machine. SMAPI 204/8, 204/48."""
    adapter = machine.adapters.get(vdev)
    if adapter is None:
        raise SmapiError(204, 8)
    if not adapter.lan:
        raise SmapiError(204, 48)
    machine.adapters[vdev] = replace(adapter, lan="", vlans=())
    system.touch()


def regrant(system: System, switch: Vswitch, userid: str) -> None:
    """Have a running machine's adapters use what the switch now grants; without a right they lose their coupling."""
    machine, entry = system.state.running.get(userid), system.state.entries.get(userid)
    if machine is None:
        return
    for vdev, adapter in list(machine.adapters.items()):
        if adapter.lan != switch.name:
            continue
        nic = directory.nic(entry, vdev) if entry else None
        if authorized(switch, userid, nic):
            machine.adapters[vdev] = replace(adapter, vlans=vlans(switch, userid, nic))
        else:
            machine.adapters[vdev] = replace(adapter, lan="", vlans=())


def coupled(system: System, switch: str) -> list[tuple[VirtualMachine, Adapter]]:
    """The adapters that are coupled to a virtual switch."""
    return [
        (machine, adapter)
        for machine in system.state.running.values()
        for adapter in machine.adapters.values()
        if adapter.lan == switch
    ]
