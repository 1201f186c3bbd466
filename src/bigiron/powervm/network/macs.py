"""Which MAC addresses a guest may use on an adapter beside the one that the adapter was made with.

The platform drops frames that a guest sends from another one. Attribute: AllowedOperatingSystemMACAddresses of
ClientNetworkAdapter and of VirtualNICDedicated, which is ALL, NONE or up to four addresses. It is taken when an adapter
is made, and of a client adapter also while its partition is off.
"""

from __future__ import annotations

from collections.abc import Iterable

ELEMENT = "AllowedOperatingSystemMACAddresses"
ALL, NONE = "ALL", "NONE"
MOST = 4
"""How many addresses can be listed."""

ALLOWED = "allowed_macs"
"""Key in the details of a port's binding; its value is written as here: ALL, NONE, or addresses with commas between."""


def listed(macs: Iterable[str]) -> str:
    """The addresses as one value, always in the same order."""
    return ",".join(sorted(mac.lower() for mac in macs)) or NONE


def to_wire(value: str) -> str:
    """The value as the platform takes it."""
    return value if value in (ALL, NONE) else value.replace(":", "").upper().replace(",", " ")


def from_wire(text: str | None) -> str:
    """The value of what the platform shows; without one, everything is allowed."""
    words = (text or ALL).split()
    if len(words) == 1 and words[0].upper() in (ALL, NONE):
        return words[0].upper()
    return listed(":".join(word[at : at + 2] for at in range(0, 12, 2)) for word in words)
