"""What the demo boots: a role for each platform of the lab, and an image that z/VM's tools can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigiron.lab import demo_roles, spec
from bigiron.lab.demo_powervm import PowerVM
from bigiron.lab.demo_zvm import ZVM
from bigiron.sim.zvm.linux import images


@pytest.mark.parametrize(
    ("driver", "names", "kinds"),
    [
        ("powervm", ["demo"], [PowerVM]),
        ("zvm", ["demo-zvm"], [ZVM]),
        ("both", ["demo", "demo-zvm"], [PowerVM, ZVM]),
        ("fake", ["demo"], [type(None)]),
    ],
)
def test_each_platform_has_its_role(driver: str, names: list[str], kinds: list[type]) -> None:
    found = demo_roles.roles(spec.LabSpec(driver=driver).equipped())
    assert [role.name for role in found] == names
    assert [type(role.platform) for role in found] == kinds


def test_the_log_to_read_is_that_of_the_roles_own_host() -> None:
    found = demo_roles.roles(spec.LabSpec(driver="both").equipped())
    assert [role.compute for role in found] == ["nova-compute", "nova-compute-2"]


def test_the_image_for_zvm_is_made_by_the_users_command_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "demo-zvm.img"
    assert "20 cylinders" in demo_roles.dasd_image(target)
    header = images.read_header(target)
    assert (header.tag, header.size, header.unit) == (images.CKD_TAG, 20, "CYL")
    assert list(tmp_path.iterdir()) == [target]
