"""The custom events between the compute side and the network agent, over the platform's own event stream.

By the first the agent learns that a client adapter is there or gone. Its form is the one existing PowerVM clouds use:
EventData is the adapter's address in the REST service, EventDetail a JSON object with provider, action, mac and type;
`port`, the network service's port id, `trunk` and `macs` are ours and optional. By the second, which is ours, the agent
answers that the adapter can carry traffic: EventDetail has the provider and `wired`, a list of port ids.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pypowervm.adapter import Adapter

from bigiron.model import NicSpec
from bigiron.naming import VIF_EVENT_PROVIDER, WIRED_EVENT_PROVIDER
from bigiron.powervm.events import CUSTOM_CLIENT_EVENT, RestEvent, post_custom
from bigiron.powervm.network import macs

Action = Literal["plug", "unplug"]


@dataclass(frozen=True, slots=True)
class VifEvent:
    """A client adapter was plugged or unplugged; the MAC is written fa:16:3e:00:00:01."""

    action: Action
    mac: str
    vif_type: str
    port: str | None = None
    trunk: bool = False
    """It belongs to a trunk, so that other ports go with it."""
    macs: str = ""
    """Which MACs it was made to let through, where that was asked for: see network.macs."""

    def detail(self) -> str:
        """The EventDetail to post; EventData is the adapter's href."""
        fields = {"provider": VIF_EVENT_PROVIDER, "action": self.action, "mac": self.mac, "type": self.vif_type}
        if self.port:
            fields["port"] = self.port
        if self.trunk:
            fields["trunk"] = "yes"
        if self.macs:
            fields["macs"] = self.macs
        return json.dumps(fields)


def post_vif(adapter: Adapter, href: str, nic: NicSpec, action: Action) -> None:
    """Tell the network agent that the port's adapter is there or gone."""
    trunk, allowed = nic.tagged_vlans is not None, nic.details.get(macs.ALLOWED, "")
    event = VifEvent(action, mac_text(nic.mac), nic.vif_type, nic.id, trunk, allowed)
    post_custom(adapter, href, event.detail())


def parse(event: RestEvent) -> VifEvent | None:
    """The adapter event in a REST event, or None where it is about something else or makes no sense."""
    fields = _fields(event, VIF_EVENT_PROVIDER)
    action, mac = fields.get("action"), mac_text(str(fields.get("mac") or ""))
    if action not in ("plug", "unplug") or not mac:
        return None
    port = str(fields.get("port") or "") or None
    trunk, allowed = bool(fields.get("trunk")), str(fields.get("macs") or "")
    return VifEvent(action, mac, str(fields.get("type") or ""), port, trunk, allowed)


def post_wired(adapter: Adapter, system_uuid: str, ports: Collection[str]) -> None:
    """Answer the compute side that the adapters of these ports can carry traffic."""
    detail = json.dumps({"provider": WIRED_EVENT_PROVIDER, "wired": sorted(ports)})
    post_custom(adapter, f"ManagedSystem/{system_uuid}", detail)


def parse_wired(event: RestEvent) -> tuple[str, ...]:
    """The port ids in the agent's answer; none where the REST event is about something else or makes no sense."""
    ports = _fields(event, WIRED_EVENT_PROVIDER).get("wired")
    return tuple(str(port) for port in ports) if isinstance(ports, list) else ()


def _fields(event: RestEvent, provider: str) -> Mapping[str, Any]:
    """What a custom event of that provider says; nothing where it is none."""
    if event.type != CUSTOM_CLIENT_EVENT:
        return {}
    try:
        fields = json.loads(event.detail)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) and fields.get("provider") == provider else {}


def mac_text(mac: str) -> str:
    """A MAC as the network service writes it, from any spelling; empty where it is none."""
    digits = mac.replace(":", "").replace("-", "").lower()
    if len(digits) != 12 or any(digit not in "0123456789abcdef" for digit in digits):
        return ""
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
