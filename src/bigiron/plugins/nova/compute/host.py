"""The host as the scheduler and operators see it: inventory, traits, processor time, uptime."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import nova.conf
from nova import exception

from bigiron import errors
from bigiron.model import HostFacts
from bigiron.plugins.nova import providers, sharing
from bigiron.plugins.nova.compute.service import Service
from bigiron.plugins.nova.placement import Placement

CONF = nova.conf.CONF


@contextlib.contextmanager
def host_errors() -> Iterator[None]:
    """Nova takes a host that does not answer for a passing trouble when it is told so in these words."""
    try:
        yield
    except (errors.Unavailable, errors.Busy, errors.Timeout, errors.AuthError) as error:
        raise exception.HypervisorUnavailable(error.message) from error


class Host(Service):
    """What Nova asks of a host."""

    def __init__(self, virtapi: Any) -> None:
        super().__init__(virtapi)
        # Of the tree of providers that Nova compares with what this driver makes of it, only its own client knows.
        self._placement = Placement(lambda: virtapi.reportclient)
        self._audited: tuple[HostFacts, Mapping[str, int]] | None = None
        """What the last audit has found: the host, and what placement has given out of it."""

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        return [self.node_name()]

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        # The first audit comes when Nova has gone through its instances.
        self.looking_after = False
        self._audited = None
        self.left_alone = frozenset()
        return providers.resource_view(self._facts(), nodename, self.hypervisor_type, self.machines)

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """Set the node's inventory and traits, and those of the pool that it shares; may be called again and again.

        Nova also calls for each server that comes or goes. Only an audit changes the inventory: each change is
        refused while the scheduler is at work on the host, and a build must not fail of that. Raises ReshapeNeeded, as
        Nova asks, where an option has moved the disks between the two; the call that follows has the allocations,
        which move with them.
        """
        node = provider_tree.data(nodename)
        if self._audited is None:
            self._audited = self._facts(), self._placement.allocated(node.uuid)
        facts, allocated = self._audited
        found = providers.inventory(facts, self._policy(node.inventory), allocated)
        pool = sharing.SharedPool(facts.disk_pool) if facts.disk_pool else None
        if pool is not None and self.shares_disk_pool:
            sharing.share(provider_tree, nodename, pool, facts.disk_gb, self._policy, self._placement, allocations)
        else:
            disks = node.inventory
            if pool is not None:
                disks = sharing.unshare(provider_tree, nodename, pool, self._placement, allocations)
            found |= providers.disk_inventory(facts.disk_gb, self._policy(disks))
        provider_tree.update_inventory(nodename, found)
        # Traits that an operator set stay; the manager adds those of the capabilities.
        wanted = providers.traits(facts)
        provider_tree.remove_traits(nodename, *(providers.own(facts, node.traits) - wanted))
        provider_tree.add_traits(nodename, *wanted)

    def _policy(self, current: Mapping[str, Mapping[str, Any]]) -> providers.Policy:
        """What nova.conf says, and the operator in placement, of an inventory that is there already."""
        return providers.Policy(
            ratios=providers.allocation_ratios(CONF, current, dedicated=self.dedicates_processors),
            reserved_memory_mb=CONF.reserved_host_memory_mb,
            reserved_vcpus=CONF.reserved_host_cpus,
            reserved_disk_gb=self._get_reserved_host_disk_gb_from_config(),
        )

    def get_host_uptime(self) -> str:
        with host_errors():
            return self.hypervisor.uptime()

    def get_host_ip_addr(self) -> str:
        return str(CONF.my_ip)

    def get_host_cpu_stats(self) -> dict[str, int]:
        try:
            with host_errors():
                stats = self.hypervisor.cpu_stats()
        except errors.Unsupported as error:
            # What Nova's monitor of processors expects of a driver that has no figures.
            raise NotImplementedError(error.message) from error
        return {
            "kernel": stats.kernel_ns,
            "idle": stats.idle_ns,
            "user": stats.user_ns,
            "iowait": stats.iowait_ns,
            "frequency": stats.frequency_mhz,
        }

    def _facts(self) -> HostFacts:
        with host_errors():
            return self.hypervisor.facts()
