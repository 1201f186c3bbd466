"""Network adapters come to servers on z/VM and go from them, running and stopped, through a real Nova."""

from __future__ import annotations

from typing import Any

from tests.functional.zvm import ZVMCloud

from bigiron.sim.kernel.faults import Action, Fault


class Interfaces(ZVMCloud):
    """Attach and detach; the network agent, which couples adapters, is another's test."""

    def tails(self, server: dict[str, Any]) -> list[str]:
        """The last three bytes of the MACs in the directory, which are the ports', in the guest's order."""
        lines = self.guest_of(server)["entry"]
        written = [line.partition("MACID ")[2][:6] for line in lines if line.startswith("NICDEF") and "MACID" in line]
        return [":".join(one[at : at + 2] for at in (0, 2, 4)).lower() for one in written]

    def wanted(self, server: dict[str, Any]) -> list[str]:
        return [mac[9:] for mac in self.ports(server)]

    def has_address(self, server: dict[str, Any], port: str) -> bool:
        """Whether the guest is configured with the port's address."""
        (address,) = self.neutron._ports[port]["fixed_ips"]
        return any(address["ip_address"] in text for text in self.up(server)["files"].values())

    def test_a_running_server_takes_an_adapter_and_gives_it_back(self) -> None:
        server = self.boot()
        self.up(server)
        self.simulator.journal.clear()
        port = self.attach(server)
        assert self.changes() == [("POST", "/guests/{name}/interface")]
        assert self.tails(server) == self.wanted(server)
        assert [nic["vdev"] for nic in self.guest_of(server)["nics"]] == ["1000", "1003"]
        assert self.has_address(server, port)
        self.simulator.journal.clear()
        assert self.detach(server, port) == "Success"
        assert self.changes() == [("DELETE", "/guests/{name}/interface")]
        assert self.tails(server) == self.wanted(server)
        assert len(self.guest_of(server)["nics"]) == 1
        assert port not in self.neutron._ports
        self.delete(server)

    def test_a_stopped_server_takes_an_adapter_and_starts_with_it(self) -> None:
        server = self.boot()
        self._stop_server(server)
        port = self.attach(server)
        assert self.tails(server) == self.wanted(server)
        self._start_server(server)
        assert self.has_address(server, port)
        assert [nic["mac"] for nic in self.guest_of(server)["nics"]] == self.ports(server)
        self._stop_server(server)
        for attached in self.api.get_port_interfaces(server["id"]):
            assert self.detach(server, attached["port_id"]) == "Success"
        assert self.guest_of(server)["nics"] == []
        self._start_server(server)
        self.delete(server)

    def test_an_adapter_that_the_guest_cannot_configure_goes_again(self) -> None:
        server = self.boot()
        self.up(server)
        before, ports = self.tails(server), set(self.neutron._ports)
        for command in ("systemctl", "zvmguestconfigure"):
            self.simulator.faults.add(Fault("IUCV", command, Action.DROP_BEFORE, times=0))
        self.attach_fails(server)
        self.simulator.faults.clear()
        assert self.tails(server) == before == self.wanted(server)
        assert set(self.neutron._ports) == ports
        self.detach(server, self.attach(server))
        self.delete(server)

    def test_a_paused_server_is_refused_before_anything_is_changed(self) -> None:
        server = self.boot()
        self.up(server)
        (mine,) = self.api.get_port_interfaces(server["id"])
        self.act(server, {"pause": None}, "PAUSED")
        self.simulator.journal.clear()
        self.attach_fails(server)
        assert self.detach(server, mine["port_id"]) == "Error"
        assert self.changes() == []
        assert "unpause or stop it to change its network adapters" in self.stdlog.logger.output
        self.act(server, {"unpause": None}, "ACTIVE")
        self.delete(server)

    def test_an_entry_that_is_locked_is_tried_again(self) -> None:
        server = self.boot()
        self.up(server)
        function = "Virtual_Network_Adapter_Create_Extended_DM"
        self.simulator.faults.add(Fault("SMAPI", function, Action.BUSY, times=2))
        port = self.attach(server)
        (fault,) = self.simulator.faults.faults()
        assert fault.fired == 2
        self.simulator.faults.clear()
        assert self.detach(server, port) == "Success"
        self.delete(server)
