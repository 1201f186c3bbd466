"""A line between nova-compute and the network agent of one z/VM, where both run on one machine.

z/VM tells nothing by itself: without the line the agent finds adapters at its next look, and nova-compute waits for
Neutron's event, which Neutron holds back for up to two seconds. A word that is lost costs that time and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from bigiron.errors import InvalidSpec

LOG = logging.getLogger(__name__)

COMPUTE, AGENT = "nova-compute.sock", "network-agent.sock"
_AT_ONCE = 100
_LONGEST = 1 << 16

Heard = Callable[[Sequence[str]], None]
"""Called with ids of ports, from a thread of the line's."""


class PortLine:
    """One end: hears at the socket `own` of the folder, and tells at `peer`. Without a folder it does neither."""

    def __init__(self, folder: str, own: str, peer: str) -> None:
        self._folder = Path(folder) if folder else None
        self._own = own
        self._peer = peer
        self._directory = -1
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self, heard: Heard) -> None:
        """Hear from now on. Raises InvalidSpec for a folder that does not serve."""
        if self._folder is None:
            return
        try:
            self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            if os.fstat(self._directory).st_mode & stat.S_IWOTH:
                # Anybody could stand in for either end, and say that a port carries traffic.
                raise PermissionError(errno.EPERM, "everybody may write to it")
            # What an ended process has left; two that run would not both be heard.
            (self._folder / self._own).unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(self._address(self._own))
            (self._folder / self._own).chmod(0o660)
        except OSError as error:
            self.close()
            raise InvalidSpec(
                f"[zvm] port_line = {self._folder} is no directory for sockets ({error}). Make it, with a group that "
                "nova-compute and the network agent are in and mode 2770, or leave the option out in both."
            ) from error
        self._thread = threading.Thread(
            target=self._hear, args=(self._socket, heard), name="bigiron-zvm-ports", daemon=True
        )
        self._thread.start()

    def tell(self, ports: Sequence[str]) -> None:
        """Say these ports to the other end, if somebody is there."""
        # `close` may come meanwhile: its socket then refuses.
        line = self._socket
        if line is None:
            return
        for start in range(0, len(ports), _AT_ONCE):
            words = json.dumps(list(ports[start : start + _AT_ONCE])).encode()
            try:
                line.sendto(words, socket.MSG_DONTWAIT, self._address(self._peer))
            except OSError as error:
                LOG.debug("nobody at %s hears of ports: %s", self._peer, error)
                return

    def close(self) -> None:
        """Hear and tell no more; safe to call twice."""
        line, self._socket = self._socket, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
            self._remove()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None
        directory, self._directory = self._directory, -1
        if directory >= 0:
            os.close(directory)

    def _remove(self) -> None:
        """What stays is no harm: the next start removes it."""
        if self._folder is not None:
            try:
                (self._folder / self._own).unlink(missing_ok=True)
            except OSError as error:
                LOG.info("socket %s stays in %s: %s", self._own, self._folder, error)

    def _address(self, name: str) -> str:
        """By way of the open directory: the address of a socket has 107 characters at most."""
        return f"/proc/self/fd/{self._directory}/{name}"

    def _hear(self, line: socket.socket, heard: Heard) -> None:
        while self._socket is line:
            try:
                words = line.recv(_LONGEST)
            except OSError as error:
                LOG.debug("ports are not heard of any more: %s", error)
                return
            if not words:
                continue
            try:
                ports = [str(port) for port in json.loads(words)]
            except (ValueError, TypeError):
                LOG.warning("what was said of ports makes no sense: %r", words[:100])
                continue
            try:
                heard(ports)
            except Exception:
                # A thread that ends here would leave the other end unheard until the next start.
                LOG.exception("what was said of ports %s could not be taken", ", ".join(ports))
