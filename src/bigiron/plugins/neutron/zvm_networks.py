"""Physical networks of a z/VM host and the virtual switches that carry them: found, or made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bigiron.errors import PlatformError
from bigiron.plugins.neutron.ports import UNTAGGED, Port
from bigiron.zvm.directory import Coupling
from bigiron.zvm.errors import Exists
from bigiron.zvm.vswitches import Switch

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Uplink:
    """How a virtual switch is made where there is none: its real devices, and AWARE, UNAWARE or a default VLAN."""

    rdevs: tuple[str, ...]
    vid: int | str


class Platform(Protocol):
    """The system's virtual switches: see zvm.vswitches.Vswitches."""

    def names(self) -> list[str]: ...
    def switches(self, names: Iterable[str]) -> dict[str, Switch]: ...
    def create(self, name: str, rdevs: Sequence[str], vid: int | str) -> None: ...


class Networks:
    """Which virtual switch carries which physical network, as last looked at.

    Without a mapping each switch carries the physical network of its own name. `changed` are called when what there is
    to report has changed.
    """

    def __init__(self, platform: Platform, mapping: Mapping[str, str], uplinks: Mapping[str, Uplink]) -> None:
        self._platform = platform
        self._mapping = dict(mapping)
        self._uplinks = dict(uplinks)
        self._switches: dict[str, Switch] = {}
        self.serving: dict[str, str] = dict(mapping)
        self.changed: list[Callable[[], None]] = []

    def refresh(self) -> dict[str, Switch]:
        """Look at the switches again, and make those that are missing and have their devices in the options.

        Raises PlatformError where they cannot be looked at.
        """
        before = self.configurations()
        names = set(self._mapping.values()) or {*self._platform.names(), *self._uplinks}
        found = self._platform.switches(names)
        made = [name for name in sorted(names - found.keys()) if name in self._uplinks and self._make(name)]
        found |= self._platform.switches(made)
        for name in sorted(names - found.keys()):
            LOG.error("Virtual switch %s does not exist; define it, or set rdev_list in a section [%s]", name, name)
        self._switches = found
        self.serving = self._mapping or {name: name for name in sorted(found)}
        if before != self.configurations():
            for listener in self.changed:
                listener()
        return dict(found)

    def _make(self, name: str) -> bool:
        uplink = self._uplinks[name]
        try:
            self._platform.create(name, uplink.rdevs, uplink.vid)
        except Exists:
            LOG.debug("virtual switch %s was made meanwhile", name)
        except PlatformError as error:
            LOG.error("Virtual switch %s is not there, and cannot be made: %s", name, error)
            return False
        return True

    @property
    def missing(self) -> list[str]:
        """The mapped switches that are not there."""
        return sorted(set(self.serving.values()) - self._switches.keys())

    def target(self, port: Port, switches: Mapping[str, Switch]) -> tuple[Coupling | None, str]:
        """What the port's adapter is to be coupled to, or why it cannot be."""
        name = self.serving.get(port.physical_network)
        if name is None:
            return None, (
                f"no virtual switch of this host carries its physical network {port.physical_network}; add it to "
                "[AGENT] vswitch_mappings"
            )
        switch = switches.get(name)
        if switch is None:
            return None, f"virtual switch {name} of physical network {port.physical_network} does not exist"
        vlan = None if port.vlan == UNTAGGED else port.vlan
        reason = switch.obstacle(vlan)
        return (None, reason) if reason else (Coupling(name, vlan), "")

    def configurations(self) -> dict[str, Any]:
        """What the mechanism driver decides by: the switches that are there, and what each does with VLANs."""
        return {
            "vswitch_mappings": {net: name for net, name in self.serving.items() if name in self._switches},
            "vswitches": {
                name: {"vlan_aware": switch.aware, "default_vlan": switch.default_vlan}
                for name, switch in sorted(self._switches.items())
            },
        }
