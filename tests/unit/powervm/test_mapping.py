"""Changes of a VIOS's mappings, made on documents captured from real systems."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import pytest
from pypowervm.tests import test_fixtures
from pypowervm.tests.test_utils import pvmhttp
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.powervm.mapping import (
    AddMappings,
    Backing,
    BackingKind,
    RemoveMappings,
    Together,
    boot_paths,
    mapped,
    users,
)

NEW_LPAR = "0BADCAFE-0000-4000-8000-000000000001"
UNIT = Backing(BackingKind.LOGICAL_UNIT, "boot_web_0badcafe", "276c097502d44311e58004000040f2e95d000000000000000001")
ISO = Backing(BackingKind.OPTICAL, "cfg_0badcafe.iso")


@pytest.fixture
def doc() -> Iterator[VIOS]:
    with test_fixtures.AdapterFx(traits=test_fixtures.LocalPVMTraits) as fixture:
        fixture.adpt.build_href.side_effect = lambda root, root_id, **_: f"https://host/rest/api/uom/{root}/{root_id}"
        yield VIOS.wrap(pvmhttp.load_pvm_resp("fake_vios_ssp_npiv.txt", adapter=fixture.adpt).get_response())


def served(doc: VIOS) -> list[str]:
    """Every LPAR with a mapping, as pypowervm's own wrappers tell."""
    return sorted(
        {one.client_lpar_href.rsplit("/", 1)[-1].upper() for one in doc.scsi_mappings if one.client_lpar_href}
    )


def test_additions_are_mappings_of_the_lpar_and_of_nothing_else(doc: VIOS) -> None:
    before = len(doc.scsi_mappings)
    change = AddMappings("guest", NEW_LPAR, (UNIT, ISO))
    assert not change.in_place(doc)
    change.apply(doc)
    assert change.in_place(doc)
    added = list(doc.scsi_mappings)[before:]
    assert [one.backing_storage.name for one in added] == [UNIT.name, ISO.name]
    assert all(one.client_lpar_href.endswith(NEW_LPAR) for one in added)
    assert added[0].backing_storage.udid == UNIT.udid


def test_adding_again_adds_nothing(doc: VIOS) -> None:
    AddMappings("guest", NEW_LPAR, (UNIT,)).apply(doc)
    count = len(doc.scsi_mappings)
    AddMappings("guest", NEW_LPAR, (UNIT, ISO)).apply(doc)
    assert len(doc.scsi_mappings) == count + 1


def test_a_unit_is_recognised_whatever_type_its_udid_begins_with(doc: VIOS) -> None:
    AddMappings("guest", NEW_LPAR, (UNIT,)).apply(doc)
    other_view = Backing(UNIT.kind, UNIT.name, "29" + UNIT.udid[2:])
    assert AddMappings("guest", NEW_LPAR, (other_view,)).in_place(doc)


def test_more_storage_of_an_lpar_joins_its_adapter(doc: VIOS) -> None:
    owner = served(doc)[0]
    present = [one for one in doc.scsi_mappings if (one.client_lpar_href or "").upper().endswith(owner)]
    AddMappings("guest", owner, (ISO,)).apply(doc)
    added = list(doc.scsi_mappings)[-1]
    assert added.server_adapter.udid in {one.server_adapter.udid for one in present}


def test_removal_takes_the_lpars_mappings_and_leaves_the_others(doc: VIOS) -> None:
    victim, *others = served(doc)
    rest = {uuid: mapped(doc, uuid) for uuid in others}
    change = RemoveMappings("guest", victim.lower())
    assert not change.in_place(doc)
    change.apply(doc)
    assert change.in_place(doc)
    assert served(doc) == others
    assert {uuid: mapped(doc, uuid) for uuid in others} == rest


def test_removal_can_be_of_some_backings_only(doc: VIOS) -> None:
    AddMappings("guest", NEW_LPAR, (UNIT, ISO)).apply(doc)
    RemoveMappings("guest", NEW_LPAR, only=lambda backing: backing.kind is BackingKind.OPTICAL).apply(doc)
    assert [one.name for one in mapped(doc, NEW_LPAR)] == [UNIT.name]


def test_an_orphan_goes_with_its_id_and_a_living_lpar_of_that_id_stays(doc: VIOS) -> None:
    living = next(one for one in doc.scsi_mappings if one.client_lpar_href and one.client_adapter is not None)
    identifier = living.server_adapter.lpar_id
    orphan = copy.deepcopy(living.element.element)
    for tag in ("ClientAdapter", "AssociatedLogicalPartition"):
        node = orphan.find(f"{{*}}{tag}")
        orphan.remove(node)
    living.element.element.getparent().append(orphan)
    count = len(doc.scsi_mappings)
    RemoveMappings("guest", NEW_LPAR, lpar_id=identifier).apply(doc)
    assert len(doc.scsi_mappings) == count - 1
    assert orphan.getparent() is None
    assert living.element.element.getparent() is not None


def test_an_orphan_whose_id_nobody_knows_goes_by_its_devices_name(doc: VIOS) -> None:
    AddMappings("guest", NEW_LPAR, (UNIT, ISO)).apply(doc)
    for mapping in [one for one in doc.scsi_mappings if NEW_LPAR in (one.client_lpar_href or "").upper()]:
        for tag in ("ClientAdapter", "AssociatedLogicalPartition"):
            for node in mapping.element.element.findall(f"{{*}}{tag}"):
                mapping.element.element.remove(node)
    count = len(doc.scsi_mappings)
    own = RemoveMappings("guest", NEW_LPAR, names=re.compile(re.escape(ISO.name)))
    assert not own.in_place(doc)
    own.apply(doc)
    assert own.in_place(doc)
    assert len(doc.scsi_mappings) == count - 1, "the unit is somebody else's"
    RemoveMappings("guest", NEW_LPAR, names=re.compile(f"x{UNIT.name}")).apply(doc)
    assert len(doc.scsi_mappings) == count - 1


def test_users_of_a_backing_are_told(doc: VIOS) -> None:
    assert users(doc, UNIT) == frozenset()
    AddMappings("guest", NEW_LPAR, (UNIT,)).apply(doc)
    assert users(doc, UNIT) == {NEW_LPAR}


def test_a_disks_paths_are_those_of_open_firmware(doc: VIOS) -> None:
    owner = served(doc)[0]
    expected = [
        f"/vdevice/v-scsi@{0x30000000 + one.client_adapter.lpar_slot_num:x}/disk@{one.target_dev.lua[2:]}"
        for one in doc.scsi_mappings
        if (one.client_lpar_href or "").upper().endswith(owner) and one.target_dev is not None
    ]
    assert expected
    assert list(boot_paths(doc, owner, lambda backing: True)) == expected
    assert not boot_paths(doc, owner, lambda backing: False)


def test_changes_made_together_are_in_place_only_when_each_is(doc: VIOS) -> None:
    AddMappings("guest", NEW_LPAR, (ISO,)).apply(doc)
    swap = Together(
        "guest", (AddMappings("guest", NEW_LPAR, (UNIT,)), RemoveMappings("guest", NEW_LPAR, only=ISO.same))
    )
    assert not swap.in_place(doc)
    swap.apply(doc)
    assert swap.in_place(doc)
    assert [one.name for one in mapped(doc, NEW_LPAR)] == [UNIT.name]
