"""The REST types that the simulator serves, by name."""

from bigiron.sim.powervm.resource import Resource
from bigiron.sim.powervm.resources.bridge import NetworkBridges
from bigiron.sim.powervm.resources.client_adapters import FibreClients, VirtualSCSIBuses
from bigiron.sim.powervm.resources.lpar import LogicalPartition
from bigiron.sim.powervm.resources.network import ClientNetworkAdapters, VirtualNetworks, VirtualSwitches
from bigiron.sim.powervm.resources.pool import Clusters, LogicalUnits, SharedStoragePools, Tiers
from bigiron.sim.powervm.resources.system import (
    ManagedSystems,
    ManagementConsoles,
    Preferences,
    SharedProcessorPools,
)
from bigiron.sim.powervm.resources.vios import VirtualIOServer
from bigiron.sim.powervm.resources.vnic import LogicalPorts, VirtualNics
from bigiron.sim.powervm.resources.volume_group import VolumeGroups

RESOURCES: dict[str, Resource] = {
    resource.type: resource
    for resource in (
        ManagedSystems(),
        ManagementConsoles(),
        SharedProcessorPools(),
        Preferences(),
        LogicalPartition(),
        VirtualIOServer(),
        ClientNetworkAdapters(),
        VirtualSwitches(),
        VirtualNetworks(),
        NetworkBridges(),
        VolumeGroups(),
        Clusters(),
        SharedStoragePools(),
        Tiers(),
        LogicalUnits(),
        VirtualSCSIBuses(),
        FibreClients(),
        VirtualNics(),
        LogicalPorts(),
    )
}
