"""OpenStack's own acceptance tests pass against the lab."""

from __future__ import annotations

import pytest
from tests.support.lab import Lab

pytestmark = [pytest.mark.lab]


@pytest.mark.timeout(900)
def test_the_smoke_slice_passes(lab: Lab) -> None:
    counts = lab.tempest("smoke", 800, concurrency=2)
    assert counts["passed"] >= 40
    assert counts["failed"] == 0


@pytest.mark.full
@pytest.mark.timeout(2700)
def test_the_network_slice_passes(lab: Lab) -> None:
    counts = lab.tempest("network", 2600, concurrency=4)
    assert counts["passed"] >= 350
    assert counts["failed"] == 0


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_wide_slice_passes(lab: Lab) -> None:
    counts = lab.tempest("wide", 3500, concurrency=4)
    assert counts["passed"] >= 350
    assert counts["failed"] == 0
