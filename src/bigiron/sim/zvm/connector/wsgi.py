"""Serve the Cloud Connector's WSGI application: wsgi.py SCRIPT HOST PORT THREADS [CERTIFICATE KEY].

Runs in the server's own environment, so it imports nothing of bigiron but `presence`, which lies beside it. The
server's own script can only listen on every address of the machine and serve one request at a time. Each request is
reported to the simulator, which may have it fail.
"""

from __future__ import annotations

import errno
import json
import os
import runpy
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import bigiron_presence as presence  # type: ignore[import-not-found]
from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

_CONNECTION = "bigiron.connection"

Environ = dict[str, Any]


class Gateway(wsgi.Gateway_10):
    """Lets the application reach the connection that it answers."""

    def get_environ(self) -> Any:
        environ = super().get_environ()  # type: ignore[no-untyped-call]
        environ[_CONNECTION] = self.req.conn
        return environ


def _cut(environ: Environ) -> NoReturn:
    connection = environ[_CONNECTION]
    try:
        connection.socket.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise
    raise BrokenPipeError(errno.EPIPE, "cut by the fault plan")


class Reported:
    """The application, with every request told to the simulator before and after."""

    def __init__(self, application: Callable[..., Iterable[bytes]], line: Any) -> None:
        self._application = application
        self._line = line

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        told = {"method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"]}
        fault = self._line.ask({"request": told}).get("fault")
        began = time.monotonic()
        status, headers, body = self._refused(fault) or self._answered(environ)
        dropped = bool(fault) and fault["action"].startswith("drop")
        told.update(
            status=0 if dropped else int(status.split()[0]), sent=len(body), seconds=time.monotonic() - began,
            received=int(environ.get("CONTENT_LENGTH") or 0), fault=fault["action"] if fault else "",
        )  # fmt: skip
        self._line.ask({"answered": told})
        if dropped:
            _cut(environ)
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    def _refused(self, fault: dict[str, Any] | None) -> tuple[str, list[tuple[str, str]], bytes] | None:
        """The answer of a request that has no effect because a fault has struck it."""
        if not fault or fault["action"] == "drop_after":
            return None
        body = json.dumps(fault["body"]).encode()
        return f"{fault['status']} Injected", [("Content-Type", "application/json")], body

    def _answered(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        kept: dict[str, Any] = {}

        def keep(status: str, headers: list[tuple[str, str]], *_rest: Any) -> None:
            kept.update(status=status, headers=headers)

        body = b"".join(self._application(environ, keep))
        return kept["status"], kept["headers"], body


def main(script: str, host: str, port: str, threads: str, *tls: str) -> None:
    """Serve until the process ends."""
    application = runpy.run_path(script, run_name="zvmsdk_wsgi")["application"]
    reported = Reported(application, presence.Line(os.environ[presence.SOCKET]))
    server = wsgi.Server((host, int(port)), reported, numthreads=int(threads), request_queue_size=128, timeout=3600)
    server.gateway = Gateway
    if tls:
        server.ssl_adapter = BuiltinSSLAdapter(*tls)
    server.safe_start()


if __name__ == "__main__":
    main(*sys.argv[1:])
