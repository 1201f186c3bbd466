from __future__ import annotations

import contextlib
import errno
import socket
import struct

import pytest

from bigiron.sim.kernel import ports

LOOPBACK = "127.0.0.1"
IP_LOCAL_PORT_RANGE = 51
"""Of <linux/in.h>: which ports the system may choose for one socket."""


def listener(port: int) -> socket.socket:
    return socket.create_server((LOOPBACK, port))


def test_a_server_comes_and_goes_on_a_port_that_is_held() -> None:
    with ports.hold(LOOPBACK) as held:
        address = LOOPBACK, ports.number(held)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            with listener(address[1]), socket.create_connection(address) as called:
                assert called.getpeername() == address


def test_the_system_gives_a_port_that_is_held_to_nobody() -> None:
    with contextlib.ExitStack() as stack:
        held = ports.number(stack.enter_context(ports.hold(LOOPBACK)))
        target = stack.enter_context(listener(0)).getsockname()
        probe = stack.enter_context(socket.socket())
        try:
            probe.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", held << 16 | held))
        except OSError:
            pytest.skip("this kernel (before 6.3) cannot be told which ports to choose from")
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError) as refused:
            probe.bind((LOOPBACK, 0))
        assert refused.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError) as refused:
            probe.connect(target)
        assert refused.value.errno == errno.EADDRNOTAVAIL


def test_a_port_on_which_somebody_listens_cannot_be_held() -> None:
    with listener(0) as server, pytest.raises(OSError) as refused:
        ports.hold(*server.getsockname())
    assert refused.value.errno == errno.EADDRINUSE


def test_a_port_of_ipv6() -> None:
    with ports.hold("::1") as held:
        assert held.family is socket.AF_INET6
        assert ports.number(held) > 0
