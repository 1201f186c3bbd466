"""The mirror against a table of partitions whose answers can be held back, to force every order of events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pypowervm import exceptions as pvm
from pypowervm.adapter import Response
from pypowervm.wrappers.logical_partition import LPAR

from bigiron import naming
from bigiron.errors import NotFound, Unavailable
from bigiron.model import PowerState
from bigiron.powervm.events import ADD_URI, DELETE_URI, MISSING_EVENTS, MODIFY_URI, RestEvent
from bigiron.powervm.mirror import LparMirror
from bigiron.powervm.partition import Lpar

UOM = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/"
SYSTEM = "1cab7366-6b73-342c-9f43-ddfeb9f8edd3"
INSTANCE = "9f2c1d0a-1111-4222-8333-444455556666"
UUID = naming.lpar_uuid(INSTANCE)
OTHER = "3F2C1D0A-1111-4222-8333-444455557777"
QUIET_S = 0.8


class Service:
    """Answers like the REST service would, and remembers what it was asked."""

    def __init__(self) -> None:
        self.states = {UUID: "running", OTHER: "running"}
        self.marks = {UUID: naming.mark(INSTANCE)}
        self.names: dict[str, str] = {}
        self.asked: list[str] = []
        self.hold: threading.Event | None = None
        self.held = threading.Event()
        self.broken = 0
        """How many feeds fail from now on."""
        self.meanwhile: Callable[[], None] | None = None
        """What happens, once, between the making of a document and its arrival."""

    def read(self, root_type: str, root_id: str | None = None, **query: Any) -> Response:
        if query.get("suffix_type") == "quick":
            assert root_id is not None
            self.asked.append(f"quick {root_id}")
            return self._quick(root_id)
        if root_type == "ManagedSystem":
            self.asked.append("feed")
            if self.broken:
                self.broken -= 1
                raise pvm.ConnectionError("no answer")
            return self._sent(self._response("".join(map(self._entry, self.states)), feed=True))
        assert root_id is not None
        self.asked.append(f"entry {root_id}")
        if root_id not in self.states:
            raise pvm.HttpNotFound(Response("GET", "/x", 404, "Not Found", {}))
        return self._sent(self._response(self._entry(root_id)))

    def _sent(self, answer: Response) -> Response:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return answer

    def wrapper(self, uuid: str) -> LPAR:
        return LPAR.wrap(self._response(self._entry(uuid)))

    def _quick(self, uuid: str) -> Response:
        if uuid not in self.states:
            raise pvm.HttpNotFound(Response("GET", "/x", 404, "Not Found", {}))
        answer = Response("GET", "/x", 200, "OK", {}, body=f'"{self.states[uuid]}"')
        if self.hold is not None:
            self.held.set()
            assert self.hold.wait(60)
        return self._sent(answer)

    def _response(self, text: str, feed: bool = False) -> Response:
        body = f'<feed xmlns="http://www.w3.org/2005/Atom">{text}</feed>' if feed else text
        answer = Response("GET", "/rest/api/uom/LogicalPartition", 200, "OK", {}, body=body)
        answer.adapter = self
        answer._unmarshal_atom()
        return answer

    def _entry(self, uuid: str) -> str:
        mark = f"<Description>{self.marks[uuid]}</Description>" if uuid in self.marks else ""
        name = self.names.get(uuid, f"lpar-{uuid[:4]}")
        return (
            f'<entry xmlns="http://www.w3.org/2005/Atom"><id>{uuid}</id><content type="application/xml">'
            f'<LogicalPartition xmlns="{UOM}"><Metadata><Atom><AtomID>{uuid}</AtomID></Atom></Metadata>'
            f"<PartitionID>5</PartitionID><PartitionMemoryConfiguration><DesiredMemory>2048</DesiredMemory>"
            f"<CurrentMemory>2048</CurrentMemory></PartitionMemoryConfiguration>"
            f"<PartitionName>{name}</PartitionName><PartitionProcessorConfiguration>"
            f"<HasDedicatedProcessors>false</HasDedicatedProcessors><SharedProcessorConfiguration>"
            f"<DesiredProcessingUnits>0.20</DesiredProcessingUnits><DesiredVirtualProcessors>2"
            f"</DesiredVirtualProcessors></SharedProcessorConfiguration></PartitionProcessorConfiguration>"
            f"<PartitionState>{self.states[uuid]}</PartitionState>{mark}</LogicalPartition></content></entry>"
        )


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def mirror(service: Service) -> Iterator[LparMirror]:
    mirror = LparMirror(service, SYSTEM)
    mirror.start()
    service.asked.clear()
    yield mirror
    mirror.stop()


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not become so within 60 s"
        time.sleep(0.01)


def event(kind: str = MODIFY_URI, uuid: str = UUID, detail: str = "PartitionState,Other") -> RestEvent:
    uri = f"http://localhost:12080/rest/api/uom/ManagedSystem/{SYSTEM}/LogicalPartition/{uuid}"
    return RestEvent(kind, uri, detail)


def state(mirror: LparMirror, uuid: str = UUID) -> PowerState | None:
    lpar = mirror.find(uuid)
    return lpar.power if lpar else None


def test_everything_is_read_in_one_feed(mirror: LparMirror) -> None:
    assert {lpar.uuid for lpar in mirror.lpars()} == {UUID, OTHER}
    ours = mirror.find(UUID.lower())
    assert ours is not None and ours.instance == INSTANCE
    assert (ours.memory_mb, ours.vcpus, ours.processors, ours.id) == (2048, 2, 0.2, 5)
    assert mirror.named(ours.name) == ours
    other = mirror.find(OTHER)
    assert other is not None and other.instance is None


def test_the_ledger_says_whose_a_partition_is_where_the_platform_does_not(service: Service) -> None:
    service.marks.clear()
    mirror = LparMirror(service, SYSTEM, {UUID: INSTANCE}.get)
    mirror.load()
    ours = mirror.find(UUID)
    assert ours is not None and ours.instance == INSTANCE


def test_a_change_of_state_is_read_and_told(service: Service, mirror: LparMirror) -> None:
    told: list[tuple[Lpar, Lpar]] = []
    mirror.watch(lambda before, after: told.append((before, after)))
    service.states[UUID] = "not activated"
    for _ in range(5):
        mirror.on_event(event())
    eventually(lambda: state(mirror) is PowerState.STOPPED)
    eventually(lambda: told)
    assert [(before.state, after.state) for before, after in told] == [("running", "not activated")]
    assert service.asked == [f"quick {UUID}"]


def test_what_was_read_a_while_ago_is_asked_for_and_what_we_made_it_is_not(
    service: Service, mirror: LparMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh_for(seconds: float) -> None:
        """What was read counts for a tenth of it, and what we made for all of it."""
        monkeypatch.setattr("bigiron.powervm.mirror._FRESH_S", seconds)

    fresh_for(3600)
    mirror.fresh(UUID)
    assert not service.asked, "read a moment ago"
    fresh_for(0)
    service.states[UUID] = "not activated"
    assert mirror.fresh(UUID).power is PowerState.STOPPED
    assert service.asked == [f"quick {UUID}"]
    fresh_for(10)
    mirror.wrote_state(UUID, "running")
    time.sleep(1.1)
    assert mirror.fresh(UUID).power is PowerState.RUNNING
    assert service.asked == [f"quick {UUID}"]
    mirror.on_event(event())
    eventually(lambda: state(mirror) is PowerState.STOPPED)
    service.states[UUID] = "running"
    time.sleep(1.1)
    assert mirror.fresh(UUID).power is PowerState.RUNNING, "an event has told that it is not what we made it"


def test_a_new_name_is_read_with_all_the_rest(service: Service, mirror: LparMirror) -> None:
    service.names[OTHER] = "payroll"
    mirror.on_event(event(uuid=OTHER, detail="PartitionName"))
    eventually(lambda: mirror.named("payroll"))
    assert service.asked == [f"entry {OTHER}"]


def test_a_name_that_changes_again_while_it_is_read_is_read_again(service: Service, mirror: LparMirror) -> None:
    def rename() -> None:
        service.names[OTHER] = "payroll-2"
        mirror.on_event(event(uuid=OTHER, detail="PartitionName"))

    service.names[OTHER] = "payroll-1"
    service.meanwhile = rename
    mirror.on_event(event(uuid=OTHER, detail="PartitionName"))
    eventually(lambda: mirror.named("payroll-2"))
    assert service.asked == [f"entry {OTHER}"] * 2


def test_a_name_whose_reading_was_thrown_away_is_read_with_the_next(
    service: Service, mirror: LparMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigiron.powervm.mirror._FRESH_S", 0.0)
    service.names[OTHER] = "payroll"
    read = threading.Event()

    def write() -> None:
        mirror.wrote_state(OTHER, "running")
        read.set()

    service.meanwhile = write
    mirror.on_event(event(uuid=OTHER, detail="PartitionName"))
    assert read.wait(10)
    eventually(lambda: mirror.fresh(OTHER).name == "payroll")


def test_a_reading_of_the_state_leaves_what_has_become_known_of_the_rest(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigiron.powervm.mirror._FRESH_S", 0.0)
    ledger: dict[str, str] = {}
    mirror = LparMirror(service, SYSTEM, ledger.get)
    mirror.load()

    def adopt() -> None:
        ledger[OTHER] = INSTANCE
        mirror.remark(OTHER)

    service.meanwhile = adopt
    service.states[OTHER] = "not activated"
    found = mirror.fresh(OTHER)
    assert (found.power, found.instance) == (PowerState.STOPPED, INSTANCE)
    assert service.asked[1:] == [f"quick {OTHER}"]


def test_what_no_event_tells_is_read_after_a_time(service: Service, mirror: LparMirror) -> None:
    service.names[OTHER] = "payroll"
    mirror.load_if_older(60)
    assert not service.asked
    mirror.load_if_older(0)
    assert service.asked == ["feed"]
    assert mirror.named("payroll")


def test_other_details_of_a_partition_are_not_asked_for(service: Service, mirror: LparMirror) -> None:
    for detail in ("Other", "NVRAM", "ReferenceCode,Other"):
        mirror.on_event(event(detail=detail))
    mirror.on_event(event(ADD_URI))
    service.states[OTHER] = "not activated"
    mirror.on_event(event(uuid=OTHER))
    eventually(lambda: state(mirror, OTHER) is PowerState.STOPPED)
    assert service.asked == [f"quick {OTHER}"]


def test_new_and_deleted_partitions_are_followed(service: Service, mirror: LparMirror) -> None:
    new = "4F2C1D0A-1111-4222-8333-444455558888"
    service.states[new] = "not activated"
    mirror.on_event(event(ADD_URI, new, ""))
    eventually(lambda: mirror.find(new))
    del service.states[OTHER]
    mirror.on_event(event(DELETE_URI, OTHER, ""))
    eventually(lambda: mirror.find(OTHER) is None)


def test_lost_events_cost_one_feed(service: Service, mirror: LparMirror) -> None:
    service.states[UUID] = "error"
    del service.states[OTHER]
    mirror.on_event(RestEvent(MISSING_EVENTS, "", ""))
    eventually(lambda: state(mirror) is PowerState.CRASHED)
    eventually(lambda: mirror.find(OTHER) is None)
    assert service.asked == ["feed"]


@pytest.mark.parametrize("news", [RestEvent(MISSING_EVENTS, "", ""), event()])
def test_what_events_told_of_outlives_another_threads_reading_that_fails(
    service: Service, mirror: LparMirror, news: RestEvent
) -> None:
    with mirror._changed:  # which keeps the mirror's own thread from reading first
        service.states[UUID] = "error"
        mirror.on_event(news)
        service.broken = 1
        with pytest.raises(Unavailable):
            mirror.load_if_older(0)
    eventually(lambda: state(mirror) is PowerState.CRASHED)
    assert service.asked == ["feed", "feed"]


def test_a_reading_that_fails_does_not_count_as_one(service: Service) -> None:
    mirror = LparMirror(service, SYSTEM)
    service.broken = 1
    with pytest.raises(Unavailable):
        mirror.load()
    mirror.load_if_older(3600)
    assert mirror.find(UUID) is not None


def test_many_changes_cost_one_feed(service: Service, mirror: LparMirror) -> None:
    uuids = [f"{n:08X}-1111-4222-8333-444455558888" for n in range(20)]
    service.states.update(dict.fromkeys(uuids, "running"))
    for uuid in uuids:
        mirror.on_event(event(ADD_URI, uuid, ""))
    eventually(lambda: all(map(mirror.find, uuids)))
    assert service.asked == ["feed"]


def test_an_event_during_our_own_work_is_dropped(service: Service, mirror: LparMirror) -> None:
    told: list[object] = []
    mirror.watch(lambda before, after: told.append(after))
    with mirror.working(UUID):
        service.states[UUID] = "not activated"
        mirror.on_event(event())
        mirror.wrote_state(UUID, "not activated")
    time.sleep(QUIET_S)
    assert state(mirror) is PowerState.STOPPED
    assert not service.asked and not told


def test_late_events_of_our_own_work_cost_a_look_and_tell_nobody(service: Service, mirror: LparMirror) -> None:
    told: list[PowerState] = []
    mirror.watch(lambda before, after: told.append(after.power))
    with mirror.working(UUID):
        service.states[UUID] = "not activated"
        mirror.wrote_state(UUID, "not activated")
    for _ in range(3):
        mirror.on_event(event())
    eventually(lambda: service.asked)
    time.sleep(QUIET_S)
    assert service.asked == [f"quick {UUID}"] and not told
    # What somebody else makes of it then is news, however soon it comes.
    service.states[UUID] = "running"
    mirror.on_event(event())
    eventually(lambda: told == [PowerState.RUNNING])


def test_a_reading_that_a_write_overtook_is_thrown_away(service: Service, mirror: LparMirror) -> None:
    service.states[UUID] = "not activated"
    service.hold = threading.Event()
    mirror.on_event(event())
    assert service.held.wait(60)
    # The stale "off" is on its way; we start the guest meanwhile.
    with mirror.working(UUID):
        service.states[UUID] = "running"
        mirror.wrote_state(UUID, "running")
    service.hold.set()
    time.sleep(QUIET_S)
    assert state(mirror) is PowerState.RUNNING


def test_a_reading_that_a_later_one_overtook_is_thrown_away(
    service: Service, mirror: LparMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigiron.powervm.mirror._FRESH_S", 0.0)
    new = "4F2C1D0A-1111-4222-8333-444455558888"
    told: list[PowerState] = []
    mirror.watch(lambda before, after: told.append(after.power))

    def meanwhile() -> None:
        service.states = {UUID: "not activated", new: "running"}
        assert mirror.fresh(UUID).power is PowerState.STOPPED
        with pytest.raises(NotFound):
            mirror.fresh(OTHER)
        mirror.fresh(new)

    service.meanwhile = meanwhile
    mirror.load()
    assert state(mirror) is PowerState.STOPPED
    assert told == [PowerState.STOPPED]
    assert mirror.find(OTHER) is None, "it went while the feed was on its way"
    assert mirror.find(new) is not None, "it came while the feed was on its way"


def test_failed_work_is_looked_at_again(service: Service, mirror: LparMirror) -> None:
    service.states[UUID] = "not activated"
    with pytest.raises(RuntimeError), mirror.working(UUID):
        raise RuntimeError("the connection broke")
    eventually(lambda: state(mirror) is PowerState.STOPPED)


def test_fresh_asks_only_when_the_entry_is_old(
    service: Service, mirror: LparMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mirror.fresh(UUID).power is PowerState.RUNNING
    assert not service.asked
    monkeypatch.setattr("bigiron.powervm.mirror._FRESH_S", 0.0)
    service.states[UUID] = "not activated"
    assert mirror.fresh(UUID).power is PowerState.STOPPED
    assert service.asked == [f"quick {UUID}"]
    del service.states[UUID]
    with pytest.raises(NotFound, match=UUID):
        mirror.fresh(UUID)
    assert mirror.find(UUID) is None


def test_what_we_made_and_removed_is_known_at_once(service: Service, mirror: LparMirror) -> None:
    new = "4F2C1D0A-1111-4222-8333-444455558888"
    service.states[new] = "not activated"
    with mirror.working(new):
        mirror.wrote(service.wrapper(new))
    assert state(mirror, new) is PowerState.STOPPED
    mirror.on_event(event(ADD_URI, new, ""))
    mirror.removed(new)
    assert mirror.find(new) is None
    time.sleep(QUIET_S)
    assert not service.asked


def test_late_news_of_a_partition_that_we_removed_asks_nothing(service: Service, mirror: LparMirror) -> None:
    mirror.removed(UUID)
    del service.states[UUID]
    service.asked.clear()
    mirror.on_event(event(uuid=UUID))
    time.sleep(QUIET_S)
    assert service.asked == []


def test_a_partition_that_is_made_again_is_followed(service: Service, mirror: LparMirror) -> None:
    mirror.removed(UUID)
    mirror.on_event(event(ADD_URI, UUID, ""))
    eventually(lambda: mirror.find(UUID))


def test_partitions_that_are_long_gone_are_forgotten(mirror: LparMirror) -> None:
    for number in range(500):
        with mirror.working(f"{number:036X}"):
            mirror.removed(f"{number:036X}")
    assert len(mirror._slots) <= 100
