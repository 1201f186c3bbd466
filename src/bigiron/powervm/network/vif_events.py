"""The custom event by which the compute side tells the network agent that a client adapter is there or gone.

Its form is the one existing PowerVM clouds use: EventData is the adapter's address in the REST service, EventDetail
a JSON object with provider, action, mac and type; `port`, the network service's port id, is ours and optional.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from bigiron.naming import VIF_EVENT_PROVIDER
from bigiron.powervm.events import CUSTOM_CLIENT_EVENT, RestEvent

Action = Literal["plug", "unplug"]


@dataclass(frozen=True, slots=True)
class VifEvent:
    """A client adapter was plugged or unplugged; the MAC is written fa:16:3e:00:00:01."""

    action: Action
    mac: str
    vif_type: str
    port: str | None = None

    def detail(self) -> str:
        """The EventDetail to post; EventData is the adapter's href."""
        fields = {"provider": VIF_EVENT_PROVIDER, "action": self.action, "mac": self.mac, "type": self.vif_type}
        if self.port:
            fields["port"] = self.port
        return json.dumps(fields)


def parse(event: RestEvent) -> VifEvent | None:
    """The adapter event in a REST event, or None where it is about something else or makes no sense."""
    if event.type != CUSTOM_CLIENT_EVENT:
        return None
    try:
        fields = json.loads(event.detail)
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("provider") != VIF_EVENT_PROVIDER:
        return None
    action, mac = fields.get("action"), mac_text(str(fields.get("mac") or ""))
    if action not in ("plug", "unplug") or not mac:
        return None
    return VifEvent(action, mac, str(fields.get("type") or ""), str(fields.get("port") or "") or None)


def mac_text(mac: str) -> str:
    """A MAC as the network service writes it, from any spelling; empty where it is none."""
    digits = mac.replace(":", "").replace("-", "").lower()
    if len(digits) != 12 or any(digit not in "0123456789abcdef" for digit in digits):
        return ""
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
