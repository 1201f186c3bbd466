"""The REST client: tokens, errors, repeats, files, time-outs, certificates."""

from __future__ import annotations

import base64
import errno
import io
import json
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from tests.unit.zvm.recorded import Answer, Recorded, done, failed, handler

from bigiron.errors import (
    AuthError,
    Busy,
    Conflict,
    InvalidSpec,
    NotFound,
    PlatformError,
    Timeout,
    Unavailable,
    Unsupported,
)
from bigiron.journal import Call
from bigiron.zvm.api import Api
from bigiron.zvm.errors import Exists
from bigiron.zvm.rest import Connector
from bigiron.zvm.token import Token
from bigiron.zvm.transfer import RestTransfer, ScpTransfer, SharedTransfer, transfer

Make = Callable[..., Connector]


def _token(lifetime_s: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time() + lifetime_s)}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


def _secret(tmp_path: Path) -> str:
    path = tmp_path / "token.dat"
    path.write_text("shared secret\n")
    return str(path)


def test_a_request_without_token_asks_for_none(recorded: Recorded, connector: Make) -> None:
    recorded.on("GET", "/guests", done(["AA01"]))
    assert connector().call("GET", "/guests", what="Listing") == ["AA01"]
    assert recorded.paths() == ["GET /guests"]
    assert "X-Auth-Token" not in recorded.asked[0].headers


def test_one_token_serves_many_requests(recorded: Recorded, connector: Make, tmp_path: Path) -> None:
    recorded.on("POST", "/token", Answer(b"", headers={"X-Auth-Token": _token(3600)}))
    recorded.on("GET", "/guests", done([]))
    client = connector(token_path=_secret(tmp_path))
    for _ in range(3):
        client.call("GET", "/guests", what="Listing")
    assert recorded.paths() == ["POST /token", *["GET /guests"] * 3]
    assert recorded.asked[0].headers["X-Admin-Token"] == "shared secret"


def test_a_token_is_renewed_before_it_ends(recorded: Recorded, connector: Make, tmp_path: Path) -> None:
    recorded.on("POST", "/token", *(Answer(b"", headers={"X-Auth-Token": _token(life)}) for life in (1, 3600)))
    recorded.on("GET", "/guests", done([]))
    recorded.on("PUT", "/files", "uploaded")
    client = connector(token_path=_secret(tmp_path))
    client.call("GET", "/guests", what="Listing")
    # An upload cannot be sent twice: it does not begin with a token of which a second is left.
    client.upload(io.BytesIO(b"data"), 4, "Uploading")
    assert recorded.paths() == ["POST /token", "GET /guests", "POST /token", "PUT /files"]


def test_a_rejected_token_is_renewed_once(recorded: Recorded, connector: Make, tmp_path: Path) -> None:
    recorded.on("POST", "/token", *(Answer(b"", headers={"X-Auth-Token": token}) for token in ("first", "second")))
    rejected = Answer(failed(400, 400, 401, 120, "ZVMUnauthorized"), 401)
    recorded.on("GET", "/guests", rejected, Answer(done([])))
    client = connector(token_path=_secret(tmp_path))
    client.call("GET", "/guests", what="Listing")
    assert recorded.paths() == ["POST /token", "GET /guests", "POST /token", "GET /guests"]
    assert recorded.asked[-1].headers["X-Auth-Token"] == "second"

    recorded.on("GET", "/guests", rejected)
    with pytest.raises(AuthError, match="token_path"):
        client.call("GET", "/guests", what="Listing")


def test_who_waits_for_a_token_waits_for_one_time_out_only(tmp_path: Path) -> None:
    asked: list[str] = []
    begun = threading.Event()

    def clock() -> float:
        now = time.monotonic()
        if threading.current_thread() is second:
            begun.set()
        return now

    def ask(secret: str) -> str:
        asked.append(secret)
        if len(asked) == 1:
            second.start()
            assert begun.wait(10)
        raise Timeout("no answer within 120 s")

    token = Token(_secret(tmp_path), ask, clock)
    failures: list[Exception] = []

    def get() -> None:
        try:
            token.get()
        except Timeout as error:
            failures.append(error)

    second = threading.Thread(target=get)
    get()
    second.join(10)
    assert len(failures) == 2 and asked == ["shared secret"]
    get()
    assert len(asked) == 2, "who comes later asks again"


def test_a_wrong_secret_names_the_option(recorded: Recorded, connector: Make, tmp_path: Path) -> None:
    recorded.on("POST", "/token", Answer(failed(400, 400, 401, 120, "ZVMUnauthorized"), 401))
    with pytest.raises(AuthError, match="token_path"):
        connector(token_path=_secret(tmp_path)).call("GET", "/guests", what="Listing")
    with pytest.raises(AuthError, match="cannot be read"):
        connector(token_path=str(tmp_path / "missing")).call("GET", "/guests", what="Listing")


def test_a_connector_that_wants_a_token_says_so(recorded: Recorded, connector: Make) -> None:
    recorded.on("GET", "/guests", Answer(failed(400, 400, 401, 120, "ZVMUnauthorized"), 401))
    with pytest.raises(AuthError, match="token_path"):
        connector().call("GET", "/guests", what="Listing")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failed(404, 404, 1, 10, "Guest 'AA01' does not exist."), NotFound),
        (failed(8, 400, 4, 1), NotFound),
        (failed(8, 200, 4, 1), NotFound),
        (failed(8, 400, 8, 1), Exists),
        (failed(300, 300, 13, 40), Exists),
        (failed(300, 300, 20, 40), NotFound),
        (failed(300, 300, 6, 40, "The header of image does not contain built-in disk size units"), InvalidSpec),
        (failed(300, 300, 2, 60, "The specific file x for export does not exist"), NotFound),
        (failed(300, 300, 5, 10, "Failed to capture"), PlatformError),
        (failed(400, 400, 400, 120, "ValidationError"), InvalidSpec),
        (failed(400, 400, 405, 120), Unsupported),
        (failed(100, 100, 3, 400), InvalidSpec),
        (failed(409, 409, 1, 10, "Guest 'AA01' is not in active status."), Conflict),
        (failed(501, 501, 1, 10), Unsupported),
        (failed(101, 101, 6, 110, "Connection reset by peer"), Unavailable),
        (failed(25, -110, 0, 1), Unavailable),
        (failed(500, 500, 1, 100, "Unexpected internal error"), PlatformError),
        (failed(8, 596, 3525, 1), PlatformError),
    ],
)  # fmt: skip
def test_codes_become_errors(recorded: Recorded, connector: Make, answer: dict, kind: type[Exception]) -> None:
    # The status is not what counts: some routes answer 200 to everything.
    recorded.on("GET", "/guests/AA01", answer)
    with pytest.raises(PlatformError, match="Reading AA01") as caught:
        connector().call("GET", "/guests/AA01", what="Reading AA01")
    assert type(caught.value) is kind


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    "answer",
    [failed(8, 400, 12, 1), failed(409, 409, 7, 20), failed(503, 503, 1, 120), failed(101, 101, 2, 110)],
    ids=["locked", "adapter locked", "too many deploys", "sdkserver down"],
)
def test_what_was_refused_undone_is_repeated(recorded: Recorded, connector: Make, answer: dict) -> None:
    recorded.on("POST", "/guests/AA01/action", answer, answer, done())
    connector().call("POST", "/guests/AA01/action", {"action": "start"}, what="Starting AA01")
    assert len(recorded.asked) == 3

    recorded.on("POST", "/guests/AA01/action", answer)
    with pytest.raises(Busy):
        connector(call_timeout_s=0.5).call("POST", "/guests/AA01/action", {"action": "start"}, what="Starting AA01")


def test_a_request_that_the_server_could_not_read_is_not_sent(recorded: Recorded, connector: Make) -> None:
    with pytest.raises(InvalidSpec, match="3800"):
        connector().call("POST", "/guests", {"guest": {"comments": ["x" * 4000]}}, what="Making AA01")
    assert recorded.asked == []


def test_another_server_is_no_connector(recorded: Recorded, connector: Make) -> None:
    recorded.on("GET", "/", Answer(b"<html>404 Not Found</html>", 404, {"Content-Type": "text/html"}))
    with pytest.raises(Unsupported, match="cloud_connector_url"):
        connector().call("GET", "/", what="Asking for the version")
    recorded.on("GET", "/", Answer(b"<html>Bad gateway</html>", 502, {"Content-Type": "text/html"}))
    with pytest.raises(Unavailable):
        connector().call("GET", "/", what="Asking for the version")


def test_a_read_is_repeated_on_a_dropped_connection_and_a_write_is_not(recorded: Recorded, connector: Make) -> None:
    recorded.on("GET", "/guests", Answer(drop=True), Answer(done([])))
    assert connector().call("GET", "/guests", what="Listing") == []
    recorded.on("POST", "/guests", Answer(drop=True))
    with pytest.raises(Unavailable, match="cloud_connector_url"):
        connector().call("POST", "/guests", {}, what="Making AA01")
    assert recorded.paths().count("POST /guests") == 1


def test_a_slow_answer_is_a_timeout(recorded: Recorded, connector: Make) -> None:
    release = threading.Event()
    recorded.on("GET", "/host", Answer(done({}), wait=release))
    with pytest.raises(Timeout, match="within 0 s"):
        connector().call("GET", "/host", what="Reading the host", timeout_s=0.2)
    release.set()


def test_nobody_listens(connector: Make) -> None:
    client = connector(cloud_connector_url="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        client.call("GET", "/", what="Asking")


def test_nothing_is_asked_for_once_it_is_closed(recorded: Recorded, connector: Make, tmp_path: Path) -> None:
    recorded.on("GET", "/guests", done([]))
    client = connector()
    client.call("GET", "/guests", what="Listing")
    client.close()
    with pytest.raises(Unavailable, match=r"Listing: not asked for.*process ends"):
        client.call("GET", "/guests", what="Listing")
    without_token = connector(token_path=_secret(tmp_path))
    without_token.close()
    with pytest.raises(Unavailable, match="token: not asked for"):
        without_token.call("GET", "/guests", what="Listing")
    assert recorded.paths() == ["GET /guests"]


# Files


def test_an_upload_has_a_length_and_is_checked(recorded: Recorded, connector: Make) -> None:
    recorded.on("PUT", "/files", "uploaded")
    content = bytes(range(256)) * 2000
    assert connector().upload(io.BytesIO(content), len(content), "Uploading") == "/files/imported/1"
    asked = recorded.asked[0]
    assert asked.headers["Content-Length"] == str(len(content))
    assert asked.headers["Content-Type"] == "application/octet-stream"
    assert asked.body == content

    output = {"filesize_in_bytes": len(content), "dest_url": "file:///files/imported/1", "md5sum": "0" * 32}
    recorded.on("PUT", "/files", done(output))
    with pytest.raises(PlatformError, match="damaged"):
        connector().upload(io.BytesIO(content), len(content), "Uploading")


def test_what_came_damaged_is_wiped(recorded: Recorded, connector: Make) -> None:
    """It may be a config drive, with a password in it."""
    content = bytes(1000)
    output = {"filesize_in_bytes": 999, "dest_url": "file:///files/imported/1", "md5sum": "0" * 32}
    recorded.on("PUT", "/files", done(output))
    recorded.on("PUT", "/images/bigiron-blank")
    transfer = RestTransfer(Api(connector()))
    with pytest.raises(PlatformError, match="damaged"), transfer.placed(io.BytesIO(content), 1000, "Uploading"):
        raise AssertionError("it is damaged")
    assert recorded.bodies("PUT", "/images/bigiron-blank") == [{"location": {"dest_url": "file:///files/imported/1"}}]


@pytest.mark.parametrize("kind", [RestTransfer, ScpTransfer])
def test_a_connector_that_is_busy_is_no_option_that_is_wrong(
    recorded: Recorded, connector: Make, no_pauses: None, kind: type[RestTransfer | ScpTransfer]
) -> None:
    client = connector(scp_host="nova@127.0.0.1" if kind is ScpTransfer else "")
    recorded.on("GET", "/images?imagename=bigiron-blank", done([{"imagename": "bigiron-blank"}]))
    recorded.on("PUT", "/images/bigiron-blank", failed(101, 101, 2, 110, "no connection to the server"))
    with pytest.raises(Busy, match="no connection to the server"):
        transfer(Api(client)).start()


def test_a_scratch_directory_that_stays_is_named_and_fails_nothing(
    connector: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    shared = SharedTransfer(Api(connector()), tmp_path)
    monkeypatch.setattr("bigiron.zvm.transfer.shutil.rmtree", busy)
    with shared.placed(io.BytesIO(b"disk"), 4, "Handing over") as path:
        assert Path(path).read_bytes() == b"disk"
    assert f"{Path(path).parent} stays, remove it by hand" in caplog.text
    with pytest.raises(InvalidSpec, match="the first"), shared.placed(io.BytesIO(b"disk"), 4, "Handing over"):
        raise InvalidSpec("the first")


def test_an_upload_that_ends_early_fails(recorded: Recorded, connector: Make) -> None:
    recorded.on("PUT", "/files", "uploaded")
    with pytest.raises(PlatformError, match="ends 6 bytes too early"):
        connector().upload(io.BytesIO(b"half"), 10, "Uploading")


def test_a_download_is_bytes(recorded: Recorded, connector: Make) -> None:
    content = b"\xff\x00binary" * 20000
    recorded.on("POST", "/files", content)
    with connector().download("/images/0100", "Fetching") as chunks:
        assert b"".join(chunks) == content
    assert recorded.asked[0].body == {"source_file": "/images/0100"}

    recorded.on("POST", "/files", failed(300, 300, 2, 60, "The specific file does not exist"), status=500)
    with pytest.raises(NotFound), connector().download("/nowhere", "Fetching"):
        pass


def test_calls_are_journalled(recorded: Recorded, connector: Make) -> None:
    calls: list[Call] = []
    client = connector()
    client.journal = calls.append
    recorded.on("POST", "/guests/AA01/action", done())
    client.call("POST", "/guests/AA01/action", {"action": "start"}, what="Starting")
    assert [(call.method, call.path, call.status) for call in calls] == [("POST", "/guests/AA01/action", 200)]
    assert calls[0].bytes_sent == len(b'{"action": "start"}')


# TLS


def test_the_certificate_is_verified(recorded: Recorded, connector: Make, tmp_path: Path) -> None:
    from http.server import ThreadingHTTPServer

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(recorded))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}"
        recorded.on("GET", "/", done({"version": "1.6.3"}))
        with pytest.raises(AuthError, match="ca_file"):
            connector(cloud_connector_url=url).call("GET", "/", what="Asking")
        ca_file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        trusting = connector(cloud_connector_url=url, ca_file=str(ca_file))
        assert trusting.call("GET", "/", what="Asking") == {"version": "1.6.3"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_shared_directory_that_is_gone_is_named(connector: Make, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    transfer = SharedTransfer(Api(connector()), folder)
    gone = pytest.raises(PlatformError, match=r"shared_path: .*shared cannot be used")
    with gone, transfer.placed(io.BytesIO(b"data"), 4, "Uploading"):
        raise AssertionError("it is gone")
    folder.mkdir()
    with gone, transfer.config_drive(tmp_path / "no.iso", "NV000001", "rhel9"):
        raise AssertionError("there is none")
    with transfer.placed(io.BytesIO(b"data"), 4, "Uploading") as path:
        assert Path(path).read_bytes() == b"data"
    assert not list(folder.iterdir())
