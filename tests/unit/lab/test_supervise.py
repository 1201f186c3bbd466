"""The supervisor runs what it is given, reports its end, and takes it down; real processes, no OpenStack."""

from __future__ import annotations

import configparser
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bigiron.lab import lifecycle, supervise
from bigiron.lab.paths import LabPaths
from bigiron.lab.progress import Quiet
from bigiron.lab.services import Program

_AWKWARD = 'a "quoted" 100% value with spaces, commas'
_TABLE = (
    Program("steady", (sys.executable, "-c", "import time; print('steady here', flush=True); time.sleep(600)"), "none"),
    Program("failing", (sys.executable, "-c", "import sys; sys.exit('out of luck')"), "none"),
    Program(
        "speaking",
        (sys.executable, "-c", f"import os; print(os.environ['WORD'] == {_AWKWARD!r}, flush=True)"),
        "none",
        environment={"WORD": _AWKWARD},
    ),
)


@pytest.fixture
def paths() -> Iterator[LabPaths]:
    # pytest's own folders are named after the test, too long for a Unix socket.
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = LabPaths(Path(folder))
        made.create()
        yield made


@pytest.fixture
def running(paths: LabPaths) -> Iterator[supervise.Supervisor]:
    supervisor = supervise.launch(paths, _TABLE)
    pid = supervisor.pid()
    yield supervisor
    if supervise.connect(paths):
        supervisor.shutdown()
    assert supervise.await_end(pid, 60)


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_nothing_starts_by_itself(running: supervise.Supervisor) -> None:
    assert {state.state for state in running.states().values()} == {"STOPPED"}


def test_a_program_runs_until_it_is_stopped(running: supervise.Supervisor) -> None:
    running.start("steady")
    running.start("steady")
    _until(lambda: running.states()["steady"].alive)
    pid = running.states()["steady"].pid
    os.kill(pid, 0)
    running.stop(["steady"], 20)
    running.stop(["steady"], 20)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_failure_is_reported_and_its_words_are_in_the_log(running: supervise.Supervisor, paths: LabPaths) -> None:
    running.start("failing")
    _until(lambda: running.states()["failing"].failed)
    assert "out of luck" in lifecycle.tail(paths, "failing", 5)


def test_environment_values_arrive_as_they_were_given(running: supervise.Supervisor, paths: LabPaths) -> None:
    running.start("speaking")
    _until(lambda: (paths.logs / "speaking.log").exists() and bool(lifecycle.tail(paths, "speaking", 1)))
    assert lifecycle.tail(paths, "speaking", 1) == "True"


def test_what_a_killed_supervisor_left_is_found_and_ended(paths: LabPaths) -> None:
    paths.spec.touch()
    supervisor = supervise.launch(paths, _TABLE)
    supervisor.start("steady")
    # Until it is past its one line: the supervisor reads what its programs say, and a line to nobody ends them.
    _until(lambda: "steady here" in (paths.logs / "steady.log").read_text())
    pid = supervisor.states()["steady"].pid
    os.kill(supervisor.pid(), signal.SIGKILL)
    _until(lambda: supervise.connect(paths) is None)
    try:
        _until(lambda: [process.pid for process in supervise.survivors(paths)] == [pid])
        assert supervise.survivors(LabPaths(paths.root / "another")) == []
    finally:
        assert lifecycle.down(paths, Quiet())
    assert supervise.survivors(paths) == []
    assert not lifecycle.down(paths, Quiet())


def test_without_a_supervisor_there_is_no_connection(paths: LabPaths) -> None:
    assert supervise.connect(paths) is None


def test_the_supervisor_begins_new_logs_for_programs_that_do_not(paths: LabPaths) -> None:
    own, other = _TABLE[0], replace(_TABLE[1], own_log=False)
    conf = configparser.ConfigParser(interpolation=None)
    conf.read_string(supervise.configuration(paths, (own, other)))
    assert conf["program:steady"]["stdout_logfile_maxbytes"] == "0"
    assert conf["program:failing"]["stdout_logfile_maxbytes"] == f"{supervise.LOG_MEGABYTES}MB"


def test_programs_see_nothing_of_the_users_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLOUD", "production")
    from bigiron.lab.services import base_environment

    assert "OS_CLOUD" not in base_environment()
