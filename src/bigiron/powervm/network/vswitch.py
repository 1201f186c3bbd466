"""The virtual switches of the system, and on an HMC the virtual networks, read once and again only on a miss."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.network import VNet, VSwitch

from bigiron.errors import Conflict, InvalidSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated

LOG = logging.getLogger(__name__)

_MISS_S = 60.0


class VirtualSwitches:
    """Names to hrefs; safe to share between threads."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._switches: dict[str, VSwitch] = {}
        self._networks: set[tuple[int, int]] | None = None
        self._read_at = float("-inf")

    def load(self) -> None:
        """Read the switches."""
        with self._lock:
            self._load()

    def find(self, name: str) -> str | None:
        """The href of the switch of that name or None; the platform is asked about a miss at most once a minute."""
        with self._lock:
            if name not in self._switches and self._clock() - self._read_at >= _MISS_S:
                self._load()
            switch = self._switches.get(name)
            return None if switch is None else str(switch.related_href)

    def get(self, name: str) -> str:
        """The href of the switch of that name; raises InvalidSpec where there is none."""
        href = self.find(name)
        if href is None:
            names = ", ".join(sorted(self._switches)) or "none"
            raise InvalidSpec(f"Virtual switch {name} is not on this system, which has: {names}.")
        return href

    def is_known(self, name: str) -> bool:
        """Whether the switch of that name was there when they were last read; asks nothing."""
        with self._lock:
            return name in self._switches

    def number(self, name: str) -> int | None:
        """The number by which adapters name the switch, None where it is not known; asks nothing."""
        with self._lock:
            switch = self._switches.get(name)
            return None if switch is None else int(switch.switch_id)

    def ensure(self, name: str) -> str:
        """The href of the switch of that name, which is made where there is none."""
        with self._lock:
            if name not in self._switches:
                self._make(name)
            return str(self._switches[name].related_href)

    def vlans(self, name: str) -> set[int]:
        """The VLANs of a switch that some adapter takes part in, in one request."""
        number = self.number(name)
        return {int(network.vlan) for network in self._feed() if network.vswitch_id == number}

    def _make(self, name: str) -> None:
        self._load()
        if name in self._switches:
            return
        adapter = self._connection.adapter
        switch = VSwitch.bld(adapter, name)
        try:
            with translated(f"Making virtual switch {name}"):
                made = switch.create(parent_type=System, parent_uuid=self._connection.system_uuid)
        except Conflict:
            # Another has been quicker.
            self._load()
            if name not in self._switches:
                raise
        else:
            LOG.info("Virtual switch %s is made", name)
            self._switches[name] = made

    def ensure_network(self, name: str, vlan: int) -> None:
        """On an HMC an adapter needs a virtual network of its VLAN: create it where it is missing."""
        adapter = self._connection.adapter
        if not adapter.traits.vnet_aware:
            return
        parent = {"parent_type": System, "parent_uuid": self._connection.system_uuid}
        with self._lock:
            if self._networks is None:
                self._networks = self._lasting()
            switch = self._switches[name]
            if (switch.switch_id, vlan) in self._networks:
                return
            network = VNet.bld(adapter, f"{name}-{vlan}", vlan, switch.related_href, vlan != 1)
            try:
                with translated(f"Preparing virtual network {vlan} of switch {name}"):
                    network.create(**parent)
            except Conflict:
                # The network agent makes networks too, and the VLAN may be a trunk's own until the agent knows better.
                found = self._feed()
                self._networks = self._lasting(found)
                if all((one.vswitch_id, one.vlan) != (switch.switch_id, vlan) for one in found):
                    raise
            else:
                self._networks.add((switch.switch_id, vlan))

    def forget_networks(self) -> None:
        """Read the virtual networks again when they are needed next: somebody may have deleted one."""
        with self._lock:
            self._networks = None

    def _feed(self) -> list[VNet]:
        parent = {"parent_type": System, "parent_uuid": self._connection.system_uuid}
        with translated("Reading the virtual networks"):
            return list(VNet.get(self._connection.adapter, **parent))

    def _lasting(self, feed: Iterable[VNet] | None = None) -> set[tuple[int, int]]:
        """The networks that nobody takes away again: the untagged ones of the bridges' trunks come and go."""
        found = self._feed() if feed is None else feed
        return {(network.vswitch_id, network.vlan) for network in found if network.tagged or network.vlan == 1}

    def _load(self) -> None:
        with translated("Reading the virtual switches"):
            feed = VSwitch.get(self._connection.adapter, parent_type=System, parent_uuid=self._connection.system_uuid)
        self._switches = {str(switch.name): switch for switch in feed}
        self._read_at = self._clock()
