"""What guests of ours use: the monitor's samples, the adapters' names and the partitions' states put together."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bigiron import naming
from bigiron.errors import Busy, PlatformError, Timeout, Unavailable
from bigiron.model import DiskCapacity, GuestUsage, PowerState
from bigiron.powervm.connection import Connection
from bigiron.powervm.metrics.adapters import AdapterNames, Wanted
from bigiron.powervm.metrics.guests import Meters, Usage
from bigiron.powervm.metrics.monitor import LongTermMonitor, NoSamples, Reading
from bigiron.powervm.metrics.storage import Capacities
from bigiron.powervm.network import rmc
from bigiron.powervm.partition import Lpar

_AWAY = (Unavailable, Timeout, Busy)
_SAMPLES, _MONITOR = "samples", "monitor"


@dataclass(frozen=True, slots=True)
class _Found:
    """A partition of which a guest's instance uuid tells."""

    instance: str
    lpar: Lpar


class GuestUsages:
    """The one source of guests' figures of a system; may be asked from many threads, which take turns."""

    def __init__(self, connection: Connection, monitor: LongTermMonitor, switch_on: bool = True) -> None:
        """Without `switch_on` the monitor is read where somebody else has it on; that it is off is no trouble then."""
        self._connection = connection
        self._switch_on = switch_on
        self._monitor = monitor
        self._complaints = monitor.complaints
        self._names = AdapterNames(connection.adapter, self._complaints)
        self._capacities = Capacities(connection.vioses, self._complaints)
        self._meters = Meters()
        self._lock = threading.Lock()
        connection.events.subscribe(self._names.on_event)

    def read(self, instances: Collection[str]) -> Mapping[str, GuestUsage]:
        """What the guests of these instances use, by instance uuid; nothing of those that are not on this system.

        In the steady state one request for the monitor's feed and one for each document that is new in it. Raises
        Unavailable, Timeout or Busy where the service does not answer; where the monitor has nothing to tell, what
        is known without it comes, and the reason is logged once.
        """
        with self._lock:
            reading = self._reading()
            found = {one.lpar.uuid: one for one in map(self._find, instances) if one is not None}
            usages = self._follow(reading, found)
            capacities = self._capacities.by_partition()
            return {
                one.instance: _guest(one, usages.get(uuid), capacities.get(uuid, ())) for uuid, one in found.items()
            }

    def close(self) -> None:
        """Put the monitor's preferences back as they were found."""
        self._monitor.close()

    def _reading(self) -> Reading:
        try:
            reading = self._monitor.read(self._switch_on)
        except _AWAY:
            raise
        except PlatformError as error:
            if self._switch_on:
                told = f"What guests use is not known, but for their state and size: {error.message}"
                self._complaints.tell(_SAMPLES if isinstance(error, NoSamples) else _MONITOR, told)
            return Reading()
        self._complaints.well(_SAMPLES, "The platform's monitor has samples")
        self._complaints.well(_MONITOR, "The platform's monitor can be read again")
        return reading

    def _find(self, instance: str) -> _Found | None:
        lpar = self._connection.mirror.find(naming.lpar_uuid(instance))
        if lpar is None or lpar.instance not in (None, instance.lower()):
            return None
        return _Found(instance, lpar)

    def _follow(self, reading: Reading, found: Mapping[str, _Found]) -> Mapping[str, Usage]:
        sample = reading.hypervisor
        macs: Mapping[str, Mapping[str, str]] = {}
        if sample is not None:
            wanted = [
                Wanted(uuid, frozenset(nic.location for nic in one.nics), frozenset(sample.ports.get(uuid, ())))
                for uuid, one in sample.lpars.items()
                if uuid in found and (one.nics or uuid in sample.ports)
            ]
            mirror = self._connection.mirror
            vioses = [vios.uuid for vios in self._connection.vioses.all()]
            macs = self._names.of(wanted, vioses, {lpar.uuid for lpar in mirror.lpars()})
        # The management adapter's traffic is the platform's, not the server's.
        ignored = {uuid: rmc.mac(one.instance) for uuid, one in found.items()}
        return self._meters.follow(reading, macs, ignored)


def _guest(found: _Found, usage: Usage | None, capacities: tuple[DiskCapacity, ...]) -> GuestUsage:
    lpar = found.lpar
    base = GuestUsage(found.instance, lpar.power, lpar.vcpus, lpar.memory_mb, capacities=capacities)
    if usage is None or lpar.power is PowerState.STOPPED:
        return base
    return GuestUsage(
        uuid=base.uuid,
        power=base.power,
        vcpus=base.vcpus,
        memory_mb=base.memory_mb,
        # Without its counters the sample is an old one, kept for what it says of the adapters.
        resident_mb=usage.sample.resident_mb if usage.processor is not None else None,
        processor=usage.processor,
        memory=usage.memory,
        nics=usage.nics,
        disks=usage.disks,
        capacities=capacities,
    )
