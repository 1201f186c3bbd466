"""Power on and off: what is checked and changed at once, and what when the job's time is over."""

from __future__ import annotations

from bigiron.sim.powervm.errors import JobFailed
from bigiron.sim.powervm.model.partition import (
    FIRMWARE,
    IBM_I,
    OFF,
    RMC_ACTIVE,
    RMC_INACTIVE,
    RUNNING,
    SHUTTING_DOWN,
    STARTING,
    Lpar,
    Partition,
    Vios,
)
from bigiron.sim.powervm.model.world import World

KEYLOCKS = ("manual", "norm", "unknown")
IPL_SOURCES = ("a", "b", "c", "d", "Unknown")
OPERATIONS = ("shutdown", "osshutdown", "dumprestart")
BOOT_MODES = {
    "norm": "Normal",
    "sms": "System_Management_Services",
    "dd": "Diagnostic_Default_Boot_List",
    "ds": "Diagnostic_Stored_Boot_List",
    "of": "Open_Firmware",
    "pbl": "PowerOn_Boot_List",
}


def begin_on(
    world: World,
    partition: Partition,
    boot_mode: str,
    keylock: str | None,
    boot_string: str = "",
    ipl_source: str | None = None,
) -> None:
    """Accept a power-on; raises JobFailed when the partition is not off or an option is unknown."""
    if partition.state != OFF:
        raise JobFailed(f"HSCL3681 Partition {partition.name} is already powered on: its state is {partition.state!r}.")
    if boot_mode not in BOOT_MODES:
        raise JobFailed(f"bootmode {boot_mode!r} is unknown. Use one of: {', '.join(BOOT_MODES)}.")
    if keylock not in (None, *KEYLOCKS):
        raise JobFailed(f"keylock {keylock!r} is unknown. Use one of: {', '.join(KEYLOCKS)}.")
    if ipl_source is not None:
        _take_ipl_source(partition, ipl_source)
    partition.boot_mode, partition.boot_string = BOOT_MODES[boot_mode], boot_string
    partition.keylock = {"norm": "normal"}.get(keylock or "", keylock or partition.keylock)
    partition.reference_code = "C200C1FF"
    _set_state(world, partition, STARTING)


def _take_ipl_source(partition: Partition, source: str) -> None:
    if not isinstance(partition, Lpar) or partition.type != IBM_I:
        raise JobFailed(f"iIPLsource is for IBM i, and partition {partition.name} is {partition.type}.")
    if source not in IPL_SOURCES:
        raise JobFailed(f"iIPLsource {source!r} is unknown. Use one of: {', '.join(IPL_SOURCES)}.")
    partition.source = source


def finish_on(world: World, partition: Partition) -> None:
    """The partition runs: its console and guest start, RMC follows."""
    if world.partition(partition.uuid) is not partition or partition.state != STARTING:
        return
    partition.started = world.clock.now()
    partition.current_mode = partition.compatibility_mode
    firmware = _in_firmware(partition)
    running = "00000000" if partition.type == IBM_I else "Linux ppc64le"
    partition.reference_code = "AA00E1A9" if firmware else running
    # A client reaches the management side through an adapter of its own, a VIOS through the hypervisor as well.
    reaches = isinstance(partition, Vios) or bool(partition.adapters)
    partition.rmc_due = world.clock.now() + world.rmc_seconds if reaches and not firmware else None
    _set_state(world, partition, FIRMWARE if firmware else RUNNING)
    _tell(world, partition, on=True)


def cancel_on(world: World, partition: Partition) -> None:
    """Take back an accepted power-on."""
    if partition.state == STARTING:
        partition.reference_code, partition.boot_string = "00000000", ""
        _set_state(world, partition, OFF)


def cancel_off(world: World, partition: Partition) -> None:
    """Take back an accepted power-off: the partition goes on running."""
    if partition.state == SHUTTING_DOWN:
        partition.reference_code = "Linux ppc64le"
        _set_state(world, partition, FIRMWARE if _in_firmware(partition) else RUNNING)


def begin_off(world: World, partition: Partition, operation: str, restart: bool) -> None:
    """Accept a power-off; raises JobFailed when it cannot be done."""
    if operation not in OPERATIONS:
        raise JobFailed(f"operation {operation!r} is unknown. Use one of: {', '.join(OPERATIONS)}.")
    if partition.state == OFF:
        raise JobFailed(f"HSCL1558 Partition {partition.name} is already powered off.")
    if partition.management:
        raise JobFailed(f"Partition {partition.name} is the management partition and cannot be powered off.")
    # The hypervisor asks IBM i itself, without RMC.
    if operation == "osshutdown" and partition.rmc != RMC_ACTIVE and partition.type != IBM_I:
        raise JobFailed(
            f"HSCL0DB4 The operating system of partition {partition.name} cannot be shut down: its resource "
            f"monitoring and control (RMC) state is {partition.rmc!r}."
        )
    partition.reference_code = "D200A200"
    _set_state(world, partition, SHUTTING_DOWN)
    if isinstance(partition, Lpar) and operation == "osshutdown":
        for hook in world.shutdown_hooks:
            hook(partition)


def finish_off(world: World, partition: Partition, restart: bool) -> None:
    """The partition is off, or on again after a restart."""
    if world.partition(partition.uuid) is not partition or partition.state != SHUTTING_DOWN:
        return
    partition.rmc, partition.rmc_due, partition.started = RMC_INACTIVE, None, None
    partition.reference_code, partition.boot_string = "00000000", ""
    _set_state(world, partition, OFF)
    _tell(world, partition, on=False)
    if restart:
        _set_state(world, partition, STARTING)
        finish_on(world, partition)


def settle_interrupted(world: World) -> None:
    """End what was under way when the simulator stopped: a job does not outlive it, the partition does."""
    for partition in world.partitions:
        if partition.state == STARTING:
            finish_on(world, partition)
        elif partition.state == SHUTTING_DOWN:
            finish_off(world, partition, restart=False)


def _in_firmware(partition: Partition) -> bool:
    return partition.boot_mode in (BOOT_MODES["sms"], BOOT_MODES["of"])


def _set_state(world: World, partition: Partition, state: str) -> None:
    partition.state = state
    world.touch_clusters(partition)
    world.changed(partition, "PartitionState")


def _tell(world: World, partition: Partition, on: bool) -> None:
    if isinstance(partition, Lpar):
        for hook in world.power_hooks:
            hook(partition, on)
    world.settle()
