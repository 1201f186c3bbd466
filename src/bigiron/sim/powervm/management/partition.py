"""The management partition of a running simulator: guests, terminals and the file tree, put together."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request

from bigiron.sim.kernel.control import Control
from bigiron.sim.powervm.guests.fleet import Guests
from bigiron.sim.powervm.management.control import ConsoleRoutes
from bigiron.sim.powervm.management.net import NetDevices
from bigiron.sim.powervm.management.ovs import OvsPorts, Switch
from bigiron.sim.powervm.management.scsi import ScsiBus
from bigiron.sim.powervm.management.tree import Identity, build
from bigiron.sim.powervm.management.vterms import Vterms
from bigiron.sim.powervm.model import taps
from bigiron.sim.powervm.model.world import World


class ManagementPartition:
    """Made with the world, before anything is powered on; `present` writes the tree when the address is known."""

    def __init__(self, world: World, control: Control, ovs: Switch | None = None) -> None:
        self._world = world
        self.guests = Guests(world)
        self.vterms = Vterms(self.guests)
        self.scsi = ScsiBus(world)
        self.net = NetDevices(world)
        self.ovs = OvsPorts(world, ovs) if ovs else None
        world.vterm_hooks.append(lambda lpar: self.vterms.drop(lpar.uuid))
        world.vterm_checks.append(lambda lpar: self.vterms.is_open(lpar.uuid))
        ConsoleRoutes(self.guests, self.vterms).mount(control)
        control.mount("ovs", GET=self._show_ports, DELETE=self._lose_devices)

    def present(self, root: Path, control_url: str) -> None:
        """Write the file tree; its commands call `control_url`."""
        with self._world.lock:
            identity = _identity(self._world)
        build(root, control_url, identity)
        self.scsi.present(root)
        self.net.present(root)
        if self.ovs:
            self.ovs.present()

    def _show_ports(self, _request: Request) -> list[dict[str, Any]]:
        with self._world.lock:
            return [asdict(port) for port in taps.ports(self._world)]

    def _lose_devices(self, _request: Request) -> None:
        with self._world.lock:
            taps.detach_all(self._world)

    def disconnect(self) -> None:
        """Close the terminals and send readers that wait for console text away, so that the control address can end."""
        self.guests.closed = True
        self.vterms.stop()

    def stop(self) -> None:
        """End the rest, once no job can power on a partition any more."""
        self.scsi.stop()
        self.guests.close()


def _identity(world: World) -> Identity:
    """The partition that NovaLink runs in; on a system that an HMC manages there is none, so its id is 0."""
    machine = world.system.mtms
    partition = world.management
    return Identity(
        partition_id=partition.id if partition else 0,
        partition_name=partition.name if partition else world.state.console.name,
        system_type=f"IBM,{machine.type}-{machine.model}",
        serial=f"IBM,{machine.serial}",
        processors=partition.processors.vcpus if partition else 1,
    )
