"""Logging on and off."""

from __future__ import annotations

from lxml import etree
from werkzeug.wrappers import Request, Response

from bigiron.sim.powervm.errors import BadRequest, MethodNotAllowed
from bigiron.sim.powervm.rest.atom import WEB, Builder
from bigiron.sim.powervm.rest.services import Services, no_content, parse_element

_CONTENT_TYPE = "application/vnd.ibm.powervm.web+xml; type=LogonResponse"
_SCHEMA_VERSION = "V1_13_0"


def log_on(services: Services, request: Request) -> tuple[Response, str]:
    """Answer PUT web/Logon; returns the answer and the user for the journal."""
    if request.method != "PUT":
        raise MethodNotAllowed(f"{request.method} is not for Logon: PUT logs on, DELETE logs off.")
    root = parse_element(request.get_data(), "LogonRequest")
    user, password = root.findtext(f"{{{WEB}}}UserID"), root.findtext(f"{{{WEB}}}Password")
    if not user:
        raise BadRequest("The LogonRequest has no UserID.")
    with services.latency.spend("write"):
        pass
    build = Builder("LogonResponse")
    build.root.set("schemaVersion", _SCHEMA_VERSION)
    if password is not None:
        session = services.sessions.log_on(user, password)
        build.value(build.root, "X-API-Session", session.token)
    elif (root.findtext(f"{{{WEB}}}GenerateX-API-SessionFile") or "").strip().lower() == "true":
        session = services.sessions.log_on_by_file(user)
        build.value(build.root, "X-API-SessionFile", str(session.file))
    else:
        raise BadRequest("The LogonRequest has neither a Password nor GenerateX-API-SessionFile.")
    return Response(etree.tostring(build.root), content_type=_CONTENT_TYPE), user


def log_off(services: Services, token: str) -> Response:
    """Answer DELETE web/Logon."""
    services.sessions.log_off(token)
    return no_content()
