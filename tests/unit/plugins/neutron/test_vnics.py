"""What is reported of direct ports: by announcements, and by comparing everything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bigiron import naming
from bigiron.plugins.neutron.ports import Port
from bigiron.plugins.neutron.vnics import VnicReconciler
from bigiron.powervm.network.sriov import PhysicalPort
from bigiron.powervm.network.vif_events import VifEvent
from bigiron.powervm.network.vnic_reader import Vnic

GUEST = "9f3c2a10-0000-4000-8000-000000000001"
LPAR = naming.lpar_uuid(GUEST)
MAC = "fa:16:3e:00:00:01"
PORT = Port("port-1", MAC, "prod", 100, enabled=True, active=False, guest=GUEST, device="port-1")
PHYSICAL = PhysicalPort(1, 0, "C1-T1", "prod", True, 0.02, 0.0, 0, 20)


class Server:
    """Neutron's server with these ports."""

    def __init__(self, *ports: Port) -> None:
        self.found = list(ports)
        self.said: list[tuple[list[str], list[str]]] = []

    def ports(self) -> list[Port]:
        return self.found

    def lookup(self, devices: Collection[str]) -> list[Port]:
        return [port for port in self.found if port.device in devices]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        self.said.append((list(up), list(down)))


class Platform:
    """The platform with these vNICs."""

    def __init__(self, *vnics: Vnic) -> None:
        self.vnics = list(vnics)
        self.asked: list[Collection[str]] = []

    def ports(self) -> tuple[PhysicalPort, ...]:
        return (PHYSICAL,)

    def of(self, partitions: Collection[str]) -> list[Vnic]:
        self.asked.append(partitions)
        return self.vnics


def test_an_announced_vnic_is_reported_to_those_who_wait_first() -> None:
    server, told = Server(PORT), []
    work = VnicReconciler(server, Platform(), announce=told.append)
    assert work.handle([VifEvent("plug", MAC, "pvm_sriov", "port-1")])
    assert told == [["port-1"]]
    assert server.said == [(["port-1"], [])]
    assert (work.devices, work.plugged("port-1")) == (1, PORT)
    assert work.handle([VifEvent("unplug", MAC, "pvm_sriov", "port-1")])
    assert server.said[1:] == [([], ["port-1"])]
    assert work.devices == 0


def test_of_several_announcements_of_a_port_the_last_counts() -> None:
    server = Server(PORT)
    work = VnicReconciler(server, Platform())
    work.handle([VifEvent("plug", MAC, "pvm_sriov", "port-1"), VifEvent("unplug", MAC, "pvm_sriov", "port-1")])
    assert server.said == [([], ["port-1"])]


def test_a_disabled_port_stays_down() -> None:
    server = Server(replace(PORT, enabled=False))
    VnicReconciler(server, Platform()).handle([VifEvent("plug", MAC, "pvm_sriov", "port-1")])
    assert server.said == [([], ["port-1"])]


def test_a_comparison_reports_what_differs_only() -> None:
    server, platform, seen = Server(PORT), Platform(Vnic(LPAR, MAC, 100)), []
    work = VnicReconciler(server, platform, ports_read=lambda *found: seen.append(found))
    assert work.heal()
    assert seen == [((PHYSICAL,), [PORT])]
    assert platform.asked == [{LPAR}]
    assert server.said == [(["port-1"], [])]
    server.found = [replace(PORT, active=True)]
    work.heal()
    assert len(server.said) == 1
    platform.vnics = []
    work.heal()
    assert server.said[1:] == [([], ["port-1"])]


def test_a_port_that_leaves_during_a_comparison_is_not_kept() -> None:
    server, platform = Server(PORT), Platform(Vnic(LPAR, MAC, 100))
    work = VnicReconciler(server, platform)
    work.heal()
    assert work.plugged("port-1") == PORT
    work.forget("port-1")
    assert work.plugged("port-1") is None
    read = platform.of

    def left_meanwhile(partitions: Collection[str]) -> list[Vnic]:
        work.forget("port-1")
        return read(partitions)

    platform.of = left_meanwhile  # type: ignore[method-assign]
    work.heal()
    assert work.plugged("port-1") is None


def test_a_vnic_on_another_vlan_or_of_another_guest_is_not_the_ports() -> None:
    for vnic in (Vnic(LPAR, MAC, 0), Vnic("OTHER", MAC, 100)):
        server = Server(replace(PORT, down=True))
        VnicReconciler(server, Platform(vnic)).heal()
        assert server.said == []
        server.found = [PORT]
        VnicReconciler(server, Platform(vnic)).heal()
        assert server.said == [([], ["port-1"])], "what Neutron counts as being built is down"


def test_without_ports_no_partition_is_asked() -> None:
    platform = Platform()
    VnicReconciler(Server(), platform).heal()
    assert platform.asked == []


def test_what_ports_have_left_is_looked_at_when_a_vnic_comes_or_goes() -> None:
    seen: list[list[Port]] = []
    work = VnicReconciler(Server(PORT), Platform(), ports_read=lambda physical, plugged: seen.append(list(plugged)))
    work.handle([VifEvent("plug", MAC, "pvm_sriov", "port-1")])
    work.handle([VifEvent("unplug", MAC, "pvm_sriov", "port-1")])
    assert seen == [[PORT], []]
