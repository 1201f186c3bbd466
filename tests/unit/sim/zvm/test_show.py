"""`bigiron sim show`, `topology` and `console` of a z/VM, without the Cloud Connector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support import zvm

from bigiron.sim.cli import sim
from bigiron.sim.kernel.statedir import StateError
from bigiron.sim.zvm.server import Settings, Simulator

ENTRY = (
    "USER WEB1 LBYONLY 2G 8G G\nMACHINE ESA 8\nCPU 00\nCPU 01\nNICDEF 1000 TYPE QDIO MACID 123456\n"
    "NICDEF 1000 LAN SYSTEM VSWVLAN VLAN 100\n* NOVA:1234\n"
)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(_document(), tmp_path / "state", Settings(serve=False)) as running:
        yield running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sim, list(arguments))


def test_show_prints_userids_and_switches(simulator: Simulator) -> None:
    result = run("show", "--state", str(simulator.state_dir))
    assert result.exit_code == 0, result.output
    for part in ("5 userid(s)", "2 CPU, 2048 MB", "1000 02:00:00:12:34:56 VSWVLAN 100", "NOVA:1234", "WEB1 1000"):
        assert part in result.output
    result = run("show", "--state", str(simulator.state_dir), "--json", "web1")
    assert [one["userid"] for one in json.loads(result.output)["userids"]] == ["WEB1"]
    result = run("show", "--state", str(simulator.state_dir), "NOBODY")
    assert result.exit_code == 1 and "there is no partition NOBODY" in result.output


def test_topology_draws_what_is_coupled(simulator: Simulator) -> None:
    result = run("topology", "--state", str(simulator.state_dir), "-")
    assert result.exit_code == 0, result.output
    for part in ("ZVMSIM1", "WEB1", "VSWVLAN 100", "6243 of VSWVLAN"):
        assert part in result.output


def test_console_prints_what_was_printed(simulator: Simulator) -> None:
    result = run("console", "--state", str(simulator.state_dir), "web1")
    assert "XAUTOLOG information for WEB1" in result.output
    assert run("console", "--state", str(simulator.state_dir), "NOBODY").exit_code == 1


def test_the_state_goes_on(simulator: Simulator) -> None:
    with simulator.system.lock:
        number = simulator.system.spool.add("WEB1", "MAINT", "A", "PUN", ("a", "sh"), b"x", 0.0).number
    before = zvm.picture(simulator)
    simulator.stop()
    with Simulator(_document(), simulator.state_dir, Settings(serve=False)) as again:
        assert zvm.picture(again) == before
        assert again.system.spool.content(again.system.spool.reader("WEB1")[0]) == b"x" and number
        assert again.system.state.running["WEB1"].adapters["1000"].vlans == (100,)


def _document() -> dict[str, object]:
    document = zvm.system_document()
    document["users"].append({"userid": "WEB1", "entry": ENTRY, "logged_on": True})
    return document


def test_a_directory_serves_one_system_at_a_time(simulator: Simulator) -> None:
    with pytest.raises(StateError, match="is in use"):
        Simulator(zvm.system_document(), simulator.state_dir, Settings(serve=False))
    simulator.stop()
    with pytest.raises(StateError, match="another system document"):
        Simulator(zvm.system_document(), simulator.state_dir, Settings(serve=False))
    with Simulator(zvm.system_document(), simulator.state_dir, Settings(serve=False, reset=True)) as fresh:
        assert "WEB1" not in fresh.system.state.entries
