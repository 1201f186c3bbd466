"""Bridges as read from captures of real systems, and what the edits make of such a document."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pypowervm.tests.test_utils import pvmhttp
from pypowervm.wrappers.network import NetBridge, VSwitch

from bigiron.powervm.network import bridges
from bigiron.powervm.network.bridges import BridgeDocuments
from bigiron.powervm.network.trunks import (
    AddTrunk,
    AddVlan,
    Bridge,
    Op,
    RemoveTrunk,
    RemoveVlan,
    Renumber,
    SharedAdapter,
    Trunk,
    apply,
)

VIOSES = ("3443DB77-AED1-47ED-9AA5-3DB9C6CF7089", "3443DB77-AED1-47ED-9AA5-3DB9C6CF708A")
UUID = "b6a027a8-5c0b-3ac0-8547-b516f5ba6151"


def _captured(name: str) -> tuple[BridgeDocuments, list[NetBridge]]:
    adapter: Any = SimpleNamespace(traits=SimpleNamespace(vnet_aware=False, has_high_slot=True))
    feed = NetBridge.wrap(pvmhttp.load_pvm_resp(name, adapter=adapter).get_response())
    documents = BridgeDocuments(adapter, "system")
    switches = VSwitch.wrap(pvmhttp.load_pvm_resp("nbbr_virtual_switch.txt", adapter=adapter).get_response())
    documents._switches = {switch.switch_id: switch for switch in switches}
    return documents, feed


def test_a_redundant_bridge_has_the_same_trunks_on_two_vioses() -> None:
    documents, (document,) = _captured("nbbr_network_bridge_failover.txt")
    trunks = Trunk(2227), (Trunk(4094, frozenset([1000])),)
    assert documents._bridge(document) == Bridge(
        UUID, 0, False, tuple(SharedAdapter("ent5", vios, *trunks) for vios in VIOSES)
    )


def test_an_adapter_listed_without_trunks_carries_nothing() -> None:
    _, feed = _captured("fake_network_bridge.txt")
    assert [(len(document.seas), len(bridges._seas(document))) for document in feed] == [(2, 1), (1, 1)]


@pytest.mark.parametrize(
    "op",
    [
        AddVlan(UUID, 4094, 77),
        AddTrunk(UUID, 4093),
        RemoveVlan(UUID, 1000),
        RemoveTrunk(UUID, 4094),
        Renumber(UUID, 4094, 4001),
    ],
)
def test_an_edit_makes_of_the_document_what_it_makes_of_the_value(op: Op) -> None:
    documents, (document,) = _captured("nbbr_network_bridge_failover.txt")
    before = documents._bridge(document)
    documents._edit(document, op)
    assert (documents._bridge(document),) == apply([before], [op])


def test_a_new_trunk_joins_the_switch_of_the_primary_one_with_its_priority() -> None:
    documents, (document,) = _captured("nbbr_network_bridge_failover.txt")
    documents._edit(document, AddTrunk(UUID, 4093))
    for sea in document.seas:
        (new,) = (trunk for trunk in sea.addl_adpts if trunk.pvid == 4093)
        assert (new.vswitch_id, new.trunk_pri) == (sea.primary_adpt.vswitch_id, sea.primary_adpt.trunk_pri)


def test_updates_are_as_few_as_the_platform_allows() -> None:
    ops: list[Op] = [
        Renumber("b1", 4094, 4093),
        Renumber("b1", 4092, 4091),
        RemoveVlan("b2", 5),
        RemoveTrunk("b2", 4000),
        AddVlan("b1", 4093, 4094),
        AddVlan("b1", 4093, 5),
    ]
    assert bridges._batches(ops) == [ops[:2], ops[2:4], ops[4:]]


def test_a_renumbering_is_done_before_anything_else_of_the_bridge() -> None:
    ops: list[Op] = [Renumber("b1", 4094, 4093), AddVlan("b1", 4093, 4094)]
    assert bridges._batches(ops) == [ops[:1], ops[1:]]
