"""Turns the Cloud Connector's answers into bigiron.errors: what (overallRC, rc, rs) say, with the object named.

The sources are the connector's returncode.py and the SMAPI codes that it passes on. The HTTP status is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigiron.errors import (
    AuthError,
    Busy,
    Conflict,
    InvalidSpec,
    NotFound,
    PlatformError,
    Timeout,
    Unavailable,
    Unsupported,
)

AWAY = (Unavailable, Timeout, Busy, AuthError)
"""What says nothing of the object that was asked about: the connector does not answer, or not now."""


class Exists(Conflict):
    """There is an object of that name already."""


class Unreached(Unavailable):
    """There was no connection to the connector: nothing was asked of it."""


class Locked(Busy):
    """Somebody else changes the directory entry just now; nothing was done."""


class Damaged(PlatformError):
    """A file has not arrived as it was sent, and what did arrive is at this path."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class Rejected(Busy):
    """The connector does as much as it may at once, or cannot reach its own server; nothing was done."""


class Full(Rejected):
    """As many deploys and captures run as the connector allows, each for minutes; nothing was done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the connector says of a request: success where `overall` is 0."""

    overall: int
    rc: int
    rs: int
    module: int | None
    message: str
    output: Any

    @property
    def codes(self) -> str:
        """The codes as an operator looks them up."""
        return f"overallRC {self.overall}, rc {self.rc}, rs {self.rs}"


_GUEST, _NETWORK, _IMAGE, _FILE = 10, 20, 40, 60

_NOT_FOUND = {(8, 400, 4), (8, 200, 4), (8, 212, 40), (4, 5, 402), (8, 404, 8), (8, 208, 36)}
_EXISTS = {(8, 400, 8), (8, 212, 36)}
_LOCKED = {(8, 400, 12), (8, 404, 12), (8, 400, 16)}
_LOCKED_RS = (7, 9, 11, 13, 15, 17)
"""Reasons of the connector's conflicts (409) over network adapters that say that the entry is locked."""
_SMAPI_DOWN = (-110, -102, -103, -108)
_DIRMAINT, _CP = 596, 396


def translate(answer: Answer, what: str, detail: str = "") -> PlatformError:
    """The error for a failed request; `what` names the action and the object."""
    kind = _kind(answer)
    if kind is AuthError:
        return AuthError(
            f"{what}: the Cloud Connector rejects the token. Check that [zvm] token_path names a copy of the "
            "connector's own token file.",
            detail=detail,
        )
    return kind(f"{what}: {_words(answer)}", detail=detail)


def _words(answer: Answer) -> str:
    text = answer.message.strip() or "no reason given"
    if answer.rc == _DIRMAINT:
        text = f"the directory manager failed with message {answer.rs} ({text})"
    elif answer.rc == _CP:
        text = f"CP failed with message {answer.rs} ({text})"
    return f"{text} ({answer.codes})"


def _kind(answer: Answer) -> type[PlatformError]:
    codes = (answer.overall, answer.rc, answer.rs)
    if answer.overall == 400:
        # A fault that the connector's web side found: the reason code is the HTTP status that it chose.
        return {401: AuthError, 404: Unsupported, 405: Unsupported}.get(answer.rs, InvalidSpec)
    for kind, known in ((NotFound, _NOT_FOUND), (Exists, _EXISTS), (Locked, _LOCKED)):
        if codes in known:
            return kind
    if answer.overall == 300:
        return _of_module(answer)
    if answer.overall == 409 and answer.module == _NETWORK and answer.rs in _LOCKED_RS:
        return Locked
    if answer.overall == 101:
        return Rejected if answer.rs == 2 else Unavailable
    if answer.overall == 25 or answer.rc in _SMAPI_DOWN:
        return Unavailable
    return {
        100: InvalidSpec,
        404: NotFound,
        409: Conflict,
        410: NotFound,
        501: Unsupported,
        503: Full,
    }.get(answer.overall, PlatformError)


def _of_module(answer: Answer) -> type[PlatformError]:
    if answer.module == _IMAGE:
        return {13: Exists, 20: NotFound, 23: NotFound, 5: InvalidSpec, 6: InvalidSpec, 7: InvalidSpec}.get(
            answer.rs, PlatformError
        )
    if answer.module == _FILE and answer.rs == 2:
        return NotFound
    if answer.module == _GUEST:
        # 9: its entry could not be locked, as before an adapter is coupled or the memory changed.
        return {16: Timeout, 9: Locked}.get(answer.rs, PlatformError)
    return PlatformError
