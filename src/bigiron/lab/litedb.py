"""SQLite made safe under a threaded service: writer transactions begin with BEGIN IMMEDIATE.

oslo.db begins every transaction with a plain BEGIN. Two threads that read first and write later then both hold a read
snapshot, and SQLite refuses one of them at once ("database is locked"), whatever the busy timeout is. A writer that
takes the write lock when it begins waits for its turn instead. `install()` is called by the control processes before
the service is imported; nova-compute and the agents have no database and do not use it. Nova's fixtures, which the
functional tests start a whole Nova from, take turns at writing too, but not in all cases: there it is needed as well.

oslo.db also opens a file of SQLite anew for each transaction, which takes a third of a service's time: the file's
schema is read, and the settings made, each time. Here an engine keeps a few connections.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import weakref
from typing import Any

from oslo_db.sqlalchemy import enginefacade, engines
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import NullPool, QueuePool

LOG = logging.getLogger(__name__)

BUSY_SECONDS = 60
CONNECTIONS_KEPT = 8
"""By an engine; more are opened when they are wanted, and closed after use."""
_WRITER_OPTION = "litedb_writer"
_HELD = "litedb_held"
_PATH = "litedb_path"
_keepers: dict[str, sqlite3.Connection] = {}
_keepers_lock = threading.Lock()
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_thread = threading.local()


def install() -> None:
    """Tag oslo.db's writer transactions, begin them with the write lock, and keep connections open."""
    _tag_writers()
    _keep_connections()
    event.listen(Engine, "connect", _on_connect)
    # Before oslo.db's own listener, which sees "in_transaction" and leaves the transaction alone.
    event.listen(Engine, "begin", _on_begin)
    event.listen(Engine, "commit", _on_end)
    event.listen(Engine, "rollback", _on_end)


def close_idle() -> None:
    """Close the connections that are kept and not in use, and with them what SQLite has cached of their files."""
    for engine in tuple(_engines):
        engine.dispose()


def release() -> None:
    """Let go of the files that were opened so far; a process whose databases come and go calls it in between."""
    close_idle()
    _engines.clear()
    with _keepers_lock:
        while _keepers:
            _path, keeper = _keepers.popitem()
            keeper.close()


def _keep_connections() -> None:
    plain = engines.create_engine

    def pooled(url: URL, **options: Any) -> tuple[Engine, Engine]:
        if options.get("poolclass") is NullPool and url.get_backend_name() == "sqlite":
            options |= {"poolclass": QueuePool, "pool_size": CONNECTIONS_KEPT, "max_overflow": -1}
            options["pool_pre_ping"] = False
        engine = create_engine(url, **options)
        _engines.add(engine)
        return engine, engine

    engines.create_engine = lambda *args, **options: plain(*args, **{"_engine_target": pooled, **options})


def _tag_writers() -> None:
    factory = enginefacade._TransactionFactory
    writer = enginefacade._WRITER
    plain_connection, plain_session = factory._create_connection, factory._create_session

    def create_connection(self: Any, mode: Any) -> Any:
        connection = plain_connection(self, mode)
        return connection.execution_options(**{_WRITER_OPTION: True}) if mode is writer else connection

    def create_session(self: Any, mode: Any, bind: Any = None) -> Any:
        session = plain_session(self, mode, bind)
        if bind is None and mode is writer and session.bind is not None:
            session.bind = session.bind.execution_options(**{_WRITER_OPTION: True})
        return session

    factory._create_connection, factory._create_session = create_connection, create_session


def _on_connect(connection: Any, record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    if not path:
        # One connection is all that a database in memory has: nothing there waits for a lock.
        return
    record.info[_PATH] = path
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    with _keepers_lock:
        if path not in _keepers:
            _keepers[path] = _keeper(path)


def _keeper(path: str) -> sqlite3.Connection:
    """Open the connection that keeps a file's write-ahead log alive.

    oslo.db uses no pool for SQLite; without a keeper each last close would write the log back and delete it.
    """
    keeper = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    keeper.execute("PRAGMA journal_mode=WAL")
    keeper.execute("PRAGMA synchronous=OFF")
    keeper.execute("SELECT count(*) FROM sqlite_master").fetchall()
    return keeper


def _on_begin(connection: Connection) -> None:
    path = connection.info.get(_PATH)
    if path is None or "in_transaction" in connection.info:
        return
    held: set[str] = _thread.__dict__.setdefault("held", set())
    writes = bool(connection.get_execution_options().get(_WRITER_OPTION))
    if writes and path in held:
        # Waiting for a lock that this very thread holds would never end; the plain BEGIN fails at its first write.
        LOG.error("%s: a thread that holds the write lock began a second writer transaction", path)
        writes = False
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    connection.info["in_transaction"] = True
    if writes:
        held.add(path)
        connection.info[_HELD] = held


def _on_end(connection: Connection) -> None:
    held = connection.info.pop(_HELD, None)
    if held is not None:
        held.discard(connection.info[_PATH])
    connection.info.pop("in_transaction", None)
