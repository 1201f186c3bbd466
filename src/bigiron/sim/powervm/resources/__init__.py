"""The REST types that the simulator serves, by name."""

from bigiron.sim.powervm.resource import Resource

RESOURCES: dict[str, Resource] = {}
