"""Addresses of the REST API: their parts, and the template under which faults and the journal know them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from bigiron.sim.powervm.errors import BadRequest, NotFound

ROOT = "/rest/api/"
_GROUP_NAMES = (
    "All None Advanced EnergyManagement Hypervisor NVRAM SystemNetwork TierThreshold ViosFCMapping ViosNetwork "
    "ViosSCSIMapping ViosStorage VNIC"
)
GROUPS = frozenset(_GROUP_NAMES.split())
"""The extended groups that the API knows; another name is a client's mistake."""

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SEARCH = re.compile(r"\((\w+)(==|!=)'(.*)'\)")
_METRICS = re.compile(r"LTM_.+_(phyp|lpar|vios_\d+)_\d{8}T\d{6}[+-]\d{4}\.json")
_SUFFIXES = frozenset({"quick", "search", "do", "jobs"})


@dataclass(frozen=True, slots=True)
class Step:
    """A type in an address and, unless the feed is meant, the instance."""

    type: str
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address: the steps from the root, then what is asked of the last of them."""

    service: str
    steps: tuple[Step, ...]
    suffix: str = ""
    argument: tuple[str, ...] = ()

    @property
    def last(self) -> Step:
        """The step that the request is about."""
        return self.steps[-1]

    @property
    def parents(self) -> tuple[Step, ...]:
        """The instances that it is under."""
        return self.steps[:-1]

    def path(self, uuid: str = "") -> str:
        """The path of this feed, or of an instance in it, without suffix and query."""
        names = [part for step in self.parents for part in (step.type, step.uuid)]
        own = [self.last.type, *([uuid] if uuid else [])]
        return ROOT + "/".join([self.service, *names, *own])


@dataclass(frozen=True, slots=True)
class Search:
    """A search expression: objects whose key equals, or does not equal, the value."""

    key: str
    value: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Query:
    """The part after the question mark: the groups as a set and as they were written, and the rest."""

    groups: frozenset[str]
    written: str
    others: dict[str, str]

    @property
    def suffix(self) -> str:
        """What SELF links repeat, so that an update names the groups that the object was read with."""
        return f"?group={self.written}" if self.written else ""


def parse(path: str) -> Address:
    """Read a percent-encoded path below the root of the API."""
    if not path.startswith(ROOT):
        raise NotFound(f"{path} is not below {ROOT}.")
    service, _, rest = path.removeprefix(ROOT).partition("/")
    parts = [part for part in rest.split("/") if part]
    if service not in ("uom", "web", "pcm") or not parts:
        raise NotFound(f"{path} names no resource of the uom, web or pcm service.")
    steps: list[Step] = []
    while parts and not (steps and parts[0] in _SUFFIXES):
        type_ = parts.pop(0)
        if not _TYPE.fullmatch(type_) or (steps and not steps[-1].uuid):
            raise NotFound(f"{path} is not an address: {type_} is no type, or stands after a feed.")
        uuid = parts.pop(0) if parts and _UUID.fullmatch(parts[0]) else ""
        steps.append(Step(type_, uuid))
    suffix = parts.pop(0) if parts else ""
    return Address(service, tuple(steps), suffix, tuple(unquote(part) for part in parts))


def parse_query(text: str) -> Query:
    """Read a query string; unknown groups are refused."""
    pairs = parse_qsl(text, keep_blank_values=True)
    others = {key: value for key, value in pairs if key != "group"}
    written = ",".join(value for key, value in pairs if key == "group")
    groups = frozenset(part for part in written.split(",") if part)
    if unknown := groups - GROUPS:
        raise BadRequest(f"No such extended group: {', '.join(sorted(unknown))}.")
    return Query(groups - {"None"}, written, others)


def parse_search(expression: str) -> Search:
    """Read the expression of a search address."""
    found = _SEARCH.fullmatch(expression)
    if found is None:
        raise BadRequest(f"Search expression {expression} is not of the form (Key=='value') or (Key!='value').")
    return Search(found[1], found[3], found[2] == "!=")


def template(path: str) -> str:
    """The path with uuids, job numbers and searched values replaced, the same for all requests of a kind."""
    parts = unquote(path).split("/")
    for index, part in enumerate(parts):
        if _UUID.fullmatch(part):
            parts[index] = "{uuid}"
        elif part.isdigit() and index and parts[index - 1] == "jobs":
            parts[index] = "{id}"
        elif found := _SEARCH.fullmatch(part):
            parts[index] = f"({found[1]}{found[2]}'{{value}}')"
        elif found := _METRICS.fullmatch(part):
            parts[index] = f"LTM_{found[1]}.json"
    return "/".join(parts)
