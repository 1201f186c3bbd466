"""A real Nova whose nova-compute runs the PowerVM driver against a simulated system, over HTTP."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.functional import base, world

from bigiron.plugins.nova import conf
from bigiron.sim.kernel.journal import Entry
from bigiron.sim.powervm import documents
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.server import Settings, Simulator

SYSTEMS = Path(__file__).parents[2] / "examples" / "systems"
USER, PASSWORD = "padmin", "padmin"
EVENTS = "/rest/api/uom/Event"


def is_counted(entry: Entry) -> bool:
    """Whether a request is one of an operation's: not a long poll for events and not a look at a job."""
    if entry.method != "GET":
        return True
    return not (entry.template.endswith("/Event") or "/jobs/" in entry.template)


class PowerVMCloud(base.NovaCloud):
    """Starts the simulator before Nova, and after each test holds the system against what it was before."""

    system = "one-host.yaml"
    options: dict[str, Any] = {"disk_driver": "ssp"}
    settings = Settings()

    def before_services(self) -> None:
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        document = self.edit_system(documents.read(SYSTEMS / self.system))
        self.simulator = Simulator(document, self.scratch / "sim", self.settings)
        self.simulator.start()
        self.addCleanup(self.simulator.stop)
        self.before = self.state()

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
            rest_timeout=30,
            rest_connect_timeout=20,
            **self.options,
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

    def check_nothing_left(self) -> None:
        """The audit is empty and the system is, object by object, what it was when the test began."""
        with self.simulator.services.locked() as simulated:
            found = audit(simulated)
        assert found == [], found
        lines = world.differences(self.before, self.state())
        assert lines == [], "\n".join(lines)

    # What was asked of it

    def calls(self) -> list[Entry]:
        """The requests since the journal was cleared, without long polls and looks at jobs."""
        return [entry for entry in self.simulator.journal.entries() if is_counted(entry)]

    def kinds(self) -> Counter[tuple[str, str]]:
        """How many requests there were of each method and path template."""
        return Counter((entry.method, entry.template) for entry in self.calls())
