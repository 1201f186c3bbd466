"""What virtual machines use, as time passes and their loads change."""

from __future__ import annotations

import pytest
from tests.unit.sim.zvm.conftest import BOOT_SECONDS, Zvm

from bigiron.sim.kernel.load import PROFILES
from bigiron.sim.zvm.model.load import BOOT_LEVEL, Doing, Meter
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import VirtualMachine

NIC = ("NICDEF 1000 TYPE QDIO MACID 000001", "NICDEF 1000 LAN SYSTEM VSWVLAN VLAN 9")


def figures(z: Zvm, userid: str) -> dict[str, int]:
    """The numbers of Image_Performance_Query."""
    lines = z.ok("Image_Performance_Query", "-T", userid, "-c", "1")
    words = dict(line.split(": ", 1) for line in lines if line)
    return {name: int(value.strip('"').split()[0]) for name, value in words.items() if name != "Guest name"}


def frames(z: Zvm) -> tuple[int, int]:
    lines = z.ok("Virtual_Network_Vswitch_Query_Byte_Stats", "-T", "ME", "-k", "switch_name=VSWVLAN")
    counted = dict(line.split(": ", 1) for line in lines if line.startswith("nic_"))
    return int(counted["nic_fr_rx"]), int(counted["nic_tx"])


@pytest.mark.parametrize(("profile", "level"), [("idle", 0.02), ("steady", 0.6), ("burst", (240 * 0.1 + 60) / 300)])
def test_a_profile_is_what_the_processors_do(profile: str, level: float) -> None:
    meter = Meter(1000.0, 1000.0, Doing(profile, 2))
    assert meter.at(1000.0).used == 0
    assert meter.at(1600.0).used == pytest.approx(600 * 2 * level)


def test_what_does_not_get_done_waits() -> None:
    meter = Meter(0.0, 0.0, Doing("burst", 1))
    calm, busy = meter.at(240.0), meter.at(300.0)
    assert calm.waited == pytest.approx(24 * 0.02)
    assert busy.waited - calm.waited == pytest.approx(60 * (0.02 + 0.2))


def test_a_changed_load_counts_from_now_on() -> None:
    meter = Meter(0.0, 0.0, Doing("steady", 1))
    changed = meter.follow(100.0, Doing("idle", 1)).follow(100.0, Doing("idle", 1))
    assert changed.at(100.0) == meter.at(100.0)
    assert changed.at(200.0).used == pytest.approx(60 + 2)
    stopped = changed.follow(200.0, Doing("idle", 1, stopped=True))
    assert stopped.at(900.0).used == pytest.approx(62)


def test_counters_follow_the_load_through_a_guests_life(z: Zvm) -> None:
    z.create("LINUX", *NIC)
    z.boot_disk("LINUX")
    z.ok("Image_Activate", "-T", "LINUX")
    z.clock.advance(BOOT_SECONDS)
    booted = figures(z, "LINUX")["Used CPU time"]
    assert booted == pytest.approx(BOOT_SECONDS * BOOT_LEVEL * 1e6)
    z.system.set_load("linux", "steady")
    z.clock.advance(100.0)
    busy, sent = figures(z, "LINUX"), frames(z)
    assert busy["Used CPU time"] == pytest.approx(booted + 60e6)
    assert busy["Elapsed time"] == (100 + BOOT_SECONDS) * 1e6
    assert busy["Used memory"] == busy["Max memory"] // 2
    assert busy["Samples CPU in use"] == int((9 + 60) / 2) and busy["Samples CPU delay"] == int(69 * 0.02 / 2)
    assert busy["Samples total"] == busy["Samples CPU in use"] + busy["Samples CPU delay"] + busy["Samples idle"]
    assert sent == ((69 * 400), (69 * 300) * 600)
    z.ok("Image_Pause", "-T", "LINUX", "-k", "PAUSE=YES")
    z.clock.advance(1000.0)
    paused = figures(z, "LINUX")
    assert paused["Used CPU time"] == busy["Used CPU time"] and frames(z) == sent
    assert paused["Elapsed time"] > busy["Elapsed time"], "it stays logged on"
    z.ok("Image_Pause", "-T", "LINUX", "-k", "PAUSE=NO")
    z.clock.advance(10.0)
    assert figures(z, "LINUX")["Used CPU time"] == pytest.approx(busy["Used CPU time"] + 6e6)
    z.ok("Image_Deactivate", "-T", "LINUX")
    z.ok("Image_Activate", "-T", "LINUX")
    assert figures(z, "LINUX")["Used CPU time"] == 0, "its counters begin anew"
    assert z.system.state.loads == {"LINUX": "steady"}, "its load is the userid's"
    z.ok("Image_Deactivate", "-T", "LINUX")
    z.ok("Image_Delete_DM", "-T", "LINUX", "-e", "0")
    assert z.system.state.loads == {}


def test_an_adapter_counts_from_when_it_is_coupled(z: Zvm) -> None:
    z.create("LINUX", *NIC)
    z.boot_disk("LINUX")
    z.ok("Image_Activate", "-T", "LINUX")
    z.system.set_load("LINUX", "steady")
    z.clock.advance(100.0)
    assert frames(z)[0] > 0
    z.ok("Virtual_Network_Adapter_Disconnect", "-T", "LINUX", "-v", "1000")
    z.ok("Virtual_Network_Adapter_Connect_Vswitch", "-T", "LINUX", "-v", "1000", "-n", "VSWVLAN")
    assert frames(z) == (0, 0)


def test_totals_and_loads_outlive_the_process(z: Zvm) -> None:
    z.boot("LINUX")
    z.system.set_load("LINUX", "steady")
    z.clock.advance(100.0)
    z.system.set_load("LINUX", "idle")
    z.system.set_load("LINUX", "burst")
    again = System.from_state(z.system.to_state(), z.clock, z.folder)
    first, second = machine(z.system), machine(again)
    assert second.meter == first.meter and again.state.loads == {"LINUX": "burst"}
    z.clock.advance(500.0)
    assert again.meter(second).at(z.clock.now()) == z.system.meter(first).at(z.clock.now())


def machine(system: System) -> VirtualMachine:
    return system.state.running["LINUX"]


def test_an_unknown_profile_is_refused(z: Zvm) -> None:
    with pytest.raises(ValueError, match=f"use one of {', '.join(PROFILES)}"):
        z.system.set_load("MAINT", "furious")
