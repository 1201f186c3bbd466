"""The WSGI application of the REST address: checks the session, strikes faults, dispatches, and keeps the journal."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from bigiron.sim.kernel import serving
from bigiron.sim.kernel.faults import Action, Fault, FaultPlan
from bigiron.sim.kernel.journal import Entry, Journal
from bigiron.sim.powervm.errors import Busy, MethodNotAllowed, PreconditionFailed, RestError
from bigiron.sim.powervm.rest import address, atom, logon
from bigiron.sim.powervm.rest.event_requests import EventRequests
from bigiron.sim.powervm.rest.file_requests import FileRequests
from bigiron.sim.powervm.rest.job_requests import JobRequests
from bigiron.sim.powervm.rest.objects import Objects
from bigiron.sim.powervm.rest.services import Call, Route, Services
from bigiron.sim.powervm.session import Session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOG = logging.getLogger(__name__)

_LOGON = "/rest/api/web/Logon"
_JOB = re.compile(r"(/rest/api/uom/jobs)/([^/]+)(?:/(cancel))?")
_FILES = re.compile(r"(/rest/api/web/File)(/contents)?(?:/([^/]+))?")
_HIDDEN = frozenset({"x-api-session", "authorization", "cookie"})


class _Cut(Exception):
    """The fault plan wants the connection to end without an answer."""


@dataclass(slots=True)
class _Record:
    """What the journal will say about a request."""

    path: str
    template: str
    began: float
    received: int = 0
    session: int = 0
    user: str = ""
    fault: Fault | None = None


class RestApp:
    """Serves /rest/api."""

    def __init__(self, services: Services, faults: FaultPlan, journal: Journal, routes: Sequence[Route] = ()) -> None:
        self._services = services
        self._routes = routes
        self._faults = faults
        self._journal = journal
        self._objects = Objects(services)
        self._jobs = JobRequests(services, self._objects)
        self._files = FileRequests(services)
        self._events = EventRequests(services)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        path = _raw_path(environ)
        record = _Record(path, address.template(path), time.perf_counter(), request.content_length or 0)
        try:
            response = self._serve(request, record)
        except _Cut:
            self._note(request, record, 0, 0)
            serving.cut(environ)
        response.headers["X-MC-Type"] = self._services.flavour.value
        response.headers["Cache-Control"] = "no-cache"
        self._note(request, record, response.status_code, response.content_length or 0)
        return response(environ, start_response)

    def _serve(self, request: Request, record: _Record) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        record.fault = fault = self._faults.strike(method, record.path, record.template)
        try:
            if fault is not None:
                self._strike(fault, request)
            response = self._dispatch(request, record)
        except _Cut:
            raise
        except RestError as error:
            response = self._refusal(request, record, error)
        except Exception as error:  # a defect must be answered as the real server does, and be seen in the log
            LOG.exception("%s %s broke", request.method, record.path)
            response = self._refusal(request, record, RestError(f"{type(error).__name__}: {error}"))
        if fault is not None and fault.action is Action.DROP_AFTER:
            raise _Cut
        return response

    def _strike(self, fault: Fault, request: Request) -> None:
        match fault.action:
            case Action.DROP_BEFORE:
                raise _Cut
            case Action.HANG:
                self._services.clock.sleep(fault.seconds)
            case Action.ERROR:
                raise RestError(fault.message, fault.reason or None, fault.status)
            case Action.STALE:
                raise PreconditionFailed(f"The object at {request.path} has changed since it was read.")
            case Action.BUSY:
                raise Busy("The system is currently too busy to complete the specified request. Try again later.")

    def _dispatch(self, request: Request, record: _Record) -> Response:
        if record.path == _LOGON and request.method != "DELETE":
            response, record.user = logon.log_on(self._services, request)
            return response
        token = request.headers.get("X-API-Session")
        session = self._services.sessions.check(token)
        record.session, record.user = session.number, session.user
        if record.path == _LOGON:
            return logon.log_off(self._services, session.token)
        call = self._call(request, record, session)
        try:
            return self._route(call, record.path)
        finally:
            record.received = max(record.received, call.received)

    def _call(self, request: Request, record: _Record, session: Session) -> Call:
        # These have addresses of their own form, read by the patterns of _route.
        patterns = (_FILES, _JOB, *(route.pattern for route in self._routes))
        own = next(filter(None, (pattern.fullmatch(record.path) for pattern in patterns)), None)
        where = address.parse(own[1] if own else record.path)
        return Call(request, where, address.parse_query(request.query_string.decode("latin-1")), session)

    def _route(self, call: Call, path: str) -> Response:
        if found := _FILES.fullmatch(path):
            handle = self._files.contents if found[2] else self._files.record
            return handle(call, found[3] or "")
        if found := _JOB.fullmatch(path):
            return self._jobs.job(call, found[2], found[3] or "")
        for route in self._routes:
            if found := route.pattern.fullmatch(path):
                return route.answer(call, found)
        if call.address.service == "uom" and call.address.steps == (address.Step("Event"),):
            return self._events.handle(call)
        if call.address.suffix == "do":
            return self._jobs.operation(call)
        if call.address.suffix == "jobs":
            return self._jobs.jobs_of(call)
        handlers = {"GET": self._objects.get, "PUT": self._objects.put, "POST": self._objects.post}
        handlers["DELETE"] = self._objects.delete
        if call.method not in handlers:
            raise MethodNotAllowed(f"{call.method} is not for {path}.")
        return handlers[call.method](call)

    def _refusal(self, request: Request, record: _Record, error: RestError) -> Response:
        if request.environ.get("wsgi.input_terminated"):
            # The rest of a chunked body would be taken for the connection's next request.
            while request.stream.read(1 << 16):
                pass
        headers = {k: "*******" if k.lower() in _HIDDEN else v for k, v in request.headers.items()}
        text = atom.error(error.status, error.reason, error.message, record.path, headers, self._services.clock.now())
        return Response(text.encode(), status=error.status, content_type=atom.CONTENT_TYPE)

    def _note(self, request: Request, record: _Record, status: int, sent: int) -> None:
        self._journal.add(
            Entry(
                time=self._services.clock.now(),
                method=request.method,
                path=record.path,
                template=record.template,
                query=request.query_string.decode("latin-1"),
                status=status,
                request_bytes=record.received,
                response_bytes=sent,
                milliseconds=round((time.perf_counter() - record.began) * 1000, 3),
                session=record.session,
                user=record.user,
                memento=request.headers.get("X-Audit-Memento", ""),
                if_match="If-Match" in request.headers,
                fault=record.fault.action.value if record.fault else "",
            )
        )


def _raw_path(environ: WSGIEnvironment) -> str:
    """The path as it was sent: a search expression may hold encoded slashes and quotes."""
    target: str = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    target = re.sub(r"^https?://[^/]*", "", target)
    return target.split("?", 1)[0].rstrip("/") or "/"
