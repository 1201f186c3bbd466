"""The private RabbitMQ holds no trap: its view of Erlang cannot start epmd, and links the broker's core alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bigiron.lab import broker, ports
from bigiron.lab.errors import LabError


@pytest.fixture
def binaries(tmp_path: Path) -> broker.Binaries:
    """A tree with the layout of Debian's packages."""
    erlang, rabbitmq = tmp_path / "erlang", tmp_path / "rabbitmq"
    (erlang / "erts-13.1" / "bin").mkdir(parents=True)
    for tool in ("erl", "epmd", "erlexec", "beam.smp"):
        (erlang / "erts-13.1" / "bin" / tool).write_text("#!/bin/sh\nexit 7\n")
        (erlang / "erts-13.1" / "bin" / tool).chmod(0o755)
    for folder in ("lib", "releases", "bin"):
        (erlang / folder).mkdir()
    (erlang / "bin" / "start_sasl.boot").touch()
    for library in ("rabbit-3.10", "ranch-2.1", "rabbitmq_prelaunch-3.10", "rabbitmq_auth_backend_ldap-3.10"):
        (rabbitmq / "plugins" / library).mkdir(parents=True)
    return broker.Binaries(erlang, rabbitmq)


def test_erl_and_epmd_do_nothing_and_the_emulator_is_the_real_one(tmp_path: Path, binaries: broker.Binaries) -> None:
    root = broker.erlang_root(tmp_path / "broker", binaries)
    for name, status in (("erl", 0), ("epmd", 0), ("erlexec", 7)):
        result = subprocess.run([root / "erts-13.1" / "bin" / name], timeout=10, check=False)
        assert result.returncode == status
    assert (root / "bin" / "start_sasl.boot").exists()


def test_optional_plugins_are_left_out(tmp_path: Path, binaries: broker.Binaries) -> None:
    root = broker.erlang_root(tmp_path / "broker", binaries)
    linked = {path.name for path in (root / "plugins").iterdir()}
    assert linked == {"rabbit-3.10", "ranch-2.1", "rabbitmq_prelaunch-3.10"}


def test_the_password_is_in_a_private_file_and_not_in_the_command(tmp_path: Path) -> None:
    broker.write_files(tmp_path, 5672, "a-password", "a-cookie")
    assert "default_pass = a-password" in (tmp_path / "rabbitmq.conf").read_text()
    assert (tmp_path / "rabbitmq.conf").stat().st_mode & 0o077 == 0
    (tmp_path / "erts-1" / "bin").mkdir(parents=True)
    assert not any("a-password" in word or "a-cookie" in word for word in broker.command(5672, tmp_path))


def test_a_machine_without_rabbitmq_and_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "find", lambda _cache: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"install the package rabbitmq-server.*--broker URL"):
        broker.obtain(tmp_path / "cache")


def test_nobody_answers_on_a_free_port() -> None:
    assert not broker.answers(ports.choose(["none"], {})["none"])


def test_a_broker_that_does_not_answer_is_named() -> None:
    port = ports.choose(["none"], {})["none"]
    with pytest.raises(LabError, match=rf"no message broker answers at 127.0.0.1:{port}") as raised:
        broker.require(f"rabbit://user:secret@127.0.0.1:{port}/")
    assert "secret" not in str(raised.value)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(LabError, match="--broker"):
        broker.require("localhost")
