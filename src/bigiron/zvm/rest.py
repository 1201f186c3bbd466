"""The REST client of the z/VM Cloud Connector: one pool of connections, TLS verified, a token kept until it ends.

Written for server 1.6.3 and 1.6.7. The connector's own client is not used: it asks for a token before each call,
verifies nothing, and is one package with the server.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from bigiron import pool
from bigiron.errors import AuthError, InvalidSpec, PlatformError, Timeout, Unavailable, Unsupported
from bigiron.journal import Call, Journal
from bigiron.zvm.errors import Answer, Damaged, Full, Locked, Rejected, Unreached, translate
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.token import Token

LOG = logging.getLogger(__name__)

# The connector's server reads one block of 4096 bytes of a request; it gets ours, a little rewritten by the web side.
_BODY_MAX = 3800
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_CHUNK = 1 << 16
_ENDS = "The connection to the Cloud Connector is closed, as the process ends."
_JSON = {"Content-Type": "application/json"}
_OCTETS = {"Content-Type": "application/octet-stream"}


class Connector:
    """One Cloud Connector; safe to use from many threads."""

    def __init__(self, options: ZvmOptions, journal: Journal | None = None) -> None:
        self.options = options
        self.journal = journal
        self._base = options.cloud_connector_url.rstrip("/")
        self._http = pool.connections(options.ca_file, options.max_parallel)
        self._token = Token(options.token_path, self._ask_token)
        self._closed = threading.Event()

    def close(self) -> None:
        """Close the connections and end all waiting; safe to call twice."""
        self._closed.set()
        self._http.close()

    def pause(self, seconds: float) -> None:
        """Wait so long; raises Unavailable where the connections are closed meanwhile."""
        if self._closed.wait(seconds):
            raise Unavailable(_ENDS)

    # Requests with JSON on both sides

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        what: str,
        timeout_s: float | None = None,
        retry: bool = True,
        undo: Callable[[], object] | None = None,
    ) -> Any:
        """Send a request and return the `output` of its answer; `what` names the action and the object for errors.

        Repeats, for a while, what the connector refused undone: a locked directory entry, too many deploys at once,
        which last longer. `undo` is for requests that make several things: the lock may have been met by the second.
        """
        pauses = iter(_PAUSES_S if retry else ())
        patient_until = time.monotonic() + (timeout_s or self.options.call_timeout_s)
        pause = 0.0
        while True:
            try:
                return self._once(method, path, body, what, timeout_s)
            except (Locked, Rejected) as error:
                following = next(pauses, None)
                if self._closed.is_set():
                    raise
                if following is not None:
                    pause = following
                elif not (retry and isinstance(error, Full) and time.monotonic() < patient_until):
                    raise
                LOG.debug("trying again in %.1f s: %s", pause, error)
                self.pause(pause)
                if undo is not None and isinstance(error, Locked):
                    undo()

    def _once(self, method: str, path: str, body: Any, what: str, timeout_s: float | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        if data is not None and len(data) > _BODY_MAX:
            raise InvalidSpec(
                f"{what}: the request has {len(data)} bytes, and the Cloud Connector takes {_BODY_MAX} at most. "
                "Ask for fewer disks or network adapters at once."
            )
        with self._answered(method, path, what, data, _JSON if data else {}, timeout_s) as response:
            return checked(response.status_code, response.content, what, f"{method} {path}")

    # Files

    def upload(self, stream: BinaryIO, size: int, what: str) -> str:
        """Put a file of so many bytes on the connector's host and return its path there (PUT /files).

        Raises Damaged.
        """
        counted = _Upload(stream, size, what)
        headers = {**_OCTETS, "Content-Length": str(size)}
        timeout = self.options.deploy_timeout_s
        with self._answered("PUT", "/files", what, counted, headers, timeout, once=True) as response:
            output = checked(response.status_code, response.content, what, "PUT /files")
        path = str(output["dest_url"]).removeprefix("file://")
        if output.get("filesize_in_bytes") != size or output.get("md5sum") != counted.md5.hexdigest():
            raise Damaged(f"{what}: the file has arrived damaged at the Cloud Connector; try again.", path)
        return path

    @contextlib.contextmanager
    def download(self, path: str, what: str) -> Iterator[Iterator[bytes]]:
        """The bytes of a file on the connector's host, in chunks (POST /files); raises NotFound."""
        body = json.dumps({"source_file": path}).encode()
        timeout = self.options.deploy_timeout_s
        with self._answered("POST", "/files", what, body, _JSON, timeout, stream=True) as response:
            if response.status_code != 200 or "json" in response.headers.get("Content-Type", ""):
                checked(response.status_code, response.content, what, "POST /files")
                raise PlatformError(f"{what}: the Cloud Connector sent no file.")
            yield self._chunks(response, what)

    @staticmethod
    def _chunks(response: requests.Response, what: str) -> Iterator[bytes]:
        try:
            yield from response.iter_content(_CHUNK)
        except (requests.exceptions.RequestException, OSError) as error:
            raise Unavailable(f"{what}: the Cloud Connector broke off ({error}).") from error

    # One exchange

    @contextlib.contextmanager
    def _answered(
        self,
        method: str,
        path: str,
        what: str,
        data: Any,
        headers: dict[str, str],
        timeout_s: float | None,
        *,
        once: bool = False,
        stream: bool = False,
    ) -> Iterator[requests.Response]:
        """The answer to a request with our token, which is renewed once where it is rejected.

        `once`: the body cannot be sent twice. The connector looks at the token before it reads the body.
        """
        token = self._token.get(fresh_for_s=60.0 if once else 0.0)
        response = self._exchange(method, path, what, data, {**headers, **token.header}, timeout_s, stream)
        if response.status_code == 401 and token.header and not once:
            response.close()
            token = self._token.renew(token)
            response = self._exchange(method, path, what, data, {**headers, **token.header}, timeout_s, stream)
        with contextlib.closing(response):
            yield response

    def _ask_token(self, secret: str) -> str:
        what = "Asking the Cloud Connector for a token"
        response = self._exchange("POST", "/token", what, None, {"X-Admin-Token": secret}, None, False)
        with contextlib.closing(response):
            token = response.headers.get("X-Auth-Token")
            if response.status_code != 200 or not token:
                checked(response.status_code, response.content, what, "POST /token")
                raise AuthError(f"{what}: it sent none. Check auth in the [wsgi] section of its zvmsdk.conf.")
            return token

    def _exchange(
        self,
        method: str,
        path: str,
        what: str,
        data: Any,
        headers: dict[str, str],
        timeout_s: float | None,
        stream: bool,
    ) -> requests.Response:
        if self._closed.is_set():
            # A closed session connects again: what is queued would keep the process from ending for minutes.
            raise Unreached(f"{what}: not asked for. {_ENDS}")
        timeout = timeout_s or self.options.call_timeout_s
        started = time.monotonic()
        status, received = 0, 0
        try:
            response = pool.send(
                self._http, method, self._base + path, body=lambda: data, headers=headers, timeout_s=timeout,
                stream=stream, again=method == "GET",
            )  # fmt: skip
            status = response.status_code
            received = 0 if stream else len(response.content)
            return response
        except requests.exceptions.RequestException as error:
            raise self._unanswered(error, what, timeout) from error
        finally:
            if self.journal is not None:
                sent = len(data) if isinstance(data, bytes) else getattr(data, "len", 0)
                elapsed = (time.monotonic() - started) * 1000
                self.journal(Call(method, path, status, sent, received, elapsed))

    def _unanswered(self, error: requests.exceptions.RequestException, what: str, timeout_s: float) -> PlatformError:
        if isinstance(error, requests.exceptions.SSLError):
            return AuthError(
                f"{what}: the certificate of the Cloud Connector is not trusted ({error}). Set [zvm] ca_file to the "
                "file with the certificate authority that signed it."
            )
        if isinstance(error, requests.exceptions.ReadTimeout):
            return Timeout(f"{what}: the Cloud Connector did not answer within {timeout_s:.0f} s.")
        kind = Unreached if _is_unreached(error) else Unavailable
        return kind(
            f"{what}: the Cloud Connector at {self._base} cannot be reached ({error}). Start it, or correct [zvm] "
            "cloud_connector_url."
        )


def _is_unreached(error: requests.exceptions.RequestException) -> bool:
    """Whether there was no connection, so that nothing can have been asked for."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def checked(status: int, content: bytes, what: str, detail: str) -> Any:
    """The output of an answer; raises what its codes say."""
    try:
        fields = json.loads(content)
        codes = {name: int(fields[name]) for name in ("overallRC", "rc", "rs")}
    except (ValueError, KeyError, TypeError):
        raise _foreign(status, content, what, detail) from None
    message = str(fields.get("errmsg") or "")
    answer = Answer(codes["overallRC"], codes["rc"], codes["rs"], fields.get("modID"), message, fields.get("output"))
    if answer.overall != 0:
        raise translate(answer, what, detail)
    return answer.output


def _foreign(status: int, content: bytes, what: str, detail: str) -> PlatformError:
    """An answer that is not the connector's: another server's, or that of the web server before it."""
    if status == 401:
        return translate(Answer(400, 400, 401, None, "", ""), what, detail)
    if status in (404, 405):
        return Unsupported(
            f"{what}: the server at [zvm] cloud_connector_url does not know {detail} (HTTP {status}): it is no Cloud "
            "Connector, or an older one.",
            detail=detail,
        )
    kind: type[PlatformError] = Unavailable if status in (502, 503, 504) else PlatformError
    beginning = content[:200].decode("utf-8", "replace")
    return kind(f"{what}: the Cloud Connector's answer makes no sense (HTTP {status}: {beginning!r}).", detail=detail)


class _Upload:
    """A stream of a known length, as the HTTP library wants it, that fails where it ends early."""

    def __init__(self, stream: BinaryIO, size: int, what: str) -> None:
        self.len = size
        self.md5 = hashlib.md5(usedforsecurity=False)
        self._stream = stream
        self._left = size
        self._what = what

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(self._left if count < 0 else min(count, self._left))
        if not data and self._left:
            raise PlatformError(f"{self._what}: the data ends {self._left} bytes too early; upload the image again.")
        self._left -= len(data)
        self.md5.update(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk
