"""Directives that draw tables from bigiron.features, so that they cannot drift from what the code does."""

from collections.abc import Iterable, Sequence

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from bigiron.features import EXCLUSIONS, FEATURES

_GROUPS = {
    "operation": "Operations",
    "guest": "Guests",
    "console": "Consoles",
    "storage": "Storage",
    "networking": "Networking",
    "telemetry": "Telemetry",
}
"""First words of the keys, in the order in which they are shown."""


class Table(Directive):
    """A list-table; a subclass gives its rows, the heading first."""

    widths: Sequence[int]

    def rows(self) -> Iterable[Sequence[str]]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, self.widths))}", ""]
        for first, *others in self.rows():
            lines += [f"   * - {first}", *(f"     - {other}" for other in others)]
        holder = nodes.section()
        holder.document = self.state.document
        self.state.nested_parse(StringList(lines, source="features.py"), 0, holder)
        return list(holder.children)


class FeatureMatrix(Table):
    """The support matrix."""

    widths = (27, 9, 27, 7, 27, 13)

    def rows(self) -> Iterable[Sequence[str]]:
        yield "Feature", "PowerVM", "Note", "z/VM", "Note", "Tempest flag"
        for group, title in _GROUPS.items():
            yield f"**{title}**", "", "", "", "", ""
            for each in FEATURES:
                if each.key.split(".")[0] == group:
                    names = [name for name in (each.tempest, each.tempest_network) if name]
                    flag = ", ".join(f"``{name}``" for name in names)
                    powervm, zvm = each.powervm.value, each.zvm.value
                    yield each.title, powervm, each.why("powervm"), zvm, each.why("zvm"), flag


class TempestExclusions(Table):
    """The tests that are not run, and why."""

    widths = (50, 50)

    def rows(self) -> Iterable[Sequence[str]]:
        yield "Tests", "Why"
        for each in EXCLUSIONS:
            yield f"``{each.pattern}``", each.reason


def setup(app: object) -> dict[str, bool]:
    app.add_directive("feature-matrix", FeatureMatrix)  # type: ignore[attr-defined]
    app.add_directive("tempest-exclusions", TempestExclusions)  # type: ignore[attr-defined]
    return {"parallel_read_safe": True}
