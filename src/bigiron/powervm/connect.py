"""Connects to a managed system: logs on, waits for a service that is down, and reads what is kept in memory."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.helpers.vios_busy import vios_busy_retry_helper
from pypowervm.wrappers.managed_system import System

from bigiron.errors import InvalidSpec, Unavailable
from bigiron.powervm.connection import Connection, SystemDocument
from bigiron.powervm.errors import translate, translated
from bigiron.powervm.events import EventLoop
from bigiron.powervm.ledger import Ledger
from bigiron.powervm.mirror import LparMirror
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Journal, PowerVMSession
from bigiron.powervm.vios import ViosDocuments

LOG = logging.getLogger(__name__)

_RETRY_S = 2.0
_SAY_S = 30.0
_BUSY_S = 2
_COMING_UP = (404, 502, 503, 504)


def connect(
    options: PowerVMOptions,
    journal: Journal | None = None,
    stopping: threading.Event | None = None,
    wait: bool = True,
) -> Connection:
    """Log on and read the system; the caller closes what it gets.

    Raises Unavailable once `connect_timeout_s` has passed or `stopping` is set (at once without `wait`), AuthError
    for credentials or a certificate, and InvalidSpec where the service does not manage exactly one system.
    """
    session = log_on(options, journal, stopping or threading.Event(), wait)
    try:
        return _read(options, session)
    except BaseException:
        session.close()
        raise


def log_on(
    options: PowerVMOptions, journal: Journal | None, stopping: threading.Event, wait: bool = True
) -> PowerVMSession:
    """Log on, waiting for a service that does not answer; raises as `connect` does."""
    address = f"{options.rest_host or 'localhost'}:{options.rest_port or 'default port'}"
    started = time.monotonic()
    said = -_SAY_S
    while True:
        try:
            return PowerVMSession(options, journal)
        except pvm.Error as error:
            if not _is_down(error):
                raise translate(error, f"Logging on to the PowerVM REST service at {address}") from error
            waited = time.monotonic() - started
            if not wait or stopping.is_set() or 0 < options.connect_timeout_s <= waited:
                raise Unavailable(
                    f"The PowerVM REST service at {address} did not answer within {waited:.0f} s ({error}). Start it "
                    "(on NovaLink: the pvm-rest service) or correct [powervm] rest_host and rest_port."
                ) from error
            if waited - said >= _SAY_S:
                LOG.warning("Waiting for the PowerVM REST service at %s (%.0f s so far): %s", address, waited, error)
                said = waited
            stopping.wait(_RETRY_S)


def _is_down(error: pvm.Error) -> bool:
    """Whether the service is not there or, as its web server says while it comes up, not there yet."""
    if isinstance(error, pvm.HttpError):
        return error.response.status in _COMING_UP
    return isinstance(error, (pvm.ConnectionError, pvm.TimeoutError))


def _read(options: PowerVMOptions, session: PowerVMSession) -> Connection:
    adapter = Adapter(session, helpers=[patient])
    with contextlib.ExitStack() as undo:
        # Subscribed before anything is read, so that no change can fall in between.
        events = EventLoop(adapter)
        events.start()
        undo.callback(events.stop)
        system = only_system(adapter)
        ledger = Ledger(options.state_path)
        mirror = LparMirror(adapter, system.uuid, ledger.instance_of)
        vioses = ViosDocuments(adapter)
        events.subscribe(mirror.on_event)
        events.subscribe(vioses.on_event)
        mirror.start()
        undo.callback(mirror.stop)
        vioses.load()
        undo.pop_all()
    return Connection(options, session, adapter, SystemDocument(system), events, mirror, vioses, ledger)


def patient(request: Callable[..., Any]) -> Callable[..., Any]:
    """Repeat a request that a busy VIOS refused, a few times; an upload's stream cannot be sent again."""
    repeated = vios_busy_retry_helper(request, max_retries=3, delay=_BUSY_S)

    def send(*args: Any, **options: Any) -> Any:
        return (request if options.get("filehandle") is not None else repeated)(*args, **options)

    return send


def only_system(adapter: Adapter) -> System:
    """The one system that the service manages; raises Unavailable where it knows none, as one that has just come up,
    and InvalidSpec where it manages several."""
    with translated("Reading the managed system"):
        systems = System.get(adapter)
    if not systems:
        raise Unavailable("The REST service does not know its managed system yet.")
    if len(systems) != 1:
        names = ", ".join(str(system.system_name) for system in systems) or "none"
        raise InvalidSpec(
            f"The REST service manages {len(systems)} systems ({names}), and exactly one is needed: point [powervm] "
            "rest_host to a NovaLink partition, or to an HMC that manages this system alone."
        )
    return systems[0]
