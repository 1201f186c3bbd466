"""The VIOSes' documents on a simulated host: when they are read again, and how changes of several are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.powervm_host import Host, until

from bigiron.errors import NotFound, PlatformError, Unavailable
from bigiron.powervm.connection import Connection
from bigiron.powervm.events import CACHE_CLEARED, MODIFY_URI, RestEvent
from bigiron.powervm.vios import Vios
from bigiron.sim.kernel.faults import Action

VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"


@dataclass(frozen=True)
class Touch:
    """A change that is never in place and edits nothing: one update for each batch."""

    owner: str = "test"

    def in_place(self, doc: Any) -> bool:
        return False

    def apply(self, doc: Any) -> None:
        return


@pytest.fixture
def first(connection: Connection) -> Vios:
    return connection.vioses.active()[0]


def event(vios: Vios, detail: str) -> RestEvent:
    return RestEvent(MODIFY_URI, f"http://x/rest/api/uom/VirtualIOServer/{vios.uuid}", detail)


def reads(host: Host, connection: Connection, vios: Vios) -> int:
    return host.calls(lambda: connection.vioses.document(vios.uuid))[f"GET {VIOS}"]


def test_all_are_read_in_one_feed(host: Host) -> None:
    connections: list[Connection] = []
    calls = host.calls(lambda: connections.append(host.connect()))
    assert calls["GET /rest/api/uom/VirtualIOServer"] == 1
    assert [vios.name for vios in connections[0].vioses.all()] == ["vios1", "vios2"]
    assert not host.calls(connections[0].vioses.active)
    connections[0].close()


def test_the_echo_of_our_own_write_costs_no_reading(host: Host, connection: Connection, first: Vios) -> None:
    calls = host.calls(lambda: connection.vioses.write(first.uuid, Touch()))
    assert calls == {f"POST {VIOS}": 1}
    connection.vioses.on_event(event(first, "ViosSCSIMapping"))
    assert reads(host, connection, first) == 0


def test_what_somebody_else_changed_is_read_again_when_it_is_needed(
    host: Host, connection: Connection, first: Vios
) -> None:
    assert not host.calls(lambda: connection.vioses.on_event(event(first, "ViosSCSIMapping")))
    assert reads(host, connection, first) == 1
    assert reads(host, connection, first) == 0


def test_a_change_of_state_is_never_taken_for_an_echo(host: Host, connection: Connection, first: Vios) -> None:
    connection.vioses.write(first.uuid, Touch())
    connection.vioses.on_event(event(first, "PartitionState"))
    assert reads(host, connection, first) == 1


def test_lost_events_make_every_copy_old(host: Host, connection: Connection) -> None:
    connection.vioses.on_event(RestEvent(CACHE_CLEARED, "", ""))
    calls = host.calls(connection.vioses.active)
    assert calls == {f"GET {VIOS}": 2}


def test_a_stale_etag_costs_one_reading_and_another_try(host: Host, connection: Connection, first: Vios) -> None:
    host.fault("POST", VIOS, Action.STALE)
    calls = host.calls(lambda: connection.vioses.write(first.uuid, Touch()))
    assert calls == {f"POST {VIOS}": 2, f"GET {VIOS}": 1}


def test_the_others_are_written_where_one_fails(host: Host, connection: Connection, first: Vios) -> None:
    host.fault("POST", f"/rest/api/uom/VirtualIOServer/{first.uuid}", times=0)
    changes = {vios.uuid: Touch() for vios in connection.vioses.all()}
    with pytest.raises(PlatformError, match="vios1"):
        connection.vioses.write_all(changes)
    written = [e for e in host.simulator.journal.entries() if e.method == "POST" and e.status == 200]
    assert len(written) == 1 and first.uuid not in written[0].path


def test_one_that_stops_is_left_out_and_comes_back(
    host: Host, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    for rmc, names in (("inactive", ["vios1"]), ("active", ["vios1", "vios2"])):
        with host.world.lock:
            host.vios("vios2").rmc = rmc
            host.world.changed(host.vios("vios2"), "RMCState")
        until(lambda names=names: [vios.name for vios in connection.vioses.active()] == names)  # type: ignore[misc]
    assert caplog.text.count("VIOS vios2 does not serve") == 1


def test_one_that_cannot_be_read_counts_as_down(host: Host, connection: Connection, first: Vios) -> None:
    connection.vioses.on_event(event(first, "PartitionState"))
    host.fault("GET", f"/rest/api/uom/VirtualIOServer/{first.uuid}", status=404, times=0)
    assert [vios.name for vios in connection.vioses.active()] == ["vios2"]
    assert connection.vioses.last(first.uuid).name == "vios1"


def test_none_left_is_unavailable_by_name(host: Host, connection: Connection) -> None:
    with host.world.lock:
        for vios in host.world.vioses:
            vios.state = "not activated"
            host.world.changed(vios, "PartitionState")

    def gone() -> bool:
        try:
            connection.vioses.active()
        except Unavailable as error:
            assert "vios1, vios2" in error.message
            return True
        return False

    until(gone)


def test_an_unknown_one_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFound, match="no-such"):
        connection.vioses.document("no-such")
