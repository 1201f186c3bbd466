"""Requests on jobs: templates, submission, polling, cancelling and deleting."""

from __future__ import annotations

import uuid as uuidlib
from collections.abc import Mapping

from lxml import etree
from werkzeug.wrappers import Response

from bigiron.sim.powervm.errors import JobFailed, MethodNotAllowed, NotFound
from bigiron.sim.powervm.jobs import Job
from bigiron.sim.powervm.resource import JobHandler, JobRun
from bigiron.sim.powervm.rest import atom
from bigiron.sim.powervm.rest.atom import WEB, Builder
from bigiron.sim.powervm.rest.objects import Objects
from bigiron.sim.powervm.rest.services import Call, Services, no_content, xml_answer


class JobRequests:
    """Handles Type[/uuid]/do/Operation, Type/uuid/jobs and jobs/id."""

    def __init__(self, services: Services, objects: Objects) -> None:
        self._services = services
        self._objects = objects

    def operation(self, call: Call) -> Response:
        """Answer what is sent to do/Operation: GET gives the template, PUT submits."""
        resource = self._objects.type_of(call.address)
        name = call.address.argument[0] if len(call.address.argument) == 1 else ""
        handler = resource.jobs.get(name)
        if handler is None:
            raise NotFound(f"{resource.type} has no operation {name or '(none named)'}.")
        if call.method == "GET":
            return self._template(call, name, resource.type)
        if call.method != "PUT":
            raise MethodNotAllowed(f"{call.method} is not for operations: GET gives a template, PUT submits it.")
        return self._submit(call, name, resource.type, handler)

    def _template(self, call: Call, name: str, group: str) -> Response:
        with self._services.latency.spend("get"):
            pass
        if call.address.last.uuid:
            with self._services.locked() as world:
                self._objects.target(world, call.address)
        build = Builder("JobRequest")
        _request_into(build, build.root, name, group, {})
        body = atom.rendered(build.root, str(uuidlib.uuid4()), "web")
        href = f"{self._services.url}{call.http.path}"
        return xml_answer(atom.entry(body, href, self._services.clock.now(), with_etag=False), body.etag)

    def _submit(self, call: Call, name: str, group: str, handler: JobHandler) -> Response:
        parameters = _parameters(call.element("JobRequest"))
        with self._services.latency.spend("write"):
            pass
        with self._services.locked() as world:
            target = self._objects.target(world, call.address) if call.address.last.uuid else None
            run: JobRun | JobFailed
            try:
                run = handler(world, target, parameters)
            except JobFailed as error:
                run = error
            url = f"{group}/{call.address.last.uuid}/do/{name}" if target is not None else f"{group}/do/{name}"
            job = self._services.jobs.submit(name, group, call.address.last.uuid, url, parameters, run)
        return self._answer(job)

    def jobs_of(self, call: Call) -> Response:
        """Answer GET Type/uuid/jobs."""
        if call.method != "GET":
            raise MethodNotAllowed("Only GET lists the jobs of an object.")
        with self._services.latency.spend("feed"):
            pass
        jobs = self._services.jobs.of(call.address.last.uuid)
        if not jobs:
            return no_content()
        now = self._services.clock.now()
        entries = [atom.entry(_rendered(job), self._href(job), now, with_etag=True) for job in jobs]
        return xml_answer(atom.feed(entries, f"{self._services.url}{call.http.path}", now))

    def job(self, call: Call, job_id: str, verb: str) -> Response:
        """Answer what is sent to jobs/id and jobs/id/cancel."""
        jobs = self._services.jobs
        match call.method, verb:
            case "GET", "":
                with self._services.latency.spend("get"):
                    pass
                return self._answer(jobs.get(job_id))
            case "DELETE", "":
                jobs.delete(job_id)
                return no_content()
            case "POST", "cancel":
                jobs.cancel(job_id)
                return no_content()
        raise MethodNotAllowed(
            f"{call.method} {call.http.path} is not for jobs: GET or DELETE it, or POST to its cancel address."
        )

    def _answer(self, job: Job) -> Response:
        body = _rendered(job)
        return xml_answer(atom.entry(body, self._href(job), self._services.clock.now(), with_etag=False), body.etag)

    def _href(self, job: Job) -> str:
        return f"{self._services.url}/rest/api/uom/jobs/{job.id}"


def _parameters(request: etree._Element) -> dict[str, str]:
    """Return the parameters by name; a parameter given more than once is joined by commas, as lists are written."""
    found: dict[str, str] = {}
    for each in request.iterfind(f"{{{WEB}}}JobParameters/{{{WEB}}}JobParameter"):
        name = (each.findtext(f"{{{WEB}}}ParameterName") or "").strip()
        value = each.findtext(f"{{{WEB}}}ParameterValue") or ""
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _rendered(job: Job) -> atom.Rendered:
    uuid = str(uuidlib.uuid5(uuidlib.NAMESPACE_OID, f"job/{job.id}"))
    build = Builder("JobResponse")
    root = build.root
    build.child(root, "RequestURL", None, kb="ROR", kxe="false", href=job.url, rel="via")
    if job.target:
        build.value(root, "TargetUuid", job.target)
    build.value(root, "JobID", job.id)
    build.value(root, "TimeStarted", str(int(job.began * 1000)))
    build.value(root, "TimeCompleted", str(int((job.ended or 0) * 1000)))
    build.value(root, "Status", job.status)
    if job.exception:
        exception = build.section(root, "ResponseException")
        build.value(exception, "Message", job.exception)
    _request_into(build, build.section(root, "JobRequestInstance"), job.operation, job.group, job.parameters)
    progress = build.section(root, "Progress")
    build.value(progress, "LinearProgress", "1.0" if job.ended else "0.0")
    results = build.section(root, "Results")
    for name, value in job.results.items():
        _parameter_into(build, results, name, value)
    return atom.rendered(root, uuid, "web")


def _request_into(
    build: Builder, parent: etree._Element, operation: str, group: str, parameters: Mapping[str, str]
) -> None:
    requested = build.section(parent, "RequestedOperation")
    build.value(requested, "OperationName", operation)
    build.value(requested, "GroupName", group)
    listed = build.section(parent, "JobParameters")
    for name, value in parameters.items():
        _parameter_into(build, listed, name, value)


def _parameter_into(build: Builder, parent: etree._Element, name: str, value: str) -> None:
    parameter = build.section(parent, "JobParameter")
    build.value(parameter, "ParameterName", name)
    build.value(parameter, "ParameterValue", value, kb="CUR")
