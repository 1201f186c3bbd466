"""Atom feeds and entries as PowerVM writes them, assembled from elements that were rendered once."""

from __future__ import annotations

import hashlib
import re
import uuid as uuidlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

ATOM = "http://www.w3.org/2005/Atom"
UOM = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/"
WEB = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/"
PCM = "http://www.ibm.com/xmlns/systems/power/firmware/pcm/mc/2012_10/"
NAMESPACES = {"uom": UOM, "web": WEB, "pcm": PCM}

CONTENT_TYPE = "application/atom+xml; charset=UTF-8"
_HEAD = f'xmlns="{ATOM}" xmlns:ns2="http://a9.com/-/spec/opensearch/1.1/" xmlns:ns3="http://www.w3.org/1999/xhtml"'
_AUTHOR = "IBM Power Systems Management Console"
_UPTIME = re.compile(r"(<Uptime[^>]*>)[^<]*(</Uptime>)")


@dataclass(frozen=True, slots=True)
class Rendered:
    """An object's element as text, and the etag that changes with it."""

    type: str
    uuid: str
    xml: str
    etag: str
    service: str = "uom"


def rendered(element: etree._Element, uuid: str, service: str = "uom") -> Rendered:
    """Turn a typed element into its text and etag."""
    name = etree.QName(element).localname
    text = _as_captured(element, name)
    # Time passing is no change of the object: an etag that aged by itself would refuse every update.
    digest = hashlib.blake2b(_UPTIME.sub("", text).encode(), digest_size=4).digest()
    return Rendered(name, uuid, text, str(int.from_bytes(digest, signed=True)), service)


def aged(body: Rendered, uptime: int | None) -> Rendered:
    """The same with the time that the object has run by now; its etag stays."""
    if uptime is None:
        return body
    return replace(body, xml=_UPTIME.sub(rf"\g<1>{uptime}\g<2>", body.xml, count=1))


def _as_captured(element: etree._Element, name: str) -> str:
    """Write the root with a prefix that equals its name and all below it without one, whatever prefixes lxml chose."""
    text = etree.tostring(element, encoding="unicode").replace(f"<{name}:", "<").replace(f"</{name}:", "</")
    declared = "" if name in element.nsmap else f' xmlns:{name}="{etree.QName(element).namespace}"'
    inside = text[len(name) + 1 : -(len(name) + 3)]
    return f"<{name}:{name}{declared}{inside}</{name}:{name}>"


def entry(body: Rendered, self_href: str, seconds: float, *, with_etag: bool) -> str:
    """An entry; inside feeds it carries its etag, alone it does not because the ETag header does."""
    etag = f'<etag:etag xmlns:etag="{UOM}" xmlns="{UOM}">{body.etag}</etag:etag>' if with_etag else ""
    link = f'<link rel="SELF" href={quoteattr(self_href)}/>' if self_href else ""
    return (
        f"<entry {_HEAD}><id>{escape(body.uuid)}</id><title>{body.type}</title><published>{stamp(seconds)}</published>"
        f"{link}<author><name>{_AUTHOR}</name></author>{etag}"
        f'<content type="application/vnd.ibm.powervm.{body.service}+xml; type={body.type}">{body.xml}</content></entry>'
    )


def feed(entries: Iterable[str], self_href: str, seconds: float) -> str:
    """A feed; clients rely on the entries being last."""
    identity = uuidlib.uuid5(uuidlib.NAMESPACE_URL, self_href)
    return (
        f"<feed {_HEAD}><id>{identity}</id><updated>{stamp(seconds)}</updated>"
        f'<link rel="SELF" href={quoteattr(self_href)}/><generator>{_AUTHOR}</generator>{"".join(entries)}</feed>'
    )


def stamp(seconds: float) -> str:
    """A time as Atom writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Builder:
    """Writes small elements of the web and uom namespaces: jobs, events, files and errors."""

    def __init__(self, tag: str, service: str = "web", uuid: str = "", created: int | None = None) -> None:
        self._namespace = NAMESPACES[service]
        default: Any = {None: self._namespace}  # the stubs know no default namespace
        self.root = etree.Element(etree.QName(self._namespace, tag), nsmap=default)
        self.root.set("schemaVersion", "V1_0")
        atom = self.child(self.child(self.root, "Metadata"), "Atom")
        if uuid:
            self.child(atom, "AtomID", uuid)
            self.child(atom, "AtomCreated", str(created))

    def child(self, parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
        """Append an element."""
        made = etree.SubElement(parent, etree.QName(self._namespace, tag), attrib=attributes)
        made.text = text
        return made

    def value(self, parent: etree._Element, tag: str, text: str | None, kb: str = "ROR") -> etree._Element:
        """Append a simple value with the marks that the schema gives it."""
        return self.child(parent, tag, text, kb=kb, kxe="false")

    def section(self, parent: etree._Element, tag: str) -> etree._Element:
        """Append a structured value."""
        made = self.child(parent, tag, schemaVersion="V1_0")
        self.child(self.child(made, "Metadata"), "Atom")
        return made


def error(status: int, reason: str, message: str, uri: str, headers: Mapping[str, str], seconds: float) -> str:
    """The entry that every refusal carries."""
    build = Builder("HttpErrorResponse")
    build.value(build.root, "HTTPStatus", str(status))
    build.value(build.root, "RequestURI", uri)
    build.value(build.root, "ReasonCode", reason)
    build.value(build.root, "Message", message, kb="ROO")
    build.value(build.root, "RequestBody", None, kb="ROO")
    shown = ", ".join(f"{k}={v}" for k, v in headers.items())
    build.value(build.root, "RequestHeaders", f"{{{shown}}}", kb="ROO")
    body = rendered(build.root, str(uuidlib.uuid4()), "web")
    return entry(body, "", seconds, with_etag=False)
