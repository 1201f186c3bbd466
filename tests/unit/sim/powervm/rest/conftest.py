"""A front on a tiny world, and clients that are logged on to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pypowervm import adapter
from tests.unit.sim.powervm.tiny_world import TinySimulator


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[TinySimulator]:
    with TinySimulator(tmp_path) as running:
        yield running


@pytest.fixture
def client(sim: TinySimulator) -> Iterator[adapter.Adapter]:
    session = adapter.Session(host="127.0.0.1", protocol="http", port=sim.rest.port)
    yield adapter.Adapter(session)
    session._logoff()


@pytest.fixture
def http(sim: TinySimulator) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["X-API-Session"] = sim.sessions.log_on("padmin", "pad<min>").token
        yield session
