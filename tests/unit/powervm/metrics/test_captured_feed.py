"""The feed and the documents of a real system, as the monitor reads them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from pypowervm.tests.test_utils import pvmhttp
from tests.unit.powervm.metrics.samples import capture

from bigiron.powervm.metrics.monitor import LongTermMonitor

DOCUMENTS = {"phyp": "phyp_pcm_data.txt", "lpar": "lpar_pcm_data.txt", "vios": "vios_pcm_data.txt"}


class CapturedAdapter:
    """Answers with captures, and notes what it was asked."""

    def __init__(self, feed: str) -> None:
        self._feed = pvmhttp.load_pvm_resp(feed).get_response()
        self.asked: list[str] = []

    @staticmethod
    def build_href(*_args: Any, **_options: Any) -> str:
        return "preferences"

    def read_by_path(self, _path: str) -> Any:
        return self._feed

    def read_by_href(self, href: str, xag: Any) -> Any:
        self.asked.append(href)
        found = re.search(r"_(phyp|lpar|vios)[_\d]*T", href)
        assert found is not None, href
        return SimpleNamespace(body=capture(DOCUMENTS[found.group(1)]))


@pytest.mark.parametrize(
    ("feed", "newest"),
    [
        ("ltm_feed.txt", dict.fromkeys(("phyp", "lpar", "vios_2"), "20150430T035300+0000")),
        ("ltm_feed2.txt", {"phyp": "20150527T081730+0000", "vios_1": "20150527T081730+0000"}),
        ("ltm_feed_lpars.txt", {"phyp": "20160328T022600-0400", "lpar": "20160328T022600-0400"}),
    ],
)
def test_the_newest_of_each_kind_is_read_once(feed: str, newest: dict[str, str]) -> None:
    adapter = CapturedAdapter(feed)
    monitor = LongTermMonitor(adapter, "system")
    reading = monitor.read(switch_on=False)
    assert monitor.read(switch_on=False) == reading
    read = [href.rsplit("/", 1)[1].split("?")[0].split("*")[1].split("_", 1)[1] for href in adapter.asked]
    assert len(read) == len(set(read))
    assert {f"{category}_{stamp}.json" for category, stamp in newest.items()} <= set(read)
    assert reading.hypervisor is not None and reading.hypervisor.hertz == 512_000_000
    assert bool(reading.memory) is ("lpar" in newest)
