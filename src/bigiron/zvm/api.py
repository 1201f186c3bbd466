"""The connector's requests, one function each: paths, bodies and time-outs are written here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bigiron.errors import NotFound
from bigiron.zvm import directory
from bigiron.zvm.directory import Entry
from bigiron.zvm.metrics import statistics
from bigiron.zvm.metrics.statistics import CpuReading, NicReading
from bigiron.zvm.rest import Connector

_CHANGE_S = 300.0
"""For what waits for the directory manager, which works on one change after the other."""
Undo = Callable[[], object]
_COMMENTS_SINCE = (1, 6, 7)
_CPU_COMMANDS_SINCE = (1, 6, 6)


class Api:
    """The requests of one connector, and what its version decides."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self._options = connector.options
        self.version: tuple[int, ...] = ()
        scp_host = self._options.scp_host
        self._remote = {"remote_host": scp_host} if scp_host else {}

    def read_version(self) -> str:
        """Ask for the server's version (GET /) and remember it; api_version is 1.0 in all of them."""
        output = self.connector.call("GET", "/", what="Asking for the Cloud Connector's version")
        text = str(output["version"])
        self.version = tuple(int(number) for number in re.findall(r"\d+", text)[:3])
        return text

    @property
    def takes_comments(self) -> bool:
        """Whether a create's comments reach the directory: before 1.6.7 they are dropped on the way."""
        return self.version >= _COMMENTS_SINCE

    @property
    def takes_made_cpus(self) -> bool:
        """Whether a resize can take away processors that the guest was made with (git since 1.6.6)."""
        return self.version >= _CPU_COMMANDS_SINCE

    # The host

    def host(self) -> Mapping[str, Any]:
        """Capacity and identity of the LPAR."""
        output: Mapping[str, Any] = self.connector.call("GET", "/host", what="Reading the z/VM host")
        return output

    def pool(self, name: str) -> Mapping[str, Any]:
        """Totals of a disk pool, in GB."""
        what = f"Reading disk pool {name}"
        output: Mapping[str, Any] = self.connector.call("GET", f"/host/diskpool?poolname={quote(name)}", what=what)
        return output

    def known_userids(self) -> list[str]:
        """Guests in the connector's own list, ours and others'."""
        output = self.connector.call("GET", "/guests", what="Listing the connector's guests")
        return [str(userid).upper() for userid in output]

    # Images

    def images(self) -> list[Mapping[str, Any]]:
        """All images that the connector keeps."""
        return list(self.connector.call("GET", "/images", what="Listing the connector's images"))

    def image(self, name: str) -> Mapping[str, Any]:
        """One image; raises NotFound."""
        output = self.connector.call("GET", f"/images?imagename={quote(name)}", what=f"Looking up image {name}")
        if not output:
            raise NotFound(f"The Cloud Connector has no image {name}.")
        found: Mapping[str, Any] = output[0]
        return found

    def import_image(self, name: str, path: str, os_version: str, what: str) -> None:
        """Copy a file of the connector's host, or of scp_host, into its images; raises Exists."""
        meta = {"os_version": os_version}
        image = {"image_name": name, "url": f"file://{path}", "image_meta": meta, **self._remote}
        timeout = self._options.deploy_timeout_s
        self.connector.call("POST", "/images", {"image": image}, what=what, timeout_s=timeout)

    def export_image(self, name: str, path: str, what: str) -> None:
        """Copy an image to a path on the connector's host, or on scp_host, over what is there."""
        body = {"location": {"dest_url": f"file://{path}", **self._remote}}
        self.connector.call("PUT", _image(name), body, what=what, timeout_s=self._options.deploy_timeout_s)

    def delete_image(self, name: str) -> None:
        """Remove an image with its files; one that is gone is no error."""
        self.connector.call("DELETE", _image(name), what=f"Deleting image {name}", timeout_s=_CHANGE_S)

    # Guests

    def entry(self, userid: str) -> Entry:
        """The guest's directory entry, whoever made it; raises NotFound."""
        what = f"Reading the directory entry of {userid}"
        output = self.connector.call("GET", _guest(userid, "user_direct"), what=what)
        return directory.parse(userid, output["user_direct"])

    def create(
        self, userid: str, guest: Mapping[str, Any], what: str, undo: Undo | None = None
    ) -> list[Mapping[str, Any]]:
        """Make a directory entry with disks, one after the other; returns the disks with their device numbers.

        `undo` removes what there is of it, before it is tried again. Raises Exists.
        """
        body = {"guest": {"userid": userid, **guest}}
        timeout = self._options.deploy_timeout_s
        return list(self.connector.call("POST", "/guests", body, what=what, timeout_s=timeout, undo=undo) or ())

    def delete(self, userid: str) -> None:
        """Delete a guest with its disks, adapters, grants and reader files; one that is gone is no error."""
        what = f"Deleting guest {userid}"
        timeout = self._options.deploy_timeout_s
        self.connector.call("DELETE", _guest(userid), what=what, timeout_s=timeout)

    def register(self, userid: str, os_version: str) -> None:
        """Put a guest that is only in the directory into the connector's own list."""
        self.action(userid, "register_vm", what=f"Registering guest {userid}", meta=os_version, net_set="0")

    def power_state(self, userid: str) -> str:
        """`on` or `off`, straight from CP, for which a userid that does not exist is one that is not logged on."""
        what = f"Asking for the power state of {userid}"
        return str(self.connector.call("GET", _guest(userid, "power_state_real"), what=what)).strip().lower()

    def info(self, userid: str) -> Mapping[str, Any]:
        """Memory, processors and times; asks CP, SMAPI and the guest itself, so not quick."""
        what = f"Reading the state of {userid}"
        output: Mapping[str, Any] = self.connector.call("GET", _guest(userid, "info"), what=what)
        return output

    def statistics(self, userids: Sequence[str]) -> Mapping[str, CpuReading]:
        """Processors and memory of those of these guests that run. Raises NotFound where one of them is not known."""
        what = f"Reading the statistics of {_guests(userids)}"
        output = self.connector.call("GET", f"/guests/stats?userid={quote(','.join(userids))}", what=what)
        return statistics.cpus(output, what)

    def interface_statistics(self, userids: Sequence[str]) -> Mapping[str, Sequence[NicReading]]:
        """Their network adapters that are coupled to virtual switches, likewise."""
        what = f"Reading the network statistics of {_guests(userids)}"
        output = self.connector.call("GET", f"/guests/interfacestats?userid={quote(','.join(userids))}", what=what)
        return statistics.nics(output, what)

    def action(self, userid: str, action: str, *, what: str, timeout_s: float = _CHANGE_S, **fields: Any) -> Any:
        """One of the guest's actions."""
        body = {"action": action, **fields}
        return self.connector.call("POST", _guest(userid, "action"), body, what=what, timeout_s=timeout_s)

    def deploy(self, userid: str, image: str, transport: str | None, what: str) -> None:
        """Write an image to the root disk, empty the reader and put the config drive there; raises NotFound."""
        fields = {"image": image}
        if transport:
            fields["transportfiles"] = transport
            if self._options.scp_host:
                fields["remotehost"] = self._options.scp_host
        self.action(userid, "deploy", what=what, timeout_s=self._options.deploy_timeout_s, **fields)

    # Disks of a guest

    def add_disks(
        self, userid: str, disks: Sequence[Mapping[str, Any]], what: str, undo: Undo | None = None
    ) -> list[Mapping[str, Any]]:
        """Make further minidisks, one after the other; returns them with their device numbers. `undo` as for create."""
        body = {"disk_info": {"disk_list": list(disks)}}
        timeout = self._options.deploy_timeout_s
        path = _guest(userid, "disks")
        return list(self.connector.call("POST", path, body, what=what, timeout_s=timeout, undo=undo) or ())

    def configure_disks(self, userid: str, disks: Sequence[Mapping[str, Any]], what: str) -> None:
        """Have the guest mount disks, at its next start or now."""
        body = {"disk_info": {"disk_list": list(disks)}}
        self.connector.call("PUT", _guest(userid, "disks"), body, what=what, timeout_s=_CHANGE_S)

    def delete_disks(self, userid: str, vdevs: Sequence[str], what: str) -> None:
        """Delete minidisks of a guest that does not run."""
        body = {"vdev_info": {"vdev_list": list(vdevs)}}
        timeout = self._options.deploy_timeout_s
        self.connector.call("DELETE", _guest(userid, "disks"), body, what=what, timeout_s=timeout)

    # Network adapters of a guest

    def nics(self, userid: str) -> list[Mapping[str, Any]]:
        """The adapters in the connector's own list: `interface`, `switch`, `port`."""
        what = f"Listing the adapters of {userid}"
        return list(self.connector.call("GET", f"/guests/nics?userid={quote(userid)}", what=what) or ())

    def adapters(self, userid: str) -> list[Mapping[str, Any]]:
        """The adapters of a running guest as CP has them, with their MACs; none while it does not run."""
        what = f"Reading the adapters of {userid}"
        output = self.connector.call("GET", _guest(userid, "adapters"), what=what)
        return list(output["adapters"])

    def add_interfaces(
        self,
        userid: str,
        os_version: str,
        networks: Sequence[Mapping[str, Any]],
        active: bool,
        what: str,
        undo: Undo | None = None,
    ) -> None:
        """Make adapters and have the guest configure them, at its next start or, with `active`, now. `undo` as for
        create."""
        body = {"interface": {"os_version": os_version, "guest_networks": list(networks), "active": active}}
        self.connector.call("POST", _guest(userid, "interface"), body, what=what, timeout_s=_CHANGE_S, undo=undo)

    def delete_interface(self, userid: str, os_version: str, vdev: str, active: bool, what: str) -> None:
        """Take an adapter and its configuration from a guest; one that is gone is no error."""
        body = {"interface": {"os_version": os_version, "vdev": vdev, "active": active}}
        self.connector.call("DELETE", _guest(userid, "interface"), body, what=what, timeout_s=_CHANGE_S)

    def delete_nic(self, userid: str, vdev: str, active: bool, what: str) -> None:
        """Take an adapter from a guest without telling the guest; one that is gone is no error."""
        path = _guest(userid, f"nic/{vdev}")
        self.connector.call("DELETE", path, {"active": active}, what=what, timeout_s=_CHANGE_S)

    # Virtual switches, and what is coupled to them

    def all_nics(self) -> list[Mapping[str, Any]]:
        """The adapters of all guests in the connector's own list; asks neither SMAPI nor CP, so quick."""
        return list(self.connector.call("GET", "/guests/nics", what="Listing the adapters of all guests") or ())

    def couple(self, userid: str, vdev: str, switch: str, vlan: int | None, active: bool, what: str) -> None:
        """Connect an adapter in the directory and, with `active`, on the running guest; `vlan` is this adapter's own.

        Does nothing, and says nothing, where the directory has it on that switch already.
        """
        info: dict[str, Any] = {"couple": True, "vswitch": switch, "active": active}
        if vlan is not None:
            info["vlan_id"] = vlan
        self.connector.call("PUT", _guest(userid, f"nic/{vdev}"), {"info": info}, what=what, timeout_s=_CHANGE_S)

    def uncouple(self, userid: str, vdev: str, active: bool, what: str) -> None:
        """Disconnect an adapter in the directory and, with `active`, on the running guest; one that is not connected
        is no error."""
        body = {"info": {"couple": False, "active": active}}
        self.connector.call("PUT", _guest(userid, f"nic/{vdev}"), body, what=what, timeout_s=_CHANGE_S)

    def vswitches(self) -> list[str]:
        """Names of all virtual switches."""
        output = self.connector.call("GET", "/vswitches", what="Listing the virtual switches")
        return [str(name).strip().upper() for name in output]

    def vswitch(self, name: str) -> Mapping[str, Any]:
        """A virtual switch with its grants and the adapters that are coupled to it; raises NotFound."""
        what = f"Reading virtual switch {name}"
        output: Mapping[str, Any] = self.connector.call("GET", f"/vswitches/{quote(name, safe='')}", what=what)
        return output

    def create_vswitch(self, name: str, rdevs: Sequence[str], vid: int | str) -> None:
        """Make a virtual switch for good, of Ethernet frames; `vid` is AWARE, UNAWARE or a default VLAN.

        Raises Exists.
        """
        vswitch = {"name": name, "rdev": " ".join(rdevs), "vid": vid}
        what = f"Making virtual switch {name}"
        self.connector.call("POST", "/vswitches", {"vswitch": vswitch}, what=what, timeout_s=_CHANGE_S)

    def grant(self, switch: str, userid: str, what: str) -> None:
        """Let a guest couple adapters to a virtual switch; one that may already is no error."""
        self._change_vswitch(switch, {"grant_userid": userid}, what)

    def revoke(self, switch: str, userid: str, what: str) -> None:
        """Take that away, and with it every coupling that rests on it; a guest that may not is no error."""
        self._change_vswitch(switch, {"revoke_userid": userid}, what)

    def _change_vswitch(self, name: str, fields: Mapping[str, str], what: str) -> None:
        path = f"/vswitches/{quote(name, safe='')}"
        self.connector.call("PUT", path, {"vswitch": dict(fields)}, what=what, timeout_s=_CHANGE_S)


def _guests(userids: Sequence[str]) -> str:
    return f"guest {userids[0]}" if len(userids) == 1 else f"{len(userids)} guests"


def _guest(userid: str, part: str = "") -> str:
    return f"/guests/{quote(userid, safe='')}" + (f"/{part}" if part else "")


def _image(name: str) -> str:
    return f"/images/{quote(name, safe='')}"
