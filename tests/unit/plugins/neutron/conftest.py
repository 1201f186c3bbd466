"""Neutron's own test modules are imported by these tests."""

from tests.support.neutron_imports import prepare

prepare()
