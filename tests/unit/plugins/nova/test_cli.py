"""`bigiron nova-link` and `bigiron adopt`, run as an operator runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bigiron.plugins.nova import cli

OVERLAY = Path(__file__).parents[4] / "overlay" / "nova" / "virt"


@pytest.fixture
def nova_virt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cli, "_nova_virt", lambda: tmp_path)
    monkeypatch.setattr(cli, "_found_elsewhere", lambda: None)
    return tmp_path


def test_the_linked_modules_are_those_that_the_wheel_has() -> None:
    for name, text in cli.SHIMS.items():
        assert (OVERLAY / name).read_text() == text


def test_linking_places_the_modules_and_is_harmless_when_repeated(nova_virt: Path) -> None:
    assert CliRunner().invoke(cli.nova_link, ["--check"]).exit_code == 1
    first = CliRunner().invoke(cli.nova_link)
    assert first.exit_code == 0, first.output
    assert first.output.count("placed") == len(cli.SHIMS)
    again = CliRunner().invoke(cli.nova_link, ["--check"])
    assert again.exit_code == 0, again.output
    assert again.output.count("in place") == len(cli.SHIMS)
    assert (nova_virt / "bigiron/__init__.py").read_text() == cli.SHIMS["bigiron/__init__.py"]


def test_nothing_is_placed_where_nova_finds_the_driver_already() -> None:
    done = CliRunner().invoke(cli.nova_link)
    assert done.exit_code == 0, done.output
    assert "nothing to do" in done.output


def test_another_drivers_module_is_left_alone(nova_virt: Path) -> None:
    other = nova_virt / "powervm" / "driver.py"
    other.parent.mkdir()
    other.write_text("class PowerVMDriver: pass\n")
    done = CliRunner().invoke(cli.nova_link)
    assert done.exit_code == 1
    assert "another driver's" in done.output
    assert other.read_text() == "class PowerVMDriver: pass\n"


def run_adopt(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: reading nova.conf changes Nova's global configuration for good."""
    command = [sys.executable, "-W", "ignore", "-c", "from bigiron.plugins.nova.cli import adopt; adopt()"]
    return subprocess.run(
        [*command, "--config-file", str(config), *arguments], capture_output=True, text=True, timeout=60
    )


def test_adopting_lists_the_named_instances_without_touching_the_platform(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text("[powervm]\ndisk_driver = ssp\n")
    done = run_adopt(config, "--dry-run", "--instance", "uuid-1=web-1", "--instance", "uuid-2=web-2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["uuid-1 web-1", "uuid-2 web-2"]


def test_an_instance_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text("")
    done = run_adopt(config, "--instance", "web-1")
    assert done.returncode == 2
    assert "UUID=NAME" in done.stderr


def test_an_option_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text("[powervm]\ndisk_driver = localdisk\n")
    done = run_adopt(config, "--instance", "uuid-1=web-1")
    assert done.returncode == 1
    assert "[powervm] volume_group_name" in done.stderr


def test_the_compute_driver_says_which_platform(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text("[DEFAULT]\ncompute_driver = bigiron.ZVMDriver\n[zvm]\ncloud_connector_url = ftp://zvm\n")
    done = run_adopt(config, "--instance", "uuid-1=web-1")
    assert done.returncode == 1
    assert "[zvm] cloud_connector_url" in done.stderr
