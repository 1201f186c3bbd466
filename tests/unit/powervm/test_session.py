"""The session against a small HTTP service that counts connections and can misbehave."""

from __future__ import annotations

import io
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from pypowervm import exceptions as pvm

from bigiron.errors import AuthError, Timeout, Unavailable
from bigiron.powervm.connect import log_on
from bigiron.powervm.errors import translated
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Call, PowerVMSession

WEB = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/"
PASSWORD = "s3cret&<"


class Service(ThreadingHTTPServer):
    """Logon, and GET/PUT/DELETE of /rest/api/uom/X, which answer their method; what it saw is kept."""

    daemon_threads = True

    def __init__(self, token_file: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token_file = token_file
        self.guard = threading.Lock()
        self.connections = 0
        self.logons = 0
        self.valid: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.drop_next = 0
        self.hang_s = 0.0
        self.logon_hang_s = 0.0
        self.declare = False

    def expire(self) -> None:
        self.valid.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def setup(self) -> None:
        super().setup()
        with self.server.guard:
            self.server.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, text: str = "") -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/atom+xml")
        self.send_header("X-MC-Type", "PVM")
        self.end_headers()
        self.wfile.write(data)

    def _serve(self) -> None:
        service = self.server
        body = self._body().decode("utf-8", "replace")
        if self.path.endswith("/web/Logon") and self.command == "PUT":
            self._log_on(body)
            return
        with service.guard:
            service.requests.append((self.command, self.path))
            drop = service.drop_next > 0
            service.drop_next -= drop
        if drop:
            self.close_connection = True
            return
        time.sleep(service.hang_s)
        if self.headers.get("X-API-Session") not in service.valid:
            self._answer(401)
        else:
            if self.path.endswith("/web/Logon"):
                service.valid.discard(self.headers["X-API-Session"])
            declaration = '<?xml version="1.0" encoding="UTF-8"?>' if service.declare else ""
            self._answer(200, f"{declaration}<{self.command}>{len(body)} ä</{self.command}>")

    def _log_on(self, body: str) -> None:
        service = self.server
        time.sleep(service.logon_hang_s)
        with service.guard:
            service.logons += 1
            token = f"token-{service.logons}"
            service.valid.add(token)
        if "GenerateX-API-SessionFile" in body:
            service.token_file.write_text(token + "\n")
            answer = f"<X-API-SessionFile>{service.token_file}</X-API-SessionFile>"
        elif "s3cret&amp;&lt;" in body:
            answer = f"<X-API-Session>{token}</X-API-Session>"
        else:
            self._answer(401)
            return
        self._answer(200, f'<LogonResponse xmlns="{WEB}" schemaVersion="V1_0">{answer}</LogonResponse>')

    do_GET = do_PUT = do_DELETE = do_POST = _serve


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path / "token") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def options(service: Service) -> PowerVMOptions:
    return PowerVMOptions(
        rest_host="127.0.0.1",
        rest_port=service.server_address[1],
        rest_protocol="http",
        rest_username="padmin",
        rest_password=PASSWORD,
        rest_timeout=10,
        connect_timeout_s=0.1,
    )


@pytest.fixture
def session(options: PowerVMOptions) -> Iterator[PowerVMSession]:
    session = PowerVMSession(options)
    yield session
    session.close()


def log_on_once(options: PowerVMOptions) -> PowerVMSession:
    return log_on(options, None, threading.Event(), wait=False)


def test_calls_share_one_connection(service: Service, session: PowerVMSession) -> None:
    for _ in range(20):
        assert session.request("GET", "/rest/api/uom/X").status == 200
    assert service.connections == 1
    assert len(service.requests) == 20


def test_threads_share_a_pool_no_larger_than_they_are(service: Service, session: PowerVMSession) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: session.request("GET", "/rest/api/uom/X"), range(100)))
    assert service.connections <= 5
    assert len(service.requests) == 100


def test_an_ended_session_is_renewed_once_by_all_threads_together(service: Service, session: PowerVMSession) -> None:
    service.expire()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: session.request("GET", "/rest/api/uom/X").status, range(8)))
    assert answers == [200] * 8
    assert service.logons == 2


def test_wrong_credentials_are_tried_once_and_named(service: Service, options: PowerVMOptions) -> None:
    with pytest.raises(AuthError, match="rest_username and rest_password"):
        log_on_once(replace(options, rest_password="wrong"))
    assert service.logons == 1


def test_credentials_that_stop_working_are_not_tried_again_and_again(service: Service, session: PowerVMSession) -> None:
    session.password = "changed meanwhile"
    service.expire()
    for _ in range(3):
        with pytest.raises(pvm.HttpUnauth):
            session.request("GET", "/rest/api/uom/X")
    assert service.logons == 2


def test_credentials_rejected_for_a_moment_work_again_after_a_pause(
    service: Service, session: PowerVMSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigiron.powervm.session._REJECTED_PAUSE_S", 0.0)
    right, session.password = session.password, "not known at the moment"
    service.expire()
    with pytest.raises(pvm.HttpUnauth):
        session.request("GET", "/rest/api/uom/X")
    session.password = right
    assert session.request("GET", "/rest/api/uom/X").status == 200


def test_file_logon_reads_the_token_from_the_file(service: Service, options: PowerVMOptions) -> None:
    session = PowerVMSession(replace(options, rest_username=None, rest_password=None))
    assert session.request("GET", "/rest/api/uom/X").status == 200
    assert session.traits.local_api
    session.close()


def test_a_read_is_repeated_on_a_dropped_connection_and_a_write_is_not(
    service: Service, session: PowerVMSession
) -> None:
    service.drop_next = 1
    assert session.request("GET", "/rest/api/uom/X").status == 200
    service.drop_next = 1
    with pytest.raises(pvm.ConnectionError):
        session.request("PUT", "/rest/api/uom/X", body="x")
    assert [method for method, _ in service.requests] == ["GET", "GET", "PUT"]


def test_a_call_without_an_answer_times_out(service: Service, session: PowerVMSession) -> None:
    service.hang_s = 2.0
    with pytest.raises(Timeout, match="Reading X: the REST service did not answer in time"), translated("Reading X"):
        session.request("GET", "/rest/api/uom/X", timeout=0.1)


def test_a_logon_without_an_answer_ends_long_before_other_calls_would(
    service: Service, options: PowerVMOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigiron.powervm.session._LOGON_TIMEOUT_S", 0.1)
    service.logon_hang_s = 2.0
    with pytest.raises(pvm.TimeoutError):
        PowerVMSession(replace(options, rest_timeout=60.0))


def test_text_is_utf8_and_free_of_what_lxml_refuses(service: Service, session: PowerVMSession) -> None:
    service.declare = True
    assert session.request("GET", "/rest/api/uom/X").body == "<GET>0 ä</GET>"


def test_upload_and_download_stream(service: Service, session: PowerVMSession) -> None:
    sent = session.request("PUT", "/rest/api/uom/X", filehandle=io.BytesIO(b"x" * 200_000))
    assert sent.body == "<PUT>200000 ä</PUT>"
    target = io.BytesIO()
    session.request("GET", "/rest/api/uom/X", filehandle=target)
    assert target.getvalue() == "<GET>0 ä</GET>".encode()


def test_the_journal_tells_every_call(service: Service, options: PowerVMOptions) -> None:
    calls: list[Call] = []
    session = PowerVMSession(options, calls.append)
    session.request("PUT", "/rest/api/uom/X", body="12345")
    session.request("PUT", "/rest/api/uom/X", filehandle=iter([b"ab", b"c"]))
    service.drop_next = 1
    with pytest.raises(pvm.ConnectionError):
        session.request("DELETE", "/rest/api/uom/X")
    session.close()
    told = [(call.method, call.path, call.status, call.bytes_sent) for call in calls]
    assert told[0][:3] == ("PUT", "/rest/api/web/Logon", 200)
    assert told[1:4] == [
        ("PUT", "/rest/api/uom/X", 200, 5),
        ("PUT", "/rest/api/uom/X", 200, 3),
        ("DELETE", "/rest/api/uom/X", 0, 0),
    ]
    assert told[-1][:2] == ("DELETE", "/rest/api/web/Logon")
    assert calls[1].bytes_received > 0 and calls[1].milliseconds > 0


def test_the_password_is_in_no_log_and_no_representation(
    service: Service, options: PowerVMOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = PowerVMSession(options)
    session.request("GET", "/rest/api/uom/X")
    session.close()
    with pytest.raises(AuthError):
        log_on_once(replace(options, rest_password="n0pe-sesame"))
    assert "s3cret" not in caplog.text and "sesame" not in caplog.text and "token-" not in caplog.text
    assert "s3cret" not in repr(options)


def test_closing_twice_logs_off_once_and_leaves_no_thread(service: Service, options: PowerVMOptions) -> None:
    before = {thread.name for thread in threading.enumerate()}
    session = PowerVMSession(options)
    session.close()
    session.close()
    assert service.requests == [("DELETE", "/rest/api/web/Logon")]
    after = {thread.name for thread in threading.enumerate()}
    assert not {name for name in after - before if "process_request_thread" not in name}


def test_a_session_that_is_renewed_while_it_is_closed_is_logged_off(
    service: Service, session: PowerVMSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_on = session._logon

    def closed_meanwhile() -> None:
        session.close()
        log_on()

    monkeypatch.setattr(session, "_logon", closed_meanwhile)
    service.expire()
    with pytest.raises(pvm.HttpUnauth):
        session.request("GET", "/rest/api/uom/X")
    assert service.logons == 2
    assert not service.valid
    assert service.requests[0] == ("GET", "/rest/api/uom/X")
    assert set(service.requests[1:]) == {("DELETE", "/rest/api/web/Logon")}, "nothing is asked of a closed session"


def test_a_service_that_is_down_is_waited_for(options: PowerVMOptions, caplog: pytest.LogCaptureFixture) -> None:
    down = replace(options, rest_port=1)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 did not answer .* rest_host and rest_port"):
        log_on(down, None, threading.Event())
    assert "Waiting for the PowerVM REST service at 127.0.0.1:1" in caplog.text


def test_waiting_ends_when_the_process_is_told_to_stop(options: PowerVMOptions) -> None:
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    with pytest.raises(Unavailable):
        log_on(replace(options, rest_port=1, connect_timeout_s=0), None, stopping)


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secured(self, service: Service, options: PowerVMOptions, authority: trustme.CA) -> PowerVMOptions:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        service.socket = context.wrap_socket(service.socket, server_side=True)
        return replace(options, rest_protocol="https")

    def test_an_untrusted_certificate_is_refused_and_the_option_named(self, secured: PowerVMOptions) -> None:
        with pytest.raises(AuthError, match="rest_cacert"):
            log_on_once(secured)

    def test_a_trusted_one_is_verified_on_every_call(
        self, service: Service, secured: PowerVMOptions, authority: trustme.CA, tmp_path: Path
    ) -> None:
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        session = log_on_once(replace(secured, rest_cacert=str(bundle)))
        assert session.request("GET", "/rest/api/uom/X").status == 200
        # A call after the logon meets another certificate: pypowervm would not look at it.
        session._http.close()
        assert isinstance(service.socket, ssl.SSLSocket)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(service.socket.context)
        with pytest.raises(pvm.SSLError):
            session.request("GET", "/rest/api/uom/X")
        session.close()

    def test_the_environment_does_not_decide_whom_to_trust(
        self, secured: PowerVMOptions, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        with pytest.raises(AuthError, match="rest_cacert"):
            log_on_once(replace(secured, rest_cacert=str(other)))
