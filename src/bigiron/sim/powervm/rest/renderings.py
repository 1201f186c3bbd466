"""Rendered objects, kept while the objects do not change: a feed of hundreds of partitions must not take seconds."""

from __future__ import annotations

import collections
from typing import Any

from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource
from bigiron.sim.powervm.rest import atom

_Key = tuple[str, str, str, frozenset[str]]


class Renderings:
    """A bounded cache; callers hold the world's lock.

    An object that counts its changes is rendered again when its count grew, any other when anything changed.
    """

    def __init__(self, limit: int = 3000) -> None:
        self._limit = limit
        self._kept: collections.OrderedDict[_Key, tuple[int, atom.Rendered]] = collections.OrderedDict()

    def get(self, world: World, resource: Resource, obj: Any, groups: frozenset[str]) -> atom.Rendered:
        """Return the object's rendering with the groups that its type knows."""
        groups = resource.groups if "All" in groups else groups & resource.groups
        uuid = resource.uuid(obj)
        key = (resource.service, resource.type, uuid, groups)
        version = int(getattr(obj, "version", world.revision))
        kept = self._kept.get(key)
        if kept is not None and kept[0] == version:
            self._kept.move_to_end(key)
            return atom.aged(kept[1], resource.uptime(world, obj))
        element = resource.render(world, obj, groups)
        made = atom.rendered(element, uuid, resource.service)
        self._kept[key] = (version, made)
        self._kept.move_to_end(key)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return made
