"""HTTP serving on cheroot: many threads, keep-alive, TLS, and connections that an application can cut."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_CUT = "bigiron.cut"


def parse_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; IPv6 hosts stand in brackets, port 0 means a free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535 or not host:
        raise ValueError(f"address {text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def cut(environ: WSGIEnvironment) -> NoReturn:
    """End the request's connection without an answer."""
    connection = environ[_CUT]
    try:
        connection.socket.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise
    raise BrokenPipeError(errno.EPIPE, "cut by the fault plan")


class _Gateway(wsgi.Gateway_10):
    """Lets the application reach the connection that it answers."""

    def get_environ(self) -> Any:
        environ = super().get_environ()  # type: ignore[no-untyped-call]
        environ[_CUT] = self.req.conn
        return environ


class HttpServer:
    """One listening address that serves one WSGI application from threads."""

    def __init__(
        self,
        listen: tuple[str, int],
        app: WSGIApplication,
        *,
        threads: int,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._server = wsgi.Server(
            listen, app, numthreads=threads, request_queue_size=256, timeout=120, shutdown_timeout=2
        )
        self._server.gateway = _Gateway
        self._server.keep_alive_conn_limit = 1024
        self._server.nodelay = True
        self._server.expiration_interval = 0.1  # how soon stop() is noticed
        self._tls = tls is not None
        if tls is not None:
            self._server.ssl_adapter = BuiltinSSLAdapter(str(tls[0]), str(tls[1]))
            self._server.ssl_adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._host = listen[0]
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)

    def bind(self) -> None:
        """Take the address, so that its port is known; connections wait until start()."""
        self._server.prepare()

    def start(self) -> None:
        """Serve what connects."""
        self._thread.start()

    def stop(self) -> None:
        """End serving; requests in progress get a short time to finish."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._server.bind_addr[1])

    @property
    def url(self) -> str:
        """The address as clients write it, without a slash at its end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"
