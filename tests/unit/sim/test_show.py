"""`bigiron sim show` and `bigiron sim console` against a served management partition."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from tests.support.guest_world import META_DATA, guest_world, power_on

from bigiron.sim.cli import sim
from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.control import Control
from bigiron.sim.kernel.serving import HttpServer
from bigiron.sim.powervm.management.endpoint import Simulator
from bigiron.sim.powervm.management.partition import ManagementPartition
from bigiron.sim.powervm.model.network import NetworkBridge, SharedEthernet, VirtualEthernet
from bigiron.sim.show import _ranges

SVG = "{http://www.w3.org/2000/svg}"
VIOS = "3443DB77-AED1-47ED-9AA5-3DB9C6CF7089"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The state directory of a running simulator whose client partition is up."""
    clock = Clock(scale=0)
    world = guest_world(tmp_path / "media", clock, {"meta_data.json": META_DATA})
    trunk = VirtualEthernet(uuid="t1", slot=3, mac="FA0000000001", pvid=1, switch_id=0, tagged=[100, 101, 102, 200])
    sea = SharedEthernet(vios=VIOS, device="ent8", backing="ent0", pvid=1, udid="s", trunks=[trunk])
    world.state.bridges.append(NetworkBridge(uuid="b1", pvid=1, udid="b", switch_id=0, seas=[sea]))
    control = Control()
    partition = ManagementPartition(world, control)
    server = HttpServer(("127.0.0.1", 0), control, threads=2)
    server.bind()
    server.start()
    partition.present(tmp_path, server.url)
    power_on(world)
    yield tmp_path
    partition.disconnect()
    server.stop()
    partition.stop()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sim, list(arguments))


def test_show_prints_partitions_and_bridges(state: Path) -> None:
    result = run("show", "--state", str(state))
    assert result.exit_code == 0, result.output
    for part in (
        "3 partition(s)", "web1-c5d2f1b4", "fa:aa:bb:cc:dd:20 100 ETHERNET0", "boot_web1, 1 GB", "cfg.iso, optical",
        "ent8 of vios1", "1, 100-102, 200", "RMC active",
    ):  # fmt: skip
        assert part in result.output, result.output


def test_show_picks_partitions_and_prints_json(state: Path) -> None:
    result = run("show", "--json", "--state", str(state), "WEB1-c5d2f1b4", "2")
    shown = json.loads(result.output)
    assert [one["id"] for one in shown["partitions"]] == [2, 5]
    assert shown["networks"][0]["seas"][0]["vlans"] == [1, 100, 101, 102, 200]


def test_an_unknown_partition_is_named(state: Path) -> None:
    for arguments in (("show", "nosuch"), ("console", "nosuch")):
        result = run(*arguments, "--state", str(state))
        assert result.exit_code == 1
        assert "nosuch" in result.output


def test_console_prints_the_text(state: Path) -> None:
    result = run("console", "5", "--state", str(state))
    assert result.exit_code == 0
    assert "web1 login:" in result.output
    control = json.loads((state / "endpoints.json").read_text())["control"]
    assert run("console", "5", "--control", control, "--since", "999999").output.strip() == ""


def test_a_followed_console_goes_on_printing(state: Path) -> None:
    control = json.loads((state / "endpoints.json").read_text())["control"]
    argv = [sys.executable, "-c", "from bigiron.sim.cli import sim; sim()", "console", "5", "-f", "--control", control]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        shown = ""
        while "web1 login: " not in shown:
            shown += process.stdout.read(1)
        Simulator(control).ask("POST", "/consoles/5/input", "root\r")
        while "Password:" not in shown:
            shown += process.stdout.read(1)
        process.terminate()
    assert "web1 login: root\nPassword:" in shown


def test_no_simulator_is_told(tmp_path: Path) -> None:
    assert "--control URL" in run("show").output
    result = run("show", "--state", str(tmp_path))
    assert result.exit_code == 1
    assert "endpoints.json" in result.output
    assert "is it running?" in run("show", "--control", "http://127.0.0.1:1").output


def test_ranges_are_short() -> None:
    assert _ranges([1, 3, 4, 7, 8, 9]) == "1, 3, 4, 7-9"
    assert _ranges([]) == ""


def test_topology_draws_partitions_vlans_and_bridges(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "networks.svg"
    result = run("topology", "--state", str(state), "--state", str(state), str(file))
    assert result.exit_code == 0, result.output
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    texts = Counter(element.text for element in root.iter(f"{SVG}text"))
    # Both systems have the partition and the SEA; the VLAN that the SEA carries is one line for both.
    assert texts["web1-c5d2f1b4"] == texts["ent8 of vios1"] == 2
    assert texts["ETHERNET0 100"] == 1
    boxes = [element for element in root.iter(f"{SVG}rect") if element.find(f"{SVG}title") is not None]
    (width, height) = (float(root.attrib[name]) for name in ("width", "height"))
    for box in boxes:
        x, y, wide, high = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert min(x, y) >= 0 and x + wide <= width and y + high <= height


def test_topology_wants_a_simulator(tmp_path: Path) -> None:
    result = run("topology", str(tmp_path / "networks.svg"))
    assert result.exit_code == 2
    assert "name the simulators" in result.output
