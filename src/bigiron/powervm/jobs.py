"""Runs a job of the REST service in as few calls as can be: submit, poll, delete.

pypowervm first reads the job's template; its content is known, so the request is built here.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.const import WEB_NS
from pypowervm.entities import Element
from pypowervm.wrappers.job import Job, JobStatus

from bigiron.errors import PlatformError, Timeout, Unavailable
from bigiron.powervm.errors import translated

LOG = logging.getLogger(__name__)

_POLL_FIRST_S = 0.1
_POLL_MOST_S = 1.0
_POLL_FAILURES = 5
_CANCEL_S = 10.0
_UNFINISHED = (JobStatus.NOT_ACTIVE, JobStatus.RUNNING)
_SCHEMA = {"schemaVersion": "V1_0"}


class JobFailed(PlatformError):
    """The job ended and was not successful; `detail` is the platform's own message with its code."""


def run(
    adapter: Adapter,
    resource: str,
    uuid: str,
    operation: str,
    parameters: Mapping[str, str],
    timeout_s: float,
    what: str,
) -> None:
    """Run the operation on an object and wait for its end; `what` names both for messages.

    Raises JobFailed, and Timeout after asking the service to cancel the job.
    """
    with translated(what):
        job = _submit(adapter, resource, uuid, operation, parameters)
        job, finished = _wait(adapter, job, timeout_s)
        if not finished:
            _cancel(adapter, job, what)
            raise Timeout(f"{what}: not finished after {timeout_s:.0f} s.")
        _delete(adapter, job.job_id, what)
    if job.job_status != JobStatus.COMPLETED_OK:
        message = job.get_job_message("") or f"the job ended as {job.job_status} without a message"
        raise JobFailed(f"{what}: {message}", detail=message)


def _submit(adapter: Adapter, resource: str, uuid: str, operation: str, parameters: Mapping[str, str]) -> Job:
    request = _request(adapter, resource, operation, parameters)
    try:
        return Job.wrap(adapter.create_job(request, resource, uuid))
    except (pvm.ConnectionError, pvm.TimeoutError) as error:
        # The request may have arrived all the same; then the job runs, and whatever came next would meet it.
        try:
            entries = adapter.read(resource, root_id=uuid, suffix_type="jobs").feed.entries
        except pvm.Error as unlisted:
            LOG.warning("The jobs of %s %s could not be listed: %s", resource, uuid, unlisted)
            raise error from unlisted
        for entry in entries:
            job = Job.wrap(entry)
            name = job.element.findtext("JobRequestInstance/RequestedOperation/OperationName")
            if name == operation and job.job_status in _UNFINISHED:
                LOG.warning("The answer to %s on %s %s was lost; its job is %s", operation, resource, uuid, job.job_id)
                return job
        raise error


def _wait(adapter: Adapter, job: Job, timeout_s: float) -> tuple[Job, bool]:
    deadline = time.monotonic() + timeout_s
    pause = _POLL_FIRST_S
    failures = 0
    while job.job_status in _UNFINISHED:
        if time.monotonic() >= deadline:
            return job, False
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(_POLL_MOST_S, pause * 1.5)
        try:
            job = Job.wrap(adapter.read_job(job.job_id))
            failures = 0
        except pvm.HttpNotFound as error:
            # As after a restart of the service; the object itself is still there.
            raise Unavailable(
                f"The REST service no longer knows job {job.job_id}; how it ended is not known."
            ) from error
        except pvm.Error as error:
            # The job goes on without us: one answer less is no reason to give up what it is doing.
            failures += 1
            if failures > _POLL_FAILURES or isinstance(error, pvm.HttpUnauth):
                raise
            LOG.warning("Job %s could not be read, trying again: %s", job.job_id, error)
    return job, True


def _cancel(adapter: Adapter, job: Job, what: str) -> None:
    """Ask the service to end the job, and remove it if it does; it is only tidied up, so errors are not raised."""
    LOG.warning("%s: taking too long, cancelling job %s", what, job.job_id)
    with contextlib.suppress(pvm.Error, PlatformError):
        adapter.update(None, None, root_type="jobs", root_id=job.job_id, suffix_type="cancel")
        _job, finished = _wait(adapter, job, _CANCEL_S)
        if finished:
            adapter.delete("jobs", job.job_id)


def _delete(adapter: Adapter, job_id: str, what: str) -> None:
    try:
        adapter.delete("jobs", job_id)
    except pvm.Error as error:
        # The work is done; the service forgets old jobs by itself.
        LOG.info("%s: job %s could not be deleted: %s", what, job_id, error)


def _request(adapter: Adapter, resource: str, operation: str, parameters: Mapping[str, str]) -> Element:
    def element(tag: str, text: str = "", children: tuple[Element, ...] = (), versioned: bool = False) -> Element:
        attributes = _SCHEMA if versioned else None
        return Element(tag, adapter, ns=WEB_NS, attrib=attributes, text=text, children=children)

    named = (element("OperationName", operation), element("GroupName", resource))
    return element(
        "JobRequest",
        children=(
            element("RequestedOperation", children=named, versioned=True),
            element(
                "JobParameters",
                children=tuple(Job.create_job_parameter(name, value) for name, value in parameters.items()),
                versioned=True,
            ),
        ),
        versioned=True,
    )
