"""The parts of the platform, which exist while it is started."""

from __future__ import annotations

import logging
import time

from bigiron.errors import InvalidSpec, PlatformError
from bigiron.model import NicSpec
from bigiron.naming import VIF_TYPE_OVS, VIF_TYPE_PVM_SRIOV
from bigiron.powervm.connection import Connection
from bigiron.powervm.console.consoles import make_consoles
from bigiron.powervm.disk.cache import ImageCache
from bigiron.powervm.disk.driver import DiskDriver
from bigiron.powervm.disk.groups import VolumeGroups
from bigiron.powervm.disk.snapshot import Snapshots
from bigiron.powervm.disk.ssp import SharedStoragePool
from bigiron.powervm.disk.upload import Uploads
from bigiron.powervm.disk.volume_group import LocalVolumeGroup
from bigiron.powervm.guest import Guests
from bigiron.powervm.management.access import Access
from bigiron.powervm.media import MediaRepositories
from bigiron.powervm.metrics.host import HostProcessors
from bigiron.powervm.metrics.monitor import LongTermMonitor
from bigiron.powervm.metrics.usage import GuestUsages
from bigiron.powervm.network.children import NicMaker
from bigiron.powervm.network.nic import SEA_SWITCH, ClientAdapters
from bigiron.powervm.network.ovs import OvsAdapters
from bigiron.powervm.network.vnic import VirtualNics
from bigiron.powervm.network.vswitch import VirtualSwitches
from bigiron.powervm.power import Power
from bigiron.powervm.rescue import Rescue

LOG = logging.getLogger(__name__)

_PARTITIONS_AGE_S = 600.0


class Parts:
    """The parts that exist while the platform is started."""

    def __init__(self, connection: Connection, access: Access) -> None:
        self.connection = connection
        self.consoles = make_consoles(connection)
        self.guests = Guests(connection, self.consoles)
        self.power = Power(connection, self.consoles)
        self.switches = VirtualSwitches(connection)
        self.adapters = ClientAdapters(connection, self.switches)
        self.vnics = VirtualNics(connection)
        self.ovs = OvsAdapters(connection, self.switches, self.adapters)
        groups = VolumeGroups(connection)
        self.media = MediaRepositories(connection, groups)
        local = connection.options.disk_driver == "localdisk"
        self.disks: DiskDriver = LocalVolumeGroup(connection, groups) if local else SharedStoragePool(connection)
        self.images = ImageCache(connection.options.state_path)
        self.snapshots = Snapshots(connection, self.disks, access)
        self.rescue = Rescue(connection, self.guests, self.power, self.disks, self.media, self.images)
        monitor = LongTermMonitor(connection.adapter, connection.system_uuid)
        self.processors = HostProcessors(monitor, connection.options.management_root)
        self.usages = GuestUsages(connection, monitor, switch_on=False)
        self.capacity_read_at = 0.0

    def maker(self, nic: NicSpec) -> NicMaker:
        """What makes the adapter of a port of this kind, and refuses a port of another."""
        makers: dict[str, NicMaker] = {VIF_TYPE_PVM_SRIOV: self.vnics, VIF_TYPE_OVS: self.ovs}
        return makers.get(nic.vif_type, self.adapters)

    def check_nic(self, nic: NicSpec, held: bool) -> None:
        """Raise for an adapter that cannot be made; with `held`, what the guest's own takes comes free."""
        if held and nic.vif_type == VIF_TYPE_PVM_SRIOV:
            self.vnics.check_binding(nic)
        else:
            self.maker(nic).check(nic)

    def check_host(self) -> None:
        """Find everything that guests will need; raises with the option to change."""
        serving = self.connection.vioses.active()
        self.disks.start()
        self.capacity_read_at = time.monotonic()
        self.media.load()
        self.switches.load()
        if self.switches.find(SEA_SWITCH) is None:
            raise InvalidSpec(
                f"The system has no virtual switch {SEA_SWITCH}, on which guests' networks are bridged. Create it."
            )
        LOG.info(
            "System %s: VIOS %s serve, disks come from %s, %d partitions",
            self.connection.system.system_name,
            ", ".join(vios.name for vios in serving),
            self.disks.label,
            len(self.connection.mirror.lpars()),
        )

    def read_capacity(self) -> None:
        """Read again how large the pool and the system are, and now and then what others changed of their partitions;
        what was known stays where that fails."""
        for what, read in (
            (self.disks.label, self.disks.capacity),
            ("the managed system", self.connection.document.refresh),
            ("other partitions", lambda: self.connection.mirror.load_if_older(_PARTITIONS_AGE_S)),
        ):
            try:
                read()
            except PlatformError as error:
                LOG.warning("The capacity of %s is not known anew: %s", what, error)
        self.ovs.sweep()

    def reconcile(self) -> None:
        """Remove what an earlier process of this host began and did not complete, guests apart."""
        for what, remove in (
            ("uploads", self.disks.reconcile),
            ("uploads' descriptors", Uploads(self.connection).reconcile),
            ("snapshots", self.snapshots.reconcile),
            ("ports on Open vSwitch", self.ovs.reconcile),
        ):
            try:
                remove()
            except PlatformError as error:
                LOG.warning("What interrupted %s left could not be removed: %s", what, error)
