"""The line between nova-compute and the network agent: both ends, one that is away, and folders that do not serve."""

from __future__ import annotations

import queue
import socket
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from bigiron.errors import InvalidSpec
from bigiron.zvm.portline import AGENT, COMPUTE, PortLine

Told = queue.Queue[Sequence[str]]


class End:
    """One end, and what it has heard."""

    def __init__(self, folder: Path | str, own: str, peer: str) -> None:
        self.told: Told = queue.Queue()
        self.line = PortLine(str(folder), own, peer)
        self.line.start(self.told.put)

    def heard(self) -> Sequence[str]:
        return self.told.get(timeout=60)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[End, End]]:
    # Longer than the address of a socket may be.
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with ExitStack() as stack:
        made = End(folder, COMPUTE, AGENT), End(folder, AGENT, COMPUTE)
        for end in made:
            stack.callback(end.line.close)
        yield made
    assert list(folder.iterdir()) == []


def test_each_end_hears_the_other(ends: tuple[End, End]) -> None:
    compute, agent = ends
    compute.line.tell(["a", "b"])
    assert agent.heard() == ["a", "b"]
    agent.line.tell(["b"])
    assert compute.heard() == ["b"]


def test_many_ports_are_told_in_parts(ends: tuple[End, End]) -> None:
    compute, agent = ends
    ports = [f"{number:036d}" for number in range(250)]
    compute.line.tell(ports)
    heard = [port for _ in range(3) for port in agent.heard()]
    assert heard == ports


def test_nobody_there_is_no_error_and_who_comes_later_hears(tmp_path: Path) -> None:
    compute = End(tmp_path, COMPUTE, AGENT)
    compute.line.tell(["lost"])
    # What a killed process leaves is no obstacle.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(tmp_path / AGENT))
    agent = End(tmp_path, AGENT, COMPUTE)
    compute.line.tell(["a"])
    assert agent.heard() == ["a"]
    agent.line.close()
    agent.line.close()
    compute.line.tell(["lost"])
    compute.line.close()


def test_only_the_group_may_speak(tmp_path: Path) -> None:
    end = End(tmp_path, COMPUTE, AGENT)
    assert stat.S_IMODE((tmp_path / COMPUTE).stat().st_mode) == 0o660
    end.line.close()


def test_what_makes_no_sense_and_a_listener_that_breaks_do_not_end_it(tmp_path: Path) -> None:
    told: Told = queue.Queue()

    def hear(ports: Sequence[str]) -> None:
        if ports == ["bad"]:
            raise ValueError(ports)
        told.put(ports)

    compute, agent = PortLine(str(tmp_path), COMPUTE, AGENT), End(tmp_path, AGENT, COMPUTE)
    compute.start(hear)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for words in (b"", b"{", b"7"):
            stranger.sendto(words, str(tmp_path / COMPUTE))
    agent.line.tell(["bad"])
    agent.line.tell(["good"])
    assert told.get(timeout=60) == ["good"]
    compute.close()
    agent.line.close()


def test_without_a_folder_there_is_no_line() -> None:
    end = End("", COMPUTE, AGENT)
    end.line.tell(["a"])
    end.line.close()


def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o2777)
    with pytest.raises(InvalidSpec, match="everybody may write to it"):
        End(tmp_path, COMPUTE, AGENT)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_meanwhile_keeps_nothing_from_ending(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    end = End(folder, COMPUTE, AGENT)
    (folder / COMPUTE).unlink()
    (folder / COMPUTE).mkdir()
    end.line.tell(["lost"])
    end.line.close()
    end.line.tell(["lost"])
    assert not [one for one in threading.enumerate() if one.name == "bigiron-zvm-ports"]


def test_a_folder_that_is_not_there_is_told_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="port_line = /nowhere"):
        End("/nowhere", COMPUTE, AGENT)
