"""A whole simulated z/VM in this process, without the Cloud Connector: its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bigiron.sim.zvm import documents
from bigiron.sim.zvm.server import Settings, Simulator

SYSTEM = Path(__file__).parents[4] / "examples" / "systems" / "zvm.yaml"


def test_an_end_that_fails_saves_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Simulator:
        return Simulator(documents.read(SYSTEM), tmp_path, Settings(serve=False))

    ending = made()
    ending.start()

    assert ending._gateway
    for part, message in ((ending._gateway, "the folder of the socket is not empty"), (ending._control, "behind it")):

        def fail(stop: Callable[[], None] = part.stop, message: str = message) -> None:
            stop()
            with ending.system.lock:
                ending.system.state.connector = "CHANGED"
            raise OSError(message)

        monkeypatch.setattr(part, "stop", fail)
    with pytest.raises(OSError, match="not empty"):
        ending.stop()
    assert not ending._ticker.is_alive() and not ending._store._thread.is_alive()
    assert json.loads((tmp_path / "state.json").read_text())["system"]["connector"] == "CHANGED"
    with made() as again:
        assert again.system.state.connector == "CHANGED"
