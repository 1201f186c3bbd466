"""Requests on the event stream."""

from __future__ import annotations

from werkzeug.wrappers import Response

from bigiron.sim.powervm.errors import MethodNotAllowed
from bigiron.sim.powervm.events import Event
from bigiron.sim.powervm.rest import atom
from bigiron.sim.powervm.rest.atom import UOM, Builder
from bigiron.sim.powervm.rest.services import Call, Services, no_content, xml_answer


class EventRequests:
    """Handles uom/Event: GET waits for events, PUT sends one to all who listen."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def handle(self, call: Call) -> Response:
        """Answer a request on Event."""
        if call.method == "PUT":
            return self._broadcast(call)
        if call.method != "GET":
            raise MethodNotAllowed(f"{call.method} is not for Event: GET waits, PUT broadcasts.")
        application = call.query.others.get("QUEUE_APPLICATIONID") or f"session-{call.session.number}"
        events = self._services.events.take(application)
        if not events:
            return no_content()
        now = self._services.clock.now()
        entries = [atom.entry(_rendered(e), self._href(e), now, with_etag=True) for e in events]
        return xml_answer(atom.feed(entries, f"{self._services.url}{call.address.path()}", now))

    def _broadcast(self, call: Call) -> Response:
        element = call.element("Event")
        data, detail = (element.findtext(f"{{{UOM}}}{name}") or "" for name in ("EventData", "EventDetail"))
        with self._services.latency.spend("write"):
            pass
        event = self._services.events.publish("CUSTOM_CLIENT_EVENT", data, detail)
        body = _rendered(event)
        return xml_answer(atom.entry(body, self._href(event), self._services.clock.now(), with_etag=False), body.etag)

    def _href(self, event: Event) -> str:
        return f"{self._services.url}/rest/api/uom/Event/{event.uuid}"


def _rendered(event: Event) -> atom.Rendered:
    build = Builder("Event", "uom", event.uuid, event.id)
    build.value(build.root, "EventType", event.type)
    build.value(build.root, "EventID", str(event.id))
    build.value(build.root, "EventData", event.data or None)
    build.value(build.root, "EventDetail", event.detail or None)
    return atom.rendered(build.root, event.uuid)
