"""A recorded connector and a client of it, and the real one on a simulated z/VM with the platform's verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.zvm_host import World, serve
from tests.unit.zvm.recorded import Recorded, serving

from bigiron.zvm import rest
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.platform import Zvm
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serve(tmp_path_factory.mktemp("zvm")) as world:
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    yield shared
    shared.simulator.faults.clear()
    shared.check_clean()


@pytest.fixture
def platform(world: World) -> Iterator[Zvm]:
    with world.started() as platform:
        world.calls.clear()
        yield platform
