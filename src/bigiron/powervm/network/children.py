"""What adapters that are children of a partition in the REST service have in common: they are found by their MAC."""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Protocol

from pypowervm import exceptions as pvm_errors
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.errors import NotFound, Timeout, Unavailable
from bigiron.model import NicSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.network.vif_events import Action, mac_text, post_vif

LOG = logging.getLogger(__name__)


class NicMaker(Protocol):
    """What the steps of a spawn and a hot plug ask of the adapters of a port's kind."""

    def check(self, nic: NicSpec) -> None: ...
    def create(self, lpar_uuid: str, nic: NicSpec) -> str: ...
    def find(self, lpar_uuid: str, nic: NicSpec) -> str | None: ...
    def has(self, lpar_uuid: str, mac: str) -> bool: ...
    def renew(self, lpar_uuid: str, nic: NicSpec) -> bool: ...
    def delete(self, lpar_uuid: str, mac: str) -> str | None: ...
    def announce(self, href: str, nic: NicSpec, action: Action) -> None: ...


class PartitionAdapters:
    """Finds, deletes and announces the adapters of one REST type of the system's LPARs."""

    wrapper: ClassVar[type[Any]]
    what: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._adapter = connection.adapter

    def macs(self, lpar_uuid: str) -> list[str]:
        """The MACs of the LPAR's adapters in the order of their slots."""
        return [mac_text(one.mac or "") for one in sorted(self._all(lpar_uuid), key=lambda one: one.slot)]

    def find(self, lpar_uuid: str, nic: NicSpec) -> str | None:
        """The href of the LPAR's adapter with the port's MAC on the port's VLAN, None where there is none."""
        present = self._find(lpar_uuid, nic.mac)
        # An untagged vNIC says 0.
        return str(present.related_href) if present is not None and (present.pvid or None) == nic.vlan else None

    def has(self, lpar_uuid: str, mac: str) -> bool:
        """Whether the LPAR has an adapter with that MAC, on whatever VLAN."""
        return self._find(lpar_uuid, mac) is not None

    def delete(self, lpar_uuid: str, mac: str) -> str | None:
        """Delete the LPAR's adapter with that MAC; returns the href it had, None where there was none."""
        present = self._find(lpar_uuid, mac)
        return None if present is None else self._delete(lpar_uuid, mac, present)

    def renew(self, lpar_uuid: str, nic: NicSpec) -> bool:
        """Whether the LPAR has the port's adapter; what serves it outside the LPAR is told or made anew."""
        href = self.find(lpar_uuid, nic)
        if href is not None:
            self.announce(href, nic, "plug")
        return href is not None

    def _delete(self, lpar_uuid: str, mac: str, present: Any) -> str:
        href = str(present.related_href)
        try:
            with translated(f"Deleting the {self.what} {mac} of partition {lpar_uuid}"):
                self._adapter.delete_by_href(href)
        except NotFound:
            LOG.debug("The %s %s of partition %s was gone already", self.what, mac, lpar_uuid)
        except (Timeout, Unavailable):
            # The answer may be all that was lost.
            if self._find(lpar_uuid, mac) is not None:
                raise
        return href

    def announce(self, href: str, nic: NicSpec, action: Action) -> None:
        """Tell the network agent of the adapter through the platform's event stream."""
        post_vif(self._adapter, href, nic, action)

    def _find(self, lpar_uuid: str, mac: str) -> Any | None:
        wanted = mac_text(mac)
        return next((adapter for adapter in self._all(lpar_uuid) if mac_text(adapter.mac or "") == wanted), None)

    def _all(self, lpar_uuid: str) -> list[Any]:
        with translated(f"Reading the {self.what}s of partition {lpar_uuid}"):
            try:
                return list(self.wrapper.get(self._adapter, parent_type=LPAR, parent_uuid=lpar_uuid))
            except pvm_errors.HttpNotFound:
                return []
