"""Lets several asyncio loops run in one process under eventlet, where all threads are green and share one real thread.

asyncio notes for each real thread which loop runs in it, and refuses a second one. A nova-compute has one loop, the
consoles'; a test process has the simulator's as well. Each of them is the running one only while it does not wait.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        waits = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None = None) -> Any:
            asyncio._set_running_loop(None)
            try:
                return waits(timeout)
            finally:
                asyncio._set_running_loop(self)

        self._selector.select = select  # type: ignore[attr-defined]


def install() -> None:
    """Have new loops be of this kind."""
    asyncio.DefaultEventLoopPolicy._loop_factory = _Loop
