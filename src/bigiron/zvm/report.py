"""What the platform tells of a guest for its diagnostics."""

from __future__ import annotations

from bigiron.errors import NotFound, PlatformError
from bigiron.model import DiskReport, GuestReport, PowerState
from bigiron.zvm.api import Api
from bigiron.zvm.errors import AWAY
from bigiron.zvm.guests import Guest
from bigiron.zvm.ledger import Ledger
from bigiron.zvm.power import Power


def report(api: Api, ledger: Ledger, power: Power, guest: Guest) -> GuestReport:
    """The guest as CP, the directory and its own system have it. Raises NotFound."""
    state = power.state(guest)
    entry = api.entry(guest.userid)
    record = ledger.find(guest.instance)
    return GuestReport(
        power=state,
        uptime_s=None,
        memory_mb=entry.memory_mb,
        max_memory_mb=entry.max_memory_mb,
        vcpus=entry.vcpus,
        processors=float(entry.vcpus),
        dedicated=False,
        processor_mode="",
        operating_system=guest.distro,
        macs=_macs(api, guest) if state is not PowerState.STOPPED else (),
        disks=tuple(DiskReport(disk.vdev, disk.size_gb) for disk in record.disks) if record is not None else (),
        config_drive=record is not None and record.config_drive,
    )


def _macs(api: Api, guest: Guest) -> tuple[str, ...]:
    """The connector fails for a guest without adapters."""
    try:
        adapters = api.adapters(guest.userid)
    except (NotFound, *AWAY):
        raise
    except PlatformError:
        return ()
    return tuple(str(adapter["mac_address"]).lower() for adapter in adapters)
