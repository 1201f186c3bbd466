"""What the processes of all agents do alike: start, report their state, serve until they are told to stop."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

from neutron.agent import rpc as agent_rpc
from neutron.common import config as neutron_config
from neutron.conf.agent import common as agent_conf
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib.agent import constants as agent_constants
from neutron_lib.agent import topics
from oslo_config import cfg

from bigiron.errors import PlatformError
from bigiron.plugins.neutron import conf, rpc
from bigiron.plugins.neutron.kinds import Kind

LOG = logging.getLogger(__name__)

_LAST_PASS_S = 3.0
"""How long the end of the process waits for a pass under way; the next start makes good what is cut short."""


class Loop(rpc.Callbacks, Protocol):
    """The agent's work loop: see passes.PassLoop."""

    @property
    def devices(self) -> int: ...
    def run(self) -> None: ...
    def stop(self) -> None: ...
    def heal_soon(self, reason: str) -> None: ...


def report(kind: Kind, host_name: str, configurations: Mapping[str, Any]) -> dict[str, Any]:
    """What the agent reports of itself: the mechanism driver reads it, and operators by `network agent show`."""
    return {
        "binary": kind.binary,
        "host": host_name,
        "topic": constants.L2_AGENT_TOPIC,
        "agent_type": kind.agent_type,
        "configurations": dict(configurations),
    }


class Heartbeat:
    """Reports the agent's state until stopped; a server that revives the agent makes it compare everything."""

    def __init__(self, api: agent_rpc.PluginReportStateAPI, report: dict[str, Any], loop: Loop) -> None:
        self._api = api
        self._report = report
        self._loop = loop
        self._context = neutron_context.get_admin_context_without_session()
        self._failing = False
        self._start = object()
        """Another one for each start that the server is to be told of; `_told` is the last that it was."""
        self._told: object = None
        self._due = threading.Event()

    def run(self, interval: float, stopping: threading.Event) -> None:
        """Report now, every `interval` seconds, and when there is news."""
        while not stopping.is_set():
            self.beat()
            self._due.wait(interval)
            self._due.clear()

    def update(self, configurations: Mapping[str, Any]) -> None:
        """Report these configurations from now on, and at once; may be called from any thread.

        The server passes bandwidths on to Placement when an agent starts, so it is told that this one does.
        """
        self._report["configurations"] = dict(configurations)
        self._start = object()
        self.soon()

    def soon(self) -> None:
        """Have `run` look up from its wait."""
        self._due.set()

    def beat(self) -> None:
        """Report once."""
        # Before the configurations: what is changed from now on, the next report tells with a start of its own.
        start = self._start
        configurations = {**self._report["configurations"], "devices": self._loop.devices}
        report = {**self._report, "configurations": configurations}
        if start is not self._told:
            report["start_flag"] = True
        try:
            answer = self._api.report_state(self._context, report, use_call=True)
        except Exception:
            # The thread must outlive a server or broker that is away, whatever that raises.
            if not self._failing:
                binary, host = self._report["binary"], self._report["host"]
                LOG.exception("Reporting the state of agent %s on host %s failed", binary, host)
            self._failing = True
            return
        self._told = start
        if self._failing:
            LOG.info("The state of agent %s on host %s is reported again", self._report["binary"], self._report["host"])
        self._failing = False
        if answer == agent_constants.AGENT_REVIVED:
            self._loop.heal_soon("Neutron had counted the agent as dead")


def serve(
    options: cfg.ConfigOpts,
    kind: Kind,
    close: Callable[[], None],
    loop: Loop,
    heartbeat: Heartbeat,
    serves: str,
    stopping: threading.Event,
) -> None:
    """Work and report until `stopping` is set, then `close` the platform; `serves` says what, for the log."""
    endpoints = [rpc.Endpoint(options.host, loop, kind)]
    connection = agent_rpc.create_consumers(endpoints, topics.AGENT, rpc.CONSUMERS)
    worker = threading.Thread(target=loop.run, name=f"{kind.title} worker", daemon=True)
    beating = (options.AGENT.report_interval, stopping)
    worker.start()
    threading.Thread(target=heartbeat.run, args=beating, name=f"{kind.title} heartbeat", daemon=True).start()
    LOG.info("The %s agent of host %s serves %s", kind.title, options.host, serves)
    stopping.wait()
    heartbeat.soon()
    loop.stop()
    worker.join(_LAST_PASS_S)
    connection.close()
    close()


def _heed_signals() -> threading.Event:
    """SIGHUP has the options read again; the event is set by SIGTERM and SIGINT.

    Not by their handler: it runs in the main thread, which may just hold the lock of the event that it waits for, or of
    the log, and would wait for itself. SimpleQueue.put may interrupt anything, and a thread does the work.
    """
    stopping = threading.Event()
    received: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: received.put(number))

    def heed() -> None:
        while received.get() == signal.SIGHUP:
            try:
                cfg.CONF.mutate_config_files()
            except Exception:
                # A mistake in a file must not end an agent that works.
                LOG.exception("The configuration files could not be read again; the options stay as they are")
        stopping.set()

    threading.Thread(target=heed, name="signals", daemon=True).start()
    return stopping


def main(
    kind: Kind,
    register: Callable[[cfg.ConfigOpts], None],
    run: Callable[[cfg.ConfigOpts, threading.Event], None],
    arguments: Sequence[str] | None,
) -> int:
    """A console command: reads the options and runs; returns its exit status.

    What keeps the agent from starting, a PlatformError or a mistake in an option, is said on the error output too.
    """
    neutron_config.register_common_config_options()
    agent_conf.register_agent_state_opts_helper(cfg.CONF)
    register(cfg.CONF)
    neutron_config.init(sys.argv[1:] if arguments is None else list(arguments))
    neutron_config.setup_logging()
    stopping = _heed_signals()
    try:
        run(cfg.CONF, stopping)
    except (conf.BadMapping, PlatformError) as error:
        LOG.error("The %s agent cannot start: %s", kind.title, error)
        print(f"{kind.binary}: {error}", file=sys.stderr)  # noqa: T201 - with a log file nothing else would be seen
        return 1
    return 0
