"""A partition as a plain value, and what its state means to OpenStack."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pypowervm.wrappers.base_partition import LPARState, LPARType
from pypowervm.wrappers.logical_partition import LPAR

from bigiron import naming
from bigiron.model import PowerState

POWER_STATES = {
    LPARState.RUNNING: PowerState.RUNNING,
    LPARState.STARTING: PowerState.RUNNING,
    LPARState.OPEN_FIRMWARE: PowerState.RUNNING,
    LPARState.SHUTTING_DOWN: PowerState.RUNNING,
    LPARState.MIGRATING_RUNNING: PowerState.RUNNING,
    LPARState.SUSPENDING: PowerState.RUNNING,
    LPARState.NOT_ACTIVATED: PowerState.STOPPED,
    LPARState.MIGRATING_NOT_ACTIVE: PowerState.STOPPED,
    LPARState.SUSPENDED: PowerState.SUSPENDED,
    LPARState.RESUMING: PowerState.SUSPENDED,
    LPARState.ERROR: PowerState.CRASHED,
    LPARState.HARDWARE_DISCOVERY: PowerState.CHANGING,
    LPARState.NOT_AVAILBLE: PowerState.UNKNOWN,
    LPARState.UNKNOWN: PowerState.UNKNOWN,
}
"""Every state that the platform has. A partition on its way up or down counts as running: Nova would otherwise stop it
again, or start it twice. What is known of none is left alone."""


@dataclass(frozen=True, slots=True)
class Lpar:
    """A partition as last read; `instance` is the Nova instance it is marked with, if any.

    `uuid` is in upper case; `memory_mb` and `processors` are what it is configured with, and `memory_held_mb` is what
    the hypervisor has given it now. `adapters` is how many client network adapters and vNICs its document named.
    """

    uuid: str
    id: int
    name: str
    state: str
    memory_mb: int
    memory_held_mb: int
    vcpus: int
    processors: float
    management: bool
    description: str
    instance: str | None
    read_at: float
    adapters: int = 0
    os400: bool = False
    """Whether it is of the type that IBM i needs."""

    @property
    def power(self) -> PowerState:
        return POWER_STATES.get(self.state, PowerState.UNKNOWN)


def record(wrapper: LPAR, mark_of: Callable[[str], str | None]) -> Lpar:
    """The plain value of a partition's document; `mark_of` is asked where the document carries no mark."""
    uuid = str(wrapper.uuid).upper()
    description = wrapper.element.findtext("Description") or ""
    vcpus, units = processors(wrapper)
    return Lpar(
        uuid=uuid,
        id=int(wrapper.id or 0),
        name=str(wrapper.name),
        state=str(wrapper.state or LPARState.UNKNOWN),
        memory_mb=int(wrapper.mem_config.desired or 0),
        memory_held_mb=int(wrapper.mem_config.current or 0),
        vcpus=vcpus,
        processors=units,
        management=bool(wrapper.is_mgmt_partition),
        description=description,
        instance=naming.marked_instance(description) or mark_of(uuid),
        read_at=time.monotonic(),
        adapters=sum(
            len(wrapper.element.findall(f"{kind}/link")) for kind in ("ClientNetworkAdapters", "DedicatedVirtualNICs")
        ),
        os400=wrapper.env == LPARType.OS400,
    )


def processors(wrapper: Any) -> tuple[int, float]:
    """The virtual processors and the processor units that a partition's document asks for."""
    config = wrapper.proc_config
    if config.has_dedicated:
        count = int(config.dedicated_proc_cfg.desired or 0)
        return count, float(count)
    shared = config.shared_proc_cfg
    return int(shared.desired_virtual or 0), float(shared.desired_units or 0)
