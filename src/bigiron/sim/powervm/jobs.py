"""Jobs: accepted at once, finished after simulated time by one thread, and kept until the client deletes them."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.powervm.errors import BadRequest, JobFailed, NotFound, RestError
from bigiron.sim.powervm.numbers import Numbers
from bigiron.sim.powervm.resource import JobRun

LOG = logging.getLogger(__name__)

NOT_STARTED, RUNNING = "NOT_STARTED", "RUNNING"
COMPLETED_OK, COMPLETED_WITH_ERROR = "COMPLETED_OK", "COMPLETED_WITH_ERROR"
FAILED_BEFORE_COMPLETION = "FAILED_BEFORE_COMPLETION"
_ENDED = frozenset({COMPLETED_OK, COMPLETED_WITH_ERROR, FAILED_BEFORE_COMPLETION})
_START_SECONDS = 0.1


@dataclass(slots=True)
class Job:
    """One submitted job; times are simulated seconds since the epoch."""

    id: str
    operation: str
    group: str
    target: str
    url: str
    parameters: Mapping[str, str]
    began: float
    ends: float
    status: str = NOT_STARTED
    ended: float | None = None
    results: dict[str, str] = field(default_factory=dict)
    exception: str = ""


class Jobs:
    """All jobs of one simulated system."""

    def __init__(
        self, clock: Clock, world_lock: AbstractContextManager[Any], numbers: Numbers, limit: int = 10_000
    ) -> None:
        self._clock = clock
        self._numbers = numbers
        self._world_lock = world_lock
        self._limit = limit
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._due: list[tuple[float, int, Job, JobRun]] = []
        self._order = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to finish jobs in time."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was accepted, at once: its outcome must be in the state that is saved."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        while self._due:
            self._finish(*heapq.heappop(self._due)[2:])

    def submit(
        self, operation: str, group: str, target: str, url: str, parameters: Mapping[str, str], run: JobRun | JobFailed
    ) -> Job:
        """Accept a job that its handler allowed, or note one that it refused."""
        now = self._clock.now()
        seconds = run.seconds if isinstance(run, JobRun) else 0.0
        job = Job(self._new_id(), operation, group, target, url, parameters, now, now + seconds)
        with self._changed:
            self._jobs[job.id] = job
            self._trim()
        if isinstance(run, JobFailed):
            self._fail(job, str(run))
        elif seconds <= 0:
            self._finish(job, run)
        else:
            with self._changed:
                heapq.heappush(self._due, (job.ends, next(self._order), job, run))
                self._changed.notify_all()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job; raises NotFound."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None:
                raise NotFound(f"There is no job {job_id}.")
            if job.status == NOT_STARTED and self._clock.now() >= job.began + _START_SECONDS:
                job.status = RUNNING
            return job

    def of(self, target: str) -> list[Job]:
        """Return the jobs of one object."""
        with self._changed:
            return [job for job in self._jobs.values() if job.target.upper() == target.upper()]

    def cancel(self, job_id: str) -> Job:
        """Stop a job that can be undone before it takes effect; any other goes on to its end."""
        job = self.get(job_id)
        with self._changed:
            undo = next((run.undo for _, _, due, run in self._due if due is job), None)
            if undo is not None:
                self._due = [each for each in self._due if each[2] is not job]
                heapq.heapify(self._due)
        if undo is not None:
            with self._world_lock:
                undo()
            self._fail(job, f"The {job.operation} job was cancelled before it completed.")
        return job

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended."""
        job = self.get(job_id)
        if job.status not in _ENDED:
            raise BadRequest(f"Job {job_id} is {job.status}. Wait for its end or cancel it before it is deleted.")
        with self._changed:
            self._jobs.pop(job_id, None)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and not self._due:
                    self._changed.wait()
                if self._stopping:
                    return
                left = self._due[0][0] - self._clock.now()
                if left > 0:
                    # The clock may be advanced or change its speed while this waits, so it looks often.
                    self._changed.wait(min(0.05, left / self._clock.scale if self._clock.scale else 0.05))
                    continue
                _, _, job, run = heapq.heappop(self._due)
            self._finish(job, run)

    def _finish(self, job: Job, run: JobRun) -> None:
        try:
            with self._world_lock:
                results = dict(run.finish())
        except (JobFailed, RestError) as error:
            self._fail(job, str(error))
        except Exception as error:  # a fault of one job must not end the thread that finishes all others
            LOG.exception("job %s %s on %s broke", job.id, job.operation, job.target)
            job.exception = f"{type(error).__name__}: {error}"
            self._end(job, FAILED_BEFORE_COMPLETION, {})
        else:
            self._end(job, COMPLETED_OK, results)

    def _fail(self, job: Job, message: str) -> None:
        self._end(job, COMPLETED_WITH_ERROR, {"returnCode": "1", "result": message})

    def _end(self, job: Job, status: str, results: dict[str, str]) -> None:
        with self._changed:
            job.results = results
            job.ended = self._clock.now()
            job.status = status

    def _new_id(self) -> str:
        with self._changed:
            return str(self._numbers.next())

    def _trim(self) -> None:
        """Drop the oldest ended jobs that no client deleted."""
        for job in list(self._jobs.values())[: max(0, len(self._jobs) - self._limit)]:
            if job.status in _ENDED:
                del self._jobs[job.id]
