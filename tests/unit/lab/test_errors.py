"""What goes wrong outside of the lab's own code is told in a sentence, with what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from keystoneauth1.exceptions import ConnectFailure
from openstack.exceptions import ResourceTimeout

from bigiron.lab import cli, database, debian, demo, lifecycle, seed, spec
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths

HANGS = "#!/bin/sh\nexec sleep 60\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (subprocess.TimeoutExpired(["/usr/bin/ldd", "secret"], 30), "ldd did not end within 30 s"),
        (ResourceTimeout("waited in vain"), r"waited in vain.*bigiron lab logs"),
        (ConnectFailure("refused"), r"refused.*bigiron lab status"),
        (LabError("a sentence of its own"), "a sentence of its own"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(("command", "words"), [(cli.lab, ["up"]), (demo.demo, [])], ids=["lab", "demo"])
def test_commands_end_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, said: str, command: object, words: list[str]
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(lifecycle, "up", fails)
    monkeypatch.setenv("BIGIRON_LAB_DIR", str(tmp_path))
    result = CliRunner().invoke(command, words)  # type: ignore[arg-type]
    assert isinstance(result.exception, SystemExit)
    assert re.search(said, " ".join(result.output.split()))
    assert "secret" not in result.output


def test_tools_that_hang_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "keystone-manage"
    tool.write_text(HANGS)
    tool.chmod(0o755)
    monkeypatch.setattr(database, "_MIGRATION_SECONDS", 0.1)
    with pytest.raises(LabError, match=r"keystone-manage db_sync did not end within.*bigiron lab prepare"):
        database._run([str(tool), "db_sync"])
    monkeypatch.setattr(seed, "_BOOTSTRAP_SECONDS", 0.1)
    monkeypatch.setattr(seed, "program", lambda _name: str(tool))
    with pytest.raises(LabError, match=r"bootstrap did not end within.*bigiron lab up"):
        seed.bootstrap(LabPaths(tmp_path), spec.LabSpec().equipped())
    monkeypatch.setattr(debian, "_APT_SECONDS", 0.1)
    result = debian._run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
    assert (result.returncode, result.stderr) == (1, "it did not end within 0.1 s")
