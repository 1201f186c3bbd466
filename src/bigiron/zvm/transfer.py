"""Files on their way to and from the connector's host: by REST, through a directory that both hosts see, or by scp.

The connector keeps what was uploaded for ever and under a name of its own, and the guest knows a config drive by its
name, cfgdrive.iso. So an upload is imported as an image and exported from there under the right name, which needs a
disk image's header: it stands in the 32 KB at the beginning of an ISO 9660 file that belong to nobody. What was
uploaded is overwritten with a blank image afterwards: it may hold passwords, and fill the disk.
"""

from __future__ import annotations

import abc
import contextlib
import io
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bigiron.errors import InvalidSpec, NotFound, PlatformError
from bigiron.zvm import header
from bigiron.zvm.api import Api
from bigiron.zvm.errors import AWAY, Damaged, Exists

LOG = logging.getLogger(__name__)

BLANK = "bigiron-blank"
_BLANK_OS = "rhel9"
_BLANK_CONTENT = header.write(1) + bytes(header.HEADER_BYTES)
_MAKING_BLANK = "Making a blank image"
_CONFIG_DRIVE = "cfgdrive.iso"
_SYSTEM_AREA = 32768
_CHUNK = 1 << 20
_SCRATCH = "bigiron-"
_STALE_S = 24 * 3600.0


class Transfer(abc.ABC):
    """How files get to the connector's host and back."""

    @abc.abstractmethod
    def start(self) -> None:
        """Check that it works; raises InvalidSpec with the option to put right."""

    @abc.abstractmethod
    def placed(self, stream: BinaryIO, size: int, what: str) -> contextlib.AbstractContextManager[str]:
        """The path of the stream's bytes on the connector's host; they are gone when the context ends."""

    @abc.abstractmethod
    def config_drive(self, iso: Path, userid: str, distro: str) -> contextlib.AbstractContextManager[str]:
        """The same for a config drive, under the name that guests know."""

    def discard(self, userid: str) -> None:
        """Remove what a spawn that was ended in its middle has left of a guest's config drive."""
        return

    @abc.abstractmethod
    def fetched(self, image: str, path: str, what: str) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        """The bytes of an image of the connector's, whose file is at `path` in its repository."""


def transfer(api: Api) -> Transfer:
    """The one that the options ask for."""
    options = api.connector.options
    if options.shared_path:
        return SharedTransfer(api, Path(options.shared_path))
    if options.scp_host:
        return ScpTransfer(api, options.state_path / "zvm-transfer")
    return RestTransfer(api)


def _drive_image(userid: str) -> str:
    return f"bigiron-cfg-{userid.lower()}"


def delete_image(api: Api, name: str) -> None:
    """Remove an image that only this process needed; a failure is logged, as whatever needed it is done."""
    insist(lambda: api.delete_image(name), f"image {name} stays in the Cloud Connector, delete it by hand")


def insist(clean: Callable[[], None], warning: str) -> None:
    """Clean up, and once more where that fails: what is done twice is done as well."""
    try:
        clean()
    except PlatformError:
        try:
            clean()
        except PlatformError as error:
            LOG.warning("%s: %s", warning, error)


def folder_of(repository: str, distro: str, image: str) -> str:
    """Where the connector keeps an image's file."""
    return f"{repository.rstrip('/')}/netboot/{distro}/{image}"


class RestTransfer(Transfer):
    """All by REST; needs no trust between the hosts."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._repository = api.connector.options.connector_image_repository

    def start(self) -> None:
        """See that there is a blank image, and that images are where the option says."""
        try:
            self._api.image(BLANK)
        except NotFound:
            path = self._api.connector.upload(io.BytesIO(_BLANK_CONTENT), len(_BLANK_CONTENT), _MAKING_BLANK)
            with contextlib.suppress(Exists):
                self._api.import_image(BLANK, path, _BLANK_OS, _MAKING_BLANK)
        probe = f"{folder_of(self._repository, _BLANK_OS, BLANK)}/probe"
        try:
            self._api.export_image(BLANK, probe, "Looking for the connector's images")
        except AWAY:
            # Of the option this says nothing, and nova-compute waits for the connector.
            raise
        except PlatformError as error:
            raise InvalidSpec(
                f"[zvm] connector_image_repository = {self._repository} is not where the Cloud Connector keeps images "
                f"({error.message}). Set it to sdk_image_repository in the [image] section of its zvmsdk.conf."
            ) from error

    @contextlib.contextmanager
    def placed(self, stream: BinaryIO, size: int, what: str) -> Iterator[str]:
        try:
            path = self._api.connector.upload(stream, size, what)
        except Damaged as error:
            self._wipe(error.path)
            raise
        try:
            yield path
        finally:
            self._wipe(path)

    def _wipe(self, path: str) -> None:
        insist(
            lambda: self._api.export_image(BLANK, path, f"Wiping {path}"),
            f"{path} stays on the Cloud Connector's host, remove it by hand",
        )

    @contextlib.contextmanager
    def config_drive(self, iso: Path, userid: str, distro: str) -> Iterator[str]:
        name = _drive_image(userid)
        what = f"Handing over the config drive of {userid}"
        content = _with_header(iso.read_bytes())
        try:
            with self.placed(io.BytesIO(content), len(content), what) as path:
                try:
                    self._api.import_image(name, path, distro, what)
                except Exists:
                    # What an earlier try left, which nothing else can use.
                    self._api.delete_image(name)
                    self._api.import_image(name, path, distro, what)
            target = f"{folder_of(self._repository, distro, name)}/{_CONFIG_DRIVE}"
            self._api.export_image(name, target, what)
            yield target
        finally:
            # An import whose answer was lost has taken effect.
            delete_image(self._api, name)

    def discard(self, userid: str) -> None:
        delete_image(self._api, _drive_image(userid))

    @contextlib.contextmanager
    def fetched(self, image: str, path: str, what: str) -> Iterator[Iterator[bytes]]:
        with self._api.connector.download(path, what) as chunks:
            yield chunks


class SharedTransfer(Transfer):
    """Through a directory that this host and the connector's see under the same path, as on one machine."""

    _option = "[zvm] shared_path"

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        self._folder = folder

    def start(self) -> None:
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise InvalidSpec(
                f"[zvm] shared_path = {self._folder} is no directory that nova-compute can write to. Make it, with the "
                "connector's group and mode 2770, or leave the option out."
            )
        self._clear()

    def _clear(self) -> None:
        # What an ended process has left; others that use the directory are done with theirs in less time.
        for left in self._folder.glob(f"{_SCRATCH}*"):
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _STALE_S:
                    shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def placed(self, stream: BinaryIO, size: int, what: str) -> Iterator[str]:
        with self._scratch() as folder:
            path = folder / "image"
            with self._named():
                file = path.open("wb")
            with file:
                while chunk := stream.read(_CHUNK):
                    with self._named():
                        file.write(chunk)
                with self._named():
                    file.flush()
                written = file.tell()
            if written != size:
                raise PlatformError(f"{what}: the data has {written} bytes instead of {size}; upload the image again.")
            yield str(path)

    @contextlib.contextmanager
    def config_drive(self, iso: Path, userid: str, distro: str) -> Iterator[str]:
        with self._scratch() as folder:
            path = folder / _CONFIG_DRIVE
            with self._named():
                shutil.copyfile(iso, path)
                path.chmod(0o640)
            yield str(path)

    @contextlib.contextmanager
    def fetched(self, image: str, path: str, what: str) -> Iterator[Iterator[bytes]]:
        with self._scratch() as folder:
            folder.chmod(0o770)
            copy = folder / "image"
            self._api.export_image(image, str(copy), what)
            with self._named():
                file = copy.open("rb")
            with file:
                yield iter(lambda: file.read(_CHUNK), b"")

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A directory of one's own, which the connector's group can read where shared_path gives it on (setgid)."""
        with self._named():
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self._folder))
        try:
            with self._named():
                folder.chmod(0o750)
            yield folder
        finally:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                # Whatever went through it has arrived, or its own failure is what counts.
                LOG.warning("%s stays, remove it by hand: %s", folder, error)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PlatformError(
                f"{self._option}: {self._folder} cannot be used ({error}). See that it is mounted, has room, and that "
                "nova-compute and whoever the Cloud Connector works as can read and write there."
            ) from error


class ScpTransfer(SharedTransfer):
    """By scp, which the connector runs, from a directory of this host's to one of its own and back."""

    _option = "[DEFAULT] state_path"

    def start(self) -> None:
        with self._named():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._clear()
        host = self._api.connector.options.scp_host
        try:
            self._try_both_ways()
        except AWAY:
            raise
        except PlatformError as error:
            raise InvalidSpec(
                f"[zvm] scp_host = {host} is nobody as whom the Cloud Connector can copy files from and to this host "
                f"({error.message}). Have the connector's user log on there with its key, or leave the option out."
            ) from error

    def _try_both_ways(self) -> None:
        try:
            self._api.image(BLANK)
        except NotFound:
            stream, size = io.BytesIO(_BLANK_CONTENT), len(_BLANK_CONTENT)
            with self.placed(stream, size, _MAKING_BLANK) as path, contextlib.suppress(Exists):
                self._api.import_image(BLANK, path, _BLANK_OS, _MAKING_BLANK)
        with self.fetched(BLANK, "", "Fetching a blank image"):
            return


def _with_header(iso: bytes) -> bytes:
    """The ISO with an image's header in its system area; raises InvalidSpec where that is in use, as for booting."""
    if any(iso[: header.HEADER_BYTES]) or len(iso) < _SYSTEM_AREA:
        raise InvalidSpec("The config drive is no plain ISO 9660 file, and only one of those can be handed over.")
    return header.write(1) + iso[header.HEADER_BYTES :]
