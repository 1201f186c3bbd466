"""The time that a partition has run passes, and is no change of the partition."""

from __future__ import annotations

from pathlib import Path

from pypowervm.wrappers.virtual_io_server import VIOS
from tests.support.powervm_host import serve


def test_the_uptime_passes_and_the_etag_stays(tmp_path: Path) -> None:
    with serve(tmp_path) as host:
        connection = host.connect()
        before = VIOS.get(connection.adapter, xag=[])[0]
        host.simulator.clock.advance(90)
        after = VIOS.get(connection.adapter, xag=[])[0]
        alone = VIOS.get(connection.adapter, uuid=after.uuid, xag=[])
        connection.close()
    assert 90 <= after.uptime - before.uptime < 150
    assert after.uptime <= alone.uptime < after.uptime + 60
    assert before.etag == after.etag == alone.etag
