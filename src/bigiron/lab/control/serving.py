"""Serve a project's WSGI application, and end the process cleanly when the supervisor asks for it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

from cheroot import wsgi

from bigiron.lab.ports import LOOPBACK

LOG = logging.getLogger(__name__)


class _Gateway(wsgi.Gateway_10):
    """Ends the connection after a body in chunks, such as an image: Glance closes what it has read, and cheroot would
    then answer the next request of the connection with an error."""

    def respond(self) -> None:
        if self.req.chunked_read:
            self.req.close_connection = True
        super().respond()


def make_server(application: Any, port: int, threads: int) -> wsgi.Server:
    """The server of an application, not started yet."""
    server = wsgi.Server((LOOPBACK, port), application, numthreads=threads, request_queue_size=128, timeout=120)
    server.gateway = _Gateway
    return server


def serve(application: Any, port: int, threads: int, on_stop: Iterable[Callable[[], None]] = ()) -> None:
    """Answer requests until SIGTERM or SIGINT, then call `on_stop` and leave the process."""
    server = make_server(application, port, threads)

    def finish(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    try:
        server.safe_start()
    finally:
        server.stop()
        with ThreadPoolExecutor() as pool:
            list(pool.map(_attempt, on_stop))
        logging.shutdown()
        sys.stderr.flush()
        # The services' executor threads are not daemons, and their periodic tasks would hold the process for minutes.
        os._exit(0)


def _attempt(stop: Callable[[], None]) -> None:
    try:
        stop()
    except Exception:  # One service that cannot stop must not keep the others from stopping.
        LOG.exception("%s failed while the process was ending", stop)
