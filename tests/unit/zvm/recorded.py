"""A small HTTP server that gives answers recorded from a Cloud Connector, in the order in which they are asked for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DONE = {"overallRC": 0, "modID": None, "rc": 0, "rs": 0, "errmsg": "", "output": ""}


def done(output: Any = "") -> dict[str, Any]:
    return {**DONE, "output": output}


def failed(overall: int, rc: int, rs: int, module: int | None = None, message: str = "it failed") -> dict[str, Any]:
    return {"overallRC": overall, "rc": rc, "rs": rs, "modID": module, "errmsg": message, "output": ""}


@dataclass
class Answer:
    """What one request is answered with."""

    body: Any = field(default_factory=lambda: DONE)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    """Close the connection instead."""
    wait: threading.Event | None = None
    """Answer once this is set."""


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]


class Recorded:
    """Answers by method and path; the last of several is given again and again."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: defaultdict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self.url = ""

    def on(self, method: str, path: str, *answers: Any, status: int = 200, **fields: Any) -> None:
        """Answer this request so from now on."""
        queue = self.answers[(method, path)]
        queue.clear()
        for answer in answers or (DONE,):
            queue.append(answer if isinstance(answer, Answer) else Answer(answer, status, **fields))

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def bodies(self, method: str, path: str) -> list[Any]:
        return [asked.body for asked in self.asked if (asked.method, asked.path) == (method, path)]

    def take(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        queue = self.answers.get((asked.method, asked.path))
        if not queue:
            raise AssertionError(f"nothing was recorded for {asked.method} {asked.path}")
        return queue.popleft() if len(queue) > 1 else queue[0]


def handler(recorded: Recorded) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = data
            if data and "json" in self.headers.get("Content-Type", ""):
                body = json.loads(data)
            given = recorded.take(Asked(self.command, self.path, body, dict(self.headers)))
            if given.wait is not None:
                given.wait.wait(10)
            if given.drop:
                self.close_connection = True
                return
            content = given.body
            if content == "uploaded":
                md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
                content = done({"filesize_in_bytes": len(data), "dest_url": "file:///files/imported/1", "md5sum": md5})
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(given.status)
            kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
            for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **given.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *args: Any) -> None:
            return

    return Handler


@contextmanager
def serving(recorded: Recorded) -> Iterator[Recorded]:
    """The server on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(recorded))
    server.daemon_threads = True
    recorded.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield recorded
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
