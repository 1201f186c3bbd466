"""The management adapter through which a guest and the platform talk (RMC): its MAC and its link-local address.

Both are computed from the instance's uuid, so that the config drive can carry the address before the adapter exists.
"""

from __future__ import annotations

import hashlib
import ipaddress

SWITCH = "MGMTSWITCH"
VLAN = 4094

_LOCALLY_ADMINISTERED = 0x02
_MULTICAST = 0x01


def mac(instance_uuid: str) -> str:
    """The adapter's MAC: 46 bits of a hash of the uuid, marked as locally administered."""
    digest = bytearray(hashlib.sha256(b"rmc:" + instance_uuid.lower().encode()).digest()[:6])
    digest[0] = (digest[0] | _LOCALLY_ADMINISTERED) & ~_MULTICAST & 0xFF
    return ":".join(f"{byte:02x}" for byte in digest)


def link_local(mac_address: str) -> str:
    """The IPv6 link-local address that belongs to a MAC (RFC 4291, appendix A: modified EUI-64)."""
    octets = bytes.fromhex(mac_address.replace(":", "").replace("-", ""))
    interface = bytes([octets[0] ^ _LOCALLY_ADMINISTERED]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))
