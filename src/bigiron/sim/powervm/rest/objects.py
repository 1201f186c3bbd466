"""Requests on the objects of the world: feeds, entries, quick properties, searches and changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Response

from bigiron.sim.powervm.errors import BadRequest, MethodNotAllowed, NotFound, PreconditionFailed
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource, Update
from bigiron.sim.powervm.rest import atom
from bigiron.sim.powervm.rest.address import Address, Step, parse_search
from bigiron.sim.powervm.rest.renderings import Renderings
from bigiron.sim.powervm.rest.services import Call, Services, no_content, xml_answer

_VIOS = "VirtualIOServer"


class Objects:
    """Handles what the address tables of resources describe."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._by_place = {(r.service, r.type): r for r in services.resources.values()}
        self._renderings = Renderings()

    # -- finding --------------------------------------------------------------------------------------------------

    def resource(self, service: str, step: Step, parent: Step | None) -> Resource:
        """Return the type of a step; raises NotFound where it cannot stand."""
        found = self._by_place.get((service, step.type)) or self._by_place.get(("uom", step.type))
        if found is None or (parent.type if parent else "") not in found.parents:
            place = f"under {parent.type}" if parent else "at the root"
            raise NotFound(f"There is no resource type {step.type} {place} of the {service} service.")
        return found

    def parent(self, world: World, address: Address) -> Any:
        """Return the object that the last step stands under, or None at the root."""
        found, above = None, None
        for step in address.parents:
            found = self._instance(world, address.service, step, above, found)
            above = step
        return found

    def target(self, world: World, address: Address) -> Any:
        """Return the object that the last step names; raises NotFound."""
        above = address.parents[-1] if address.parents else None
        return self._instance(world, address.service, address.last, above, self.parent(world, address))

    def _instance(self, world: World, service: str, step: Step, above: Step | None, parent: Any) -> Any:
        found = self.resource(service, step, above).find(world, parent, step.uuid)
        if found is None:
            raise NotFound(f"There is no {step.type} with the UUID {step.uuid}.")
        return found

    def type_of(self, address: Address) -> Resource:
        """Return the type of the last step."""
        if (address.service, address.last.type) not in self._by_place:
            raise NotFound(f"There is no resource type {address.last.type} in the {address.service} service.")
        return self.resource(address.service, address.last, address.parents[-1] if address.parents else None)

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, call: Call) -> Response:
        """Answer a GET."""
        resource = self.type_of(call.address)
        match call.address.suffix:
            case "quick":
                return self._quick(call, resource)
            case "search":
                return self._search(call, resource)
        if call.address.last.uuid:
            return self._entry(call, resource)
        return self._feed(call, resource, lambda _obj: True)

    def _entry(self, call: Call, resource: Resource) -> Response:
        with self._services.latency.spend("vios_get" if resource.type == _VIOS else "get"):
            pass
        with self._services.locked() as world:
            obj = self.target(world, call.address)
            body = self._renderings.get(world, resource, obj, call.query.groups)
        known = call.http.headers.get("If-None-Match", "")
        if known and _bare(known) == body.etag:
            return Response(status=304, headers={"ETag": body.etag})
        return self._answer(call, body)

    def _answer(self, call: Call, body: atom.Rendered) -> Response:
        href = self._services.url + call.address.path(body.uuid) + call.query.suffix
        return xml_answer(atom.entry(body, href, self._services.clock.now(), with_etag=False), body.etag)

    def _feed(self, call: Call, resource: Resource, wanted: Callable[[Any], bool]) -> Response:
        self._wait_for_feed(call, resource)
        with self._services.locked() as world:
            found = [obj for obj in resource.instances(world, self.parent(world, call.address)) if wanted(obj)]
            bodies = [self._renderings.get(world, resource, obj, call.query.groups) for obj in found]
        if not bodies:
            return no_content()
        now, base = self._services.clock.now(), self._services.url + call.address.path()
        entries = [atom.entry(b, f"{base}/{b.uuid}{call.query.suffix}", now, with_etag=True) for b in bodies]
        etag = bodies[0].etag if resource.service == "pcm" else None
        return xml_answer(atom.feed(entries, base + call.query.suffix, now), etag)

    def _wait_for_feed(self, call: Call, resource: Resource) -> None:
        latency = self._services.latency
        if resource.type == _VIOS:
            with latency.spend("vios_get"):
                return
        with self._services.locked() as world:
            count = len(resource.instances(world, self.parent(world, call.address)))
        with latency.spend("feed", items=count):
            return

    def _search(self, call: Call, resource: Resource) -> Response:
        if call.address.last.uuid or len(call.address.argument) != 1:
            raise BadRequest("A search stands after a type: Type/search/(Key=='value').")
        search = parse_search(call.address.argument[0])
        value_of = resource.searches.get(search.key)
        if value_of is None:
            keys = ", ".join(sorted(resource.searches)) or "nothing"
            raise BadRequest(f"{resource.type} cannot be searched by {search.key}, only by {keys}.")
        return self._feed(call, resource, lambda obj: (value_of(obj) == search.value) is not search.negated)

    def _quick(self, call: Call, resource: Resource) -> Response:
        with self._services.latency.spend("quick"):
            pass
        name = "/".join(call.address.argument) or "All"
        with self._services.locked() as world:
            if call.address.last.uuid:
                answer: Any = dict(resource.quick(world, self.target(world, call.address)))
            else:
                parent = self.parent(world, call.address)
                answer = [dict(resource.quick(world, obj)) for obj in resource.instances(world, parent)]
        if name != "All":
            if not isinstance(answer, dict) or name not in answer:
                raise NotFound(f"{resource.type} has no quick property {name} at {call.http.path}.")
            answer = answer[name]
        return Response(json.dumps(answer), content_type="application/json")

    # -- changing -------------------------------------------------------------------------------------------------

    def put(self, call: Call) -> Response:
        """Create an object."""
        resource = self.type_of(call.address)
        if call.address.last.uuid or call.address.suffix:
            raise MethodNotAllowed(f"PUT creates a new object below a type; {call.http.path} is no type.")
        body = self._update(call, resource)
        with self._services.latency.spend("lpar_put" if resource.type == "LogicalPartition" else "write"):
            pass
        with self._services.locked() as world:
            try:
                obj = resource.create(world, self.parent(world, call.address), body)
            except NotImplementedError:
                raise MethodNotAllowed(f"{resource.type} objects cannot be created.") from None
            made = self._renderings.get(world, resource, obj, call.query.groups)
        return self._answer(call, made)

    def post(self, call: Call) -> Response:
        """Change an object, if the client knows its present state."""
        resource = self.type_of(call.address)
        if call.address.suffix:
            raise MethodNotAllowed(f"POST cannot be sent to {call.http.path}.")
        body = self._update(call, resource)
        kind = "vios_post" if resource.type == _VIOS else "write"
        with (
            self._services.latency.spend(kind, key=call.address.last.uuid.upper()),
            self._services.locked() as world,
        ):
            parent = self.parent(world, call.address)
            obj = self._changed_object(world, call, resource, parent)
            self._check_match(world, call, resource, obj, [call.query.groups])
            try:
                obj = resource.update(world, parent, obj, body)
            except NotImplementedError:
                raise MethodNotAllowed(f"{resource.type} objects cannot be changed.") from None
            made = self._renderings.get(world, resource, obj, call.query.groups)
        return self._answer(call, made)

    def delete(self, call: Call) -> Response:
        """Remove an object."""
        resource = self.type_of(call.address)
        if not call.address.last.uuid or call.address.suffix:
            raise MethodNotAllowed(f"DELETE takes the address of an object, not {call.http.path}.")
        with self._services.latency.spend("write"):
            pass
        with self._services.locked() as world:
            obj = self.target(world, call.address)
            # The address names no groups, so the etag may be that of any representation the client has read.
            singles = [frozenset({group}) for group in sorted(resource.groups)]
            self._check_match(world, call, resource, obj, [frozenset(), *singles, resource.groups])
            try:
                resource.delete(world, self.parent(world, call.address), obj)
            except NotImplementedError:
                raise MethodNotAllowed(f"{resource.type} objects cannot be deleted.") from None
        return no_content()

    def _update(self, call: Call, resource: Resource) -> Update:
        return Update(call.element(self._element_name(resource)), call.query.groups, call.query.others)

    @staticmethod
    def _element_name(resource: Resource) -> str:
        return "ManagedSystemPcmPreference" if resource.service == "pcm" else resource.type

    def _changed_object(self, world: World, call: Call, resource: Resource, parent: Any) -> Any:
        if call.address.last.uuid:
            return self.target(world, call.address)
        if resource.service == "pcm" and (found := resource.instances(world, parent)):
            return found[0]  # the preferences are a feed of one, changed at the feed's own address
        raise MethodNotAllowed(f"POST takes the address of an object, not {call.http.path}.")

    def _check_match(
        self, world: World, call: Call, resource: Resource, obj: Any, candidates: list[frozenset[str]]
    ) -> None:
        given = call.http.headers.get("If-Match", "")
        if not given or given == "*":
            return
        if not any(self._renderings.get(world, resource, obj, g).etag == _bare(given) for g in candidates):
            raise PreconditionFailed(
                f"The {resource.type} {resource.uuid(obj)} has changed since etag {_bare(given)}. "
                "Read it again and redo the change."
            )


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')
