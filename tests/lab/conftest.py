"""One lab for all tests in this folder: a new one in a temporary folder, or that in $BIGIRON_LAB_DIR."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from openstack.connection import Connection
from tests.support.lab import SYSTEM, Lab, parts_of

from bigiron.lab.paths import LabPaths


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    given = os.environ.get("BIGIRON_LAB_DIR")
    driver = os.environ.get("BIGIRON_LAB_DRIVER", "powervm")
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = Lab(LabPaths(Path(given or folder)))
        options = ("--driver", driver, *(("--system", str(SYSTEM)) if driver == "powervm" else ()))
        try:
            made.json("up", *(() if given else options))
        except BaseException:
            if not given:
                made.command("destroy", check=False)
            raise
        yield made
        if not given:
            family = made.processes()
            made.command("destroy")
            _, alive = psutil.wait_procs(family, timeout=60)
            assert alive == []
            assert not made.paths.root.exists()
            made.paths.root.mkdir(exist_ok=True)


@pytest.fixture
def cloud(lab: Lab) -> Connection:
    return lab.cloud()


@pytest.fixture
def parts(cloud: Connection) -> Iterator[dict[str, str]]:
    """An image, a flavor and a VLAN network, removed afterwards."""
    with parts_of(cloud, "lab-test") as made:
        yield made
