"""What the handlers of the REST front share, and one request as they see it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lxml import etree
from werkzeug.wrappers import Request, Response

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.latency import Latency
from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.events import EventHub
from bigiron.sim.powervm.files import Files
from bigiron.sim.powervm.jobs import Jobs
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource
from bigiron.sim.powervm.rest import atom
from bigiron.sim.powervm.rest.address import Address, Query
from bigiron.sim.powervm.session import Flavour, Session, Sessions

_MAX_BODY = 64 << 20


@dataclass(frozen=True, slots=True)
class Services:
    """One simulated system's parts."""

    world: World
    resources: Mapping[str, Resource]
    clock: Clock
    latency: Latency
    sessions: Sessions
    jobs: Jobs
    events: EventHub
    files: Files
    flavour: Flavour
    due: tuple[Callable[[], None], ...] = ()
    """What else is to be done as time passes: before anybody looks at the world, and when it was changed."""

    @property
    def url(self) -> str:
        """What hrefs begin with."""
        return self.world.base_url

    @contextlib.contextmanager
    def locked(self) -> Iterator[World]:
        """Hold the world, with all that is due by now done."""
        with self.world.lock:
            self.world.settle()
            self._catch_up()
            yield self.world
            self._catch_up()

    def _catch_up(self) -> None:
        for catch_up in self.due:
            catch_up()


@dataclass(slots=True)
class Call:
    """One request whose address was read and whose sender is logged on."""

    http: Request
    address: Address
    query: Query
    session: Session
    received: int = 0
    """Bytes of the body that were read."""

    @property
    def method(self) -> str:
        """The HTTP method; HEAD is answered as GET."""
        return "GET" if self.http.method == "HEAD" else self.http.method

    def element(self, type_: str) -> etree._Element:
        """Return the body's typed element, bare or inside an Atom entry; raises BadRequest."""
        if (self.http.content_length or 0) > _MAX_BODY:
            raise BadRequest(f"The body is larger than {_MAX_BODY} bytes.")
        data = self.http.stream.read(_MAX_BODY)
        self.received = len(data)
        return parse_element(data, type_)


@dataclass(frozen=True, slots=True)
class Route:
    """Addresses that are no resource's: a pattern whose first group is an address, and who answers them."""

    pattern: re.Pattern[str]
    answer: Callable[[Call, re.Match[str]], Response]


def parse_element(data: bytes, type_: str) -> etree._Element:
    """Read XML without entities and external references and check the element's name."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BadRequest(f"The body is no well-formed XML: {error}.") from error
    if root.tag == etree.QName(atom.ATOM, "entry"):
        content = root.find(f"{{{atom.ATOM}}}content")
        if content is None or not len(content):
            raise BadRequest("The entry in the body has no content.")
        root = content[0]
    if etree.QName(root).localname != type_:
        raise BadRequest(f"The body holds a {etree.QName(root).localname}; the address takes a {type_}.")
    return root


def xml_answer(text: str, etag: str | None = None, status: int = 200) -> Response:
    """Answer with a feed or an entry."""
    response = Response(text.encode(), status=status, content_type=atom.CONTENT_TYPE)
    if etag is not None:
        response.headers["ETag"] = etag
    return response


def no_content() -> Response:
    """Answer with nothing: an empty feed, or done."""
    return Response(status=204)
