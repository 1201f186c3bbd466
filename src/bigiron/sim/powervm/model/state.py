"""Everything about a simulated system that is kept on disk, as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field

from bigiron.sim.powervm.model.network import NetworkBridge, VirtualNetwork, VirtualSwitch
from bigiron.sim.powervm.model.partition import Lpar, Vios
from bigiron.sim.powervm.model.sriov import SriovAdapter
from bigiron.sim.powervm.model.storage import Cluster, SharedStoragePool
from bigiron.sim.powervm.model.system import ManagedSystem, ManagementConsole, PcmPreferences, SharedProcessorPool


@dataclass(slots=True, kw_only=True)
class State:
    """The objects of one managed system, and the counters that new names are drawn from."""

    system: ManagedSystem
    console: ManagementConsole
    pcm: PcmPreferences
    users: dict[str, str]
    """Passwords by name of those who may log on."""
    revision: int = 0
    serial: int = 0
    lpars: list[Lpar] = field(default_factory=list)
    vioses: list[Vios] = field(default_factory=list)
    processor_pools: list[SharedProcessorPool] = field(default_factory=list)
    switches: list[VirtualSwitch] = field(default_factory=list)
    networks: list[VirtualNetwork] = field(default_factory=list)
    bridges: list[NetworkBridge] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    pools: list[SharedStoragePool] = field(default_factory=list)
    sriov: list[SriovAdapter] = field(default_factory=list)
