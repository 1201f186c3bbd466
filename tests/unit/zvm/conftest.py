"""A recorded connector, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.zvm.recorded import Recorded, serving

from bigiron.zvm import rest
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.rest import Connector


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with serving(Recorded()) as server:
        yield server


@pytest.fixture
def connector(recorded: Recorded, tmp_path: Path) -> Iterator[Callable[..., Connector]]:
    made: list[Connector] = []

    def make(**options: Any) -> Connector:
        values = {"cloud_connector_url": recorded.url, "state_path": tmp_path / "state", "call_timeout_s": 5.0}
        made.append(Connector(ZvmOptions(**{**values, **options})))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated request is repeated at once."""
    monkeypatch.setattr(rest, "_PAUSES_S", (0.0, 0.0))
