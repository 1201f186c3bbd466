"""The web pages of noVNC, which nova-novncproxy serves to browsers: Debian's package, installed or in the cache."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from bigiron.lab import debian
from bigiron.lab.errors import LabError

INSTALLED = Path("/usr/share/novnc")
PAGE = "vnc_lite.html"
_ADVICE = "install the package novnc"


def find(cache: Path) -> Path | None:
    """Return the folder of the installed pages, else of those in the cache, else None."""
    candidates = (INSTALLED, cache / "novnc" / INSTALLED.relative_to("/"))
    return next((folder for folder in candidates if (folder / PAGE).is_file()), None)


def obtain(cache: Path) -> Path:
    """Return a folder of pages, downloading Debian's package into the cache when none is there; raises LabError."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(cache / "novnc.lock"):
        if find(cache) is None:
            debian.unpack(cache, "novnc", ("novnc",), _ADVICE)
        pages = find(cache)
    if pages is None:
        raise LabError(f"the package novnc has no {PAGE}: {_ADVICE}")
    return pages
