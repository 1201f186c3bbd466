"""Turns what pypowervm and the REST service raise into bigiron.errors, once, with the object named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pypowervm import exceptions as pvm
from pypowervm.utils.lpar_builder import LPARBuilderException
from pypowervm.utils.validation import ValidatorException

from bigiron.errors import (
    AuthError,
    Busy,
    Conflict,
    InvalidSpec,
    NoCapacity,
    NotFound,
    PlatformError,
    Timeout,
    Unavailable,
)

_BUSY_CODES = ("HSCL3205", "VIOS0014", "busy processing some other request", "system is currently too busy")
_CAPACITY_WORDS = ("insufficient", "not enough")


class Stale(Busy):
    """The object was changed since it was read (HTTP 412): read it again and redo the change."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise whatever pypowervm raises inside as a PlatformError that says what was being done to which object."""
    try:
        yield
    except PlatformError:
        raise
    except (pvm.Error, LPARBuilderException, ValidatorException) as error:
        raise translate(error, what) from error


def translate(error: Exception, what: str) -> PlatformError:
    """The PlatformError for an exception of pypowervm's; `what` names the action and the object."""
    if isinstance(error, pvm.HttpError):
        return _from_http(error, what)
    if isinstance(error, pvm.TimeoutError):
        return Timeout(f"{what}: the REST service did not answer in time ({error}).")
    if isinstance(error, pvm.SSLError):
        return AuthError(
            f"{what}: the certificate of the REST service is not trusted ({error}). Set [powervm] rest_cacert to the "
            "file with the certificate authority that signed it."
        )
    if isinstance(error, pvm.ConnectionError):
        return Unavailable(f"{what}: the REST service cannot be reached ({error}).")
    if isinstance(error, (pvm.NotFound, pvm.LPARNotFound)):
        return NotFound(f"{what}: {error}")
    if isinstance(error, (LPARBuilderException, ValidatorException)):
        return _refused(f"{what}: {error}", str(error))
    return PlatformError(f"{what}: {error}")


def http_message(error: pvm.HttpError) -> str:
    """The REST service's own message, or the HTTP reason where the body carries none."""
    body = error.her_wrap
    return str((body.message if body is not None else None) or error.response.reason or "no reason given")


def _from_http(error: pvm.HttpError, what: str) -> PlatformError:
    status = error.response.status
    message = http_message(error)
    text = f"{what}: {message} (HTTP {status})"
    detail = f"{error.response.reqmethod} {error.response.reqpath}"
    if status == 401:
        return AuthError(
            f"{what}: the REST service rejects the credentials. Check [powervm] rest_username and rest_password.",
            detail=detail,
        )
    if status == 412:
        return Stale(text, detail=detail)
    if status == 503 or any(code in message for code in _BUSY_CODES):
        return Busy(text, detail=detail)
    # What we send is checked beforehand, so a 400 is about the state that the object is in.
    kind = {404: NotFound, 409: Conflict, 403: AuthError, 400: Conflict}.get(status, PlatformError)
    if kind in (Conflict, PlatformError) and any(word in message.lower() for word in _CAPACITY_WORDS):
        kind = NoCapacity
    return kind(text, detail=detail)


def _refused(text: str, message: str) -> PlatformError:
    kind = NoCapacity if any(word in message.lower() for word in _CAPACITY_WORDS) else InvalidSpec
    return kind(text)
