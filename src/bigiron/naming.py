"""Names and marks derived from an instance: pure functions, so that they can be computed again anywhere.

The PowerVM rules are those that existing clouds know: the LPAR's uuid is the instance's with its top bit cleared,
and its name is the instance's name with what the platform forbids replaced. A z/VM userid has eight characters at
most: a prefix of the operator's and as much of a hash of the instance's uuid as fits, with others to try on a clash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

VIF_TYPE_PVM_SEA = "pvm_sea"
VIF_TYPE_PVM_SRIOV = "pvm_sriov"
VIF_TYPE_OVS = "ovs"
VIF_TYPE_ZVM = "zvm"
VIF_EVENT_PROVIDER = "NOVA_PVM_VIF"
"""Provider name in the custom event that tells the network agent of a client adapter."""
WIRED_EVENT_PROVIDER = "NEUTRON_PVM_VIF"
"""Provider name in the custom event by which the network agent answers that such an adapter's VLAN is on the bridge."""

MARK_PREFIX = "openstack:"

_LPAR_NAME_MAX = 31
_DISK_NAME_MAX = 15
_UNIT_NAME_MAX = 79
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_.\-]")


def lpar_uuid(instance_uuid: str) -> str:
    """The LPAR's uuid: the instance's with the top bit cleared, in upper case as the platform writes it."""
    return (f"{int(instance_uuid[0], 16) & 7:x}" + instance_uuid[1:]).upper()


def mark(instance_uuid: str) -> str:
    """The ownership mark in the LPAR's Description."""
    return MARK_PREFIX + instance_uuid.lower()


def marked_instance(description: str | None) -> str | None:
    """The instance uuid that a Description names, or None where the LPAR is not ours."""
    text = (description or "").strip()
    if not text.startswith(MARK_PREFIX):
        return None
    uuid = text[len(MARK_PREFIX) :].split()[0:1]
    return uuid[0].lower() if uuid else None


def lpar_name(instance_name: str, prefix: str = "") -> str:
    """The LPAR's name: at most 31 characters; a name cut short ends with a hash, so that two never meet."""
    return _fit(prefix + _FORBIDDEN.sub("_", instance_name), _LPAR_NAME_MAX)


def volume_group_disk(kind: str, instance_uuid: str) -> str:
    """A virtual disk's name in a volume group: a kind letter and 13 characters of the uuid's hash (15 at most)."""
    return f"{kind}_{_digest(instance_uuid.lower(), _DISK_NAME_MAX - 2)}"


def volume_group_image(image_id: str) -> str:
    """A cached image's virtual disk: the same scheme, kind i."""
    return volume_group_disk("i", image_id)


def logical_unit(kind: str, instance_name: str, instance_uuid: str) -> str:
    """A logical unit's name in a shared storage pool, such as boot_web-1_3f2a9c41 (79 at most)."""
    suffix = "_" + instance_uuid.replace("-", "").lower()[:8]
    return _fit(f"{kind}_" + _FORBIDDEN.sub("_", instance_name), _UNIT_NAME_MAX - len(suffix)) + suffix


def image_unit(image_name: str, image_id: str) -> str:
    """A cached image's logical unit: it ends with the whole image id, so that two images never share one."""
    suffix = "_" + image_id.lower()
    return _fit("image_" + _FORBIDDEN.sub("_", image_name or "image"), _UNIT_NAME_MAX - len(suffix)) + suffix


def config_drive(instance_uuid: str) -> str:
    """The config drive's name in the media repository: 37 characters, 29 of them the uuid's."""
    return f"cfg_{instance_uuid.replace('-', '').lower()[:29]}.iso"


def rescue_drive(instance_uuid: str) -> str:
    """The config drive of a rescued guest, which takes the place of its own meanwhile."""
    return f"rsc_{instance_uuid.replace('-', '').lower()[:29]}.iso"


ZVM_MARK_PREFIX = "NOVA:"
"""What the comment in a z/VM directory entry begins with that names the instance."""

USERID_MAX = 8
_USERID_CANDIDATES = 16
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ZVM_MARK = re.compile(
    r"^\*\s*" + ZVM_MARK_PREFIX + r"([0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12})\s*$", re.IGNORECASE
)


def userids(instance_uuid: str, prefix: str) -> Iterator[str]:
    """Userids for an instance, the likeliest first: the prefix and base-36 digits of a hash, eight characters each."""
    length = USERID_MAX - len(prefix)
    for attempt in range(_USERID_CANDIDATES):
        number = int(hashlib.sha256(f"{instance_uuid.lower()}/{attempt}".encode()).hexdigest(), 16)
        digits = ""
        for _ in range(length):
            number, digit = divmod(number, len(_BASE36))
            digits += _BASE36[digit]
        yield prefix.upper() + digits


def zvm_mark(instance_uuid: str) -> str:
    """The ownership mark in a directory entry, without the asterisk that makes it a comment."""
    return ZVM_MARK_PREFIX + instance_uuid.upper()


def zvm_marked_instance(line: str) -> str | None:
    """The instance uuid that a line of a directory entry names as a mark, or None where it is none."""
    found = _ZVM_MARK.match(line.strip())
    return found.group(1).lower() if found else None


def zvm_image(image_id: str) -> str:
    """A cached image's name in the Cloud Connector: Glance's id, as the in-tree driver names it too."""
    return image_id.lower()


def tap_device(port_id: str) -> str:
    """The network device by which a port is on Open vSwitch: the name that OpenStack gives it everywhere (14)."""
    return ("tap" + port_id)[:14]


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _fit(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9]}_{_digest(name, 8)}"
