"""The PowerVM driver's own: how Nova finds it, and that it says every capability itself."""

from __future__ import annotations

from nova.virt import driver
from oslo_utils import importutils

from bigiron import features
from bigiron.plugins.nova import powervm


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
