"""What cloud-init reads in a guest: an OpenStack config drive, an ISO 9660 image with JSON documents."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

_LATEST = "/openstack/latest"
LABEL = "config-2"


class NoConfigDrive(Exception):
    """The medium is not an OpenStack config drive; the message says why."""


@dataclass(frozen=True, slots=True)
class ConfigDrive:
    """The documents under openstack/latest, as far as the drive has them."""

    label: str
    meta_data: dict[str, Any]
    network_data: dict[str, Any]
    user_data: bytes | None = None

    @property
    def hostname(self) -> str:
        """The host name without its domain."""
        return str(self.meta_data.get("hostname") or self.meta_data.get("name") or "localhost").split(".")[0]

    @property
    def keys(self) -> list[str]:
        """The public SSH keys, as lines of an authorized_keys file."""
        found: dict[str, str] = self.meta_data.get("public_keys") or {}
        return [line.strip() for line in found.values()]


def read(path: Path) -> ConfigDrive:
    """Read the drive in an ISO file. Raises NoConfigDrive."""
    try:
        with path.open("rb") as stream:
            return read_stream(stream, path.name)
    except OSError as error:
        raise NoConfigDrive(f"{path.name}: {error}") from error


def read_stream(stream: BinaryIO, name: str) -> ConfigDrive:
    """Read the drive in an open ISO file. Raises NoConfigDrive."""
    iso = pycdlib.PyCdlib()
    try:
        iso.open_fp(stream)
    except (OSError, PyCdlibException) as error:
        raise NoConfigDrive(f"{name}: {error}") from error
    try:
        label = iso.pvd.volume_identifier.decode("ascii", "replace").strip()
        meta_data = _document(iso, "meta_data.json")
        if meta_data is None:
            raise NoConfigDrive(f"{name}: there is no {_LATEST}/meta_data.json on volume {label}")
        network_data = _document(iso, "network_data.json") or {}
        return ConfigDrive(label, meta_data, network_data, _content(iso, "user_data"))
    except (ValueError, PyCdlibException) as error:
        raise NoConfigDrive(f"{name}: {error}") from error
    finally:
        iso.close()


def fingerprint(key: str) -> str:
    """A public key line as `ssh-keygen -l` shows it: the hash of its key part."""
    parts = key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, binascii.Error):
        return "not a public key"
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{parts[0]} SHA256:{digest}"


def _document(iso: Any, name: str) -> dict[str, Any] | None:
    content = _content(iso, name)
    if content is None:
        return None
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError(f"{name} is not a JSON object")
    return document


def _content(iso: Any, name: str) -> bytes | None:
    """A file by its long name: Joliet or Rock Ridge, whichever the drive was written with."""
    path = f"{_LATEST}/{name}"
    kind = "joliet_path" if iso.has_joliet() else "rr_path" if iso.has_rock_ridge() else "iso_path"
    target = io.BytesIO()
    try:
        iso.get_file_from_iso_fp(target, **{kind: path})
    except PyCdlibException:
        return None
    return target.getvalue()
