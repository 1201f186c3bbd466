"""The control address's paths for guests, consoles and virtual terminals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from bigiron.sim.kernel.control import Control
from bigiron.sim.powervm.guests.console import Excerpt
from bigiron.sim.powervm.guests.fleet import Guests, NoPartition
from bigiron.sim.powervm.management.vnc import Stopped
from bigiron.sim.powervm.management.vterms import Vterms

_MAX_WAIT_S = 30.0
_SLICE_S = 0.2

RULES = (
    Rule("/system", endpoint="system", methods=["GET"]),
    Rule("/guests", endpoint="guests", methods=["GET"]),
    Rule("/networks", endpoint="networks", methods=["GET"]),
    Rule("/consoles/<reference>", endpoint="console", methods=["GET"]),
    Rule("/consoles/<reference>/input", endpoint="type_text", methods=["POST"]),
    Rule("/vterms", endpoint="vterms", methods=["GET"]),
    Rule("/vterms", endpoint="open", methods=["POST"]),
    Rule("/vterms/<reference>", endpoint="vterm", methods=["GET"]),
    Rule("/vterms/<reference>", endpoint="close", methods=["DELETE"]),
)


class ConsoleRoutes:
    """Answers these requests with JSON; errors are an object with `error`."""

    def __init__(self, guests: Guests, vterms: Vterms) -> None:
        self._guests = guests
        self._vterms = vterms
        self._map = Map([rule.empty() for rule in RULES])
        self._handlers: dict[str, Callable[..., tuple[Any, int]]] = {
            "system": self._show_system,
            "guests": self._list_guests,
            "networks": self._list_networks,
            "console": self._read_console,
            "type_text": self._type_text,
            "vterms": self._list_vterms,
            "open": self._open_vterm,
            "vterm": self._show_vterm,
            "close": self._close_vterm,
        }

    def __call__(self, request: Request) -> Response:
        """Route one request."""
        try:
            endpoint, arguments = self._map.bind_to_environ(request.environ).match()
            body, status = self._handlers[endpoint](request, **arguments)
        except NoPartition as error:
            body, status = {"error": str(error)}, HTTPStatus.NOT_FOUND
        except Stopped as error:
            body, status = {"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE
        except HTTPException as error:
            body, status = {"error": error.description or str(error)}, error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        return _json(body, status)

    def mount(self, control: Control) -> None:
        """Take these paths of a simulator's control address."""
        control.mount("system", GET=self)
        control.mount("guests", GET=self)
        control.mount("networks", GET=self)
        control.mount("consoles", GET=self, POST=self)
        control.mount("vterms", GET=self, POST=self, DELETE=self)

    def _show_system(self, _request: Request) -> tuple[Any, int]:
        return {"name": self._guests.system_name()}, HTTPStatus.OK

    def _list_guests(self, _request: Request) -> tuple[Any, int]:
        return self._guests.overview(), HTTPStatus.OK

    def _list_networks(self, _request: Request) -> tuple[Any, int]:
        return self._guests.networks(), HTTPStatus.OK

    def _read_console(self, request: Request, reference: str) -> tuple[Any, int]:
        """Text from `since` on; with `wait` it waits up to so many seconds for some."""
        since = _number(request, "since", 0.0)
        left = min(_number(request, "wait", 0.0), _MAX_WAIT_S)
        seat = self._guests.seat(reference)
        excerpt = self._excerpt(reference, int(since), 0.0)
        while not excerpt.text and left > 0 and not self._guests.closed:
            excerpt = self._excerpt(reference, int(since), min(left, _SLICE_S))
            left -= _SLICE_S
        return {"id": seat.lpar_id, "uuid": seat.uuid, "name": seat.name} | asdict(excerpt), HTTPStatus.OK

    def _excerpt(self, reference: str, since: int, seconds: float) -> Excerpt:
        return self._guests.console(reference).wait(since, seconds)

    def _type_text(self, request: Request, reference: str) -> tuple[Any, int]:
        """Type the body, as it is, on the console."""
        self._guests.type_text(reference, request.get_data(as_text=True))
        return {}, HTTPStatus.OK

    def _list_vterms(self, _request: Request) -> tuple[Any, int]:
        return [asdict(vterm) for vterm in self._vterms.list()], HTTPStatus.OK

    def _open_vterm(self, request: Request) -> tuple[Any, int]:
        """Open the terminal of `id`; 409 with the open one when there is one already."""
        wish = request.get_json(force=True)
        if not isinstance(wish, dict) or "id" not in wish:
            raise BadRequest('POST {"id": <partition>, "vnc": true or false, "codepage": "037"}')
        opening = self._vterms.open(str(wish["id"]), bool(wish.get("vnc", True)), str(wish.get("codepage", "037")))
        return asdict(opening.vterm), HTTPStatus.CONFLICT if opening.already else HTTPStatus.CREATED

    def _show_vterm(self, _request: Request, reference: str) -> tuple[Any, int]:
        vterm = self._vterms.find(reference)
        if vterm is None:
            return {"error": f"partition {reference} has no open terminal"}, HTTPStatus.NOT_FOUND
        return asdict(vterm), HTTPStatus.OK

    def _close_vterm(self, _request: Request, reference: str) -> tuple[Any, int]:
        return {"closed": self._vterms.close(reference)}, HTTPStatus.OK


def _number(request: Request, name: str, default: float) -> float:
    text = request.args.get(name)
    try:
        return default if text is None else max(0.0, float(text))
    except ValueError:
        raise BadRequest(f"{name}={text} is not a number") from None


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")
