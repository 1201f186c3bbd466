"""System documents of z/VM: what is wrong is said with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support import zvm

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.zvm import documents
from bigiron.sim.zvm.documents import DocumentError
from bigiron.sim.zvm.model import genesis


def build(document: dict[str, Any], folder: Path) -> None:
    genesis.build(documents.validate(document), Clock(), folder)


def test_the_example_is_a_system(tmp_path: Path) -> None:
    system = genesis.build(zvm.system_document(), Clock(), tmp_path)
    assert system.state.machine.name == "ZVMSIM1" and sorted(system.state.running) == ["DIRMAINT", "TCPIP", "ZCC00001"]
    assert [len(pool.volumes) for pool in system.state.pools.values()] == [2, 1]
    assert len(system.state.fcp) == 16 and system.state.fcp["1B07"].npiv_wwpn == "C05076DE33001B07"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("system", {"name": "MUCHTOOLONG"}, "system.name"),
        ("pools", [], "pools"),
        ("pools", [{"name": "P", "kind": "ECKD", "volumes": [{"label": "V1", "cylinders": 1}]}], "pools.0.volumes.0"),
        ("pools", [{"name": "P", "kind": "ECKD", "volumes": [{"label": "V1", "blocks": 100}]}], "needs cylinders"),
        ("pools", [{"name": "P", "kind": "FBA", "volumes": [{"label": "V1", "cylinders": 100}]}], "needs blocks"),
        ("pools", [{"name": "P", "kind": "FBA", "volumes": [{"label": "V", "blocks": 100}] * 2}], "pools.volumes: V"),
        ("vswitches", [{"name": "VSW", "vlan": 5000}], "vswitches.0.vlan"),
        ("vswitches", [{"name": "VSW"}, {"name": "vsw"}], "vswitches: VSW is described twice"),
        ("users", [{"userid": "ZCC00001"}], "users: ZCC00001 is described twice"),
        ("users", [{"userid": "OPER", "entry": "MDISK 0100"}], "users.0: the entry of OPER must begin with USER OPER"),
        ("luns", [{"wwpns": ["12"], "lun": "0" * 16}], "luns.0.wwpns.0"),
        ("nonsense", 1, "nonsense"),
    ],
)
def test_what_is_wrong_is_named(key: str, value: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=said):
        build({**zvm.system_document(), key: value}, tmp_path)


def test_fcp_devices_must_not_overlap(tmp_path: Path) -> None:
    document = zvm.system_document()
    document["fcp"] = [document["fcp"][0], {**document["fcp"][1], "first": "1A04"}]
    with pytest.raises(DocumentError, match=r"fcp\.1: device 1A04"):
        build(document, tmp_path)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "system.yaml"
    path.write_text("a: [")
    with pytest.raises(DocumentError, match="is not YAML"):
        documents.read(path)
    with pytest.raises(DocumentError, match="No such file"):
        documents.read(tmp_path / "none.yaml")
