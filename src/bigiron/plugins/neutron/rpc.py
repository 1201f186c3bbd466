"""Neutron's server by RPC: the ports of this host, what becomes of them, and what the server tells us of."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import oslo_messaging
from neutron.agent import rpc as agent_rpc
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib.agent import topics
from neutron_lib.api.definitions import portbindings
from neutron_lib.services.trunk import constants as trunk_constants
from oslo_utils import uuidutils

from bigiron.errors import Unavailable
from bigiron.plugins.neutron import addresses, bandwidth
from bigiron.plugins.neutron.kinds import SEA, Kind
from bigiron.plugins.neutron.ports import UNTAGGED, Port

_BATCH = 50
"""Devices asked for at once: the server looks each up, and all must fit in one RPC time-out."""

CONSUMERS = [
    [topics.PORT, topics.UPDATE],
    [topics.PORT, topics.DELETE],
    [topics.PORT_BINDING, topics.ACTIVATE],
    [topics.PORT_BINDING, topics.DEACTIVATE],
]


class NeutronServer:
    """The reconciler's Server over Neutron's plug-in RPC; raises Unavailable, which is worth a retry."""

    def __init__(self, host: str, api: agent_rpc.PluginApi, kind: Kind = SEA) -> None:
        self._host = host
        self._api = api
        self._kind = kind
        self._agent_id = kind.agent_id(host)
        self._context = neutron_context.get_admin_context_without_session()

    def ports(self) -> list[Port]:
        """Every port that our driver has bound to this host, in one call that changes no port's status."""
        with _answered("listing the ports of this host"):
            found = self._api.get_ports_by_vnic_type_and_host(
                self._context, vnic_type=self._kind.vnic_type, host=self._host
            )
        ours = [port for port in found if self._is_ours(port)]
        partial = [port["id"] for port in ours if not _complete(port)]
        # A port bound by an older driver says less about itself; its network is asked for by the slower way.
        missing = {port.id: port for port in self.lookup(partial)}
        known = [_from_dict(port, missing.get(port["id"])) for port in ours if _complete(port) or port["id"] in missing]
        return _with_parents(known, ours)

    def lookup(self, devices: Collection[str]) -> list[Port]:
        """The ports of the devices that are bound here; Neutron counts them as being built from then on."""
        ids = [device for device in devices if uuidutils.is_uuid_like(device)]
        macs = [device for device in devices if device not in ids]
        details: list[Mapping[str, Any]] = []
        with _answered(f"looking up {', '.join(devices)}"):
            for batch in _batches(ids):
                answer = self._api.get_devices_details_list_and_failed_devices(
                    self._context, batch, self._agent_id, self._host
                )
                if answer["failed_devices"]:
                    raise Unavailable(f"Neutron failed to look up {', '.join(answer['failed_devices'])}; see its log.")
                details += answer["devices"]
            for batch in _batches(macs):
                details += self._api.get_devices_details_list(self._context, batch, self._agent_id, self._host)
        return [_from_details(entry) for entry in details if entry.get("network_type") in self._kind.network_types]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        """Report devices (port ids or MACs) as wired and as gone."""
        with _answered(f"reporting {len(up)} devices up and {len(down)} down"):
            answer = self._api.update_device_list(self._context, list(up), list(down), self._agent_id, self._host)
        failed = answer["failed_devices_up"] + answer["failed_devices_down"]
        if failed:
            raise Unavailable(f"Neutron failed to take the state of {', '.join(failed)}; see its log.")

    def _is_ours(self, port: Mapping[str, Any]) -> bool:
        # A port that moves has an inactive binding on the other host too, and is listed for both.
        return port[portbindings.VIF_TYPE] == self._kind.vif_type and port[portbindings.HOST_ID] == self._host


class Callbacks(Protocol):
    """What the agent wants to hear of; called from RPC threads."""

    def port_changed(
        self, port_id: str, host: str | None, physical_network: str, vlan: int, enabled: bool, active: bool
    ) -> None: ...
    def subport_changed(self, port_id: str, host: str | None, vlan: int, enabled: bool, active: bool) -> None: ...
    def trunk_changed(self, port_id: str, subports: frozenset[str]) -> None: ...
    def addresses_changed(self, port_id: str, allowed: str) -> None: ...
    def port_gone(self, port_id: str) -> None: ...
    def port_arrived(self, port_id: str) -> None: ...


class Endpoint:
    """What Neutron's server calls on every agent; most of it is about other hosts' ports."""

    target = oslo_messaging.Target(version="1.5")

    def __init__(self, host: str, callbacks: Callbacks, kind: Kind = SEA) -> None:
        self._host = host
        self._kind = kind
        self._callbacks = callbacks

    def port_update(self, context: Any, **kwargs: Any) -> None:
        """A port was changed in some way."""
        port = kwargs["port"]
        vlan = kwargs.get("segmentation_id")
        if port.get(portbindings.VIF_TYPE) != self._kind.vif_type:
            # Unbound, as our mechanism drivers tell; bound here again, it is down until its new adapter is announced.
            self._callbacks.port_gone(port["id"])
            return
        if vlan is None and constants.TYPE_FLAT not in self._kind.network_types:
            return
        if port.get("trunk_details"):
            subports = frozenset(subport["port_id"] for subport in port["trunk_details"]["sub_ports"])
            self._callbacks.trunk_changed(port["id"], subports)
        if port.get("device_owner") == trunk_constants.TRUNK_SUBPORT_OWNER:
            self._callbacks.subport_changed(
                port["id"],
                port.get(portbindings.HOST_ID),
                int(vlan or UNTAGGED),
                bool(port["admin_state_up"]),
                port["status"] == constants.PORT_STATUS_ACTIVE,
            )
            return
        self._callbacks.addresses_changed(port["id"], addresses.allowed(port))
        self._callbacks.port_changed(
            port["id"],
            port.get(portbindings.HOST_ID),
            str(kwargs.get("physical_network")),
            int(vlan or UNTAGGED),
            bool(port["admin_state_up"]),
            port["status"] == constants.PORT_STATUS_ACTIVE,
        )

    def port_delete(self, context: Any, **kwargs: Any) -> None:
        """A port was deleted."""
        self._callbacks.port_gone(kwargs["port_id"])

    def binding_activate(self, context: Any, **kwargs: Any) -> None:
        """A port's binding to a host became the active one, as at the end of a live migration."""
        if kwargs.get("host") == self._host:
            self._callbacks.port_arrived(kwargs["port_id"])

    def binding_deactivate(self, context: Any, **kwargs: Any) -> None:
        """A port's binding to a host is no longer the active one."""
        if kwargs.get("host") == self._host:
            self._callbacks.port_gone(kwargs["port_id"])


@contextmanager
def _answered(what: str) -> Iterator[None]:
    try:
        yield
    except oslo_messaging.MessagingException as error:
        raise Unavailable(f"Neutron's server did not answer when {what}: {error}") from error


def _batches(devices: list[str]) -> Iterable[list[str]]:
    return (devices[start : start + _BATCH] for start in range(0, len(devices), _BATCH))


def _complete(port: Mapping[str, Any]) -> bool:
    details = port.get(portbindings.VIF_DETAILS) or {}
    untagged = "physical_ports" in details or "vswitch" in details
    return ("vlan" in details or untagged) and "physical_network" in details


def _from_dict(port: Mapping[str, Any], looked_up: Port | None) -> Port:
    details = port.get(portbindings.VIF_DETAILS) or {}
    return Port(
        id=port["id"],
        mac=port["mac_address"].lower(),
        physical_network=looked_up.physical_network if looked_up else str(details["physical_network"]),
        vlan=looked_up.vlan if looked_up else int(details.get("vlan") or UNTAGGED),
        enabled=bool(port["admin_state_up"]),
        # What was looked up counts as being built now, whatever it was before.
        active=looked_up is None and port["status"] == constants.PORT_STATUS_ACTIVE,
        down=looked_up is None and port["status"] == constants.PORT_STATUS_DOWN,
        guest=_guest(port["device_id"]),
        device=port["id"],
        trunk=bool(port.get("trunk_details")),
        allowed=addresses.allowed(port),
        guarantee=bandwidth.guarantee(port),
    )


def _guest(device_id: str | None) -> str:
    """The instance that a port belongs to; users may write what they like there."""
    return str(uuid.UUID(device_id)) if uuidutils.is_uuid_like(device_id) else ""


def _with_parents(ports: Sequence[Port], answers: Iterable[Mapping[str, Any]]) -> list[Port]:
    """The ports, and each subport with what it has of its trunk's own port."""
    parents = {port.id: port for port in ports if port.trunk}
    of = {
        subport["port_id"]: parents[answer["id"]]
        for answer in answers
        if answer["id"] in parents
        for subport in answer["trunk_details"]["sub_ports"]
    }
    return [
        replace(port, parent=of[port.id].id, guest=of[port.id].guest, mac=of[port.id].mac) if port.id in of else port
        for port in ports
    ]


def _from_details(entry: Mapping[str, Any]) -> Port:
    return Port(
        id=entry["port_id"],
        mac=entry["mac_address"].lower(),
        physical_network=str(entry["physical_network"]),
        vlan=int(entry["segmentation_id"] or UNTAGGED),
        enabled=bool(entry["admin_state_up"]),
        active=False,
        guest="",
        device=entry["device"],
        allowed=addresses.allowed(entry),
    )
