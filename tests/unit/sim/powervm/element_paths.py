"""Which element paths pypowervm's wrappers read from a document: found by letting every property of a wrapper run."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypowervm
import pypowervm.exceptions as pvm_exc
import pypowervm.wrappers as wrapper_modules
from lxml import etree
from pypowervm import entities
from pypowervm.wrappers import entry_wrapper

CAPTURES = Path(pypowervm.__file__).parent / "tests" / "data"
_READ_FAILURES = (pvm_exc.Error, AttributeError, KeyError, TypeError, ValueError, IndexError, NotImplementedError)
_FINDERS = ("find", "findall", "findtext", "iter")
UOM = "{http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/}"

for _module in pkgutil.iter_modules(wrapper_modules.__path__):
    importlib.import_module(f"pypowervm.wrappers.{_module.name}")


class _NoAdapter:
    """Stands where a wrapper expects its adapter; reading properties must not talk to anyone."""

    class Traits:
        local_api = True
        vnet_aware = True
        has_lpar_profiles = True
        dynamic_pvid = True
        has_high_slot = True
        rmdev_job_available = True
        vea_as_ibmi_console = True

    traits = Traits()

    def read_by_href(self, *_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError

    read = build_href = read_by_href


def capture_elements() -> Iterator[tuple[str, etree._Element]]:
    """(file name, typed element) of each entry in every capture that answers a GET."""
    for file in sorted(CAPTURES.glob("*.txt")):
        match = re.search(r"^BODY\{\n(.*?)^END OF SECTION\}", file.read_text(), re.S | re.M)
        if not match or "<" not in match[1]:
            continue
        try:
            root = etree.fromstring(match[1].strip().encode())
        except etree.XMLSyntaxError:
            continue
        for content in root.iter("{http://www.w3.org/2005/Atom}content"):
            for element in content:
                if element.tag.startswith(UOM):
                    yield file.name, element


def local(element: etree._Element) -> str:
    return etree.QName(element).localname


def path_of(element: etree._Element, root: etree._Element) -> str | None:
    """The element's path below the root, with local names; None where it is not below it."""
    steps: list[str] = []
    current: etree._Element | None = element
    while current is not None and current is not root:
        if not isinstance(current.tag, str):
            return None
        steps.append(local(current))
        current = current.getparent()
    return "/".join(reversed(steps)) if current is root else None


def all_paths(root: etree._Element) -> set[str]:
    return {p for e in root.iter() if isinstance(e.tag, str) and (p := path_of(e, root))}


def paths_read(element: etree._Element) -> set[str]:
    """The paths of this element that the type's wrapper reads through any of its properties."""
    present = all_paths(element)
    adapter = _NoAdapter()
    wrapper_class = entry_wrapper.EntryWrapper._class_for_element(entities.Element.wrapelement(element, adapter))
    if wrapper_class is entry_wrapper.EntryWrapper:
        return set()
    entry = entities.Entry({"title": local(element), "links": {}}, element, adapter)
    with _recording(element) as seen:
        _explore(wrapper_class(entry), [])
    return {p for p in seen if p in present and not p.startswith("Metadata")}


@contextmanager
def _recording(root: etree._Element) -> Iterator[set[str]]:
    seen: set[str] = set()
    originals = {name: getattr(entities.Element, name) for name in _FINDERS}

    def note(element: entities.Element | etree._Element | None) -> None:
        raw = getattr(element, "element", element)
        if isinstance(raw, etree._Element) and (path := path_of(raw, root)):
            seen.add(path)

    def find(self: entities.Element, match: str) -> Any:
        found = originals["find"](self, match)
        note(found)
        return found

    def findall(self: entities.Element, match: str) -> Any:
        found = originals["findall"](self, match)
        for element in found:
            note(element)
        return found

    def findtext(self: entities.Element, match: str, default: Any = None) -> Any:
        note(originals["find"](self, match))
        return originals["findtext"](self, match, default)

    def iterate(self: entities.Element, tag: str | None = None) -> Any:
        for element in originals["iter"](self, tag):
            if tag is not None:
                note(element)
            yield element

    replacements = {"find": find, "findall": findall, "findtext": findtext, "iter": iterate}
    try:
        for name, function in replacements.items():
            setattr(entities.Element, name, function)
        yield seen
    finally:
        for name, function in originals.items():
            setattr(entities.Element, name, function)


def _explore(wrapper: Any, done: list[etree._Element]) -> None:
    raw = wrapper.element.element
    if any(raw is e for e in done):
        return
    done.append(raw)
    for name in dir(type(wrapper)):
        if name.startswith("__"):
            continue
        attribute = getattr(type(wrapper), name, None)
        takes_self_alone = callable(attribute) and re.match(r"get_|_?(is|can)_", name)
        if not isinstance(attribute, property) and not takes_self_alone:
            continue
        try:
            value = getattr(wrapper, name)
            if takes_self_alone and not isinstance(attribute, property):
                value = value()
            _follow(value, done)
        except _READ_FAILURES:
            continue


def _follow(value: Any, done: list[etree._Element]) -> None:
    if isinstance(value, entry_wrapper.Wrapper):
        _explore(value, done)
    elif isinstance(value, entry_wrapper.WrapperElemList | list | tuple):
        for item in value:
            _follow(item, done)
