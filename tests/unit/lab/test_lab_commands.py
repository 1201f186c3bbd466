"""The lab's commands as a user types them, where no program needs to run for it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bigiron.lab import cli, lifecycle, spec
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths
from bigiron.lab.progress import Quiet


@pytest.fixture
def paths() -> Iterator[LabPaths]:
    # pytest's own folders are named after the test, too long for a Unix socket.
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = LabPaths(Path(folder) / "lab")
        made.create()
        yield made


def lab(paths: LabPaths, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli.lab, ["--dir", str(paths.root), *arguments], env=environment)


def test_a_lab_whose_spec_cannot_be_read_is_stopped_and_removed(paths: LabPaths) -> None:
    paths.spec.write_text('{"of_another_version": 1}')
    assert "lab destroy" in lab(paths, "status").output
    assert lab(paths, "down", "--json").output == '{"stopped": false}\n'
    result = lab(paths, "destroy", "--json")
    assert json.loads(result.output) == {"removed": str(paths.root)}
    assert not paths.root.exists()


def test_what_is_no_lab_is_not_removed(paths: LabPaths) -> None:
    assert json.loads(lab(paths, "destroy", "--json").output) == {"removed": None}
    assert paths.root.exists()
    with pytest.raises(LabError, match="no lab"):
        lifecycle.destroy(paths, Quiet())
    assert "no lab" in lab(paths, "down").output


def test_a_platform_is_not_started_from_another_document(paths: LabPaths, tmp_path: Path) -> None:
    document = tmp_path / "system.yaml"
    document.write_text("system: {name: one}")
    first = spec.LabSpec(systems=(str(document),))
    first = replace(first, platforms=(spec.digest(document),))
    spec.save(paths, first)
    (paths.data / "sim").mkdir()
    (paths.data / "sim" / "state.json").touch()
    document.write_text("# a comment\nsystem:\n  name: one\n")
    assert (spec.digest(document),) == first.platforms
    document.write_text("system: {name: two}")
    with pytest.raises(LabError, match=r"system.yaml is not what the platform.*lab destroy"):
        lifecycle.up(paths, lifecycle.Wishes(), Quiet())
    document.write_text("{")
    with pytest.raises(LabError, match=r"system.yaml is not YAML"):
        lifecycle.up(paths, lifecycle.Wishes(), Quiet())


def test_a_broker_is_named_by_the_environment(paths: LabPaths) -> None:
    result = lab(paths, "up", "--driver", "fake", BIGIRON_BROKER_URL="nonsense://[")
    assert "--broker URL cannot be read" in result.output
    assert not paths.spec.exists()
