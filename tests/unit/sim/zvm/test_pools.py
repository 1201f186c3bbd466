"""Where minidisks are put in a pool."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, pools
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.values import ECKD, FBA, Pool, Volume

POOL = Pool("POOL1", ECKD, (Volume("VOL001", "3390-A", 101, "2000"), Volume("VOL002", "3390-A", 61, "2001")))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=40))
def test_minidisks_never_overlap_and_nothing_is_lost(changes: list[tuple[bool, int]]) -> None:
    entry = Entry("LINUX", ("USER LINUX LBYONLY 1G 1G G",))
    numbers = itertools.count(0x100)
    for adds, size in changes:
        disks = directory.minidisks(entry)
        if adds:
            vdev = f"{next(numbers):04X}"
            try:
                made = pools.allocate(POOL, vdev, size, "MR", [entry])
            except SmapiError as error:
                gaps = [gap.size for volume in POOL.volumes for gap in pools.free(volume, ECKD, [entry])]
                assert (error.rc, error.rs) == (408, 24) and max(gaps, default=0) < size
                continue
            entry = directory.with_line(entry, pools.statement(made))
        elif disks:
            entry = directory.without_device(entry, "MDISK", disks[size % len(disks)].vdev)
        for volume in POOL.volumes:
            parts = [*pools.used(volume, [entry]), *pools.free(volume, ECKD, [entry])]
            parts.sort(key=lambda part: part.start)
            assert sum(part.size for part in parts) == volume.size - 1
            assert all(first.end < second.start for first, second in itertools.pairwise(parts))


def test_the_label_is_left_alone() -> None:
    pool = Pool("BLOCKS", FBA, (Volume("FBA001", "9336", 1000, "2000"),))
    assert pools.allocate(pool, "0100", 10, "", []).start == 16
    with pytest.raises(SmapiError, match="no volume of BLOCKS has 985 blocks in a row"):
        pools.allocate(pool, "0100", 985, "", [])
