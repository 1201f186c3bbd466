"""Events of the platform that never arrive: what they told of is read again, and Nova learns it all the same."""

from __future__ import annotations

from typing import Any

from tests.functional.powervm import EVENTS, PowerVMCloud

from bigiron.powervm import events
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model import power


class LostEvents(PowerVMCloud):
    """On a shared storage pool."""

    def test_a_stop_whose_event_is_lost_is_seen_all_the_same(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.lose_next(lambda simulated: self.stop(simulated, server))
        self.settle(server, "SHUTOFF")
        assert self.power_state(server) == 4
        self.delete(server)

    def test_a_new_name_whose_event_is_lost_is_read_again(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        uuid = self.lpar_of(server)["uuid"]
        self.lose_next(lambda simulated: self.rename(simulated, uuid))
        mirror = self.driver.powervm.connection.mirror
        self.wait_until(lambda: mirror.find(uuid).name == "renamed by hand", "what was missed is read again")
        self.delete(server)

    @staticmethod
    def rename(simulated: Any, uuid: str) -> None:
        lpar = simulated.partition(uuid)
        lpar.name = "renamed by hand"
        simulated.changed(lpar)

    def lose_next(self, change: Any) -> None:
        """Have something change while the answer that tells of it is lost on its way."""
        connection = self.driver.powervm.connection
        heard: list[events.RestEvent] = []
        connection.events.subscribe(heard.append)
        self.simulator.faults.add(Fault("GET", EVENTS, Action.DROP_AFTER))
        events.post_custom(connection.adapter, EVENTS, "ends the poll that is under way")
        self.wait_until(lambda: bool(heard), "a poll has ended")
        with self.simulator.services.locked() as simulated:
            change(simulated)
        events.post_custom(connection.adapter, EVENTS, "ends the one that is lost")
        self.wait_until(lambda: any(each.fired for each in self.simulator.faults.faults()), "an answer is lost")
        self.simulator.faults.clear()

    @staticmethod
    def stop(simulated: Any, server: dict[str, Any]) -> None:
        lpar = next(one for one in simulated.lpars if one.description == f"openstack:{server['id']}")
        power.begin_off(simulated, lpar, "shutdown", False)
        power.finish_off(simulated, lpar, False)
