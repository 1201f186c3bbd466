"""An Open vSwitch is found where it is, has programs for each PowerVM host, and is said to be missing with the fix."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from bigiron.lab import configs, debian, lifecycle, openvswitch, services, spec
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths
from bigiron.lab.progress import Quiet

SYSTEMS = Path(__file__).parents[3] / "examples" / "systems"
TOOL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in create) : > "$2" ;; transact) {answer} ;; esac
"""


@pytest.fixture(autouse=True)
def not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvswitch, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def switch(prefix: Path, daemon: str = "lib/openvswitch-switch", answer: str = "echo '[]'") -> Path:
    """The files of an Open vSwitch; returns where its ovsdb-tool writes down how it was called."""
    (prefix / openvswitch._SCHEMA).parent.mkdir(parents=True)
    (prefix / openvswitch._SCHEMA).touch()
    (prefix / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    for name in openvswitch._PROGRAMS:
        folder = prefix / (daemon if name == "ovs-vswitchd" else "sbin" if name == "ovsdb-server" else "bin")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(TOOL.format(log=prefix / "log", answer=answer), encoding="utf-8")
        (folder / name).chmod(0o755)
    return prefix / "log"


def found(cache: Path) -> openvswitch.Binaries:
    binaries = openvswitch.find(cache)
    assert binaries is not None
    return binaries


def test_what_is_in_the_cache_serves_with_its_libraries(tmp_path: Path) -> None:
    assert openvswitch.find(tmp_path) is None
    prefix = tmp_path / "openvswitch" / "usr"
    switch(prefix)
    binaries = found(tmp_path)
    assert binaries.program("ovs-vswitchd") == str(prefix / "lib/openvswitch-switch/ovs-vswitchd")
    environment = binaries.environment(tmp_path / "run")
    assert environment["LD_LIBRARY_PATH"] == str(prefix / "lib" / "x86_64-linux-gnu")
    assert environment["OVS_RUNDIR"] == str(tmp_path / "run")
    assert str(prefix / "bin") in environment["PATH"].split(":")


def test_what_is_installed_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch(tmp_path / "openvswitch" / "usr")
    switch(tmp_path / "usr", daemon="sbin")
    monkeypatch.setenv("PATH", str(tmp_path / "usr" / "bin"))
    assert found(tmp_path).libraries is not None, "its daemons are on no path"
    monkeypatch.setattr(openvswitch, "_SYSTEM_FOLDERS", (str(tmp_path / "usr" / "sbin"),))
    binaries = found(tmp_path)
    assert binaries.schema.is_relative_to(tmp_path / "usr") and binaries.libraries is None
    assert "LD_LIBRARY_PATH" not in binaries.environment(tmp_path)


def test_a_machine_without_it_and_without_apt_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGIRON_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(LabError, match=r"no apt-get to fetch it: install the package openvswitch-switch"):
        lifecycle.up(LabPaths(tmp_path / "lab"), lifecycle.Wishes(open_vswitch=True), Quiet())
    assert not (tmp_path / "lab" / "lab.json").exists()


def test_a_lab_without_powervm_hosts_refuses_it() -> None:
    with pytest.raises(LabError, match=r"leave out --open-vswitch"):
        spec.LabSpec(driver="zvm", open_vswitch=True).check_systems()
    spec.LabSpec(driver="both", open_vswitch=True).check_systems()


def test_libraries_that_it_lacks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch(tmp_path / "openvswitch" / "usr")
    monkeypatch.setattr(debian, "missing_libraries", lambda *_: {"libxdp.so.1"})
    with pytest.raises(LabError, match=r"lacks libxdp.so.1: install the package openvswitch-switch"):
        openvswitch.obtain(tmp_path)


def test_the_database_is_made_once_with_its_bridges(tmp_path: Path) -> None:
    log = switch(tmp_path / "openvswitch" / "usr")
    database = tmp_path / "data" / "conf.db"
    openvswitch.create(database, ("br-int", "br-default"), found(tmp_path))
    created, transacted = log.read_text(encoding="utf-8").splitlines()
    assert created == f"create {database.with_suffix('.new')} {found(tmp_path).schema}"
    rows = json.loads(transacted.split(" ", 2)[2])
    assert rows[0] == "Open_vSwitch"
    assert [row["row"].get("name") for row in rows[1:]] == ["br-int"] * 3 + ["br-default"] * 3 + [None]
    openvswitch.create(database, ("br-int", "br-default"), found(tmp_path))
    assert len(log.read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("answer", ['echo \'[{"error": "constraint violation"}]\'', "echo broken >&2; exit 1"])
def test_a_database_that_cannot_be_made_is_none(tmp_path: Path, answer: str) -> None:
    switch(tmp_path / "openvswitch" / "usr", answer=answer)
    database = tmp_path / "data" / "conf.db"
    with pytest.raises(LabError, match=r"constraint violation|broken"):
        openvswitch.create(database, ("br-int",), found(tmp_path))
    assert not database.exists()


def test_each_powervm_host_has_one_with_its_agent(tmp_path: Path) -> None:
    switch(tmp_path / "openvswitch" / "usr")
    made = spec.LabSpec(systems=tuple(str(SYSTEMS / f"{name}-host.yaml") for name in ("one", "another")))
    plain, made = made.equipped(), replace(made, open_vswitch=True).equipped()
    paths, binaries = LabPaths(tmp_path / "lab"), found(tmp_path)
    paths.create()
    configs.write(paths, made)
    table = {each.name: each for each in services.programs(paths, made, None, binaries)}
    added = ("ovsdb-server", "ovs-vswitchd", "neutron-openvswitch-agent")
    assert table.keys() - {each.name for each in services.programs(paths, plain, None)} == {
        *added, *(f"{name}-2" for name in added)
    }  # fmt: skip
    folder = paths.run / "ovs-vswitchd-2"
    assert table["sim-2"].argv[-2:] == ("--ovsdb", f"unix:{folder}/db.sock")
    assert table["sim-2"].after == ("ovs-vswitchd-2",)
    assert f"--remote=punix:{folder}/db.sock" in table["ovsdb-server-2"].argv
    text = (paths.etc / "neutron-openvswitch-agent-2" / "neutron.conf").read_text(encoding="utf-8")
    assert f"ovsdb_connection = unix:{folder}/db.sock\n" in text
    assert f"of_listen_port = {made.ports['openflow-2']}\n" in text and "host = lab-compute-2\n" in text
    server = (paths.etc / "neutron" / "ml2_conf.ini").read_text(encoding="utf-8")
    assert "mechanism_drivers = openvswitch,pvm_sea,pvm_sriov\n" in server


def test_a_socket_answers_while_it_is_served(tmp_path: Path) -> None:
    # Longer than the address of a socket may be, as a lab's folder makes it.
    folder = tmp_path / ("long" * 30)
    address = folder / "ctl"
    assert not openvswitch.answers(address)
    folder.mkdir()
    assert not openvswitch.answers(address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "ctl"))
        (tmp_path / "ctl").rename(address)
        server.listen()
        assert openvswitch.answers(address)
    assert not openvswitch.answers(address)
