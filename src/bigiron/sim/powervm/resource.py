"""The seam between the REST front (addresses, headers, etags, jobs) and the world (objects and their rules).

The front knows HTTP and Atom; a Resource knows one REST type: how its objects are found in the world, rendered
as XML and changed by a client's XML. Neither knows the other's trade.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from bigiron.sim.powervm.model.world import World


@dataclass(frozen=True, slots=True)
class JobRun:
    """A job that was accepted: it runs for `seconds` of simulated time, then `finish` changes the world.

    `finish` returns the job's result parameters and may raise JobFailed.
    """

    seconds: float
    finish: Callable[[], Mapping[str, str]]
    undo: Callable[[], None] | None = None
    """Puts back what the handler changed when it accepted the job; without it a job cannot be cancelled."""


JobHandler = Callable[[World, Any, Mapping[str, str]], JobRun]
"""(world, target object or None, parameters) -> JobRun; raises JobFailed to be refused at once."""


@dataclass(frozen=True, slots=True)
class Update:
    """A client's PUT or POST body: the typed element, the groups named in the query and the other parameters."""

    element: etree._Element
    groups: frozenset[str] = frozenset()
    query: Mapping[str, str] = field(default_factory=dict)


class Resource(abc.ABC):
    """One REST type, such as LogicalPartition; objects are whatever the world's model holds."""

    type: str
    """The name in URLs and the local name of the XML element."""
    service = "uom"
    """Which of uom, web and pcm it is served under."""
    parents: frozenset[str] = frozenset()
    """Types under whose instances it can be addressed; an empty name means the root."""
    groups: frozenset[str] = frozenset()
    """Extended groups this type knows; the default answer holds what none of them guards."""
    searches: Mapping[str, Callable[[Any], str]] = {}
    """Search keys, each with the function that gives an object's value."""
    jobs: Mapping[str, JobHandler] = {}
    """Operations under do/."""

    @abc.abstractmethod
    def instances(self, world: World, parent: Any) -> list[Any]:
        """The objects of this type under a parent object (None: the root), in a stable order."""

    @abc.abstractmethod
    def uuid(self, obj: Any) -> str:
        """The object's uuid, as in its address."""

    @abc.abstractmethod
    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        """The object's element in the type's own namespace, its Metadata first and its children in schema order."""

    def find(self, world: World, parent: Any, uuid: str) -> Any | None:
        """The object with this uuid (in any letter case) under the parent, or None."""
        wanted = uuid.upper()
        return next((o for o in self.instances(world, parent) if self.uuid(o).upper() == wanted), None)

    def create(self, world: World, parent: Any, body: Update) -> Any:
        """Make a new object from a PUT body and return it; raises RestError when the rules forbid it."""
        raise NotImplementedError(self.type)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        """Apply a POST body: only the sections of the groups that it names; returns the object."""
        raise NotImplementedError(self.type)

    def delete(self, world: World, parent: Any, obj: Any) -> None:
        """Remove the object; raises RestError when its state forbids it."""
        raise NotImplementedError(self.type)

    def quick(self, world: World, obj: Any) -> Mapping[str, Any]:
        """The quick properties: JSON scalars by name; empty where the type has none."""
        return {}

    def uptime(self, world: World, obj: Any) -> int | None:
        """Seconds that the object has run, which its element says; None where the type has no such thing."""
        return None
