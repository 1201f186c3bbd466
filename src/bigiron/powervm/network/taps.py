"""Trunk adapters of the management partition on the private virtual switch: each puts one port on Open vSwitch.

Resource: LogicalPartition/<uuid>/ClientNetworkAdapter with TrunkPriority, DeviceName, OvsBridge, OvsPortExternalIds and
ConfiguredMTU. The platform acts on these whenever the adapter is written: it names the network device and adds it to
the bridge. It refuses a second trunk adapter on a VLAN, so that to create one is also to take the VLAN.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypowervm.wrappers.entry_wrapper import EntryWrapper
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.network import CNA
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron import naming
from bigiron.errors import Conflict, NoCapacity, NotFound, PlatformError, Unsupported
from bigiron.model import NicSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import Stale, translated
from bigiron.powervm.management.partition import Management, management_partition, own_partition
from bigiron.powervm.network import ovs_port
from bigiron.powervm.network.vswitch import VirtualSwitches

LOG = logging.getLogger(__name__)

_PRIORITY = 1
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Tap:
    """A trunk adapter; `port`, `mac` and `instance` are what its external ids say, empty where they do not."""

    href: str
    vlan: int
    device: str
    port: str
    mac: str
    instance: str


class Taps:
    """Reads them once and keeps what it makes and deletes; safe to share between threads."""

    def __init__(self, connection: Connection, switches: VirtualSwitches) -> None:
        self._connection = connection
        self._adapter = connection.adapter
        self._switches = switches
        self._lock = threading.RLock()
        self._known: dict[str, tuple[Tap, CNA]] | None = None
        """The trunk adapters by href, with their documents; None while it is not sure what there is."""
        self._vlans: set[int] | None = None
        """Those in use on the switch when that was last read, and those used since."""
        self._claims: set[int] = set()
        """Those of trunk adapters that are being made."""

    @property
    def switch(self) -> str:
        """The private switch's name."""
        return self._connection.options.pvm_vswitch_for_novalink_io

    def check(self) -> Management:
        """The management partition; raises Unsupported where this process does not run in it."""
        return own_partition(self._connection, "A port on Open vSwitch")

    def is_here(self) -> bool:
        """Whether this process runs in the management partition."""
        try:
            self.check()
        except Unsupported:
            return False
        return True

    # What there is

    def all(self, fresh: bool = False) -> list[Tap]:
        """Every trunk adapter; read where it is not known, and not at all where there is no such switch."""
        management = management_partition(self._connection)
        if management is None or not self._switches.is_known(self.switch):
            return []
        with self._lock:
            if fresh or self._known is None:
                self._known = self._read(management)
            return [tap for tap, _document in self._known.values()]

    def of_mac(self, mac: str, vlan: int | None = None) -> list[Tap]:
        """Those of a port, by its MAC, or by the VLAN of its adapter where they do not say whose they are."""
        return [tap for tap in self.all() if tap.mac == mac.lower() or (not tap.mac and tap.vlan == vlan)]

    def of_instance(self, instance: str) -> list[Tap]:
        """Those of a guest's ports."""
        return [tap for tap in self.all() if tap.instance == instance.lower()]

    def has_device(self, tap: Tap) -> bool:
        """Whether the management partition has the network device, which is gone when the partition has restarted."""
        root: Path = self._connection.options.management_root
        return (root / "sys/class/net" / tap.device).exists()

    def is_on_switch(self, adapter: CNA) -> bool:
        """Whether an adapter is on the private switch."""
        return bool(adapter.vswitch_id == self._switches.number(self.switch))

    def _read(self, management: Management) -> dict[str, tuple[Tap, CNA]]:
        with translated(f"Reading the trunk adapters of partition {management.name}"):
            feed = CNA.get(self._adapter, parent_type=_kind(management), parent_uuid=management.uuid)
        number = self._switches.number(self.switch)
        found = [one for one in feed if one.is_trunk and one.vswitch_id == number]
        return {str(document.related_href): (_tap(document), document) for document in found}

    def _keep(self, document: CNA) -> Tap:
        tap = _tap(document)
        with self._lock:
            if self._known is not None:
                self._known[tap.href] = (tap, document)
            if self._vlans is not None:
                self._vlans.add(tap.vlan)
        return tap

    def _doubt(self) -> None:
        """What there is must be read again: the answer to a write was lost."""
        with self._lock:
            self._known = None

    # Making and taking away

    def create(self, nic: NicSpec, instance: str, vlan: int | None = None) -> Tap:
        """Put the port on Open vSwitch, on a VLAN that nobody else has; returns the trunk adapter.

        The port has no adapter yet, so that what is left of an earlier try is removed. With `vlan` it is that one or
        Conflict.
        """
        management = self.check()
        switch = self._switches.ensure(self.switch)
        for stale in self.of_mac(nic.mac):
            self.delete(stale)
        for attempt in range(_TRIES):
            with self._claimed(nic, vlan, attempt) as chosen:
                try:
                    return self._create(management, switch, nic, instance, chosen)
                except Conflict as error:
                    if vlan is not None or attempt == _TRIES - 1 or not self._made_way(nic, chosen):
                        raise
                    LOG.info("VLAN %d of switch %s is another's, trying again: %s", chosen, self.switch, error)
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def _claimed(self, nic: NicSpec, vlan: int | None, attempt: int) -> Iterator[int]:
        """The VLAN to try, which nobody else in this process tries meanwhile."""
        with self._lock:
            chosen = vlan or self._free_vlan(nic, attempt)
            self._claims.add(chosen)
        try:
            yield chosen
        finally:
            with self._lock:
                self._claims.discard(chosen)

    def _free_vlan(self, nic: NicSpec, attempt: int) -> int:
        if self._vlans is not None:
            with contextlib.suppress(NoCapacity):
                return ovs_port.free_vlan(nic, self._vlans | self._claims, self.switch, attempt)
        self._vlans = self._switches.vlans(self.switch)
        return ovs_port.free_vlan(nic, self._vlans | self._claims, self.switch, attempt)

    def _made_way(self, nic: NicSpec, vlan: int) -> bool:
        """Whether a refusal was about the VLAN, which now counts as taken, or about a device of the port's name."""
        with self._lock:
            self._vlans = self._switches.vlans(self.switch)
            taken = vlan in self._vlans
        stale = [tap for tap in self.all(fresh=True) if tap.port == nic.id]
        for tap in stale:
            self.delete(tap)
        return taken or bool(stale)

    def _create(self, management: Management, switch: str, nic: NicSpec, instance: str, vlan: int) -> Tap:
        wrapper = CNA.bld(
            self._adapter,
            vlan,
            switch,
            trunk_pri=_PRIORITY,
            dev_name=naming.tap_device(nic.id),
            ovs_bridge=ovs_port.bridge(nic),
            ovs_ext_ids=ovs_port.external_ids(nic, instance),
            configured_mtu=nic.mtu,
        )
        _take_lowest_slot(wrapper)
        try:
            with translated(f"Putting port {nic.id} on Open vSwitch bridge {ovs_port.bridge(nic)}"):
                made = EntryWrapper.create(wrapper, parent_type=_kind(management), parent_uuid=management.uuid)
        except Conflict:
            raise
        except PlatformError as error:
            # It may be there all the same; where that cannot be told, whoever undoes this looks again.
            self._doubt()
            found = next((tap for tap in self._told() if tap.port == nic.id and tap.vlan == vlan), None)
            if found is None:
                raise
            LOG.info("Port %s is on Open vSwitch all the same: %s", nic.id, error)
            return found
        return self._keep(made)

    def _told(self) -> list[Tap]:
        try:
            return self.all()
        except PlatformError as error:
            LOG.warning("The trunk adapters cannot be read: %s", error)
            return []

    def restore(self, tap: Tap, nic: NicSpec | None = None, instance: str = "") -> None:
        """Write the trunk adapter, for the platform to make its device and port on Open vSwitch anew.

        With `nic`, as that is to be. Raises NotFound where there is none any more.
        """
        for attempt in range(_TRIES):
            # A copy: what is kept is what there is.
            document = copy.deepcopy(self._document(tap.href, fresh=attempt > 0))
            document._dev_name(_device(document, nic.id if nic is not None else tap.port))
            if nic is not None:
                document.ovs_bridge = ovs_port.bridge(nic)
                document.ovs_ext_ids = ovs_port.external_ids(nic, instance)
                if nic.mtu is not None:
                    document.configured_mtu = nic.mtu
            try:
                with translated(f"Putting {tap.device} back on Open vSwitch"):
                    written = document.update(timeout=self._adapter.session.timeout)
            except Stale:
                if attempt == _TRIES - 1:
                    raise
            except NotFound:
                self._doubt()
                raise
            else:
                self._keep(written)
                return

    def _document(self, href: str, fresh: bool) -> CNA:
        with self._lock:
            known = (self._known or {}).get(href)
        if known is not None and not fresh:
            return known[1]
        with translated("Reading a trunk adapter"):
            return CNA.get_by_href(self._adapter, href)

    def delete(self, tap: Tap) -> None:
        """Take the port off Open vSwitch; one that is gone already is no error. Tried twice: whoever calls this has
        taken the guest's adapter away, and nobody would ask for it again."""
        for last in (False, True):
            try:
                with translated(f"Taking {tap.device} off Open vSwitch"):
                    self._adapter.delete_by_href(tap.href)
                break
            except NotFound:
                break
            except PlatformError as error:
                if last:
                    self._doubt()
                    raise
                LOG.info("Trying again: %s", error)
        with self._lock:
            if self._known is not None:
                self._known.pop(tap.href, None)
            if self._vlans is not None:
                self._vlans.discard(tap.vlan)


def _kind(management: Management) -> type[Any]:
    kind: type[Any] = VIOS if management.vios else LPAR
    return kind


def _take_lowest_slot(wrapper: CNA) -> None:
    """The management partition lives for ever, and would run out of ever higher slots."""
    high = wrapper.element.find("UseNextAvailableHighSlotID")
    if high is not None:
        wrapper.element.remove(high)
        wrapper.set_parm_value("UseNextAvailableSlotID", "true")


def _tap(document: CNA) -> Tap:
    port, mac, instance = ovs_port.owner(document.ovs_ext_ids)
    return Tap(str(document.related_href), int(document.pvid), _device(document, port), port, mac, instance)


def _device(document: CNA, port: str) -> str:
    """The name that a port's network device has, or is to have: a kernel that has started calls it anything."""
    name = str(document.dev_name)
    return name if not port or name.endswith(port[:11]) else naming.tap_device(port)
