"""The PowerVM driver's own: how Nova finds it, and that it says every capability itself."""

from __future__ import annotations

import inspect

from nova.virt import driver
from oslo_utils import importutils

from bigiron import features
from bigiron.plugins.nova import powervm
from bigiron.plugins.nova.driver import BigironDriver


def test_both_names_lead_to_the_driver() -> None:
    for name in ("bigiron.PowerVMDriver", "powervm.driver.PowerVMDriver"):
        assert importutils.import_class(f"nova.virt.{name}") is powervm.PowerVMDriver


def test_every_capability_that_nova_knows_is_said_and_none_besides() -> None:
    known = set(driver.ComputeDriver.capabilities) | set(driver.CAPABILITY_TRAITS_MAP)
    assert set(powervm.PowerVMDriver.capabilities) == known
    assert set(powervm.NEVER).isdisjoint(features.capabilities())


def test_the_feature_table_decides() -> None:
    for flag, value in features.capabilities().items():
        assert powervm.PowerVMDriver.capabilities[flag] is value


def test_every_call_of_novas_is_taken_as_nova_makes_it() -> None:
    classes = BigironDriver.__mro__[: BigironDriver.__mro__.index(driver.ComputeDriver)]
    public = [n for one in classes for n, value in vars(one).items() if inspect.isfunction(value) and n[0] != "_"]
    own = {"make_hypervisor", "config_drive_network", "image_source", "operating", "check_supported"}
    own |= {"image_folder", "start_timeout_s", "node_name"}
    assert own <= set(public)
    for name in set(public) - own:
        ours = list(inspect.signature(getattr(BigironDriver, name)).parameters.values())
        novas = list(inspect.signature(getattr(driver.ComputeDriver, name)).parameters.values())
        assert [one.name for one in ours] == [one.name for one in novas], name
        assert [one.default for one in ours] == [one.default for one in novas], name
