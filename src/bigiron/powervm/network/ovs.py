"""Ports on Open vSwitch: a guest's adapter on a private virtual switch, and what puts it on Open vSwitch.

The trunk adapter comes first and goes last, so that nobody can take the VLAN while the guest's adapter is on it.
Neutron's own agent in the management partition finds the port and connects it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pypowervm.wrappers.network import CNA

from bigiron import naming
from bigiron.errors import Conflict, NotFound, PlatformError
from bigiron.model import NicSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.marks import TAPS, Marks
from bigiron.powervm.network import ovs_port
from bigiron.powervm.network.children import PartitionAdapters
from bigiron.powervm.network.nic import ClientAdapters
from bigiron.powervm.network.taps import Tap, Taps
from bigiron.powervm.network.vif_events import Action, mac_text
from bigiron.powervm.network.vswitch import VirtualSwitches

LOG = logging.getLogger(__name__)

_PARALLEL = 8


@dataclass(slots=True)
class _Change:
    """`complete` where both adapters of the port are there, or none."""

    complete: bool = True


class OvsAdapters(PartitionAdapters):
    """Creates, finds and deletes the adapters of the system's LPARs that are on Open vSwitch."""

    wrapper = CNA
    what = "network adapter"

    def __init__(self, connection: Connection, switches: VirtualSwitches, clients: ClientAdapters) -> None:
        super().__init__(connection)
        self._clients = clients
        self._taps = Taps(connection, switches)
        self._marks = Marks(connection.options.state_path, TAPS)
        self._lock = threading.Condition()
        self._busy: set[str] = set()
        """The marks of ports that are being changed."""

    def check(self, nic: NicSpec) -> None:
        """Raise Unsupported for a port that cannot be made here; asks the platform nothing."""
        ovs_port.check(nic)
        self._taps.check()

    def create(self, lpar_uuid: str, nic: NicSpec) -> str:
        """Create both adapters of the port, in two requests; returns the href of the guest's. All or nothing."""
        self.check(nic)
        instance = self._instance(lpar_uuid)
        with self._changing(nic.mac):
            tap = self._taps.create(nic, instance)
            try:
                return self._create_client(lpar_uuid, nic, tap.vlan)
            except BaseException:
                self._take_back(tap)
                raise

    def find(self, lpar_uuid: str, nic: NicSpec) -> str | None:
        """The href of the LPAR's adapter with the port's MAC, None unless it is on Open vSwitch."""
        present = self._find(lpar_uuid, nic.mac)
        if present is None or not self._taps.is_on_switch(present) or self._tap_of(present, nic) is None:
            return None
        return str(present.related_href)

    def delete(self, lpar_uuid: str, mac: str) -> str | None:
        """Delete the LPAR's adapter with that MAC, and take it off Open vSwitch; returns the href it had.

        Once the guest's adapter is gone nothing is raised: what is left of it is taken away later.
        """
        present = self._find(lpar_uuid, mac)
        vlan = present.pvid if present is not None and self._taps.is_on_switch(present) else None
        taps = self._taps.of_mac(mac, vlan)
        if present is None and not taps:
            return None
        with self._changing(mac) as change:
            href = None if present is None else self._delete(lpar_uuid, mac, present)
            left = [tap for tap in taps if not self._take_back(tap)]
            change.complete = not left
        return href

    def renew(self, lpar_uuid: str, nic: NicSpec) -> bool:
        """Whether the LPAR has the port's adapter, which is then on Open vSwitch again, whatever was lost of it."""
        present = self._find(lpar_uuid, nic.mac)
        if present is None or not self._taps.is_on_switch(present):
            return False
        instance = self._instance(lpar_uuid)
        tap = self._tap_of(present, nic)
        if tap is not None:
            try:
                self._taps.restore(tap, nic, instance)
                return True
            except NotFound as error:
                LOG.warning("%s is gone, and made anew: %s", tap.device, error)
        with self._changing(nic.mac):
            self._reconnect(present, nic, instance)
        return True

    def announce(self, href: str, nic: NicSpec, action: Action) -> None:
        """Nobody waits to be told: Neutron's agent looks at Open vSwitch itself."""

    def _create_client(self, lpar_uuid: str, nic: NicSpec, vlan: int) -> str:
        """The href of the guest's adapter, be it one that an attempt before left, or whose answer was lost."""
        try:
            return self._clients.create_on(lpar_uuid, self._taps.switch, vlan, nic.mac)
        except PlatformError as error:
            try:
                present = self._find(lpar_uuid, nic.mac)
            except PlatformError as trouble:
                LOG.warning("Whether port %s has its adapter cannot be told: %s", nic.id, trouble)
                raise error from None
            if present is None or not self._taps.is_on_switch(present):
                raise
            LOG.info("The adapter of port %s is there all the same: %s", nic.id, error)
            if present.pvid != vlan:
                self._move(present, nic, vlan)
            return str(present.related_href)

    def _move(self, present: Any, nic: NicSpec, vlan: int) -> None:
        with translated(f"Changing the VLAN of the network adapter {nic.mac} of port {nic.id}"):
            present.pvid = vlan
            present.update(timeout=self._adapter.session.timeout)

    def _reconnect(self, present: Any, nic: NicSpec, instance: str) -> None:
        """Make the trunk adapter that a guest's adapter lacks: on its VLAN, or on another if that is another's now."""
        try:
            self._taps.create(nic, instance, vlan=present.pvid)
            return
        except Conflict as error:
            LOG.warning("The adapter of port %s changes its VLAN: %s", nic.id, error)
        tap = self._taps.create(nic, instance)
        try:
            self._move(present, nic, tap.vlan)
        except BaseException:
            self._take_back(tap)
            raise

    def _tap_of(self, present: Any, nic: NicSpec) -> Tap | None:
        """The trunk adapter on the VLAN of a guest's adapter, unless it says that it is another port's."""
        found = [tap for tap in self._taps.all() if tap.vlan == present.pvid and tap.mac in ("", nic.mac.lower())]
        return found[0] if found else None

    def _instance(self, lpar_uuid: str) -> str:
        lpar = self._connection.mirror.find(lpar_uuid)
        if lpar is None or lpar.instance is None:
            raise NotFound(f"LPAR {lpar_uuid} is no instance's, or is gone.")
        return lpar.instance

    def _take_back(self, tap: Tap) -> bool:
        """Delete it; where that fails it is tried again later."""
        try:
            self._taps.delete(tap)
        except PlatformError as error:
            LOG.warning("%s stays on Open vSwitch for the moment: %s", tap.device, error)
            return False
        return True

    # What is left, and what is lost

    def is_wired(self, nic: NicSpec) -> bool:
        """Whether the port was on Open vSwitch when that was last read, and its network device is there."""
        return any(tap.mac == nic.mac.lower() and self._taps.has_device(tap) for tap in self._taps.all())

    def delete_strays(self, nic: NicSpec) -> None:
        """Take the port off Open vSwitch, whose guest has no partition any more."""
        for tap in self._taps.of_mac(nic.mac):
            self._taps.delete(tap)

    def delete_of(self, instance: str) -> None:
        """Take the ports of a guest, whose partition is gone, off Open vSwitch; raises the first error at the end."""
        first: PlatformError | None = None
        for tap in self._taps.of_instance(instance):
            try:
                self._taps.delete(tap)
            except PlatformError as error:
                LOG.warning("%s of instance %s stays on Open vSwitch: %s", tap.device, instance, error)
                first = first or error
        if first is not None:
            raise first

    def reconcile(self) -> None:
        """At a start: take away what belongs to guests that are gone, and bring back devices that a restart of the
        management partition took."""
        self.sweep()
        mirror = self._connection.mirror
        lost: list[Tap] = []
        for tap in self._taps.all():
            lpar = mirror.find(naming.lpar_uuid(tap.instance)) if tap.instance else None
            if tap.instance and lpar is None:
                LOG.info("Instance %s is gone, and so goes %s", tap.instance, tap.device)
                self._take_back(tap)
            elif lpar is not None and lpar.instance == tap.instance and not self._taps.has_device(tap):
                lost.append(tap)
        if lost and self._taps.is_here():
            self._restore(lost)

    def sweep(self) -> None:
        """Take away what operations that failed or were interrupted have left; asks only about those."""
        for name in self._marks.all():
            with self._lock:
                if name in self._busy:
                    continue
                self._busy.add(name)
            try:
                self._sweep(mac_text(name))
                self._marks.clear(name)
            except PlatformError as error:
                LOG.warning("What is left of the adapter %s cannot be taken away yet: %s", mac_text(name), error)
            finally:
                self._release(name)

    def _sweep(self, mac: str) -> None:
        for tap in self._taps.of_mac(mac):
            present = self._find(naming.lpar_uuid(tap.instance), mac) if tap.instance else None
            if present is None or present.pvid != tap.vlan or not self._taps.is_on_switch(present):
                LOG.info("%s serves no adapter and is taken off Open vSwitch", tap.device)
                self._taps.delete(tap)

    def _restore(self, lost: Sequence[Tap]) -> None:
        LOG.warning("%d ports on Open vSwitch lost their devices and get them back", len(lost))
        with ThreadPoolExecutor(min(_PARALLEL, len(lost)), thread_name_prefix="taps") as pool:
            for tap, error in zip(lost, pool.map(self._restored, lost), strict=True):
                if error is not None:
                    # Nova plugs each port once more.
                    LOG.warning("%s is not back on Open vSwitch yet: %s", tap.device, error)

    def _restored(self, tap: Tap) -> PlatformError | None:
        try:
            self._taps.restore(tap)
        except PlatformError as error:
            return error
        return None

    @contextmanager
    def _changing(self, mac: str) -> Iterator[_Change]:
        """While the port's adapters come or go: a mark on disk says so, and stays where something may be left."""
        change = _Change()
        name = mac.replace(":", "").lower()
        with self._lock:
            self._lock.wait_for(lambda: name not in self._busy)
            self._busy.add(name)
        try:
            self._marks.set(name)
            yield change
            if change.complete:
                self._marks.clear(name)
        finally:
            self._release(name)

    def _release(self, name: str) -> None:
        with self._lock:
            self._busy.discard(name)
            self._lock.notify_all()
