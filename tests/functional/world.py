"""Compares the simulated platform before and after, object by object: a leak that is consistent must not pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

EXCEPTED: tuple[tuple[str, str], ...] = (
    (r"/(revision|serial)$", "counters of the simulation"),
    (r"/version$", "an object's etag grows with each change"),
    (r"/pools/[^/]+/tiers/[^/]+/units/name=image_[^/]*(/|$)", "the cache of images in a shared storage pool"),
    (r"/vioses/[^/]+/groups/[^/]+/disks/name=i_[^/]*(/|$)", "the cache of images in a volume group"),
    (r"/vioses/[^/]+/groups/[^/]+/repository(/name|/size)?$", "the media repository is made once"),
)
"""What may differ after an operation that was undone or paired with its opposite, and why."""

_KEYS = ("name", "uuid", "slot", "udid", "mac", "id")


def objects(state: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of the state by the path of names that leads to it, the excepted ones left out."""
    patterns = [re.compile(pattern) for pattern, _reason in EXCEPTED]
    return {path: value for path, value in _walk("", state) if not any(one.search(path) for one in patterns)}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is not as it was, one line each; empty when the platform is as before."""
    was, now = objects(before), objects(after)
    lines = [f"left over: {path} = {now[path]!r}" for path in sorted(now.keys() - was.keys())]
    lines += [f"gone: {path} = {was[path]!r}" for path in sorted(was.keys() - now.keys())]
    lines += [
        f"changed: {path} from {was[path]!r} to {now[path]!r}"
        for path in sorted(was.keys() & now.keys())
        if was[path] != now[path]
    ]
    return lines


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _walk(f"{path}/{key}", each)
    elif isinstance(value, list):
        seen: dict[str, int] = {}
        for each in value:
            label = _label(each)
            seen[label] = seen.get(label, 0) + 1
            yield from _walk(f"{path}/{label}" + (f"#{seen[label]}" if seen[label] > 1 else ""), each)
    else:
        yield path, value


def _label(value: Any) -> str:
    """An element's place in its list by what names it: the order in a list means nothing."""
    if isinstance(value, Mapping):
        for key in _KEYS:
            if value.get(key) not in (None, ""):
                return f"{key}={value[key]}"
    return f"={value}"
