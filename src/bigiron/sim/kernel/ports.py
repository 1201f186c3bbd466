"""Ports that stay ours while nobody listens on them."""

from __future__ import annotations

import socket


def hold(host: str, port: int = 0) -> socket.socket:
    """Bind the port, of 0 one that is free, and keep it until the socket is closed.

    Servers that set SO_REUSEADDR can listen on it meanwhile, stop, and listen again. The system gives it to nobody who
    asks for any port, neither to listen on nor to call from; without that, a server that is away for a second may find
    another in its place. Raises OSError when somebody listens on it.
    """
    family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind, protocol)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held


def number(held: socket.socket) -> int:
    """The port that is held."""
    return int(held.getsockname()[1])
