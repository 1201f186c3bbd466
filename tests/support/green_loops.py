"""Lets several asyncio loops run in one process under eventlet, where all threads are green and share one real thread.

asyncio in C notes for each real thread which loop runs in it. A nova-compute has one loop, the consoles'; a test
process has the simulator's as well, and each would be taken for the other. asyncio in Python keeps that note in a
thread-local variable, which eventlet has made one of green threads.
"""

from __future__ import annotations

import importlib
import sys


def install() -> None:
    """Have asyncio without its part in C, imported anew; whoever imported it before keeps what he has."""
    sys.modules["_asyncio"] = None  # type: ignore[assignment]
    for name in [name for name in sys.modules if name.partition(".")[0] == "asyncio"]:
        del sys.modules[name]
    importlib.import_module("asyncio")
