"""What clients ask the monitor: the feed of its documents and the documents; and, on the control address, the loads
and what goes wrong."""

from __future__ import annotations

import json
import re
import uuid as uuidlib
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape, quoteattr

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from bigiron.sim.kernel import control as controls
from bigiron.sim.kernel.load import PROFILES
from bigiron.sim.powervm.errors import MethodNotAllowed, NotFound
from bigiron.sim.powervm.model.partition import Partition
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.pcm import documents
from bigiron.sim.powervm.pcm.monitor import Monitor, Sample
from bigiron.sim.powervm.pcm.script import Script, wrapped
from bigiron.sim.powervm.pcm.vios_document import vios
from bigiron.sim.powervm.rest.atom import ATOM, stamp
from bigiron.sim.powervm.rest.services import Call, Route, Services, no_content, xml_answer

_AUTHOR = "IBM Power Systems Management Console"
_FEED = "/RawMetrics/LongTermMonitor"
_PATH = re.compile(r"(/rest/api/pcm/ManagedSystem/[^/]+)/RawMetrics/LongTermMonitor(?:/([^/]+))?")
_NAME = re.compile(r"LTM_.+_(phyp|lpar|vios_\d+)_\d{8}T\d{6}\+0000\.json")
_JSON = "application/vnd.ibm.powervm.pcm.json; charset=UTF-8"


class MetricRequests:
    """Handles RawMetrics/LongTermMonitor of the pcm service, and /load and /pcm of the control address."""

    def __init__(self, services: Services, monitor: Monitor) -> None:
        self._services = services
        self._monitor = monitor
        self.route = Route(_PATH, self._answer)

    def _answer(self, call: Call, found: re.Match[str]) -> Response:
        if call.method != "GET":
            raise MethodNotAllowed(f"{call.method} is not for metrics: they can only be read.")
        with self._services.locked() as world:
            if call.address.last.uuid.upper() != world.system.uuid.upper():
                raise NotFound(f"There is no ManagedSystem with the UUID {call.address.last.uuid}.")
            samples = self._monitor.samples()
            now, script = world.clock.now(), self._monitor.script
        if found[2] is None:
            return self._feed(f"{self._services.url}{found[1]}{_FEED}", call.address.last.uuid, samples, now)
        return self._document(unquote(found[2]), samples, now, script)

    def _feed(self, href: str, system: str, samples: list[Sample], now: float) -> Response:
        entries = [
            _entry(href, sample, category) for sample in reversed(samples) for category in sample.categories(now)
        ]
        with self._services.latency.spend("feed", items=len(entries)):
            pass
        if not entries:
            return no_content()
        return xml_answer(
            f'<feed xmlns="{ATOM}" xmlns:ns2="http://a9.com/-/spec/opensearch/1.1/"'
            f' xmlns:ns3="http://www.w3.org/1999/xhtml"><id>{system}</id><updated>{stamp(samples[-1].time)}</updated>'
            f'<title type="text">LongTermMetrics</title><subtitle type="text">ManagedSystem {system}</subtitle>'
            f'<link rel="self" href={quoteattr(href)}/><generator uri="{_AUTHOR}" version="1"/>'
            f"{''.join(entries)}</feed>"
        )

    def _document(self, name: str, samples: list[Sample], now: float, script: Script) -> Response:
        with self._services.latency.spend("get"):
            pass
        known = _NAME.fullmatch(name)
        category = known[1] if known else ""
        for sample in samples:
            if category in sample.categories(now) and _name(sample, category) == name:
                content = wrapped(_content(sample, category), sample.script.wrap_bits)
                return Response(script.spoiled(category, json.dumps(content)), content_type=_JSON)
        raise NotFound(f"There are no metrics {name}: read the feed again, documents go as they age.")

    # -- control --------------------------------------------------------------------------------------------------

    def mount(self, control: controls.Control) -> None:
        """Add /load, /monitor and /pcm to the control address."""
        control.mount("load", GET=self._show_loads, POST=self._set_load)
        control.mount("monitor", GET=self._show_monitor, POST=self._set_monitor)
        control.mount("pcm", GET=self._show_script, POST=self._set_script, DELETE=self._end_script)

    def _show_loads(self, _request: Request) -> Any:
        with self._services.locked() as world:
            loads = {partition.name: self._monitor.profile(partition) for partition in world.partitions}
        return {"profiles": list(PROFILES), "loads": loads}

    def _set_load(self, request: Request) -> Any:
        wish = controls.body(request)
        if not isinstance(wish, dict) or not {"partition", "profile"} <= set(wish):
            raise BadRequest('POST {"partition": <name, uuid or id>, "profile": <name>}')
        with self._services.locked() as world:
            partition = _find(world, str(wish["partition"]))
            self._monitor.set_profile(partition, str(wish["profile"]))
            return {"partition": partition.name, "profile": self._monitor.profile(partition)}

    def _show_monitor(self, _request: Request) -> Any:
        with self._services.locked() as world:
            return {"long_term": world.state.pcm.long_term}

    def _set_monitor(self, request: Request) -> Any:
        """Switch the long-term monitor on or off, as an administrator of the system may at any time."""
        wish = controls.body(request)
        if not isinstance(wish, dict) or not isinstance(wish.get("long_term"), bool):
            raise BadRequest('POST {"long_term": true} or false')
        with self._services.locked() as world:
            world.state.pcm.long_term = wish["long_term"]
            world.touch(world.state.pcm)
            self._monitor.catch_up()
        return wish

    def _show_script(self, _request: Request) -> Any:
        with self._services.locked():
            return self._monitor.script.to_json()

    def _set_script(self, request: Request) -> Any:
        wish = controls.body(request)
        if not isinstance(wish, dict):
            raise BadRequest('POST {"gap": true}, or missing, late, wrap_bits or broken; see the documentation')
        with self._services.locked() as world:
            names = {"phyp": "phyp", "lpar": "lpar"}
            for vios in world.vioses:
                names |= dict.fromkeys((vios.name, f"vios_{vios.id}"), f"vios_{vios.id}")
            self._monitor.script = Script.from_json(wish, names)
            return self._monitor.script.to_json()

    def _end_script(self, _request: Request) -> Any:
        with self._services.locked():
            self._monitor.script = Script()


def _find(world: World, reference: str) -> Partition:
    for partition in world.partitions:
        if reference in (partition.name, str(partition.id)) or reference.upper() == partition.uuid.upper():
            return partition
    raise ValueError(f"there is no partition {reference}; give a name, a uuid or an id")


def _name(sample: Sample, category: str) -> str:
    when = documents.stamp(sample.time, "%Y%m%dT%H%M%S+0000")
    return f"LTM_{sample.system.mtms}_{category}_{when}.json"


def _content(sample: Sample, category: str) -> dict[str, Any]:
    if category == "phyp":
        return documents.hypervisor(sample)
    if category == "lpar":
        return documents.partitions(sample)
    return vios(sample, next(v for v in sample.system.vioses if f"vios_{v.partition.id}" == category))


def _entry(base: str, sample: Sample, category: str) -> str:
    name = _name(sample, category)
    href = f"{base}/{name}"
    when = stamp(sample.time)
    return (
        f'<entry><id>{uuidlib.uuid5(uuidlib.NAMESPACE_URL, href)}</id><updated>{when}</updated><title type="text">'
        f'{escape(name)}</title><published>{when}</published><link type="application/vnd.ibm.powervm.pcm.json" '
        f"href={quoteattr(href)}/><author><name>{_AUTHOR}</name></author><category term={quoteattr(category)}/></entry>"
    )
