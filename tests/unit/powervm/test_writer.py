"""The document writer against a store that has etags, refuses bad items, and may be changed by somebody else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigiron.errors import InvalidSpec, PlatformError, Timeout, Unavailable
from bigiron.powervm.errors import Stale
from bigiron.powervm.writer import DocumentWriter

WAIT_S = 10.0


@dataclass
class Document:
    """What a client holds: the items and the etag they were read with."""

    etag: int
    items: set[str] = field(default_factory=set)


class Store:
    """The server's side. `outsiders` makes that many updates of its own, each right before one of ours arrives."""

    def __init__(self, outsiders: int = 0) -> None:
        self.items: set[str] = set()
        self.etag = 1
        self.outsiders = outsiders
        self.reads = 0
        self.updates = 0
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        self.lose_answer = False
        self.hangs = 0

    def slow_read(self) -> Document:
        self.arrived.set()
        assert self.gate.wait(WAIT_S)
        return self.read()

    def read(self) -> Document:
        self.reads += 1
        return Document(self.etag, set(self.items))

    def write(self, document: Document) -> Document:
        self.arrived.set()
        assert self.gate.wait(WAIT_S)
        self.updates += 1
        if self.hangs and self.updates > 1:
            self.hangs -= 1
            raise Timeout("no answer")
        if self.outsiders:
            self.outsiders -= 1
            self.etag += 1
            self.items.add(f"outsider-{self.etag}")
        if document.etag != self.etag:
            raise Stale("412")
        bad = sorted(item for item in document.items if item.startswith("bad"))
        if bad:
            raise PlatformError(f"refused: {bad[0]}")
        self.items = set(document.items)
        self.etag += 1
        if self.lose_answer:
            self.lose_answer = False
            raise Unavailable("connection dropped after the request took effect")
        return Document(self.etag, set(self.items))


@dataclass(frozen=True)
class Add:
    owner: str

    def in_place(self, document: Document) -> bool:
        return self.owner in document.items

    def apply(self, document: Document) -> None:
        document.items.add(self.owner)


@dataclass(frozen=True)
class Impossible:
    owner: str

    def in_place(self, document: Document) -> bool:
        return False

    def apply(self, document: Document) -> None:
        document.items.add("half")
        raise InvalidSpec(f"{self.owner} cannot be applied")


def writer_of(store: Store) -> DocumentWriter[Document]:
    return DocumentWriter("the document", store.read, store.write, store.read())


def submit_all(writer: DocumentWriter[Document], owners: list[str]) -> dict[str, str | None]:
    """Submit all at once from threads of their own; the error of each, None where it succeeded."""

    def one(owner: str) -> str | None:
        try:
            document = writer.submit(Add(owner), WAIT_S)
        except PlatformError as error:
            return str(error)
        assert owner in document.items
        return None

    with ThreadPoolExecutor(max(1, len(owners))) as pool:
        return dict(zip(owners, pool.map(one, owners), strict=True))


def queue_behind(store: Store, writer: DocumentWriter[Document], owners: list[str]) -> dict[str, str | None]:
    """Have the owners' changes arrive while an update is under way, so that they form one batch."""
    store.gate.clear()
    first = writer.enqueue(Add("first"))
    assert store.arrived.wait(WAIT_S)
    entries = {owner: writer.enqueue(Add(owner)) for owner in owners}
    store.gate.set()
    outcome: dict[str, str | None] = {}
    for owner, entry in entries.items():
        try:
            writer.wait(entry, WAIT_S)
            outcome[owner] = None
        except PlatformError as error:
            outcome[owner] = str(error)
    writer.wait(first, WAIT_S)
    return outcome


def test_one_change_costs_one_update_and_no_read() -> None:
    store = Store()
    writer = writer_of(store)
    reads = store.reads
    written = writer.submit(Add("a"), WAIT_S)
    assert written.items == {"a"}
    assert (store.updates, store.reads - reads) == (1, 0)


def test_a_thread_that_cannot_be_started_fails_only_the_change_that_wanted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = Store()
    writer = writer_of(store)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="can't start"):
        patched.setattr(threading.Thread, "start", fail)
        writer.submit(Add("a"), WAIT_S)
    assert writer.submit(Add("b"), WAIT_S).items == {"b"}


def test_who_says_that_it_changed_does_not_wait_for_a_read() -> None:
    store = Store()
    writer = DocumentWriter("the document", store.slow_read, store.write)
    store.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(writer.document)
        assert store.arrived.wait(WAIT_S)
        writer.invalidate()
        assert not reading.done()
        store.gate.set()
        reading.result(WAIT_S)
    writer.document()
    assert store.reads == 2, "what was read before the change is not kept"


def test_a_platform_that_hangs_is_not_asked_once_for_each_change() -> None:
    store = Store()
    writer = writer_of(store)
    store.hangs = 1
    outcome = queue_behind(store, writer, ["a", "b", "c"])
    assert set(outcome.values()) == {"no answer"}
    assert store.updates == 2
    assert writer.submit(Add("a"), WAIT_S).items == {"first", "a"}


def test_what_is_in_place_costs_nothing() -> None:
    store = Store()
    store.items = {"a"}
    writer = writer_of(store)
    assert "a" in writer.submit(Add("a"), WAIT_S).items
    assert store.updates == 0


@settings(max_examples=60)
@given(
    good=st.integers(0, 24),
    bad=st.integers(0, 4),
    outsiders=st.integers(0, 4),
    seed=st.randoms(use_true_random=False),
)
def test_only_the_owners_of_bad_changes_fail(good: int, bad: int, outsiders: int, seed: object) -> None:
    store = Store(outsiders)
    writer = writer_of(store)
    owners = [f"good-{n}" for n in range(good)] + [f"bad-{n}" for n in range(bad)]
    seed.shuffle(owners)  # type: ignore[attr-defined]
    outcome = queue_behind(store, writer, owners)
    assert {owner for owner, error in outcome.items() if error} == {o for o in owners if o.startswith("bad")}
    assert all(owner in str(error) for owner, error in outcome.items() if error)
    assert {o for o in owners if o.startswith("good")} <= store.items
    assert not any(item.startswith("bad") for item in store.items)
    # One for the opener, one for the batch, one more for each interference; alone only where somebody's was refused.
    alone = len(owners) if bad and len(owners) > 1 else 0
    assert store.updates <= 2 + outsiders + alone


def test_concurrent_changes_cost_about_one_update_per_batch() -> None:
    store = Store()
    writer = writer_of(store)
    assert not any(queue_behind(store, writer, [f"good-{n}" for n in range(32)]).values())
    assert store.updates == 2
    assert len(store.items) == 33


def test_threads_that_never_meet_a_batch_all_get_written() -> None:
    store = Store()
    outcome = submit_all(writer_of(store), [f"good-{n}" for n in range(40)])
    assert not any(outcome.values())
    assert len(store.items) == 40


def test_a_change_that_cannot_be_applied_leaves_nothing_of_itself() -> None:
    store = Store()
    writer = writer_of(store)
    store.gate.clear()
    opener = writer.enqueue(Add("opener"))
    assert store.arrived.wait(WAIT_S)
    wrong, right = writer.enqueue(Impossible("wrong")), writer.enqueue(Add("right"))
    store.gate.set()
    writer.wait(right, WAIT_S)
    writer.wait(opener, WAIT_S)
    with pytest.raises(InvalidSpec, match="wrong cannot be applied"):
        writer.wait(wrong, WAIT_S)
    assert store.items == {"opener", "right"}


def test_a_lost_answer_is_not_written_twice() -> None:
    store = Store()
    store.lose_answer = True
    writer = writer_of(store)
    assert "a" in writer.submit(Add("a"), WAIT_S).items
    assert store.updates == 1


def test_an_unreadable_document_fails_all_that_wait_for_it() -> None:
    def gone() -> Document:
        raise Unavailable("the service is down")

    writer: DocumentWriter[Document] = DocumentWriter("the document", gone, Store().write)
    with pytest.raises(Unavailable, match="the service is down"):
        writer.submit(Add("a"), WAIT_S)


def test_endless_interference_ends_with_an_error() -> None:
    store = Store(outsiders=1000)
    with pytest.raises(Stale, match="times in a row"):
        writer_of(store).submit(Add("a"), WAIT_S)


def test_a_waiter_whose_time_is_up_is_withdrawn() -> None:
    store = Store()
    writer = writer_of(store)
    store.gate.clear()
    first = writer.enqueue(Add("first"))
    assert store.arrived.wait(WAIT_S)
    with pytest.raises(Timeout, match=r"for late .* was withdrawn"):
        writer.submit(Add("late"), 0.05)
    store.gate.set()
    writer.wait(first, WAIT_S)
    writer.submit(Add("after"), WAIT_S)
    assert store.items == {"first", "after"}


def test_a_change_by_somebody_else_is_seen_after_invalidate() -> None:
    store = Store()
    writer = writer_of(store)
    store.items.add("theirs")
    store.etag += 1
    assert "theirs" not in writer.document().items
    writer.invalidate()
    assert "theirs" in writer.document().items
