"""Chooses how Nova runs its work, before anything else is imported: on native threads, or under eventlet.

Nova 34's services run on native threads unless told otherwise, and so do these tests. Nova 33's nova-compute runs under
eventlet, and so do its fixtures; BIGIRON_CONCURRENCY=threading has them run on native threads, with what
tests/functional/nova33.py lends them. Nothing of ours imports eventlet in either case: `make lint` checks that.
"""

# ruff: noqa: E402 - Nova decides how to run when it is first imported

import importlib.metadata
import os
import re

NOVA = int(importlib.metadata.version("nova").partition(".")[0])
CONCURRENCY = os.environ.get("BIGIRON_CONCURRENCY") or ("eventlet" if NOVA < 34 else "threading")

# Nova's own test package decides by this, at its first import.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1" if CONCURRENCY == "threading" else "0"

import nova.monkey_patch

nova.monkey_patch.patch(backend=CONCURRENCY)

import hypothesis
import pytest

# A deadline for each example is a timed test, and fails where the machine has other work.
hypothesis.settings.register_profile("bigiron", deadline=None)
hypothesis.settings.load_profile("bigiron")

if CONCURRENCY == "eventlet":
    from tests.support import green_loops

    green_loops.install()

if worker := re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", "")):
    # A test process has a hundred threads and more, of which Python runs one at a time: handing that turn from core to
    # core costs more than a second core gives.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker[1]) % len(cores)]})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, begin with the tests that take longest, so that no worker is left alone with one in the end."""
    if not hasattr(config, "workerinput"):
        return
    items.sort(key=lambda item: not (item.get_closest_marker("long") or item.get_closest_marker("full")))
