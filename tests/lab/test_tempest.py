"""OpenStack's own acceptance tests pass against the lab."""

from __future__ import annotations

import json

import pytest
from tests.support.lab import Lab

pytestmark = [pytest.mark.lab]


def _run(lab: Lab, name: str, seconds: int, concurrency: int = 2) -> dict[str, int]:
    result = lab.command(
        "tempest", "--slice", name, "--concurrency", str(concurrency), "--timeout", str(seconds - 20), "--json",
        seconds=seconds, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    counts: dict[str, int] = json.loads(result.stdout)
    return counts


@pytest.mark.timeout(900)
def test_the_smoke_slice_passes(lab: Lab) -> None:
    counts = _run(lab, "smoke", 800)
    assert counts["passed"] >= 40
    assert counts["failed"] == 0


@pytest.mark.full
@pytest.mark.timeout(2700)
def test_the_network_slice_passes(lab: Lab) -> None:
    counts = _run(lab, "network", 2600, concurrency=4)
    assert counts["passed"] >= 350
    assert counts["failed"] == 0


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_wide_slice_passes(lab: Lab) -> None:
    counts = _run(lab, "wide", 3500, concurrency=4)
    assert counts["passed"] >= 350
    assert counts["failed"] == 0
