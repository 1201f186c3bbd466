"""A new z/VM system, as its system document describes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bigiron.sim.zvm.documents import DocumentError
from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, power
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.system import Clock, State, System
from bigiron.sim.zvm.model.values import ECKD, FcpDevice, Grant, Lun, Machine, Pool, Volume, Vswitch

CONNECTOR = "ZCC00001"
_FIRST_DASD = 0x2000


def build(document: Mapping[str, Any], clock: Clock, folder: Path) -> System:
    """The system of a validated document; DocumentError where its parts do not fit together."""
    connector = str(document.get("connector", {}).get("userid", CONNECTOR)).upper()
    state = State(_machine(document["system"]), connector, ipl_time=clock.now())
    state.mac_prefix = document["system"].get("mac_prefix", state.mac_prefix).upper()
    state.user_prefix = document["system"].get("user_mac_prefix", state.mac_prefix).upper()
    state.guest_os = document.get("guests", {}).get("os", state.guest_os)
    state.profiles = [name.upper() for name in document["profiles"]]
    state.pools = _pools(document["pools"])
    state.vswitches = {each.name: each for each in map(_vswitch, document.get("vswitches", []))}
    _unique("vswitches", [each["name"].upper() for each in document.get("vswitches", [])])
    state.fcp = _fcp(document.get("fcp", []))
    state.luns = [_lun(each) for each in document.get("luns", [])]
    system = System(state, clock, folder)
    users = [{"userid": connector, "logged_on": True}, *document.get("users", [])]
    _unique("users", [each["userid"].upper() for each in users])
    for number, each in enumerate(users):
        _user(system, each, f"users.{number - 1}" if number else "connector.userid")
    return system


def _machine(facts: Mapping[str, Any]) -> Machine:
    standard = Machine("")
    cpc, level = facts.get("cpc", {}), facts.get("control_program", {})
    return Machine(
        name=facts["name"].upper(),
        cpc=cpc.get("name", standard.cpc),
        cpc_type=str(cpc.get("type", standard.cpc_type)),
        cpc_serial=str(cpc.get("serial", standard.cpc_serial)),
        lpar=facts.get("lpar", standard.lpar),
        version=level.get("version", standard.version),
        release=level.get("release", standard.release),
        processors=facts.get("processors", standard.processors),
        standby_processors=facts.get("standby_processors", 0),
        memory_mb=facts.get("memory_gb", standard.memory_mb // 1024) * 1024,
        standby_mb=facts.get("standby_memory_gb", 0) * 1024,
    )


def _pools(described: Sequence[Mapping[str, Any]]) -> dict[str, Pool]:
    pools: dict[str, Pool] = {}
    labels: list[str] = []
    for number, each in enumerate(described):
        unit, model = ("cylinders", "3390-A") if each["kind"] == ECKD else ("blocks", "9336")
        volumes = []
        for place, volume in enumerate(each["volumes"]):
            if unit not in volume:
                raise DocumentError(f"pools.{number}.volumes.{place}: a volume of kind {each['kind']} needs {unit}")
            rdev = volume.get("rdev", f"{_FIRST_DASD + len(labels):04X}")
            volumes.append(Volume(volume["label"].upper(), volume.get("model", model), volume[unit], rdev))
            labels.append(volumes[-1].label)
        pools[each["name"].upper()] = Pool(each["name"].upper(), each["kind"], tuple(volumes))
    _unique("pools", [each["name"].upper() for each in described])
    _unique("pools.volumes", labels)
    return pools


def _vswitch(each: Mapping[str, Any]) -> Vswitch:
    aware = bool(each.get("vlan_aware", False))
    grants = {name.upper(): Grant(name.upper(), tuple(numbers)) for name, numbers in each.get("grants", {}).items()}
    return Vswitch(
        each["name"].upper(), aware=aware, vlan=each.get("vlan"),
        native_vlan=each.get("native_vlan", 1) if aware else None,
        port_type="ACCESS" if aware else "NONE", rdevs=tuple(d.upper().zfill(4) for d in each.get("rdevs", [])),
        foreign=True, grants=grants,
    )  # fmt: skip


def _fcp(described: Iterable[Mapping[str, Any]]) -> dict[str, FcpDevice]:
    found: dict[str, FcpDevice] = {}
    for number, each in enumerate(described):
        first = int(each["first"], 16)
        for offset in range(each["count"]):
            device = f"{first + offset:04X}"
            if device in found:
                raise DocumentError(f"fcp.{number}: device {device} is described twice")
            npiv = f"{each.get('npiv_prefix', 'C05076DE3300')}{device}".upper()
            physical = each["physical_wwpn"].upper()
            found[device] = FcpDevice(device, each["chpid"].upper(), each["pchid"].upper(), npiv, physical)
    return found


def _lun(each: Mapping[str, Any]) -> Lun:
    lun = each["lun"].upper().removeprefix("0X")
    wwpns = tuple(wwpn.upper().removeprefix("0X") for wwpn in each["wwpns"])
    initiators = tuple(wwpn.upper() for wwpn in each.get("initiators", []))
    return Lun(wwpns, lun, each.get("size_gb", 10), each.get("wwid", f"36005076{lun.lower()}"), initiators)


def _user(system: System, each: Mapping[str, Any], place: str) -> None:
    try:
        userid = directory.check_userid(each["userid"])
        text = each.get("entry", f"USER {userid} LBYONLY 1G 1G G\nMACHINE ESA 2\n")
        system.put_entry(Entry(userid, directory.parse(userid, text), foreign=True))
        if "load" in each:
            system.set_load(userid, each["load"])
        if each.get("logged_on"):
            power.log_on(system, userid)
    except SmapiError as error:
        raise DocumentError(f"{place}: {error.description}") from error


def _unique(place: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DocumentError(f"{place}: {', '.join(doubled)} is described twice")
