"""Ports are free when chosen, differ from each other, and stay the same while nobody takes them."""

from __future__ import annotations

import socket

from bigiron.lab import ports


def test_names_get_different_ports_that_a_server_can_use() -> None:
    chosen = ports.choose([f"service{number}" for number in range(20)], {})
    assert len(set(chosen.values())) == 20
    assert all(ports.is_free(port) for port in chosen.values())


def test_a_remembered_port_is_kept_until_somebody_listens_on_it() -> None:
    first = ports.choose(["api"], {})
    assert ports.choose(["api"], first) == first
    with socket.create_server((ports.LOOPBACK, first["api"])):
        assert not ports.is_free(first["api"])
        assert ports.choose(["api"], first)["api"] != first["api"]
    assert ports.is_free(first["api"])
