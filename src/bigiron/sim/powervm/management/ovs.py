"""The ports of the management partition on an Open vSwitch that really runs, as NovaLink puts them there.

NovaLink adds a named device to the bridge that its adapter tells of. The partition's network devices are files here and
no devices of Linux, so the switch must be one that makes do with their names: `ovs-vswitchd --enable-dummy=override`.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bigiron.sim.powervm.model import taps
from bigiron.sim.powervm.model.world import World

LOG = logging.getLogger(__name__)

_ANSWER_S = 10
_INTERFACE = "iface-id"
"""The external id that each of NovaLink's ports has, and no bridge or patch port."""


class SwitchError(Exception):
    """Open vSwitch does not do what it is asked; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Switch:
    """The database of an Open vSwitch, such as unix:/run/openvswitch/db.sock."""

    database: str

    def ask(self, *words: str) -> str:
        """Run ovs-vsctl, which returns once the switch has followed. Raises SwitchError."""
        argv = ["ovs-vsctl", f"--db={self.database}", f"--timeout={_ANSWER_S}", *words]
        try:
            result = subprocess.run(argv, capture_output=True, text=True, timeout=2 * _ANSWER_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SwitchError(f"Open vSwitch at {self.database} cannot be asked: {error}") from error
        if result.returncode:
            raise SwitchError(f"Open vSwitch at {self.database} refused {' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def ports(self) -> set[str]:
        """The names of the ports that an earlier run has left."""
        table: dict[str, Any] = json.loads(
            self.ask("--format=json", "--columns=name,external_ids", "list", "Interface")
        )
        return {name for name, (_, ids) in table["data"] if _INTERFACE in dict(ids)}

    def add(self, port: taps.Port) -> None:
        """Have the port, as it is described."""
        values = [f"external_ids:{key}={json.dumps(value)}" for key, value in port.external_ids.items()]
        # A dummy device takes its MTU from the switch; NovaLink gives it to the device.
        settings = ["set", "Interface", port.device, f"mtu_request={port.mtu}", *values]
        self.ask("--", "--may-exist", "add-port", port.bridge, port.device, "--", *settings)

    def remove(self, device: str) -> None:
        """Have no such port."""
        self.ask("--if-exists", "del-port", device)


class OvsPorts:
    """Follows the world's adapters of the management partition, under the world's lock."""

    def __init__(self, world: World, switch: Switch) -> None:
        self._world = world
        self._switch = switch
        self._shown: dict[str, taps.Port] = {}
        """By device."""

    def present(self) -> None:
        """Bring the switch to what the world has. Raises SwitchError where nothing answers."""
        with self._world.lock:
            self._follow(left=self._switch.ports())
            self._world.subscribe(self._changed)

    def _changed(self, _event: str, path: str, _detail: str) -> None:
        owner = self._world.management
        if owner is None or (path and f"{owner.uuid}/ClientNetwork" not in path):
            return
        adapter = path.rpartition("/")[2]
        try:
            self._follow(again={str(one.device) for one in taps.devices(self._world) if one.uuid == adapter})
        except SwitchError:
            # NovaLink's answer is about the adapter alone. What is missing is tried again with the next change.
            LOG.exception("ports of the management partition are not on Open vSwitch")

    def _follow(self, left: Collection[str] = (), again: Collection[str] = ()) -> None:
        """Remove ports that are `left` or are another now; an adapter that is written puts its port there `again`."""
        wanted = {port.device: port for port in taps.ports(self._world)}
        changed = {device for device, port in self._shown.items() if wanted.get(device) != port}
        for device in sorted(changed | (set(left) - wanted.keys())):
            self._switch.remove(device)
            self._shown.pop(device, None)
        for device, port in wanted.items():
            if device in again or device not in self._shown:
                self._switch.add(port)
                self._shown[device] = port
