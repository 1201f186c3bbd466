"""Requests on Files: their records, and their contents in and out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from lxml import etree
from werkzeug.wrappers import Response

from bigiron.sim.powervm.errors import BadRequest, MethodNotAllowed
from bigiron.sim.powervm.files import FileRecord
from bigiron.sim.powervm.rest import atom
from bigiron.sim.powervm.rest.atom import WEB, Builder
from bigiron.sim.powervm.rest.services import Call, Services, no_content, xml_answer

_CHUNK = 1 << 20


class FileRequests:
    """Handles web/File and web/File/contents."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def record(self, call: Call, uuid: str) -> Response:
        """Answer a request on File or File/uuid."""
        files = self._services.files
        match call.method, bool(uuid):
            case "GET", False:
                return self._feed(call)
            case "GET", True:
                with self._services.latency.spend("get"):
                    pass
                return self._answer(files.get(uuid))
            case "PUT", False:
                wanted = _record(call.element("File"), self._services.clock.milliseconds())
                with self._services.latency.spend("write"):
                    pass
                with self._services.locked() as world:
                    world.check_upload(wanted)
                return self._answer(files.create(wanted))
            case "DELETE", True:
                with self._services.latency.spend("write"):
                    pass
                files.delete(uuid)
                return no_content()
        raise MethodNotAllowed(f"{call.method} is not for {call.http.path}.")

    def contents(self, call: Call, uuid: str) -> Response:
        """Answer a request on File/contents/uuid."""
        if call.method in ("PUT", "POST"):
            return self._receive(call, uuid)
        if call.method != "GET":
            raise MethodNotAllowed(f"{call.method} is not for {call.http.path}: PUT or POST uploads, GET downloads.")
        path, record = self._services.files.content(uuid), self._services.files.get(uuid)
        headers = {"Content-Length": str(path.stat().st_size)}
        return Response(_read(path), headers=headers, content_type=record.media_type, direct_passthrough=True)

    def _receive(self, call: Call, uuid: str) -> Response:
        began = time.monotonic()

        def count(size: int) -> None:
            call.received += size

        record = self._services.files.receive(uuid, call.http.stream, count)
        elapsed = (time.monotonic() - began) * self._services.clock.scale
        self._services.clock.sleep(self._services.latency.seconds("upload", record.received or 0) - elapsed)
        return no_content()

    def _feed(self, call: Call) -> Response:
        records = self._services.files.records()
        with self._services.latency.spend("feed", items=len(records)):
            pass
        if not records:
            return no_content()
        now, url = self._services.clock.now(), self._services.url
        base = f"{url}/rest/api/web/File"
        entries = [atom.entry(_rendered(r, url), f"{base}/{r.uuid}", now, with_etag=True) for r in records]
        return xml_answer(atom.feed(entries, base, now))

    def _answer(self, record: FileRecord) -> Response:
        body = _rendered(record, self._services.url)
        href = f"{self._services.url}/rest/api/web/File/{record.uuid}"
        return xml_answer(atom.entry(body, href, self._services.clock.now(), with_etag=False), body.etag)


def _record(element: etree._Element, created: int) -> FileRecord:
    def text(name: str) -> str | None:
        return (element.findtext(f"{{{WEB}}}{name}") or "").strip() or None

    filename, size = text("Filename"), text("ExpectedFileSizeInBytes") or "0"
    if filename is None or not size.isdigit():
        raise BadRequest("A File needs a Filename and an ExpectedFileSizeInBytes that is a number.")
    return FileRecord(
        uuid="", filename=filename, file_type=text("FileEnumType") or "", vios_uuid=text("TargetVirtualIOServerUUID"),
        target_udid=text("TargetDeviceUniqueDeviceID"), size=int(size), sha256=text("SHA256"),
        media_type=text("InternetMediaType") or "application/octet-stream", created=created,
    )  # fmt: skip


def _rendered(record: FileRecord, url: str) -> atom.Rendered:
    build = Builder("File", "web", record.uuid, record.created)
    root = build.root
    build.value(root, "Filename", record.filename, kb="COR")
    build.value(root, "DateModified", str(record.created))
    build.value(root, "InternetMediaType", record.media_type, kb="COR")
    if record.sha256:
        build.value(root, "SHA256", record.sha256, kb="COR")
    build.value(root, "FileUUID", record.uuid)
    href = f"{url}/rest/api/web/File/contents/{record.uuid}"
    build.child(root, "AssetLink", None, kb="ROR", kxe="false", href=href, rel="related")
    if record.size:
        build.value(root, "ExpectedFileSizeInBytes", str(record.size), kb="COD")
    build.value(root, "CurrentFileSizeInBytes", str(record.received or 0))
    build.value(root, "FileEnumType", record.file_type, kb="COR")
    if record.vios_uuid:
        build.value(root, "TargetVirtualIOServerUUID", record.vios_uuid, kb="COR")
    if record.target_udid:
        build.value(root, "TargetDeviceUniqueDeviceID", record.target_udid, kb="COR")
    return atom.rendered(root, record.uuid, "web")


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
