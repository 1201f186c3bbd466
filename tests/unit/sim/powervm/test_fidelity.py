"""What pypowervm's wrappers read from documents of real systems, our documents have too, in the same order."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree

from bigiron.sim.powervm.resources import RESOURCES

from . import element_paths, rich_world

EXCEPTIONS = Path(__file__).with_name("fidelity_exceptions.yaml")
TYPES = sorted(name for name, resource in RESOURCES.items() if resource.service == "uom")


@functools.cache
def wanted() -> dict[str, dict[str, str]]:
    """By type: each path that a wrapper reads in a capture, with the first capture that has it."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for file, element in element_paths.capture_elements():
        for path in element_paths.paths_read(element):
            found[element_paths.local(element)].setdefault(path, file)
    return found


@functools.cache
def captures(kind: str) -> list[etree._Element]:
    return [e for _, e in element_paths.capture_elements() if element_paths.local(e) == kind]


@functools.cache
def rendered(kind: str) -> list[etree._Element]:
    """Every object of a type of the rich world, with all groups."""
    world = rich_world.rich_world()
    resource = RESOURCES[kind]
    return [resource.render(world, obj, resource.groups) for _, obj in rich_world.instances(world, kind)]


@functools.cache
def exceptions(question: str) -> dict[str, dict[str, str]]:
    """For `missing` or `order`: by type, patterns of paths with the reason."""
    loaded: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(EXCEPTIONS.read_text())
    return loaded[question]


def excepted(question: str, kind: str, path: str) -> bool:
    return any(re.fullmatch(p, path) for p in exceptions(question).get(kind, {}))


@pytest.mark.parametrize("kind", TYPES)
def test_every_path_that_a_wrapper_reads_is_served(kind: str) -> None:
    served = set().union(*(element_paths.paths_read(e) for e in rendered(kind)))
    missing = {p: f for p, f in wanted().get(kind, {}).items() if p not in served and not excepted("missing", kind, p)}
    assert missing == {}, f"{kind} lacks {len(missing)} paths"


@pytest.mark.parametrize("kind", TYPES)
def test_siblings_stand_in_the_order_of_the_captures(kind: str) -> None:
    assert {t for t in turned(kind) if not any(excepted("order", kind, name) for name in t)} == set()


@functools.cache
def turned(kind: str) -> frozenset[tuple[str, str]]:
    """(earlier, later) paths of ours that stand the other way round in every capture that has both."""
    before: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for element in captures(kind):
        for parent, pairs in sibling_pairs(element).items():
            before[parent] |= pairs
    wrong: set[tuple[str, str]] = set()
    for element in rendered(kind):
        for parent, pairs in sibling_pairs(element).items():
            for first, second in pairs:
                if (second, first) in before[parent] and (first, second) not in before[parent]:
                    wrong.add((f"{parent}/{first}".strip("/"), f"{parent}/{second}".strip("/")))
    return frozenset(wrong)


def sibling_pairs(root: etree._Element) -> dict[str, set[tuple[str, str]]]:
    """By the path of a parent: (earlier, later) of its children's names."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for parent in root.iter():
        if not isinstance(parent.tag, str):
            continue
        names = list(dict.fromkeys(element_paths.local(c) for c in parent if isinstance(c.tag, str)))
        path = element_paths.path_of(parent, root) or ""
        found[path] |= {(a, b) for i, a in enumerate(names) for b in names[i + 1 :]}
    return found


def test_the_captures_are_there_to_compare_with() -> None:
    assert len(wanted()["VirtualIOServer"]) > 200
    assert len(wanted()["LogicalPartition"]) > 60


def test_no_exception_is_idle() -> None:
    """An exception for what is served by now, or for what nobody reads, has to go."""
    idle = []
    for kind, patterns in exceptions("missing").items():
        served = set().union(*(element_paths.paths_read(e) for e in rendered(kind)))
        unserved = [p for p in wanted().get(kind, {}) if p not in served]
        idle += [(kind, pattern) for pattern in patterns if not any(re.fullmatch(pattern, p) for p in unserved)]
    for kind, patterns in exceptions("order").items():
        names = {name for pair in turned(kind) for name in pair}
        idle += [(kind, pattern) for pattern in patterns if not any(re.fullmatch(pattern, n) for n in names)]
    assert idle == []


def test_every_exception_has_a_reason() -> None:
    reasons: list[Any] = [r for q in ("missing", "order") for kind in exceptions(q).values() for r in kind.values()]
    assert all(isinstance(r, str) and len(r) > 20 for r in reasons)
