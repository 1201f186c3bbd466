"""A session with the PowerVM REST service: one pool of connections, TLS verified, a time-out on each call."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests
from pypowervm import const
from pypowervm import exceptions as pvm
from pypowervm.adapter import Response, Session

from bigiron import pool
from bigiron.journal import Call as Call
from bigiron.journal import Journal as Journal
from bigiron.powervm.options import PowerVMOptions

LOG = logging.getLogger(__name__)

_REJECTED_PAUSE_S = 300.0
_LOGON_TIMEOUT_S = 120.0
_EVENTS = "/uom/Event"
_TOKEN_HEADER = "X-API-Session"
# pypowervm parses text, which lxml refuses where a declaration names an encoding.
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class PowerVMSession(Session):
    """pypowervm's session on one shared connection pool.

    pypowervm opens a TCP connection per call, verifies the certificate only at logon, and repeats a rejected logon
    silently; its event thread keeps a process alive. Here none of that is so: see `events.EventLoop` for the events.
    """

    def __init__(self, options: PowerVMOptions, journal: Journal | None = None) -> None:
        self.journal = journal
        self._logged_in: bool = False
        self._http = _http_session(options)
        self._closed = threading.Event()
        self._no_logon_before = 0.0
        self._logon_lock = threading.Lock()
        super().__init__(
            host=options.rest_host or "localhost",
            username=options.rest_username,
            password=options.rest_password,
            protocol=options.rest_protocol,
            port=options.rest_port,
            timeout=options.rest_timeout,
            certpath=None,
        )

    def __del__(self) -> None:
        # Logging off is `close`'s: the garbage collector must not make remote calls.
        self._http.close()

    def close(self) -> None:
        """Log off and close the connections; safe to call twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._log_off()

    def _log_off(self) -> None:
        if self._logged_in:
            self._logged_in = False
            with contextlib.suppress(pvm.Error):
                # The service may be gone already; it forgets sessions by itself.
                self.request("DELETE", const.LOGON_PATH, relogin=False, timeout=pool.CONNECT_TIMEOUT_S)
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: str | bytes = "",
        sensitive: bool = False,
        verify: bool = False,
        timeout: float = -1,
        auditmemento: str | None = None,
        relogin: bool = True,
        login: bool = False,
        filehandle: Any = None,
        chunksize: int = 65536,
    ) -> Response:
        """Send one request; the signature is pypowervm's, whose `verify` is not used.

        A rejected token is renewed once. An upload's stream cannot be sent twice, so after a renewal it fails.
        """
        headers = dict(headers or {})
        headers["X-Audit-Memento"] = auditmemento or self.auditmemento
        token = None
        if not login:
            token = self._sessToken
            if token is None:
                raise pvm.Error(f"No session with the REST service for {method} {path}")
        upload = filehandle is not None and method in ("PUT", "POST")
        download = filehandle is not None and method == "GET"
        data: Any = self._chunkreader(filehandle, chunksize) if upload else _encoded(body)
        wait = self.timeout if timeout == -1 else timeout
        if login:
            # All that wait for a session wait for this; no work is done that could take long.
            wait = min(wait, _LOGON_TIMEOUT_S)
        answer = self._exchange(method, path, headers, token, data, wait, download)
        with contextlib.closing(answer):
            if answer.status_code == const.HTTPStatus.UNAUTHORIZED and relogin and not login:
                self._renew(token)
                if not upload and not self._closed.is_set():
                    return self.request(
                        method, path, headers, body, sensitive, verify, timeout, auditmemento, False, False,
                        filehandle, chunksize,
                    )  # fmt: skip
            return self._response(method, path, headers, body, answer, filehandle if download else None, chunksize)

    def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        token: str | None,
        data: Any,
        timeout: float,
        stream: bool,
    ) -> requests.Response:
        sent = headers if token is None else {**headers, _TOKEN_HEADER: token}
        counted = _Counted(data)
        started = time.monotonic()
        status, received = 0, 0
        try:
            # No read of events is repeated: those that the lost answer carried are gone, and the reader must know.
            answer = pool.send(
                self._http, method, self.dest + path, body=counted.payload, headers=sent, timeout_s=timeout,
                stream=stream, again=method == "GET" and _EVENTS not in path,
            )  # fmt: skip
            status = answer.status_code
            received = 0 if stream else len(answer.content)
            return answer
        except requests.exceptions.SSLError as error:
            raise pvm.SSLError(f"{method} {path}: {error}") from error
        except requests.exceptions.Timeout as error:
            raise pvm.TimeoutError(f"{method} {path}: {error}") from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise pvm.ConnectionError(f"{method} {path}: {error}") from error
        finally:
            if self.journal is not None:
                elapsed = (time.monotonic() - started) * 1000
                self.journal(Call(method, path, status, counted.size, received, elapsed))

    def _response(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: str | bytes,
        answer: requests.Response,
        target: Any,
        chunksize: int,
    ) -> Response:
        good = 200 <= answer.status_code < 300 or answer.status_code == const.HTTPStatus.NO_CHANGE
        text = ""
        if good and target is not None:
            for chunk in answer.iter_content(chunksize):
                target.write(chunk)
        else:
            text = _XML_DECLARATION.sub("", answer.content.decode("utf-8", "replace"), count=1)
        response = Response(
            method, path, answer.status_code, answer.reason, answer.headers, reqheaders=headers, reqbody=body, body=text
        )
        if not good:
            raise self._get_httperror(response)
        return response

    def _renew(self, rejected: str | None) -> None:
        """Log on again unless another thread has.

        Credentials that are rejected now are left alone for a while, so that no account is locked; not for ever,
        as a directory service that was away for a moment rejects them too.
        """
        with self._logon_lock:
            if self._sessToken != rejected or self._closed.is_set() or time.monotonic() < self._no_logon_before:
                return
            LOG.info("The REST service on %s has ended the session; logging on again", self.host)
            try:
                self._logon()
            except pvm.HttpUnauth:
                self._no_logon_before = time.monotonic() + _REJECTED_PAUSE_S
                LOG.error(
                    "The REST service on %s now rejects the credentials of [powervm] rest_username; the next try is in "
                    "%.0f s",
                    self.host,
                    _REJECTED_PAUSE_S,
                )
                raise
            if self._closed.is_set():
                # Whoever closed it meanwhile could not end a session that there was not yet.
                self._log_off()


class _Counted:
    """A request body whose size is known once it is sent."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.size = len(data) if isinstance(data, bytes) else 0

    def payload(self) -> Any:
        return self._data if isinstance(self._data, bytes) else self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        for chunk in self._data:
            self.size += len(chunk)
            if chunk:
                yield chunk


def _encoded(body: str | bytes | None) -> bytes:
    return body.encode("utf-8") if isinstance(body, str) else body or b""


def _http_session(options: PowerVMOptions) -> requests.Session:
    return pool.connections(options.rest_cacert, max(4, options.max_parallel))
