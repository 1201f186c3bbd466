"""What all our pollsters do: Ceilometer's own with another source, so that names, types, units and ids stay theirs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from ceilometer import sample
from ceilometer.compute import pollsters
from ceilometer.compute.pollsters import util
from oslo_config import cfg

from bigiron.model import GuestUsage
from bigiron.plugins.ceilometer.inspection import INSPECTIONS, MEASURED_IN
from bigiron.plugins.ceilometer.source import Link, source_of


class GuestPollster(pollsters.GenericComputePollster):
    """Takes its values from the platform's newest figures; the stock class beside it says which, and what of them.

    A counter is told once for each time that it was measured: repeated in a later poll it would look as if the guest
    had stood still, and then made up for it.
    """

    platform = ""
    """As messages name it."""
    dates = False
    """Whether a sample has the time of its measurement, by our own clock, and not that of the poll."""

    @staticmethod
    def open(conf: cfg.ConfigOpts) -> Link:
        """Connect to the platform."""
        raise NotImplementedError

    def setup_environment(self) -> None:
        self.source = source_of(self.conf, self.platform, self.open)
        self._told: dict[tuple[str, str], float] = {}

    def get_samples(self, manager: Any, cache: dict[str, Any], resources: Sequence[Any]) -> Iterator[sample.Sample]:
        here = {instance.id: util.instance_name(instance) or "" for instance in resources}
        usages = self.source.usages(cache, here, manager)
        for instance in resources:
            usage = usages.get(instance.id)
            if usage is not None:
                yield from self._samples_of(instance, usage)
        self._told = {key: at for key, at in self._told.items() if key[0] in here}

    def _samples_of(self, instance: Any, usage: GuestUsage) -> Iterator[sample.Sample]:
        for stats, measured in INSPECTIONS[self.inspector_method](usage):
            volume = getattr(stats, self.sample_stats_key)
            if volume is None:
                continue
            resource = self.get_resource_id(instance, stats)
            at = self._measured_at(usage, measured)
            if self.sample_type == sample.TYPE_CUMULATIVE and at is not None:
                if self._told.get((instance.id, resource)) == at:
                    continue
                self._told[instance.id, resource] = at
            made = util.make_sample_from_instance(
                self.conf,
                instance,
                name=self.sample_name,
                unit=self.sample_unit,
                type=self.sample_type,
                resource_id=resource,
                volume=volume,
                additional_metadata=self.get_additional_metadata(instance, stats),
                monotonic_time=time.monotonic(),
            )
            yield _dated(made, at) if self.dates and at is not None else made

    def _measured_at(self, usage: GuestUsage, at: float | None) -> float | None:
        """When the value was measured; None where that does not matter."""
        part = MEASURED_IN.get(self.sample_stats_key)
        if part is None:
            return at
        measured = getattr(usage, part)
        return measured.at if measured is not None else None


def _dated(made: sample.Sample, at: float) -> sample.Sample:
    """With a time of its own: the agent sets that of the poll on all of them."""
    made.timestamp = datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()
    made.set_timestamp = lambda _of_the_poll: None
    return made


def of(platform: type[GuestPollster], stock: type[Any], **attributes: Any) -> type[Any]:
    """Ceilometer's pollster of a meter with a platform's figures."""
    return type(f"{platform.platform}{stock.__name__}", (platform, stock), attributes)
