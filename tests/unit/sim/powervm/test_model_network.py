"""Client adapters, virtual networks and bridges."""

from __future__ import annotations

import pytest

from bigiron.sim.powervm.errors import BadRequest, Busy, NotFound
from bigiron.sim.powervm.model import adapters, bridges, lpars, networks, slots
from bigiron.sim.powervm.model.adapters import AdapterSpec
from bigiron.sim.powervm.model.bridges import TrunkSpec
from bigiron.sim.powervm.model.partition import OFF, RUNNING, Lpar
from bigiron.sim.powervm.model.world import World

from .rich_world import plain_world, spec


@pytest.fixture
def world() -> World:
    return plain_world()


@pytest.fixture
def lpar(world: World) -> Lpar:
    return lpars.create(world, spec("a"))


class TestAdapters:
    def test_slots(self, world: World, lpar: Lpar) -> None:
        def slot(**asked: object) -> int:
            return adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=1, **asked)).slot  # type: ignore[arg-type]

        assert [slot(), slot(), slot(slot=9), slot(high_slot=True), slot()] == [2, 3, 9, 10, 4]
        with pytest.raises(BadRequest, match=r"Slot 9 .* already in use"):
            slot(slot=9)
        with pytest.raises(BadRequest, match=r"outside 2\.\.63"):
            slot(slot=64)

    def test_all_slots_in_use(self, world: World, lpar: Lpar) -> None:
        lpar.max_slots = 4
        for _ in range(2):
            adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=1))
        with pytest.raises(BadRequest, match="All 4 virtual slots"):
            adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=1))

    def test_addresses_are_unique(self, world: World, lpar: Lpar) -> None:
        made = adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=1, mac="fa:16:3e:00:00:01"))
        assert made.mac == "FA163E000001"
        with pytest.raises(BadRequest, match="already in use by partition a"):
            adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=2, mac="FA163E000001"))
        with pytest.raises(BadRequest, match="not a unicast"):
            adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=2, mac="01:00:5e:00:00:01"))

    def test_the_addresses_of_a_guest_are_changed_while_it_is_off(self, world: World, lpar: Lpar) -> None:
        def asked(text: str) -> AdapterSpec:
            return AdapterSpec(switch_id=0, pvid=1, extras={"allowed_macs": text})

        made = adapters.create(world, lpar, asked("none"))
        assert made.allowed_macs == "NONE"
        adapters.update(world, lpar, made, asked("fa:16:3e:00:00:01 FA163E000002"))
        assert made.allowed_macs == "FA163E000001 FA163E000002"
        for wrong in ("SOME", " ".join(f"FA163E00000{n}" for n in range(5))):
            with pytest.raises(BadRequest, match="ALL, NONE or 1 to 4"):
                adapters.update(world, lpar, made, asked(wrong))
        lpar.state = RUNNING
        adapters.update(world, lpar, made, asked("FA163E000001 FA163E000002"))
        with pytest.raises(BadRequest, match="Power it off first"):
            adapters.update(world, lpar, made, asked("ALL"))

    @pytest.mark.parametrize(
        ("pvid", "tagged", "message"),
        [(0, (), "outside"), (4095, (), "outside"), (1, tuple(range(2, 23)), "20 tagged"), (5, (5,), "must differ")],
    )
    def test_vlans_are_checked(
        self, world: World, lpar: Lpar, pvid: int, tagged: tuple[int, ...], message: str
    ) -> None:
        with pytest.raises(BadRequest, match=message):
            adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=pvid, tagged=tagged))

    def test_an_unknown_switch_is_refused(self, world: World, lpar: Lpar) -> None:
        with pytest.raises(NotFound, match="id 7"):
            adapters.create(world, lpar, AdapterSpec(switch_id=7, pvid=1))

    def test_a_vlan_has_one_trunk_of_a_priority(self, world: World, lpar: Lpar) -> None:
        adapters.create(world, lpar, AdapterSpec(switch_id=1, pvid=9, trunk_priority=1))
        with pytest.raises(BadRequest, match="already has a trunk adapter of priority 1"):
            adapters.create(world, lpar, AdapterSpec(switch_id=1, pvid=8, tagged=(9,), trunk_priority=1))

    def test_a_running_partition_needs_rmc(self, world: World, lpar: Lpar) -> None:
        made = adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=1))
        lpar.state = RUNNING
        with pytest.raises(BadRequest, match="HSCL294D"):
            adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=2))
        with pytest.raises(BadRequest, match="HSCL294D"):
            adapters.delete(world, lpar, made)
        lpar.rmc = "active"
        adapters.delete(world, lpar, made)
        assert lpar.adapters == []

    def test_networks_follow_the_adapters(self, world: World, lpar: Lpar) -> None:
        made = adapters.create(world, lpar, AdapterSpec(switch_id=0, pvid=70, tagged=(71,)))
        assert {n.vlan for n in world.state.networks if n.switch_id == 0} >= {70, 71}
        adapters.update(world, lpar, made, AdapterSpec(switch_id=0, pvid=72))
        assert networks.find(world, 0, 70) is None
        assert networks.find(world, 0, 72) is not None


class TestBridges:
    def specs(self, world: World, extra: dict[int, list[TrunkSpec]]) -> dict[str, list[TrunkSpec]]:
        bridge = world.state.bridges[0]
        return {
            sea.vios: [TrunkSpec(sea.trunks[0].slot, sea.trunks[0].pvid), *extra.get(n, [])]
            for n, sea in enumerate(bridge.seas)
        }

    def test_a_new_trunk_takes_the_priority_of_its_sea(self, world: World) -> None:
        bridge = world.state.bridges[0]
        new = TrunkSpec(None, 4094, (100,), 1)
        bridges.apply_trunks(world, bridge, self.specs(world, {0: [new], 1: [new]}))
        assert [s.trunks[1].trunk_priority for s in bridge.seas] == [1, 2]
        assert len({t.mac for s in bridge.seas for t in s.trunks}) == 4
        assert networks.find(world, 0, 100) is not None
        bridges.apply_trunks(world, bridge, self.specs(world, {}))
        assert [len(s.trunks) for s in bridge.seas] == [1, 1]
        assert networks.find(world, 0, 100) is None

    def test_failover_peers_must_agree(self, world: World) -> None:
        before = world.to_state()
        with pytest.raises(BadRequest, match="must have the same VLANs"):
            bridges.apply_trunks(world, world.state.bridges[0], self.specs(world, {0: [TrunkSpec(None, 4094, (100,))]}))
        assert world.to_state() == before

    @pytest.mark.parametrize(
        ("trunk", "message"),
        [
            (TrunkSpec(None, 4094, (1,)), "VLAN 1 is on SEA .* twice"),
            (TrunkSpec(None, 4094, tuple(range(100, 121))), "20 tagged VLANs"),
            (TrunkSpec(None, 4095), "outside"),
            (TrunkSpec(77, 4094), "no trunk adapter in slot 77"),
        ],
    )
    def test_trunks_are_checked(self, world: World, trunk: TrunkSpec, message: str) -> None:
        with pytest.raises(BadRequest, match=message):
            bridges.apply_trunks(world, world.state.bridges[0], self.specs(world, {0: [trunk], 1: [trunk]}))

    def test_the_primary_trunk_stays(self, world: World) -> None:
        with pytest.raises(BadRequest, match="primary trunk adapter"):
            bridges.apply_trunks(world, world.state.bridges[0], {s.vios: [] for s in world.state.bridges[0].seas})

    def test_an_orphan_trunk_blocks_its_vlan(self, world: World) -> None:
        vios = world.vioses[0]
        orphan = bridges.new_trunk(world, vios, 0, 55, 1)
        vios.trunks.append(orphan)
        new = TrunkSpec(None, 4094, (55,))
        with pytest.raises(BadRequest, match="already carried by trunk adapter"):
            bridges.apply_trunks(world, world.state.bridges[0], self.specs(world, {0: [new], 1: [new]}))

    def test_one_reachable_vios_is_enough_and_none_is_not(self, world: World) -> None:
        new = TrunkSpec(None, 4094, (100,))
        world.vioses[1].state = OFF
        bridges.apply_trunks(world, world.state.bridges[0], self.specs(world, {0: [new], 1: [new]}))
        world.vioses[0].rmc = "inactive"
        with pytest.raises(Busy, match="vios1 and vios2 are down"):
            bridges.apply_trunks(world, world.state.bridges[0], self.specs(world, {}))

    def test_the_control_channel_is_no_trunk(self, world: World) -> None:
        vios = world.vioses[0]
        (channel,) = vios.adapters
        assert (channel.pvid, channel.trunk_priority) == (4000, None)
        assert slots.seas_of(world, vios)[0].control_channel == channel.device
