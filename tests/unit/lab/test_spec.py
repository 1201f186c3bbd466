"""A lab's spec survives between commands, its secrets stay out of sight, and damage to it is explained."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from bigiron.lab import spec
from bigiron.lab.errors import LabError
from bigiron.lab.lifecycle import Wishes
from bigiron.lab.paths import LabPaths


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    made = LabPaths(tmp_path / "lab")
    made.create()
    return made


def test_what_was_saved_is_loaded(paths: LabPaths) -> None:
    saved = spec.LabSpec(driver="fake").equipped()
    spec.save(paths, saved)
    assert spec.load(paths) == saved
    assert stat.S_IMODE(paths.spec.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.root.stat().st_mode) == 0o700


def test_ports_and_secrets_stay_when_equipped_again() -> None:
    first = spec.LabSpec().equipped()
    again = first.equipped()
    assert again == first
    assert len(set(first.secrets.values())) == len(spec.SECRET_NAMES)


def test_secrets_are_not_in_the_representation() -> None:
    equipped = spec.LabSpec().equipped()
    assert not any(secret in repr(equipped) for secret in equipped.secrets.values())


def test_a_lab_that_was_never_started_is_named(paths: LabPaths) -> None:
    assert spec.load(paths) is None
    with pytest.raises(LabError, match=r"no lab in .*lab up"):
        spec.require(paths)


def test_a_damaged_spec_says_how_to_go_on(paths: LabPaths) -> None:
    paths.spec.write_text('{"unknown": 1}', encoding="utf-8")
    with pytest.raises(LabError, match=r"damaged.*lab destroy"):
        spec.load(paths)


def test_wishes_change_only_what_was_asked_for() -> None:
    current = spec.LabSpec(driver="fake", latency="realistic")
    assert Wishes(debug=True).applied(current) == spec.LabSpec(driver="fake", latency="realistic", debug=True)


def test_a_root_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="too long for a Unix socket"):
        LabPaths(tmp_path / ("x" * 90)).create()


def test_a_root_that_option_files_cannot_name_is_refused() -> None:
    # Not in tmp_path, which may itself be too deep for a socket.
    with tempfile.TemporaryDirectory() as folder, pytest.raises(LabError, match=r"cannot hold \$ in a path"):
        LabPaths(Path(folder) / "my$lab").create()


SYSTEMS = Path(__file__).parents[3] / "examples" / "systems"
POWER, ZVM = str(SYSTEMS / "one-host.yaml"), str(SYSTEMS / "zvm.yaml")


@pytest.mark.parametrize(
    ("driver", "systems", "platforms"),
    [
        ("powervm", (), ["powervm"]),
        ("zvm", (), ["zvm"]),
        ("both", (), ["powervm", "zvm"]),
        ("both", (ZVM, POWER), ["zvm", "powervm"]),
        ("fake", (), ["fake"]),
    ],
)
def test_each_host_has_the_platform_of_its_document(
    driver: str, systems: tuple[str, ...], platforms: list[str]
) -> None:
    made = spec.LabSpec(driver=driver, systems=systems)
    made.check_systems()
    assert [host.platform for host in made.hosts] == platforms


@pytest.mark.parametrize(
    ("driver", "systems", "said"),
    [
        ("powervm", (ZVM,), r"zvm.yaml describes a z/VM system.*--platform zvm"),
        ("zvm", (POWER,), r"one-host.yaml describes a PowerVM system.*--platform powervm"),
        ("both", (POWER,), r"no system document describes a z/VM system"),
    ],
)
def test_a_document_of_another_platform_is_refused(driver: str, systems: tuple[str, ...], said: str) -> None:
    with pytest.raises(LabError, match=said):
        spec.LabSpec(driver=driver, systems=systems).check_systems()


def test_systems_of_different_mac_prefixes_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path(ZVM).read_text().replace('mac_prefix: "020000"', 'mac_prefix: "02AB00"'))
    assert spec.LabSpec(driver="zvm", systems=(str(other),)).base_mac == "02:ab:00:00:00:00"
    with pytest.raises(LabError, match="020000, 02ab00"):
        spec.LabSpec(driver="zvm", systems=(ZVM, str(other))).check_systems()


def test_driver_and_platform_must_agree() -> None:
    assert spec.chosen_driver(None, None) is None
    assert spec.chosen_driver("zvm", None) == "zvm"
    assert spec.chosen_driver(None, "fake") == "fake"
    with pytest.raises(LabError, match="--driver fake and --platform zvm"):
        spec.chosen_driver("zvm", "fake")
