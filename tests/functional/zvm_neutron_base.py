"""A real Ml2Plugin with the `zvm` driver, the z/VM agent, and a simulated z/VM under the real Cloud Connector.

As in neutron_base, only the message bus is cut short, and the agent's loop runs in the test's own thread. Guests and
their adapters are made by the platform code of the compute driver.
"""

# ruff: noqa: E402 - Neutron can be imported only once `prepare` has run

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support import zvm_host
from tests.support.neutron_imports import prepare

prepare()

from neutron.conf.agent import common as agent_conf
from neutron_lib.api.definitions import portbindings
from oslo_config import cfg
from tests.functional.neutron_base import AgentTestCase

from bigiron.journal import Call
from bigiron.model import FixedAddress, GuestSpec, NicSpec
from bigiron.plugins.neutron import rpc, zvm_agent, zvm_conf
from bigiron.plugins.neutron.kinds import ZVM
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.zvm.model.system import System
from bigiron.zvm.platform import Zvm

HOST = "zvm1"
FLAT, VLAN = "VSWFLAT", "VSWVLAN"
"""The example system's switches, one that knows no VLANs and one that does."""
PHYSNET = "physnet1"
POLL_S = 0.1


class ZvmTestCase(AgentTestCase):
    """Ends with z/VM as it was at the beginning, object by object, and an empty audit."""

    _mechanism_drivers = ["zvm"]
    vswitch_mappings = [f"{PHYSNET}:{VLAN}", f"{FLAT}:{FLAT}"]

    def setUp(self) -> None:
        super().setUp()
        logging.getLogger("bigiron").setLevel(logging.DEBUG)
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.world = self.enterContext(zvm_host.serve(self.scratch))
        self.platform: Zvm = self.enterContext(self.world.started())
        self.calls: list[Call] = []
        agent_conf.register_agent_state_opts_helper(cfg.CONF)
        cfg.CONF.set_override("host", HOST)
        self.configure()
        self.connect_server()

    # -- the agent ------------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        """An agent as `zvm_agent.main` assembles it, up to the message bus; it has compared everything once."""
        self.host = zvm_agent.connect(self.options, self.calls.append)
        self.addCleanup(self.host.connector.close)
        self.loop = zvm_agent.work_loop(self.options, self.host, self.server_api)
        self.casts.endpoint = rpc.Endpoint(HOST, self.loop, ZVM)
        self.heartbeat = zvm_agent.heartbeat(self.options, self.host, self.loop, self.server_api)
        self.heartbeat.beat()
        self.heal()

    def stop_agent(self) -> None:
        self.loop.stop()
        self.host.connector.close()
        self.casts.endpoint = None

    def settled(self) -> None:
        """The agent has looked a few times."""
        for _ in range(3):
            self.loop.step(2 * POLL_S)

    def requests(self) -> list[str]:
        """Method and path of the agent's requests since the last time, its looks left out."""
        found = [f"{call.method} {call.path}" for call in self.calls]
        self.calls.clear()
        return [call for call in found if call != "GET /guests/nics"]

    # -- Neutron --------------------------------------------------------------------------------------------------

    def network(self, vlan: int | None, physnet: str = "") -> Any:
        """A VLAN network, or a flat one, with a subnet."""
        provider: dict[str, Any] = {
            "provider:network_type": "flat" if vlan is None else "vlan",
            "provider:physical_network": physnet or (FLAT if vlan is None else PHYSNET),
        }
        if vlan is not None:
            provider["provider:segmentation_id"] = vlan
        made = self._make_network(self.fmt, f"net{vlan}", True, as_admin=True, arg_list=tuple(provider), **provider)
        self._make_subnet(self.fmt, made, "10.0.0.1", "10.0.0.0/24", as_admin=True)
        return made["network"]

    def bound_port(self, network: Any, spec: GuestSpec) -> Any:
        """A port bound to this host for a guest, in two steps as Nova does it, of which Neutron tells the agent."""
        made = self._make_port(self.fmt, network["id"], as_admin=True)["port"]
        owner = {"device_id": spec.uuid, "device_owner": "compute:nova"}
        return self.update(made, **{portbindings.HOST_ID: HOST}, **owner)

    def update(self, port: Any, **fields: Any) -> Any:
        return self._update("ports", port["id"], {"port": fields}, as_admin=True)["port"]

    # -- the compute service --------------------------------------------------------------------------------------

    def spec(self) -> GuestSpec:
        return self.world.spec()

    def nic(self, port: Any) -> NicSpec:
        details = {key: str(value) for key, value in port[portbindings.VIF_DETAILS].items()}
        return NicSpec(
            id=port["id"], mac=port["mac_address"], vif_type=port[portbindings.VIF_TYPE],
            vlan=int(details["vlan"]) if "vlan" in details else None, physical_network=details["physical_network"],
            fixed=FixedAddress(port["fixed_ips"][0]["ip_address"], "10.0.0.0/24", "10.0.0.1"), details=details,
        )  # fmt: skip

    def spawn(self, spec: GuestSpec, *ports: Any, power_on: bool = False) -> GuestSpec:
        """A guest with the ports' adapters, not started; with `power_on`, started without waiting for them."""
        full = replace(spec, nics=tuple(self.nic(port) for port in ports), power_on=power_on)
        return self.world.spawn(self.platform, full)

    def boot(self, spec: GuestSpec, *ports: Any) -> GuestSpec:
        """A guest that is started once its ports are up, as by Nova."""
        made = self.spawn(spec, *ports)
        self.until_status("ACTIVE", *ports)
        self.platform.power_on(made.uuid)
        return made

    def destroy(self, *specs: GuestSpec) -> None:
        for spec in specs:
            self.platform.destroy(spec.uuid)

    # -- the system -----------------------------------------------------------------------------------------------

    def couplings(self, spec: GuestSpec) -> dict[str, tuple[str, int | None, str, tuple[int, ...]]]:
        """Device number -> switch and VLAN in the directory, then those that CP has of the running guest."""
        return {
            nic["vdev"]: (nic["lan"], nic["vlan"], nic.get("coupled", ""), tuple(nic.get("vlans", ())))
            for nic in self.world.guest(spec)["nics"]
        }

    def userid(self, spec: GuestSpec) -> str:
        return self.world.userid(spec)

    def grants(self, switch: str) -> list[str]:
        (found,) = [each for each in self.world.state()["switches"] if each["name"] == switch]
        return list(found["grants"])

    @contextlib.contextmanager
    def system(self) -> Iterator[System]:
        """z/VM itself, as an operator changes it."""
        with self.world.simulator.system.lock:
            yield self.world.simulator.system

    def fail(self, function: str, reason: str, times: int = 1) -> None:
        """Have SMAPI refuse a function the next times."""
        self.world.simulator.faults.add(Fault("SMAPI", function, Action.ERROR, times=times, reason=reason))

    def clean_up(self, *specs: GuestSpec) -> None:
        """Take everything away again as the compute service and users do, and check that nothing is left."""
        self.destroy(*specs)
        for port in self._list("ports", as_admin=True)["ports"]:
            self._delete("ports", port["id"], as_admin=True)
        self.settled()
        self.world.check_clean()

    def configure(self, agent: str = "", more: str = "") -> None:
        """Have the agent read such a file, with other lines in [AGENT] and further sections."""
        simulator = self.world.simulator
        mappings = f"vswitch_mappings = {','.join(self.vswitch_mappings)}" if self.vswitch_mappings else ""
        lines = [
            "[zvm]", f"cloud_connector_url = {simulator.url}", f"token_path = {simulator.layout.token}",
            "[AGENT]", f"polling_interval = {POLL_S}", agent or mappings, more,
        ]  # fmt: skip
        path = self.scratch / "zvm_agent.conf"
        path.write_text("\n".join(lines))
        self.options = cfg.ConfigOpts()
        self.options.register_opt(cfg.StrOpt("host", default=HOST))
        zvm_conf.register(self.options)
        self.options(["--config-file", str(path)])
