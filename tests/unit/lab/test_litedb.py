"""Threads that read first and write later in one transaction all succeed, where plain oslo.db loses some of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In a process of its own: install() changes oslo.db for good.
_SCRIPT = """
import sys, threading
if sys.argv[2] == "safe":
    from bigiron.lab import litedb
    litedb.install()
from oslo_db import exception
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import exc, text
manager = enginefacade.transaction_context()
manager.configure(connection=f"sqlite:///{sys.argv[1]}?timeout=30", sqlite_synchronous=False)
class Context: pass
def writer():
    return manager.writer.using(Context())
with writer() as session:
    session.execute(text("create table counter (value integer)"))
    session.execute(text("insert into counter values (0)"))
failures = []
safe = sys.argv[2] == "safe"
many, times = (8, 25) if safe else (2, 1)
begin, between = threading.Barrier(many), threading.Barrier(many)
def count():
    begin.wait()
    for _ in range(times):
        try:
            with writer() as session:
                value = session.execute(text("select value from counter")).scalar()
                if not safe:
                    between.wait(60)
                session.execute(text("update counter set value = :value"), {"value": value + 1})
        except (exception.DBError, exc.OperationalError) as error:
            failures.append(error)
threads = [threading.Thread(target=count) for _ in range(many)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with manager.reader.using(Context()) as session:
    print(session.execute(text("select value from counter")).scalar(), len(failures))
"""


def _count(database: Path, mode: str) -> tuple[int, int]:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT, str(database), mode],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    value, failures = answer.stdout.split()
    return int(value), int(failures)


def test_every_increment_of_eight_threads_counts(tmp_path: Path) -> None:
    assert _count(tmp_path / "safe.sqlite", "safe") == (200, 0)


def test_without_it_sqlite_refuses_one_of_two_that_both_read_before_they_write(tmp_path: Path) -> None:
    """The reason for litedb: should this ever pass without failures, the module can go."""
    assert _count(tmp_path / "plain.sqlite", "plain") == (1, 1)
