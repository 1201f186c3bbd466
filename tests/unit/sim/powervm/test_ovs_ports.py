"""What the management partition tells a running Open vSwitch, seen by a stand-in for ovs-vsctl."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.simulator import document, in_process
from tests.unit.sim.powervm.test_taps import SPEC, make

from bigiron.sim.powervm.management.ovs import Switch, SwitchError
from bigiron.sim.powervm.model import adapters
from bigiron.sim.powervm.server import Settings

DATABASE = "unix:/nowhere/db.sock"
SETTINGS = Settings(ovsdb=DATABASE)
STALE = [["tapgone", ["map", [["iface-id", "0"]]]], ["br-int", ["map", []]], ["patch", ["map", [["owner", "x"]]]]]
SCRIPT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
*" list Interface") cat {table} ;;
*{refused}*) echo "there is no bridge {refused}" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in writes down how it is called."""
    tools, log, table = tmp_path / "bin", tmp_path / "calls", tmp_path / "interfaces.json"
    tools.mkdir()
    table.write_text(json.dumps({"headings": ["name", "external_ids"], "data": STALE}))
    (tools / "ovs-vsctl").write_text(SCRIPT.format(log=log, table=table, refused="br-nowhere"))
    (tools / "ovs-vsctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return log


def calls(log: Path) -> list[str]:
    """What was asked since the last time."""
    common = f"--db={DATABASE} --timeout=10 "
    found = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    assert all(line.startswith(common) for line in found)
    return [line.removeprefix(common) for line in found]


def add(device: str = "tap1234") -> str:
    ids = 'external_ids:iface-id="1234" external_ids:iface-status="active"'
    return f"-- --may-exist add-port br-int {device} -- set Interface {device} mtu_request=1450 {ids}"


def test_ports_come_and_go_with_their_adapters(tmp_path: Path, told: Path) -> None:
    with in_process(tmp_path / "sim", document(), settings=SETTINGS) as (simulator, control):
        # What an earlier run has left goes; bridges and the ports of others stay.
        assert calls(told)[1:] == ["--if-exists del-port tapgone"]
        made = make(simulator)
        assert calls(told) == [add()]
        management = simulator.world.management
        assert management is not None
        with simulator.world.lock:
            adapters.update(simulator.world, management, made, replace(SPEC, extras={}))
        assert calls(told) == [add()]
        control.ask("DELETE", "/ovs")
        assert calls(told) == ["--if-exists del-port tap1234"]
        with simulator.world.lock:
            adapters.update(simulator.world, management, made, replace(SPEC, extras={}))
            adapters.delete(simulator.world, management, made)
        assert calls(told) == [add(), "--if-exists del-port tap1234"]


def test_a_service_that_restarts_has_its_ports(tmp_path: Path, told: Path) -> None:
    with in_process(tmp_path / "sim", document(), settings=SETTINGS) as (simulator, _control):
        make(simulator)
    calls(told)
    with in_process(tmp_path / "sim", document(), settings=SETTINGS):
        assert calls(told)[1:] == ["--if-exists del-port tapgone", add()]


def test_a_switch_that_refuses_keeps_no_adapter_from_being_made(
    tmp_path: Path, told: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with in_process(tmp_path / "sim", document(), settings=SETTINGS) as (simulator, control):
        make(simulator, ovs_bridge="br-nowhere")
        assert "refused -- --may-exist add-port br-nowhere tap1234" in caplog.text
        assert "there is no bridge br-nowhere" in caplog.text
        assert [port["device"] for port in control.ask("GET", "/ovs")] == ["tap1234"]


def test_a_simulator_without_its_switch_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SwitchError, match=f"Open vSwitch at {DATABASE} cannot be asked"):
        Switch(DATABASE).ports()
