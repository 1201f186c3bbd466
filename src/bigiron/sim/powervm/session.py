"""Who is logged on: tokens, and the files through which NovaLink hands them to programs on its own machine."""

from __future__ import annotations

import enum
import hmac
import itertools
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bigiron.sim.kernel.store import write_private
from bigiron.sim.powervm.errors import BadRequest, Unauthorized


class Flavour(enum.StrEnum):
    """Which management console is simulated; the value is what X-MC-Type says."""

    NOVALINK = "PVM"
    HMC = "HMC"

    @classmethod
    def named(cls, name: str) -> Flavour:
        """Return the flavour of a command-line name."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise ValueError(f"no such flavour: {name!r}; use novalink or hmc") from None


@dataclass(slots=True)
class Session:
    """One logon; `number` names it where the token must not be shown."""

    token: str
    user: str
    number: int
    last_used: float
    file: Path | None = None


class Sessions:
    """The tokens that are valid now."""

    def __init__(
        self,
        directory: Path,
        flavour: Flavour,
        passwords: Callable[[], dict[str, str]],
        now: Callable[[], float],
        idle_seconds: float = 7200.0,
    ) -> None:
        self._directory = directory
        self._flavour = flavour
        self._passwords = passwords
        self._now = now
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_files()

    def log_on(self, user: str, password: str) -> Session:
        """Check a password; raises Unauthorized."""
        known = self._passwords().get(user)
        if not hmac.compare_digest((known or "").encode(), password.encode()) or known is None:
            raise Unauthorized(f"Logon of user {user} failed: the user is unknown or the password is wrong.")
        return self._open(user)

    def log_on_by_file(self, user: str) -> Session:
        """Write a token where only who runs on the management partition can read it."""
        if self._flavour is not Flavour.NOVALINK:
            raise BadRequest("A session file is only given out by NovaLink. Log on to an HMC with a password.")
        session = self._open(user)
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", user)[:64]
        session.file = self._directory / f"{safe}.{session.number}.token"
        write_private(session.file, session.token.encode())
        return session

    def check(self, token: str | None) -> Session:
        """Return the session of a request's token; raises Unauthorized when it has none or it expired."""
        with self._lock:
            session = self._sessions.get(token or "")
            now = self._now()
            if session is not None and now - session.last_used > self._idle_seconds:
                self._close(session)
                session = None
            if session is None:
                raise Unauthorized("The X-API-Session token is missing, unknown or expired. Log on again.")
            session.last_used = now
            return session

    def log_off(self, token: str) -> None:
        """End one session."""
        with self._lock:
            session = self._sessions.get(token)
            if session is not None:
                self._close(session)

    def expire_all(self) -> int:
        """End every session, as a restart of the REST service does; returns how many there were."""
        with self._lock:
            ended = list(self._sessions.values())
            for session in ended:
                self._close(session)
            return len(ended)

    def _open(self, user: str) -> Session:
        with self._lock:
            for old in [s for s in self._sessions.values() if self._now() - s.last_used > self._idle_seconds]:
                self._close(old)
            session = Session(secrets.token_urlsafe(96), user, next(self._numbers), self._now())
            self._sessions[session.token] = session
            return session

    def _close(self, session: Session) -> None:
        del self._sessions[session.token]
        if session.file is not None:
            session.file.unlink(missing_ok=True)

    def _remove_files(self) -> None:
        for path in self._directory.glob("*.token"):
            path.unlink()
