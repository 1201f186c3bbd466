"""The control address: JSON for whoever drives the simulation; what it simulates is not seen here."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Request, Response

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import Fault, FaultPlan
from bigiron.sim.kernel.journal import Journal
from bigiron.sim.kernel.latency import Latency

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOG = logging.getLogger(__name__)

Handler = Callable[[Request], Any]
"""Answers a control request with something JSON can hold, None for 204, or a Response of its own."""


def body(request: Request) -> Any:
    """Return a request's JSON body."""
    try:
        return json.loads(request.get_data())
    except ValueError as error:
        raise BadRequest(f"the body of {request.method} {request.path} is not JSON: {error}") from error


class Control:
    """Routes by the first segment of the path, so that parts can mount what they own."""

    def __init__(self) -> None:
        self._handlers: dict[str, dict[str, Handler]] = {}

    def mount(self, prefix: str, **methods: Handler) -> None:
        """Answer /prefix and all below it: one handler per method, such as GET=..., DELETE=..."""
        self._handlers.setdefault(prefix.strip("/"), {}).update(methods)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            answer = self._dispatch(request)
        except HTTPException as error:
            answer = _as_json({"error": error.description}, error.code or 500)
        except ValueError as error:
            answer = _as_json({"error": str(error)}, 400)
        except Exception as error:  # the server must go on; the caller sees what happened
            LOG.exception("control request %s %s failed", request.method, request.path)
            answer = _as_json({"error": f"{type(error).__name__}: {error}"}, 500)
        return answer(environ, start_response)

    def _dispatch(self, request: Request) -> Response:
        prefix = request.path.strip("/").split("/", 1)[0]
        if not prefix:
            return _as_json(
                {"paths": {f"/{name}": sorted(methods) for name, methods in sorted(self._handlers.items())}}
            )
        if prefix not in self._handlers:
            raise NotFound(f"no such control path: /{prefix}; GET / lists them")
        methods = self._handlers[prefix]
        if request.method not in methods:
            raise MethodNotAllowed(sorted(methods), f"/{prefix} knows {', '.join(sorted(methods))}")
        answer = methods[request.method](request)
        if isinstance(answer, Response):
            return answer
        return Response(status=204) if answer is None else _as_json(answer)


def _as_json(data: Any, status: int = 200) -> Response:
    return Response(json.dumps(data), status=status, content_type="application/json")


def mount_kernel(control: Control, clock: Clock, latency: Latency, faults: FaultPlan, journal: Journal) -> None:
    """Mount what every simulator has: /journal, /faults, /latency and /clock."""

    def add_faults(request: Request) -> Any:
        data = body(request)
        planned = [Fault.from_json(each) for each in (data if isinstance(data, list) else [data])]
        return [fault.to_json() for fault in faults.add_all(planned)]

    def set_latency(request: Request) -> Any:
        data = body(request)
        latency.select(data.get("profile", latency.profile.name), data.get("overrides"))
        return show_latency(request)

    def show_latency(_request: Request) -> Any:
        return {"profile": latency.profile.name, "seconds": {k: c.seconds for k, c in latency.profile.costs.items()}}

    def set_clock(request: Request) -> Any:
        data = body(request)
        if "scale" in data:
            clock.set_scale(float(data["scale"]))
        clock.advance(float(data.get("advance", 0)))
        return show_clock(request)

    def show_clock(_request: Request) -> Any:
        return {"now": clock.now(), "scale": clock.scale}

    control.mount(
        "journal", GET=lambda _: [entry.to_json() for entry in journal.entries()], DELETE=lambda _: journal.clear()
    )
    control.mount(
        "faults", GET=lambda _: [f.to_json() for f in faults.faults()], POST=add_faults, DELETE=lambda _: faults.clear()
    )
    control.mount("latency", GET=show_latency, POST=set_latency)
    control.mount("clock", GET=show_clock, POST=set_clock)
