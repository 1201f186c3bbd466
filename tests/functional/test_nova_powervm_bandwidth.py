"""Servers with guaranteed bandwidth, through a real Nova and Placement and over HTTP.

What Neutron does is done as it would: its providers in Placement, the port's request, and the details of its binding.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.functional import base
from tests.functional.sriov import PROD, DirectCloud, InTurn
from tests.functional.test_nova_powervm_faults import Spawning

from bigiron.sim.powervm.model import vnics

AGENT = "PowerVM SR-IOV Ethernet agent"
FIRST, SECOND = "U78D2.001-P2-C1-T1", "U78D2.001-P2-C2-T1"
EGRESS, INGRESS = "NET_BW_EGR_KILOBIT_PER_SEC", "NET_BW_IGR_KILOBIT_PER_SEC"
TRAITS = [f"CUSTOM_PHYSNET_{PROD.upper()}", "CUSTOM_VNIC_TYPE_DIRECT"]
GBPS = 1_000_000
GROUPS = {
    "alias": "port-resource-request-groups", "name": "Port Resource Request Groups", "links": [],
    "updated": "2021-08-02T10:00:00-00:00", "description": "",
}  # fmt: skip


class GuaranteedNeutron(base.SeaNeutron):
    """Neutron with its QoS service, which asks for bandwidth in groups."""

    def list_extensions(self, *args: Any, **kwargs: Any) -> Any:
        found = super().list_extensions(*args, **kwargs)
        return {"extensions": [*found["extensions"], GROUPS]}


class GuaranteedCloud(DirectCloud):
    """A host with two ports of 10 Gbit/s, each on an adapter of its own."""

    neutron_fixture = GuaranteedNeutron

    def start_service_under_test(self) -> None:
        super().start_service_under_test()
        for trait in TRAITS:
            self._create_trait(trait)
        node = self._get_provider_uuid_by_host(base.HOST)
        agent = self.provider(f"{base.HOST}:{AGENT}", node)
        self.providers = {
            location: self.provider(f"{base.HOST}:{AGENT}:{location}", agent) for location in (FIRST, SECOND)
        }
        for provider in self.providers.values():
            self._set_provider_traits(provider, TRAITS)
            self.give(provider, 10 * GBPS)

    def provider(self, name: str, parent: str) -> str:
        body = {"name": name, "parent_provider_uuid": parent}
        return str(self.placement.post("/resource_providers", version="1.20", body=body).body["uuid"])

    def give(self, provider: str, kbps: int) -> None:
        """What a port has to give, in either direction."""
        generation = self._get_resource_provider_by_uuid(provider)["generation"]
        body = {
            "resource_provider_generation": generation,
            "inventories": {EGRESS: {"total": kbps}, INGRESS: {"total": kbps}},
        }
        answer = self.placement.put(f"/resource_providers/{provider}/inventories", body=body, version="1.15")
        assert answer.status == 200, answer.body

    def guaranteed_port(self, kbps: int, location: str = SECOND, share: float = 0.12, redundancy: int = 1) -> str:
        """A direct port whose binding says what the mechanism driver says once Placement has chosen `location`."""
        port = self.direct_port(redundancy, capacity=share, allocated_port=location, guaranteed_kbps=int(share * 1e7))
        group = {"id": str(uuid.uuid4()), "required": TRAITS, "resources": {EGRESS: kbps, INGRESS: kbps}}
        request = {"request_groups": [group], "same_subtree": [group["id"]]}
        self.neutron._ports[port]["resource_request"] = request
        return port

    def used(self, location: str) -> int:
        return int(self._get_provider_usages(self.providers[location])[EGRESS])

    def ways(self, server: dict[str, Any]) -> list[tuple[int, float]]:
        """Adapter and capacity of each way of the server's vNIC, the preferred first."""
        (vnic,) = self.vnics_of(server)
        ranked = sorted(vnic["backing"], key=lambda way: way["priority"])
        logical = {one.id: one.capacity for _, _, one in vnics.logical_ports(self.simulator.world)}
        return [(way["adapter"], logical[way["logical"]]) for way in ranked]


class Guaranteed(GuaranteedCloud):
    """On a shared storage pool; the disks do not matter here."""

    def test_a_server_gets_its_vnic_on_the_port_whose_bandwidth_it_was_given(self) -> None:
        self.give(self.providers[FIRST], GBPS)
        port = self.guaranteed_port(1_100_000)
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=[{"port": port}])
        profile = self.neutron._ports[port]["binding:profile"]
        (group,) = self.neutron._ports[port]["resource_request"]["request_groups"]
        assert profile["allocation"] == {group["id"]: self.providers[SECOND]}
        (claimed,) = self.claimed(server)
        # Nova finds no port's name by the id of a group, so the function may be one of the other port.
        assert profile["pci_slot"] == claimed
        assert self.ways(server) == [(2, 12.0)]
        assert (self.used(FIRST), self.used(SECOND)) == (0, 1_100_000)
        self.delete(server)
        self.wait_until(lambda: self.used(SECOND) == 0, "Placement has it back")

    def test_the_first_way_of_several_is_the_one_that_was_given_out(self) -> None:
        self.give(self.providers[FIRST], GBPS)
        port = self.guaranteed_port(2 * GBPS, share=0.2, redundancy=2)
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=[{"port": port}])
        assert self.ways(server) == [(2, 20.0), (1, 20.0)]
        self.delete(server)

    def test_more_than_the_ports_have_finds_no_host(self) -> None:
        self.give(self.providers[FIRST], GBPS)
        server = self.boot(
            flavor_id=self.make_flavor(memory_mb=512),
            networks=[{"port": self.guaranteed_port(6 * GBPS, share=0.6)}],
        )
        message = self.boot_fails(networks=[{"port": self.guaranteed_port(5 * GBPS, share=0.5)}])
        assert "No valid host was found" in message
        self.delete(server)

    def test_room_that_others_have_taken_meanwhile_fails_with_the_reason(self) -> None:
        """Placement is behind until the network agent has reported."""
        self.give(self.providers[FIRST], GBPS)
        taker = self.direct_port(1, capacity="0.5")
        other = self.boot("other", flavor_id=self.make_flavor(memory_mb=512), networks=[{"port": taker}])
        ((adapter, _),) = self.ways(other)
        location = {1: FIRST, 2: SECOND}[adapter]
        self.give(self.providers[location], 10 * GBPS)
        self.give(self.providers[{1: SECOND, 2: FIRST}[adapter]], GBPS)
        message = self.boot_fails(networks=[{"port": self.guaranteed_port(6 * GBPS, location, share=0.6)}])
        assert f"was given bandwidth of SR-IOV port {location}, which cannot take it" in message
        assert "50% free" in message
        self.wait_until(lambda: self.used(location) == 0, "Placement has it back")
        self.delete(other)


class GuaranteedByPort(GuaranteedCloud):
    """A Neutron without the API extension: a request goes by the id of its port, by which Nova finds the provider."""

    neutron_fixture = base.SeaNeutron

    def test_the_claimed_device_is_of_the_port_that_was_given_out(self) -> None:
        for location, number, other in ((FIRST, 1, SECOND), (SECOND, 2, FIRST)):
            self.give(self.providers[other], GBPS)
            self.give(self.providers[location], 10 * GBPS)
            port = self.guaranteed_port(1_100_000, location)
            request = self.neutron._ports[port]["resource_request"]["request_groups"][0]
            self.neutron._ports[port]["resource_request"] = {key: request[key] for key in ("required", "resources")}
            server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=[{"port": port}])
            profile = self.neutron._ports[port]["binding:profile"]
            assert profile["allocation"] == self.providers[location]
            (claimed,) = self.claimed(server)
            assert profile["pci_slot"] == claimed
            assert claimed.startswith(f"{number:04x}:00:")
            assert self.ways(server) == [(number, 12.0)]
            self.delete(server)
            self.wait_until(lambda where=location: self.used(where) == 0, "Placement has it back")


class GuaranteedSpawning(GuaranteedCloud, Spawning):
    """A spawn with guaranteed bandwidth, of which any request can be struck."""

    fresh_s = 0.0

    def spawn(self, number: int, expected: str | None = None) -> dict[str, Any]:
        self.give(self.providers[FIRST], GBPS)
        server = self.boot(
            f"web-{number}",
            flavor_id=self.flavor_id,
            networks=[{"port": self.guaranteed_port(1_100_000)}],
            config_drive=True,
            expected=None,
        )
        return self.finished(server, expected)

    def strike(self, number: int, fault: Any) -> str:
        free = self.free_devices()
        outcome = super().strike(number, fault)
        self.wait_until(lambda: self.free_devices() == free, "Nova has its devices back")
        self.wait_until(lambda: self.used(SECOND) == 0, "Placement has its bandwidth back")
        return outcome


@pytest.mark.full
class GuaranteedSpawnSweep(InTurn, GuaranteedSpawning):
    """Afterwards no logical port is left, and Nova and Placement have all that they gave."""
