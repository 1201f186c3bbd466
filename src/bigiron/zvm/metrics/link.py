"""The connection of a program that only measures: the connector and its statistics, without what makes guests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bigiron.complaints import Complaints
from bigiron.journal import Journal
from bigiron.model import GuestUsage
from bigiron.zvm.api import Api
from bigiron.zvm.metrics.guests import MarkedGuests
from bigiron.zvm.metrics.usage import GuestUsages
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.rest import Connector


@dataclass(frozen=True, slots=True)
class MetricsLink:
    """A connection with its source of figures; `open_metrics` makes it, `close` ends it."""

    connector: Connector
    usages: GuestUsages

    def read(self, instances: Collection[str]) -> Mapping[str, GuestUsage]:
        """What the guests of these instances use; see `GuestUsages.read`."""
        return self.usages.read(instances)

    def close(self) -> None:
        """Close the connections."""
        self.connector.close()


def open_metrics(options: ZvmOptions, journal: Journal | None = None) -> MetricsLink:
    """A connection; asks nothing yet."""
    connector = Connector(options, journal)
    api, complaints = Api(connector), Complaints()
    return MetricsLink(connector, GuestUsages(api, MarkedGuests(api, complaints), complaints))
