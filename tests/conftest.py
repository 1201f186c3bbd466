"""Forbids eventlet before anything else is imported: Nova's services run on native threads, and so does all of ours."""

import os
import re

# Nova's own test package decides by this, at its first import.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.monkey_patch
import pytest

nova.monkey_patch.patch(backend="threading")

if worker := re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", "")):
    # A test process has a hundred threads and more, of which Python runs one at a time: handing that turn from core to
    # core costs more than a second core gives.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker[1]) % len(cores)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, so that no worker is left alone with one in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
