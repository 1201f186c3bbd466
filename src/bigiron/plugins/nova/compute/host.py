"""The host as the scheduler and operators see it: inventory, traits, processor time, uptime."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import nova.conf
from nova import exception

from bigiron import errors
from bigiron.model import HostFacts
from bigiron.plugins.nova import providers
from bigiron.plugins.nova.compute.service import Service

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

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        return [CONF.host]

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        # The first audit comes when Nova has gone through its instances.
        self.looking_after = False
        return providers.resource_view(self._facts(), nodename, self.hypervisor_type, self.machines)

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        facts = self._facts()
        ratios = providers.allocation_ratios(CONF, provider_tree.data(nodename).inventory)
        reserved_disk_gb = self._get_reserved_host_disk_gb_from_config()
        provider_tree.update_inventory(nodename, providers.inventory(facts, ratios, reserved_disk_gb))
        # Traits that an operator set stay; the manager adds those of the capabilities.
        found = providers.traits(facts)
        provider_tree.remove_traits(nodename, *(providers.own(facts, provider_tree.data(nodename).traits) - found))
        provider_tree.add_traits(nodename, *found)

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
