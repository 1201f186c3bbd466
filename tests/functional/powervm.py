"""A real Nova whose nova-compute runs the PowerVM driver against a simulated system, over HTTP."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pycdlib
import requests
from tests.functional import base, world
from tests.functional.remote import DirectPool

from bigiron.plugins.nova import conf, lifecycle
from bigiron.powervm import session
from bigiron.powervm.options import PowerVMOptions
from bigiron.sim.kernel import ports
from bigiron.sim.kernel.journal import Entry
from bigiron.sim.powervm import documents
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.server import Settings, Simulator

_http_session = session._http_session

SYSTEMS = Path(__file__).parents[2] / "examples" / "systems"
USER, PASSWORD = "padmin", "padmin"
EVENTS = "/rest/api/uom/Event"
LOOK_AT_STATE = "/rest/api/uom/LogicalPartition/{uuid}/quick/PartitionState"
"""How the mirror asks for a partition's state when it hears of a change."""
CONFIRM_AFTER_S = 2.0
"""The simulated guests restart faster than real ones."""


def _direct_session(options: PowerVMOptions) -> requests.Session:
    made = _http_session(options)
    manager = made.get_adapter("http://").poolmanager
    manager.pool_classes_by_scheme = {"http": DirectPool}
    return made


def is_counted(entry: Entry) -> bool:
    """Whether a request is one of an operation's: not a long poll for events and not a look at a job."""
    if entry.method != "GET":
        return True
    return not (entry.template.endswith("/Event") or "/jobs/" in entry.template)


class PowerVMCloud(base.NovaCloud):
    """Starts the simulator before Nova, and after each test holds the system against what it was before."""

    system = "one-host.yaml"
    options: dict[str, Any] = {"disk_driver": "ssp"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopped: list[Simulator] = []

    def before_services(self) -> None:
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(session, "_http_session", _direct_session))
        self.enterContext(mock.patch.object(lifecycle, "CONFIRM_AFTER_S", CONFIRM_AFTER_S))
        self.document = self.edit_system(documents.read(SYSTEMS / self.system))
        self.simulator = self.start_simulator(Settings(listen=("127.0.0.1", self.port())))
        self.before = self.state()

    def port(self) -> int:
        """A loopback port that a service can leave and take again until the test ends."""
        return ports.number(self.enterContext(ports.hold("127.0.0.1")))

    def start_simulator(self, settings: Settings) -> Simulator:
        """Start a simulator on this test's system, for the first time or again."""
        simulator = Simulator(self.document, self.scratch / "sim", settings)
        simulator.start()
        self.addCleanup(self.stop_simulator, simulator)
        return simulator

    def stop_simulator(self, simulator: Simulator) -> None:
        if simulator not in self._stopped:
            self._stopped.append(simulator)
            simulator.stop()

    def restart_simulator(self) -> None:
        """Serve again at the same address what was stopped."""
        self.stop_simulator(self.simulator)
        self.simulator = self.start_simulator(self.simulator.settings)

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        """Change the system document before the simulator reads it."""
        return document

    def state_path(self) -> Path:
        return self.scratch / "nova"

    def after_services(self) -> None:
        conf.register(base.CONF)
        host, port = self.simulator.url.split("//")[1].rsplit(":", 1)
        self.powervm_options(
            rest_host=host,
            rest_port=int(port),
            rest_protocol="http",
            rest_username=USER,
            rest_password=PASSWORD,
            rest_connect_timeout=20,
            management_root=str(self.simulator.management_root),
            **{"rest_timeout": 30, **self.options},
        )
        self.start_service_under_test()

    def start_service_under_test(self) -> None:
        """Start nova-compute; a test of its start does that itself."""
        self.start_compute()

    def tearDown(self) -> None:
        self.check_nothing_left()
        super().tearDown()

    # What the platform has

    def state(self) -> dict[str, Any]:
        """The system as the simulator holds it."""
        with self.simulator.services.locked() as simulated:
            return simulated.to_state()

    def lpar_of(self, server: dict[str, Any]) -> dict[str, Any]:
        """The simulated partition of a server."""
        wanted = f"openstack:{server['id']}"
        (lpar,) = [lpar for lpar in self.state()["lpars"] if lpar["description"] == wanted]
        return dict(lpar)

    def targets_of(self, lpar: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """What the VIOSes present to a partition, each with its VIOS's name."""
        return [
            (vios["name"], target)
            for vios in self.state()["vioses"]
            for server in vios["servers"]
            if server["client"] == lpar["uuid"]
            for target in server["targets"]
        ]

    def files_of(self, medium: dict[str, Any]) -> dict[str, bytes]:
        """The files below openstack/latest of an optical medium."""
        iso = pycdlib.PyCdlib()
        iso.open(str(Path(self.simulator.world.media_dir, medium["content"]["file"])))
        files = {}
        for child in iso.list_children(rr_path="/openstack/latest"):
            if child is not None and child.is_file():
                name = child.rock_ridge.name().decode()
                out = io.BytesIO()
                iso.get_file_from_iso_fp(out, rr_path=f"/openstack/latest/{name}")
                files[name] = out.getvalue()
        iso.close()
        return files

    def check_nothing_left(self) -> None:
        """The audit is empty and the system is, object by object, what it was when the test began."""
        found = self.audit()
        assert found == [], found
        lines = self.leftovers()
        assert lines == [], "\n".join(lines)

    def audit(self) -> list[Any]:
        """What is orphaned or inconsistent on the platform, Files that were declared and not deleted included."""
        files = self.simulator.files.records()
        with self.simulator.services.locked() as simulated:
            return [*audit(simulated, files), *files]

    def leftovers(self) -> list[str]:
        """What is not as it was when the test began."""
        return world.differences(self.before, self.state())

    def grow_old(self) -> None:
        """What nova-compute knows of the host's capacity was read long ago."""
        self.driver.hypervisor._started.capacity_read_at = 0.0

    # What was asked of it

    def calls(self) -> list[Entry]:
        """The requests since the journal was cleared, without long polls and looks at jobs."""
        return [entry for entry in self.simulator.journal.entries() if is_counted(entry)]

    def kinds(self) -> Counter[tuple[str, str]]:
        """How many requests there were of each method and path template."""
        return Counter((entry.method, entry.template) for entry in self.calls())

    def asked(self) -> Counter[tuple[str, str]]:
        """As `kinds`, without looks at a partition's state: a late event of what was done before may cause one."""
        kinds = self.kinds()
        del kinds["GET", LOOK_AT_STATE]
        return kinds
