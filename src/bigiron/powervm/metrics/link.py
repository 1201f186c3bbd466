"""The connection of a program that only measures: what the compute side keeps in memory, without what makes guests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bigiron.model import GuestUsage
from bigiron.powervm.connect import connect
from bigiron.powervm.connection import Connection
from bigiron.powervm.metrics.monitor import LongTermMonitor
from bigiron.powervm.metrics.usage import GuestUsages
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Journal


@dataclass(frozen=True, slots=True)
class MetricsLink:
    """A started connection with its source of figures; `open_metrics` makes it, `close` ends it."""

    connection: Connection
    usages: GuestUsages

    def read(self, instances: Collection[str]) -> Mapping[str, GuestUsage]:
        """What the guests of these instances use; see `GuestUsages.read`."""
        return self.usages.read(instances)

    def close(self) -> None:
        """Put the monitor's preferences back, stop the threads and log off."""
        self.usages.close()
        self.connection.close()


def open_metrics(options: PowerVMOptions, journal: Journal | None = None) -> MetricsLink:
    """Connect, without waiting for a service that is down; raises as `connect.connect` does."""
    connection = connect(options, journal, wait=False)
    monitor = LongTermMonitor(connection.adapter, connection.system_uuid)
    return MetricsLink(connection, GuestUsages(connection, monitor))
