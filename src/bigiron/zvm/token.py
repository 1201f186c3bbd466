"""The connector's token: asked for with the shared secret, kept until shortly before it ends, renewed by one thread."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bigiron.errors import AuthError, PlatformError

LOG = logging.getLogger(__name__)

_KEPT = 0.9
"""The part of its life for which a token is used."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token, and until when on this host's monotonic clock it serves; without one the connector asks for none."""

    header: dict[str, str] = field(default_factory=dict, repr=False)
    until: float = float("inf")


class Token:
    """The token of one connector (POST /token with X-Admin-Token)."""

    def __init__(
        self,
        secret_file: str | None,
        ask: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secret_file = secret_file
        self._ask = ask
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._held: Held | None = None if secret_file else Held()
        self._failure: tuple[PlatformError, float] | None = None

    def get(self, fresh_for_s: float = 0.0) -> Held:
        """The token, good for at least so many seconds more; raises AuthError."""
        held, began = self._held, self._clock()
        if held is not None and held.until > began + fresh_for_s:
            return held
        with self._lock:
            held = self._held
            if held is None or held.until <= self._clock() + fresh_for_s:
                self._held = held = self._new(began)
            return held

    def renew(self, rejected: Held) -> Held:
        """A token in the place of one that was rejected, unless another thread has it already."""
        began = self._clock()
        with self._lock:
            if self._held is None or self._held is rejected:
                self._held = self._new(began)
            return self._held

    def _new(self, began: float) -> Held:
        """Ask for a token. Who has waited since `began` while another asked in vain gets that one's failure: where the
        connector hangs, the last of many would wait for all the time-outs of those before it."""
        if self._failure is not None and self._failure[1] > began:
            error = self._failure[0]
            raise type(error)(error.message, detail=error.detail) from error
        try:
            token = self._ask(self._secret())
        except PlatformError as error:
            self._failure = error, self._clock()
            raise
        return Held({"X-Auth-Token": token}, self._clock() + self._life(token) * _KEPT)

    def _secret(self) -> str:
        assert self._secret_file is not None
        try:
            return Path(self._secret_file).read_text().strip()
        except OSError as error:
            raise AuthError(
                f"[zvm] token_path = {self._secret_file} cannot be read ({error}): copy the connector's token file "
                "there, readable by nova-compute only."
            ) from error

    def _life(self, token: str) -> float:
        """Seconds until it ends: a JSON Web Token says so; where it cannot be told, a rejection will."""
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            left = float(claims["exp"]) - self._now()
        except (IndexError, ValueError, KeyError, TypeError):
            return float("inf")
        # Where this host's clock is ahead of the connector's, the token only seems to have ended.
        return left if left > 0 else float("inf")
