"""The hypervisor's and the partitions' documents of a sample, in the shape that real systems write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bigiron.sim.powervm.model.partition import OFF, RMC_ACTIVE
from bigiron.sim.powervm.pcm.facts import Ethernet, LogicalPort, PartitionFacts, ProcessorPool, ViosFacts
from bigiron.sim.powervm.pcm.load import Meter, Usage
from bigiron.sim.powervm.pcm.monitor import Sample

CYCLES_PER_SECOND = 512_000_000
"""Of the time base, the same on all Power processors."""
_FIRMWARE = 0.002
"""Processors that the hypervisor itself takes."""
_INSTRUCTIONS_PER_CYCLE = 0.8
_PAGE = 4096
_SWAP_PAGES = 524_288
_TYPES = {"AIX/Linux": "aixlinux", "OS400": "ibmi"}

_RECEIVED_PER_SECOND, _SENT_PER_SECOND = 400, 300
"""Packets of a partition for each second that it keeps one processor busy."""
_RECEIVED_SIZE, _SENT_SIZE = 900, 600
_RECEIVED_PER_DROP, _RECEIVED_PER_ERROR = 5000, 20000
_STANDBY = 0.01
"""The part of the traffic that a logical port sees which waits for another one to fail."""


def cycles(seconds: float) -> int:
    """Seconds of one processor in ticks of the time base."""
    return int(seconds * CYCLES_PER_SECOND)


def usage(partition: PartitionFacts, time: float) -> Usage:
    """What a partition has used since it was activated; nothing while it is off."""
    return partition.meter.at(time) if partition.meter else Usage()


def head(sample: Sample, version: str) -> dict[str, Any]:
    """What each document says of itself."""
    return {"version": version, "metricType": "Raw", "monitoringType": "LTM", "mtms": sample.system.mtms}


def stamp(time: float, form: str = "%Y-%m-%dT%H:%M:%S+0000") -> str:
    """A time as the documents write it."""
    return datetime.fromtimestamp(time, UTC).strftime(form)


def traffic(busy: float) -> dict[str, int]:
    """The counters of a network device that has served this much work."""
    received, sent = int(busy * _RECEIVED_PER_SECOND), int(busy * _SENT_PER_SECOND)
    return {
        "receivedPackets": received,
        "sentPackets": sent,
        "droppedPackets": received // _RECEIVED_PER_DROP,
        "receivedBytes": received * _RECEIVED_SIZE,
        "sentBytes": sent * _SENT_SIZE,
    }


def hypervisor(sample: Sample) -> dict[str, Any]:
    """The document of category phyp."""
    system = sample.system
    up = max(0.0, sample.time - sample.up_since)
    firmware = {"utilizedProcCycles": cycles(up * _FIRMWARE), "assignedMem": system.firmware_memory}
    processor = {
        "totalProcUnits": system.processors,
        "configurableProcUnits": system.processors,
        "availableProcUnits": system.processors_free,
        "procCyclesPerSecond": CYCLES_PER_SECOND,
    }
    memory = {"totalMem": system.memory, "availableMem": system.memory_free, "configurableMem": system.memory}
    return {
        "systemUtil": {
            "utilInfo": {**head(sample, "1.3.0"), "name": system.name},
            "utilSample": {
                "timeStamp": stamp(sample.time),
                "status": 0,
                "errorInfo": [],
                "timeBasedCycles": float(cycles(up)),
                "systemFirmware": firmware,
                "processor": processor,
                "memory": memory,
                "sharedProcessorPool": [_pool(sample, pool, up) for pool in system.pools],
                "lparsUtil": [_lpar(sample, one) for one in system.lpars],
                "viosUtil": [_vios(sample, one) for one in system.vioses],
            },
        }
    }


def _pool(sample: Sample, pool: ProcessorPool, up: float) -> dict[str, Any]:
    partitions = [*sample.system.lpars, *(vios.partition for vios in sample.system.vioses)]
    members = [one for one in partitions if one.share.pool == pool.id]
    used = sample.retired.get(pool.id, 0.0) + sum(usage(one, sample.time).busy for one in members)
    entitled = sum(one.share.entitled for one in members if one.meter)
    return {
        "id": pool.id,
        "name": pool.name,
        "assignedProcCycles": float(cycles(up * pool.maximum)),
        "utilizedPoolCycles": cycles(used),
        "maxProcUnits": pool.maximum,
        "borrowedPoolProcUnits": round(max(0.0, pool.maximum - entitled), 4),
    }


def _lpar(sample: Sample, lpar: PartitionFacts) -> dict[str, Any]:
    found: dict[str, Any] = {
        **_identity(lpar),
        "type": _TYPES.get(lpar.type, "aixlinux"),
        "memory": {"logicalMem": lpar.memory, "backedPhysicalMem": lpar.memory},
        "processor": _processor(lpar, sample.time),
    }
    if sample.compute_only or lpar.meter is None:
        return found
    if lpar.ethernets:
        found["network"] = _network(lpar, sample.time)
    storage = _storage(lpar)
    if storage:
        found["storage"] = storage
    return found


def _vios(sample: Sample, vios: ViosFacts) -> dict[str, Any]:
    partition = vios.partition
    found = {
        **_identity(partition),
        "memory": {"assignedMem": partition.memory},
        "processor": _processor(partition, sample.time),
    }
    if sample.compute_only:
        return found
    network = _network(partition, sample.time) if partition.ethernets else {}
    if vios.logical_ports:
        busy = {one.uuid: usage(one, sample.time).busy for one in sample.system.lpars}
        network["sriovLogicalPorts"] = [_logical_port(one, busy.get(one.client, 0.0)) for one in vios.logical_ports]
    if network:
        found["network"] = network
    return found


def _logical_port(port: LogicalPort, busy: float) -> dict[str, Any]:
    counters = traffic(busy * port.weight * (1.0 if port.active else _STANDBY))
    dropped = counters.pop("droppedPackets")
    return {
        "drcIndex": str(port.number),
        "physicalLocation": port.location,
        "physicalDrcIndex": str(port.adapter),
        "physicalPortId": port.port,
        "clientPartitionUUID": port.client,
        "vnicDeviceMode": "DedicatedVNIC",
        "configurationType": "Ethernet",
        **counters,
        "droppedReceivedPackets": dropped,
        "droppedSentPackets": dropped // 2,
        "errorIn": counters["receivedPackets"] // _RECEIVED_PER_ERROR,
        "errorOut": 0,
    }


def _identity(partition: PartitionFacts) -> dict[str, Any]:
    return {
        "id": partition.id,
        "uuid": partition.uuid,
        "name": partition.name,
        "state": partition.state.title(),
        "affinityScore": 100,
    }


def _processor(partition: PartitionFacts, time: float) -> dict[str, Any]:
    used = usage(partition, time)
    dispatched = used.capped + used.uncapped
    own = {} if partition.share.pool is None else {"poolId": partition.share.pool}
    weight = {} if partition.weight is None else {"weight": partition.weight}
    return {
        **own,
        "mode": partition.mode,
        "maxVirtualProcessors": partition.vcpus,
        "maxProcUnits": partition.share.entitled,
        **weight,
        "entitledProcCycles": cycles(used.entitled),
        "utilizedCappedProcCycles": cycles(used.capped),
        "utilizedUnCappedProcCycles": cycles(used.uncapped),
        "idleProcCycles": cycles(used.idle),
        "donatedProcCycles": cycles(used.donated),
        "timeSpentWaitingForDispatch": cycles(used.waiting),
        "totalInstructions": int(cycles(used.busy) * _INSTRUCTIONS_PER_CYCLE),
        "totalInstructionsExecutionTime": cycles(dispatched),
    }


def _network(partition: PartitionFacts, time: float) -> dict[str, Any]:
    busy = usage(partition, time).busy
    return {"virtualEthernetAdapters": [_ethernet(one, traffic(busy * one.weight)) for one in partition.ethernets]}


def _ethernet(adapter: Ethernet, counters: dict[str, int]) -> dict[str, Any]:
    physical = {name.replace("Packets", "PhysicalPackets").replace("Bytes", "PhysicalBytes") for name in counters}
    return {
        "vlanId": adapter.vlan,
        "vswitchId": adapter.switch,
        "physicalLocation": adapter.location,
        "isPortVLANID": True,
        **counters,
        **dict.fromkeys(sorted(physical), 0),
    }


def _storage(lpar: PartitionFacts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if lpar.disks:
        found["genericVirtualAdapters"] = [
            {"physicalLocation": one.location, "viosId": one.vios, "viosAdapterSlotId": one.vios_slot}
            for one in lpar.disks
        ]
    if lpar.channels:
        found["virtualFiberChannelAdapters"] = [
            {"physicalLocation": one.location, "viosId": one.vios, "wwpnPair": [int(w, 16) for w in one.wwpns]}
            for one in lpar.channels
        ]
    return found


def partitions(sample: Sample) -> dict[str, Any]:
    """The document of category lpar: what the partitions' own systems tell of their memory."""
    return {"lparUtil": [_memory_of(one, sample.time) for one in sample.system.lpars]}


def _memory_of(lpar: PartitionFacts, time: float) -> dict[str, Any]:
    found: dict[str, Any] = {"uuid": lpar.uuid, "id": str(lpar.id), "name": lpar.name}
    if lpar.meter is None or lpar.state == OFF:
        return {**found, **_silent("6001", "Lpar is not in running state on Managed System")}
    if lpar.rmc != RMC_ACTIVE:
        return {**found, **_silent("6003", "RMC is INACTIVE on lpar")}
    return {**found, "memory": _memory(lpar, lpar.meter, time), "timeStamp": stamp(time, "%Y%m%dT%H%M%S+0000")}


def _silent(number: str, message: str) -> dict[str, Any]:
    return {"errorInfo": {"errorId": number, "message": message}, "timeStamp": None}


def _memory(lpar: PartitionFacts, meter: Meter, time: float) -> dict[str, Any]:
    phase = meter.phase(time)
    size = lpar.memory * 2**20
    return {
        "pctRealMemAvbl": round((1 - phase.memory) * 100),
        "totalPgSpSizeCount": _SWAP_PAGES,
        "totalPgSpFreeCount": _SWAP_PAGES,
        "vmActivePgCount": int(size * phase.memory / _PAGE),
        "realMemSizeBytes": size,
        "pctRealMemFree": round((1 - phase.memory) * 80),
        "vmPgInRate": 0,
        "vmPgOutRate": round(phase.level * 20),
        "vmPgSpInRate": 0,
        "vmPgSpOutRate": 0,
    }
