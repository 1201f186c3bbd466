"""Objects as XML and back: tables of (element, getter) in schema order, and readers for what clients send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model.world import World

UOM = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/"
PCM = "http://www.ibm.com/xmlns/systems/power/firmware/pcm/mc/2012_10/"
SCHEMA = "V1_0"


@dataclass(frozen=True, slots=True)
class Link:
    """An element that points at another object with its own href."""

    href: str


@dataclass(frozen=True, slots=True)
class Links:
    """A container of <link rel="related"> elements."""

    hrefs: Sequence[str]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Many:
    """The same element once for each value."""

    values: Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Holder:
    """A container of typed elements, marked with the extended group that it belongs to."""

    elements: Iterable[etree._Element]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A container of one of several types, which carries no Metadata itself."""

    element: etree._Element


@dataclass(frozen=True, slots=True)
class Grouped:
    """A scalar that belongs to an extended group."""

    value: str
    group: str


Getter = Callable[[World, Any], Any]
Rows = Sequence[tuple[str, Any]]
"""(element name, getter | constant | nested Rows): a getter that gives None leaves its element out."""


def root(kind: str, uuid: str, namespace: str = UOM) -> etree._Element:
    """The element of an entry, with its Metadata."""
    nsmap: Any = {kind: namespace, None: namespace}  # the stubs do not know of a default namespace
    element = etree.Element(f"{{{namespace}}}{kind}", nsmap=nsmap)
    element.set("schemaVersion", SCHEMA)
    atom = etree.SubElement(etree.SubElement(element, f"{{{namespace}}}Metadata"), f"{{{namespace}}}Atom")
    etree.SubElement(atom, f"{{{namespace}}}AtomID").text = uuid
    etree.SubElement(atom, f"{{{namespace}}}AtomCreated").text = "0"
    return element


def bare(name: str) -> etree._Element:
    """An element with nothing in it."""
    nsmap: Any = {None: UOM}
    return etree.Element(f"{{{UOM}}}{name}", nsmap=nsmap)


def typed(name: str, rows: Rows, world: World, obj: Any) -> etree._Element:
    """An element inside another one, with the empty Metadata that those carry."""
    element = bare(name)
    _decorate(element)
    return fill(element, rows, world, obj)


def nested(rows: Rows, world: World, obj: Any) -> Holder:
    """The contents of an element that a getter gives only under some condition."""
    return Holder(list(typed("Nested", rows, world, obj))[1:])


def fill(element: etree._Element, rows: Rows, world: World, obj: Any) -> etree._Element:
    """Append what a table says about an object."""
    for name, getter in rows:
        if isinstance(getter, tuple | list):
            nested = _decorate(etree.SubElement(element, f"{{{UOM}}}{name}"))
            fill(nested, getter, world, obj)
            continue
        _append(element, name, getter(world, obj) if callable(getter) else getter)
    return element


def _append(parent: etree._Element, name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, Many):
        for one in value.values:
            etree.SubElement(parent, f"{{{UOM}}}{name}").text = text_of(one)
        return
    element = etree.SubElement(parent, f"{{{UOM}}}{name}")
    if isinstance(value, str | int | float):  # nearly all of them
        element.text = text_of(value)
    elif isinstance(value, Link):
        element.set("href", value.href)
        element.set("rel", "related")
    elif isinstance(value, Links):
        if value.group:
            element.set("group", value.group)
        for href in value.hrefs:
            etree.SubElement(element, f"{{{UOM}}}link", href=href, rel="related")
    elif isinstance(value, Holder):
        _decorate(element, value.group)
        element.extend(value.elements)
    elif isinstance(value, Choice):
        element.append(value.element)
    elif isinstance(value, Grouped):
        element.set("group", value.group)
        element.text = value.value
    else:
        element.text = text_of(value)


def _decorate(element: etree._Element, group: str | None = None) -> etree._Element:
    if group:
        element.set("group", group)
    element.set("schemaVersion", SCHEMA)
    etree.SubElement(etree.SubElement(element, f"{{{UOM}}}Metadata"), f"{{{UOM}}}Atom")
    return element


def text_of(value: Any) -> str:
    """A scalar as the API writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if value != int(value) else str(int(value))
    return str(value)


# -- reading what clients send ---------------------------------------------------------------------------------


def child(element: etree._Element | None, *names: str) -> etree._Element | None:
    """The element down a path of names, or None."""
    for name in names:
        if element is None:
            return None
        element = element.find(f"{{*}}{name}")
    return element


def children(element: etree._Element | None, name: str) -> list[etree._Element]:
    """The child elements of this name."""
    return [] if element is None else element.findall(f"{{*}}{name}")


def only_child(element: etree._Element | None) -> etree._Element | None:
    """The first typed element in a container such as <Storage>."""
    return None if element is None else next((e for e in element if isinstance(e.tag, str)), None)


def text(element: etree._Element | None, *names: str) -> str | None:
    """The text down a path of names; None where it is missing or empty."""
    found = child(element, *names)
    stripped = (found.text or "").strip() if found is not None else ""
    return stripped or None


def number(element: etree._Element | None, *names: str) -> int | None:
    """The whole number down a path, None where it is missing; raises BadRequest for anything else."""
    value = text(element, *names)
    if value is None:
        return None
    try:
        return int(float(value))
    except ValueError:
        raise BadRequest(f"{names[-1]} must be a number, not {value!r}.") from None


def decimal(element: etree._Element | None, *names: str) -> float | None:
    """The number down a path, None where it is missing; raises BadRequest for anything else."""
    value = text(element, *names)
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        raise BadRequest(f"{names[-1]} must be a number, not {value!r}.") from None


def flag(element: etree._Element | None, *names: str) -> bool | None:
    """The boolean down a path, None where it is missing."""
    value = text(element, *names)
    return None if value is None else value.lower() == "true"


def needed(element: etree._Element, *names: str) -> str:
    """The text down a path; raises BadRequest that names the element where it is missing."""
    value = text(element, *names)
    if value is None:
        raise BadRequest(f"{etree.QName(element).localname} needs {'/'.join(names)}.")
    return value


def uuid_of(element: etree._Element | None) -> str | None:
    """The uuid that an element's href, or that of the <link> in it, ends with."""
    if element is None:
        return None
    href = element.get("href")
    if href is None:
        link = element.find("{*}link")
        href = link.get("href") if link is not None else None
    return href.rstrip("/").split("?")[0].rsplit("/", 1)[-1] if href else None


def kind_of(element: etree._Element) -> str:
    """The local name of an element."""
    return str(etree.QName(element).localname)
