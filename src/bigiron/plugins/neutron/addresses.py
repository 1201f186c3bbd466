"""Which MAC addresses a port lets its guest use, from its port security and its allowed address pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neutron_lib import exceptions as neutron_errors
from neutron_lib.api.definitions import allowedaddresspairs, port_security

from bigiron.powervm.network import macs


def allowed(port: Mapping[str, Any]) -> str:
    """What the port's adapter is to let through, beside the port's own address: a value of macs.

    The subports of a trunk have addresses of their own and come and go while the guest runs, when the platform takes
    no other value: their adapter lets everything through.
    """
    if not port.get(port_security.PORTSECURITY, True) or port.get("trunk_details"):
        return macs.ALL
    return macs.listed(_others(port))


def obstacle(port: Mapping[str, Any]) -> str:
    """Why the port's address pairs cannot be had; empty where they can."""
    found = len(_others(port))
    if found <= macs.MOST or allowed(port) == macs.ALL:
        return ""
    return (
        f"its allowed address pairs have {found} MAC addresses beside its own, and an adapter takes {macs.MOST}; "
        "remove some, or switch port security off for the port"
    )


def check_update(context: Any, vif_type: str) -> None:
    """In a mechanism driver, before an update of a port is written: raises InvalidInput where it cannot be had."""
    reason = obstacle(context.current)
    if reason and context.vif_type == vif_type and reason != obstacle(context.original):
        raise neutron_errors.InvalidInput(error_message=f"port {context.current['id']} cannot be changed: {reason}")


def _others(port: Mapping[str, Any]) -> set[str]:
    pairs = port.get(allowedaddresspairs.ADDRESS_PAIRS) or ()
    found = {str(pair.get("mac_address") or "").lower() for pair in pairs}
    return found - {"", str(port.get("mac_address") or "").lower()}
