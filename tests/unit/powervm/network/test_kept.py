"""What is read of each partition and kept: a table of adapters that changes without the partitions' etags."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pypowervm.adapter import Adapter
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.powervm.events import MISSING_EVENTS, MODIFY_URI, RestEvent
from bigiron.powervm.network.kept import KeptByPartition

ONE, OTHER = "ONE", "OTHER"
FEED = {uuid: SimpleNamespace(etag="1") for uuid in (ONE, OTHER)}


class Table:
    """Adapters by partition; `then` is called, once for each partition, after an answer is made and before it comes."""

    def __init__(self, then: Callable[[str], None] = lambda _uuid: None) -> None:
        self.adapters = {ONE: "old", OTHER: "old"}
        self.asked: list[str] = []
        self._then = then

    def read(self, uuid: str) -> str:
        self.asked.append(uuid)
        found = self.adapters[uuid]
        if self.asked.count(uuid) == 1:
            self._then(uuid)
        return found


def kept_of(table: Table) -> KeptByPartition[str]:
    return KeptByPartition(Adapter.__new__(Adapter), LPAR, table.read)


def event(uuid: str) -> RestEvent:
    return RestEvent(MODIFY_URI, f"http://localhost:12080/rest/api/uom/LogicalPartition/{uuid}", "Other")


def test_only_what_has_changed_is_read_again() -> None:
    table = Table()
    kept = kept_of(table)
    assert kept.of(FEED, FEED) == kept.of(FEED, FEED) == {ONE: "old", OTHER: "old"}
    assert sorted(table.asked) == [ONE, OTHER]
    assert kept.of({ONE: SimpleNamespace(etag="2")}, [ONE, OTHER]) == {ONE: "old"}
    kept.on_event(event(OTHER))
    kept.of(FEED, [OTHER])
    kept.on_event(RestEvent(MISSING_EVENTS, "", ""))
    kept.of(FEED, [OTHER])
    assert table.asked[2:] == [ONE, OTHER, OTHER]


@pytest.mark.parametrize("news", [event(ONE), RestEvent(MISSING_EVENTS, "", "")])
def test_what_changes_while_it_is_read_is_read_again(news: RestEvent) -> None:
    def change(uuid: str) -> None:
        if uuid == ONE:
            table.adapters[ONE] = "new"
            kept.on_event(news)

    table = Table(change)
    kept = kept_of(table)
    assert kept.of(FEED, [ONE]) == {ONE: "old"}
    assert kept.of(FEED, [ONE]) == {ONE: "new"}
    assert kept.of(FEED, [ONE]) == {ONE: "new"}
    assert table.asked == [ONE, ONE]


def test_of_two_readings_the_one_that_began_later_is_kept() -> None:
    def change(_uuid: str) -> None:
        table.adapters[ONE] = "new"
        kept.on_event(event(ONE))
        assert kept.of(FEED, [ONE]) == {ONE: "new"}

    table = Table(change)
    kept = kept_of(table)
    kept.of(FEED, [ONE])
    assert kept.of(FEED, [ONE]) == {ONE: "new"}
    assert table.asked == [ONE, ONE]
