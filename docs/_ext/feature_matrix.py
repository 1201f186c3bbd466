"""The `feature-matrix` directive: the support matrix, drawn from bigiron.features so that it cannot drift."""

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from bigiron.features import FEATURES


class FeatureMatrix(Directive):
    """Render the table of features as a list-table."""

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 40 15 45", ""]
        for title, powervm, note in [("Feature", "PowerVM", "Note")] + [
            (f.title, f.powervm.value, f.note) for f in FEATURES
        ]:
            lines += [f"   * - {title}", f"     - {powervm}", f"     - {note}"]
        holder = nodes.section()
        holder.document = self.state.document
        self.state.nested_parse(StringList(lines, source="features.py"), 0, holder)
        return list(holder.children)


def setup(app: object) -> dict[str, bool]:
    app.add_directive("feature-matrix", FeatureMatrix)  # type: ignore[attr-defined]
    return {"parallel_read_safe": True}
