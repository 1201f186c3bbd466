"""The server of the lab's APIs."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import requests

from bigiron.lab.control import serving


def _application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Reads the body and closes it, as Glance does."""
    body = b""
    if environ["REQUEST_METHOD"] == "PUT":
        stream = environ["wsgi.input"]
        while part := stream.read(4):
            body += part
        stream.close()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_a_client_goes_on_after_an_upload_in_chunks() -> None:
    server = serving.make_server(_application, 0, 2)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.bind_addr[1]}/"
        with requests.Session() as client:
            for _ in range(3):
                assert client.put(url, data=iter([b"an ", b"image"]), timeout=20).content == b"an image"
                assert client.get(url, timeout=20).status_code == 200
    finally:
        server.stop()
        thread.join(20)
