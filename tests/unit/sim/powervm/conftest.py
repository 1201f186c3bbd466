"""Simulators of the example systems, served over HTTP, and pypowervm connected to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pypowervm import adapter as pvm_adapter

from bigiron.sim.powervm import documents
from bigiron.sim.powervm.server import Settings, Simulator
from bigiron.sim.powervm.session import Flavour

SYSTEMS = Path(__file__).parents[4] / "examples" / "systems"


@pytest.fixture
def document() -> dict[str, Any]:
    """The document of examples/systems/one-host.yaml."""
    return documents.read(SYSTEMS / "one-host.yaml")


@pytest.fixture
def simulator(document: dict[str, Any], tmp_path: Path) -> Iterator[Simulator]:
    """A running simulator of one NovaLink host."""
    with Simulator(document, tmp_path / "sim") as running:
        yield running


@pytest.fixture
def hmc(document: dict[str, Any], tmp_path: Path) -> Iterator[Simulator]:
    """The same host, managed by an HMC."""
    with Simulator(document, tmp_path / "hmc", Settings(flavour=Flavour.HMC)) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[[Simulator], pvm_adapter.Adapter]]:
    """Gives pypowervm adapters that are logged on."""
    made: list[pvm_adapter.Adapter] = []

    def log_on(simulator: Simulator) -> pvm_adapter.Adapter:
        where = urlsplit(simulator.url)
        session = pvm_adapter.Session(
            host=where.hostname, port=where.port, username="padmin", password="padmin", protocol="http", timeout=60
        )
        made.append(pvm_adapter.Adapter(session))
        return made[-1]

    yield log_on
    for adapter in made:
        adapter.session._logoff()  # else its finalizer would try when the server is gone


@pytest.fixture
def adapter(simulator: Simulator, connect: Callable[[Simulator], pvm_adapter.Adapter]) -> pvm_adapter.Adapter:
    """pypowervm, logged on to the simulator."""
    return connect(simulator)
