"""The document of a sample that a VIOS gives: its devices and what has gone through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigiron.sim.powervm.pcm.documents import head, stamp, traffic, usage
from bigiron.sim.powervm.pcm.facts import FibrePort, ViosFacts
from bigiron.sim.powervm.pcm.monitor import Sample

_READS_PER_SECOND, _WRITES_PER_SECOND = 50, 30
"""Of a client's disks for each second that it keeps one processor busy."""
_TRANSFER = 16_384
_SPEED = 8
_MEMORY_USED = 0.4

_Busy = Mapping[str, float]
"""How long each client partition has kept a processor busy, by uuid."""


def vios(sample: Sample, found: ViosFacts) -> dict[str, Any]:
    """The document of category vios_<id>."""
    partition = found.partition
    # Its counters began at 0 when it started itself.
    before = sample.bases.get(partition.uuid, {})
    busy = {one.uuid: max(0.0, usage(one, sample.time).busy - before.get(one.uuid, 0.0)) for one in sample.system.lpars}
    return {
        "systemUtil": {
            "utilInfo": head(sample, "1.0.0"),
            "utilSample": {
                "timeStamp": stamp(sample.time),
                "viosUtil": [
                    {
                        "id": str(partition.id),
                        "name": partition.name,
                        "memory": {"utilizedMem": int(partition.memory * _MEMORY_USED)},
                        "network": _network(found, usage(partition, sample.time).busy),
                        "storage": _storage(found, busy),
                    }
                ],
                "status": 0,
                "errorInfo": [],
            },
        }
    }


def _network(found: ViosFacts, busy: float) -> dict[str, Any]:
    counters = traffic(busy)
    virtual = [_device(one.device, "virtual", f"{one.location}-T1", counters) for one in found.partition.ethernets]
    physical = [_device(name, "physical", location, counters) for name, location in found.ports]
    shared = [
        {**_device(sea.device, "sea", f"{sea.location}-T1", counters), "bridgedAdapters": list(sea.joined)}
        for sea in found.seas
    ]
    return {"genericAdapters": virtual + physical, "sharedAdapters": shared}


def _device(name: str, kind: str, location: str, counters: Mapping[str, int]) -> dict[str, Any]:
    return {"id": name, "type": kind, "physicalLocation": location, **counters}


def _storage(found: ViosFacts, busy: _Busy) -> dict[str, Any]:
    served = sum(busy.get(server.client or "", 0.0) * server.weight for server in found.servers)
    disk = {"id": "sissas0", "type": "sas", "physicalLocation": found.disk_location, **_transfers(served)}
    return {
        "fiberChannelAdapters": [_fibre(port, busy) for port in found.fibre],
        "genericPhysicalAdapters": [disk],
        "genericVirtualAdapters": [
            {
                "id": server.name,
                "type": "virtual",
                "physicalLocation": server.location,
                **_transfers(busy.get(server.client or "", 0.0) * server.weight),
            }
            for server in found.servers
        ],
        "sharedStoragePools": [
            {
                "id": pool.name,
                "poolDisks": list(pool.disks),
                **_transfers(served),
                "totalSpace": pool.total,
                "usedSpace": pool.used,
            }
            for pool in found.pools
        ],
    }


def _fibre(port: FibrePort, busy: _Busy) -> dict[str, Any]:
    ports = [
        {
            "id": one.name,
            "wwpn": one.wwpn,
            **_transfers(busy.get(one.client or "", 0.0)),
            "runningSpeed": _SPEED,
            "physicalLocation": one.location,
        }
        for one in port.served
    ]
    through = sum(busy.get(one.client or "", 0.0) for one in port.served)
    return {
        "id": port.name,
        "wwpn": port.wwpn,
        "physicalLocation": port.location,
        **_transfers(through),
        "runningSpeed": _SPEED,
        "ports": ports,
    }


def _transfers(busy: float) -> dict[str, int]:
    reads, writes = int(busy * _READS_PER_SECOND), int(busy * _WRITES_PER_SECOND)
    return {
        "numOfReads": reads,
        "numOfWrites": writes,
        "readBytes": reads * _TRANSFER,
        "writeBytes": writes * _TRANSFER,
    }
