"""Virtual switches and what is coupled to them, for the network agent: what there is, and the changes to it.

Three places say of an adapter what it is coupled to, and all three have to agree: the connector's own list, which is
quick to read and knows no VLANs; the directory, from which a guest has it at logon; and CP, as long as the guest runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from bigiron.errors import NotFound, PlatformError
from bigiron.zvm.api import Api
from bigiron.zvm.directory import Coupling, vdev
from bigiron.zvm.errors import AWAY

LOG = logging.getLogger(__name__)

_PARALLEL = 8
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A network adapter in the connector's list: its guest and device number, its port's id, and its virtual switch.

    `port` is empty where it was made for none, `switch` where the connector has coupled it to none.
    """

    userid: str
    vdev: str
    port: str
    switch: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other adapter."""
        return self.userid, self.vdev

    def __str__(self) -> str:
        return f"adapter {self.vdev} of {self.userid}"


@dataclass(frozen=True, slots=True)
class Switch:
    """A virtual switch. `aware` says that it knows VLANs; `default_vlan` is then that of adapters without their own.

    `coupled` are guests and device numbers of the adapters that CP has on it.
    """

    name: str
    aware: bool
    default_vlan: int | None
    grants: frozenset[str]
    coupled: frozenset[tuple[str, str]]

    def obstacle(self, vlan: int | None) -> str:
        """Why a network with that VLAN, or a flat one, cannot be had here; empty where it can."""
        return obstacle(self.name, self.aware, self.default_vlan, vlan)


HIGHEST_VLAN = 4094


def obstacle(name: str, aware: bool, default_vlan: int | None, vlan: int | None) -> str:
    """Why a network with that VLAN, or a flat one, cannot be had on such a switch; empty where it can."""
    if vlan is None:
        if aware and default_vlan is None:
            return (
                f"virtual switch {name} knows VLANs and has no default one, so a flat network's frames would go "
                "nowhere; give the switch a default VLAN, or use a vlan network"
            )
        return ""
    if not aware:
        return f"virtual switch {name} knows no VLANs (UNAWARE); use a flat network, or define it with VLAN AWARE"
    if not 1 <= vlan <= HIGHEST_VLAN:
        return f"VLAN {vlan} is not between 1 and {HIGHEST_VLAN}"
    return ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Let a guest use a switch: for flat networks, as a VLAN in the directory is a right by itself."""

    userid: str
    switch: str

    def apply(self, api: Api) -> None:
        api.grant(self.switch, self.userid, f"Granting {self.userid} virtual switch {self.switch}")

    def on(self, switch: Switch) -> Switch:
        """The switch afterwards."""
        return replace(switch, grants=switch.grants | {self.userid})

    def __str__(self) -> str:
        return f"grant {self.userid} {self.switch}"


@dataclass(frozen=True, slots=True)
class Revoke:
    """Take a guest the right to use a switch, and every adapter's coupling that rests on it."""

    userid: str
    switch: str

    def apply(self, api: Api) -> None:
        api.revoke(self.switch, self.userid, f"Revoking virtual switch {self.switch} from {self.userid}")

    def on(self, switch: Switch) -> Switch:
        """The switch afterwards."""
        return replace(switch, grants=switch.grants - {self.userid})

    def __str__(self) -> str:
        return f"revoke {self.switch} from {self.userid}"


@dataclass(frozen=True, slots=True)
class Couple:
    """Connect an adapter that is connected to nothing; `running` says that its guest runs."""

    userid: str
    vdev: str
    to: Coupling
    running: bool

    def apply(self, api: Api) -> None:
        what = f"Coupling adapter {self.vdev} of {self.userid} to {self.to}"
        api.couple(self.userid, self.vdev, self.to.switch, self.to.vlan, self.running, what)

    def __str__(self) -> str:
        return f"couple {self.userid}/{self.vdev} to {self.to}"


@dataclass(frozen=True, slots=True)
class Uncouple:
    """Disconnect an adapter."""

    userid: str
    vdev: str
    running: bool

    def apply(self, api: Api) -> None:
        api.uncouple(self.userid, self.vdev, self.running, f"Uncoupling adapter {self.vdev} of {self.userid}")

    def __str__(self) -> str:
        return f"uncouple {self.userid}/{self.vdev}"


Op = Grant | Revoke | Couple | Uncouple


class Vswitches:
    """The virtual switches and adapters of one connector's system; safe to use from many threads."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def adapters(self) -> list[Adapter]:
        """The adapters of every guest in the connector's list, ours and others'."""
        return [
            Adapter(
                str(row["userid"]).upper(),
                vdev(str(row["interface"])),
                str(row.get("port") or "").lower(),
                str(row.get("switch") or "").upper(),
            )
            for row in self._api.all_nics()
        ]

    def names(self) -> list[str]:
        """Every virtual switch."""
        return self._api.vswitches()

    def switches(self, names: Iterable[str]) -> dict[str, Switch]:
        """Those of the named switches that are there."""
        return {switch.name: switch for switch in self._all(self._switch, sorted(names)) if switch is not None}

    def create(self, name: str, rdevs: Sequence[str], vid: int | str) -> None:
        """Make a switch; raises Exists."""
        self._api.create_vswitch(name, rdevs, vid)
        LOG.info("Made virtual switch %s on devices %s (VLAN %s)", name, ", ".join(rdevs), vid)

    def couplings(self, userids: Iterable[str]) -> dict[str, Mapping[str, Coupling]]:
        """What the directory couples each guest's adapters to, by device number; nothing of a guest that is gone.

        Guests whose entries make no sense are left out.
        """
        wanted = sorted(userids)
        found = zip(wanted, self._all(self._couplings, wanted), strict=True)
        return {userid: couplings for userid, couplings in found if couplings is not None}

    def running(self, userids: Iterable[str]) -> dict[str, bool]:
        """Whether each of the guests is logged on; nothing of one of which that cannot be told."""
        wanted = sorted(userids)
        found = zip(wanted, self._all(self._is_on, wanted), strict=True)
        return {userid: on for userid, on in found if on is not None}

    def ipl_time(self) -> str:
        """When z/VM was started."""
        return str(self._api.host()["ipl_time"])

    def apply(self, op: Op) -> None:
        """Carry out one change; raises PlatformError."""
        op.apply(self._api)
        LOG.info("Done: %s", op)

    @staticmethod
    def _all(read: Callable[[str], _Found], names: Sequence[str]) -> list[_Found]:
        if len(names) < 2:
            return [read(name) for name in names]
        with ThreadPoolExecutor(min(_PARALLEL, len(names)), thread_name_prefix="bigiron-vswitch") as pool:
            return list(pool.map(read, names))

    def _switch(self, name: str) -> Switch | None:
        try:
            found = self._api.vswitch(name)
        except NotFound:
            return None
        default = str(found.get("vlan_id") or "")
        return Switch(
            name=name,
            aware=str(found.get("vlan_awareness")).upper() == "AWARE",
            default_vlan=int(default) if default.isdigit() and int(default) else None,
            grants=frozenset(str(userid).upper() for userid in found.get("authorized_users") or ()),
            coupled=frozenset(_owner(key) for key in found.get("adapters") or ()),
        )

    def _couplings(self, userid: str) -> Mapping[str, Coupling] | None:
        try:
            return self._api.entry(userid).couplings
        except NotFound:
            return {}
        except AWAY:
            raise
        except PlatformError as error:
            LOG.error("The directory entry of %s cannot be read: %s", userid, error)
            return None

    def _is_on(self, userid: str) -> bool | None:
        try:
            return self._api.power_state(userid) == "on"
        except NotFound:
            return False
        except AWAY:
            raise
        except PlatformError as error:
            LOG.error("Whether %s runs cannot be told: %s", userid, error)
            return None


def _owner(key: str) -> tuple[str, str]:
    """Userid and device number, which the connector joins by an underscore; a userid may have some itself."""
    userid, _, number = key.rpartition("_")
    return userid.strip().upper(), vdev(number.strip())
