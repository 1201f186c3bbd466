"""A simulated host, served over HTTP, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.powervm_host import Host, serve

from bigiron.powervm.connection import Connection


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path) as host:
        yield host


@pytest.fixture
def connection(host: Host) -> Iterator[Connection]:
    connection = host.connect()
    yield connection
    connection.close()
