"""Runs the Steps of an operation as a TaskFlow graph: side by side where their needs allow, undone on a failure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Any

from oslo_context import context as oslo_context
from oslo_log import log as logging
from taskflow import engines, task
from taskflow.patterns import graph_flow

from bigiron.hypervisor import Step, Values

LOG = logging.getLogger(__name__)


def run(name: str, steps: Iterable[Step], executor: Executor) -> None:
    """Run the steps in the order that their needs and provided keys demand.

    When one fails, every step that has run is undone, latest first; an error while undoing is logged and the undoing
    goes on. Raises what the first failing step raised, as it was raised, and ValueError for a graph that cannot run.
    """
    steps = list(steps)
    _check(name, steps)
    operation = _Operation(name)
    flow = graph_flow.Flow(name)
    flow.add(*(_StepTask(step, operation) for step in steps))
    engine = engines.load(flow, engine="parallel", executor=executor)
    try:
        engine.run()
    except Exception as error:
        # The engine wraps several failures into one of its own kind; what happened first is what the caller can use.
        if operation.first_failure is None:
            raise
        if error is operation.first_failure:
            raise
        raise operation.first_failure from None


def _check(name: str, steps: Sequence[Step]) -> None:
    """Refuse what TaskFlow would accept or report in its own terms only."""
    provided = Counter(step.provides.name for step in steps if step.provides)
    doubled = sorted(key for key, count in provided.items() if count > 1)
    if doubled:
        raise ValueError(f"{name}: more than one step provides {', '.join(doubled)}")
    for step in steps:
        missing = sorted(key.name for key in step.needs if key.name not in provided)
        if missing:
            raise ValueError(f"{name}: no step provides {', '.join(missing)}, which step {step.name!r} needs")


class _Operation:
    """What the tasks of one run share: the caller's request context and the first failure."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.first_failure: BaseException | None = None
        # Without a context of its own a pooled thread would log under the request that it served last.
        self._context = oslo_context.get_current() or oslo_context.RequestContext(overwrite=False)
        self._lock = threading.Lock()

    def enter_thread(self) -> None:
        """Make this worker thread log and call under the caller's request."""
        self._context.update_store()

    def failed(self, error: BaseException) -> None:
        with self._lock:
            if self.first_failure is None:
                self.first_failure = error


class _StepTask(task.Task):
    """A Step as TaskFlow sees it."""

    def __init__(self, step: Step, operation: _Operation) -> None:
        super().__init__(
            name=step.name,
            provides=step.provides.name if step.provides else None,
            requires=[key.name for key in step.needs],
        )
        self._step = step
        self._operation = operation
        self._values: Values | None = None

    def execute(self, **values: Any) -> Any:
        self._operation.enter_thread()
        LOG.debug("%s: %s", self._operation.name, self._step.name)
        self._values = Values(values)
        try:
            return self._step.execute(self._values)
        except Exception as error:
            self._operation.failed(error)
            raise

    def revert(self, **_result: Any) -> None:
        if self._values is None:
            # TaskFlow also reverts what became ready while it learned of a failure elsewhere, and never ran.
            return
        self._operation.enter_thread()
        LOG.debug("%s: undoing %s", self._operation.name, self._step.name)
        try:
            self._step.revert(self._values)
        except Exception:
            # TaskFlow stops undoing at the first error in a revert, and the other steps would leave things behind.
            LOG.exception("%s: undoing step %r failed; going on with the others", self._operation.name, self._step.name)
