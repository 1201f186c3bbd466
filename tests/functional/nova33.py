"""Lends Nova 33's fixtures what they lack on native threads, and what Nova 34's have: databases that threads can share.

Nova 33 keeps its databases in memory, in one connection that all threads would use at once, and tells whose
notification is whose by greenlets, of which each native thread has its own. `lend()` gives each database a file of its
own, in the temporary directory that Nova's test case makes and removes, and the running test owns every notification.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import futurist
from nova.db.api import api as api_db_api
from nova.db.main import api as main_db_api
from nova.tests.fixtures import notifications
from oslo_db.sqlalchemy import test_fixtures
from placement import db_api as placement_db
from placement.tests import fixtures as placement_fixtures

from bigiron.lab import litedb

IN_MEMORY = "sqlite://"

# The package's own attribute of that name is Nova itself.
nova_fixtures = importlib.import_module("nova.tests.fixtures.nova")


def lend() -> None:
    """Change the fixtures for this process."""
    for module in (main_db_api, api_db_api):
        _in_files(module)
    _keep_schema_apart()
    _placement_in_file()
    notifications.FakeVersionedNotifier._get_sender_test_case_id = property(lambda self: lambda: self.test_case_id)
    # As Nova 34's fixtures do: else each test waits until the pools' idle threads look up.
    futurist._thread.ThreadWorker.MAX_IDLE_FOR = 0.01


def _file() -> str:
    return f"sqlite:///{tempfile.mkdtemp(prefix='nova-')}/db.sqlite"


def _in_files(module: Any) -> None:
    in_memory = module._get_db_conf

    def in_file(*args: Any, **kwargs: Any) -> dict[str, Any]:
        options = dict(in_memory(*args, **kwargs))
        if options["connection"] == IN_MEMORY:
            options["connection"] = _file()
        return options

    module._get_db_conf = in_file


def _keep_schema_apart() -> None:
    """The first cell's database is made once to learn its schema, and the fixture counts on it to be gone then."""
    fixture = nova_fixtures.CellDatabases
    learn = fixture._cache_schema

    def cache_schema(self: Any, connection: str) -> None:
        known = nova_fixtures.DB_SCHEMA[("main", None)]
        learn(self, connection)
        if not known:
            litedb.release()
            file = Path(self._ctxt_mgrs[connection].writer.get_engine().url.database)
            for each in file.parent.iterdir():
                each.unlink()

    fixture._cache_schema = cache_schema


def _placement_in_file() -> None:
    fixture = placement_fixtures.Database
    in_memory = fixture.__init__

    def in_file(self: Any, conf_fixture: Any, set_config: bool = False) -> None:
        in_memory(self, conf_fixture, set_config)
        url = _file()
        conf_fixture.config(connection=url, group="placement_database")
        test_fixtures.AdHocDbFixture.__init__(self, url)
        placement_db.configure(conf_fixture.conf)

    fixture.__init__ = in_file
