"""A simulated host, served over HTTP, a connection to it, and the platform started on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.powervm_host import Host, serve

from bigiron.powervm.connection import Connection
from bigiron.powervm.platform import PowerVM


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path) as host:
        yield host


@pytest.fixture
def connection(host: Host) -> Iterator[Connection]:
    connection = host.connect()
    yield connection
    connection.close()


@pytest.fixture
def platform(host: Host) -> Iterator[PowerVM]:
    with host.platform() as platform:
        yield platform
