"""Builds an instance's config drive: Nova's metadata in an ISO 9660 file, written without any outside program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import pycdlib
from nova.api.metadata import base as instance_metadata
from nova.network import model as network_model
from nova.virt import configdrive

from bigiron import errors
from bigiron.hypervisor import CONFIG_DRIVE, Key, Step, Values

LABEL = "config-2"
"""The volume label by which cloud-init and others find a config drive."""


class BuildConfigDrive(Step):
    """Provides the config drive as a file in `directory`, which the caller removes with all that is in it."""

    name = "build the config drive"
    provides = CONFIG_DRIVE

    def __init__(
        self,
        instance: Any,
        injected_files: Any,
        admin_password: str | None,
        network_info: Sequence[Any],
        directory: Path,
        needs: tuple[Key[Any], ...] = (),
    ) -> None:
        """`needs`: what must be noted in the instance first."""
        self.needs = needs
        self._instance = instance
        self._injected_files = injected_files
        self._admin_password = admin_password
        self._network_info = network_info
        self._directory = directory

    def execute(self, values: Values) -> Path:
        metadata = instance_metadata.InstanceMetadata(
            self._instance,
            content=self._injected_files,
            extra_md={"admin_pass": self._admin_password} if self._admin_password else {},
            network_info=network_model.NetworkInfo(self._network_info),
        )
        path = self._directory / f"{self._instance.uuid}.iso"
        with configdrive.ConfigDriveBuilder(instance_md=metadata) as builder:
            write_iso(path, builder.mdfiles)
        return path


def check_format(config_drive_format: str) -> None:
    """Refuse another format than the one that a virtual optical device can hold."""
    if config_drive_format != "iso9660":
        raise errors.InvalidSpec(
            f"config_drive_format = {config_drive_format} in nova.conf cannot be used: a config drive is an optical "
            "medium here, set it to iso9660"
        )


def link_local_vif(mac: str, address: str, label: str) -> Any:
    """An adapter with nothing but an IPv6 link-local address, for the metadata's view of the network."""
    subnet = network_model.Subnet(
        cidr="fe80::/64", ips=[network_model.FixedIP(address=address)], version=6, dns=[], routes=[]
    )
    network = network_model.Network(id=label, label=label, subnets=[subnet])
    return network_model.VIF(id=label, address=mac, network=network, type=label, active=True)


def write_iso(path: Path, files: Iterable[tuple[str, str | bytes]]) -> None:
    """Write files, given as (path, content), with their own names as Rock Ridge and Joliet have them."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, rock_ridge="1.09", joliet=3)
    try:
        plain = {PurePosixPath("."): ""}
        for number, (name, content) in enumerate(files):
            target = PurePosixPath(name.lstrip("/"))
            for parent in reversed(target.parents):
                if parent not in plain:
                    plain[parent] = f"{plain[parent.parent]}/D{len(plain):07d}"
                    iso.add_directory(plain[parent], rr_name=parent.name, joliet_path=f"/{parent}")
            data = content.encode() if isinstance(content, str) else content
            iso.add_fp(
                BytesIO(data),
                len(data),
                f"{plain[target.parent]}/F{number:07d}.;1",
                rr_name=target.name,
                joliet_path=f"/{target}",
            )
        # The metadata holds passwords and keys.
        path.touch(mode=0o600, exist_ok=False)
        with path.open("wb") as out:
            iso.write_fp(out)
    finally:
        iso.close()
