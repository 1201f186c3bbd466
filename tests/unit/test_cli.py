"""The `bigiron` command: what it lists, and what it imports only when asked."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bigiron import cli


def test_help_lists_every_command_without_importing_any() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from bigiron import cli;"
        "print(CliRunner().invoke(cli.main, ['--help']).output);"
        "print([m for m in sys.modules if m.startswith(('bigiron.sim', 'bigiron.lab', 'bigiron.plugins', 'nova'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    *shown, imported = done.stdout.strip().splitlines()
    for name, entry in cli.COMMANDS.items():
        assert any(name in line and entry.help in line for line in shown)
    assert imported == "[]"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_is_there(name: str) -> None:
    context = click.Context(cli.main)
    command = cli.main.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert CliRunner().invoke(cli.main, [name, "--help"]).exit_code == 0


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(cli.main, ["nonsense"])
    assert result.exit_code == 2 and "nonsense" in result.output


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = cli._Entry("no_such_module:command", "Nothing.", "lab")
    monkeypatch.setitem(cli.COMMANDS, "broken", entry)
    result = CliRunner().invoke(cli.main, ["broken"])
    assert result.exit_code == 1 and "pip install 'bigiron[lab]'" in result.output
