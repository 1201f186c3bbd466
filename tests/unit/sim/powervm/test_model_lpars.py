"""The life of partitions: what is accepted, what is refused, and what is left after it."""

from __future__ import annotations

import dataclasses

import pytest

from bigiron.sim.powervm.errors import BadRequest, Conflict, JobFailed
from bigiron.sim.powervm.model import adapters, backing, capacity, lpars, mappings, networks, pool, power
from bigiron.sim.powervm.model.partition import OFF, RUNNING, Lpar, Memory, Processors
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources.partition_parts import current_mode

from .rich_world import StillClock, plain_world, shared, spec

UUID = "0A1B2C3D-1234-4000-8000-1234567890AB"


@pytest.fixture
def world() -> World:
    return plain_world()


class TestCreate:
    def test_ids_are_the_lowest_free_ones(self, world: World) -> None:
        taken = {p.id for p in world.partitions}
        first, second = lpars.create(world, spec("a")), lpars.create(world, spec("b"))
        assert (first.id, second.id) == (max(taken) + 1, max(taken) + 2)
        lpars.delete(world, first)
        assert lpars.create(world, spec("c")).id == first.id

    def test_the_uuid_is_the_clients(self, world: World) -> None:
        assert lpars.create(world, spec("a", uuid=UUID.lower())).uuid == UUID
        with pytest.raises(Conflict, match="already exists"):
            lpars.create(world, spec("b", uuid=UUID))

    @pytest.mark.parametrize("name", ["", "x" * 32, "a$b", "vios1"])
    def test_names_are_checked(self, world: World, name: str) -> None:
        with pytest.raises(BadRequest, match="artition"):
            lpars.create(world, spec(name))

    @pytest.mark.parametrize(
        ("memory", "message"),
        [
            (Memory(desired=1000, minimum=256, maximum=1024), "multiple of the memory region"),
            (Memory(desired=2048, minimum=256, maximum=1024), "minimum <= desired <= maximum"),
            (Memory(desired=1024 * 1024, minimum=256, maximum=1024 * 1024), "are available"),
        ],
    )
    def test_memory_is_checked(self, world: World, memory: Memory, message: str) -> None:
        with pytest.raises(BadRequest, match=message):
            lpars.create(world, spec("a", memory=memory))

    @pytest.mark.parametrize(
        ("processors", "message"),
        [
            (shared(units=0.05, vcpus=2, max_vcpus=2, min_units=0.05), "too few for 2 virtual"),
            (shared(units=2.0, max_units=2.0), "more than its 1 virtual"),
            (shared(units=1.0, max_units=0.5), "minimum <= desired <= maximum"),
            (shared(pool=9), "no shared processor pool 9"),
            (shared(vcpus=1, max_vcpus=1000), "exceed the 256"),
            (Processors(dedicated=True, vcpus=99, min_vcpus=1, max_vcpus=99), "are available"),
        ],
    )
    def test_processors_are_checked(self, world: World, processors: Processors, message: str) -> None:
        with pytest.raises(BadRequest, match=message):
            lpars.create(world, spec("a", processors=processors))

    def test_unknown_compatibility_modes_are_refused(self, world: World) -> None:
        with pytest.raises(BadRequest, match="POWER99"):
            lpars.create(world, spec("a", fields={"compatibility_mode": "POWER99"}))

    def test_the_host_is_full_at_its_limit(self, world: World) -> None:
        world.system.max_partitions = sum(1 for _ in world.partitions) + 1
        lpars.create(world, spec("a"))
        with pytest.raises(BadRequest, match="cannot hold more"):
            lpars.create(world, spec("b"))

    def test_capacity_is_taken_and_given_back(self, world: World) -> None:
        memory, units, version = capacity.memory_free(world), capacity.units_free(world), world.system.version
        made = lpars.create(world, spec("a"))
        assert (capacity.memory_free(world), capacity.units_free(world)) == (memory - 2048, units - 0.5)
        assert world.system.version > version
        lpars.delete(world, made)
        assert (capacity.memory_free(world), capacity.units_free(world)) == (memory, units)

    def test_a_refused_creation_changes_nothing(self, world: World) -> None:
        before = world.to_state()
        with pytest.raises(BadRequest):
            lpars.create(world, spec("a", uuid=UUID, memory=Memory(desired=1000, minimum=256, maximum=1024)))
        assert world.to_state() == before


class TestUpdate:
    def test_all_or_nothing(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        with pytest.raises(BadRequest):
            lpars.update(world, made, spec("b", memory=Memory(desired=1024 * 1024, minimum=256, maximum=1024 * 1024)))
        assert (made.name, made.memory.desired) == ("a", 2048)

    def test_a_running_partition_is_resized_only_with_rmc(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        made.state = RUNNING
        bigger = spec("a", memory=Memory(desired=3072, minimum=1024, maximum=4096))
        with pytest.raises(BadRequest, match="RMC state"):
            lpars.update(world, made, bigger)
        made.rmc = "active"
        lpars.update(world, made, bigger)
        assert made.memory.desired == 3072
        with pytest.raises(BadRequest, match="minimum and maximum memory cannot change"):
            lpars.update(world, made, spec("a", memory=Memory(desired=3072, minimum=1024, maximum=8192)))

    def test_slots_change_while_it_is_off_and_not_below_those_in_use(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        adapters.create(world, made, adapters.AdapterSpec(switch_id=0, pvid=1, slot=20))
        for slots, allowed in ((100, True), (21, True), (20, False)):
            change = lpars.PartitionSpec(fields={"max_slots": slots})
            if allowed:
                lpars.update(world, made, change)
                assert made.max_slots == slots
            else:
                with pytest.raises(BadRequest, match="slot 20: MaximumVirtualIOSlots must be above"):
                    lpars.update(world, made, change)
        made.state, made.rmc = RUNNING, "active"
        with pytest.raises(BadRequest, match="running: its MaximumVirtualIOSlots"):
            lpars.update(world, made, lpars.PartitionSpec(fields={"max_slots": 200}))
        lpars.update(world, made, lpars.PartitionSpec(fields={"max_slots": 21}))

    def test_a_running_partition_keeps_its_limits(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        made.state, made.rmc = RUNNING, "active"
        more = dataclasses.replace(made.processors, max_vcpus=made.processors.max_vcpus + 1)
        with pytest.raises(BadRequest, match="minimum and maximum processors cannot change"):
            lpars.update(world, made, spec("a", processors=more))
        table = dataclasses.replace(made.memory, physical_page_table_ratio=2)
        with pytest.raises(BadRequest, match="page table ratio cannot change"):
            lpars.update(world, made, spec("a", memory=table))
        made.state = OFF
        lpars.update(world, made, spec("a", processors=more, memory=table))
        assert (made.processors.max_vcpus, made.memory.physical_page_table_ratio) == (more.max_vcpus, 2)


class TestDelete:
    def test_its_networks_and_client_adapters_go_and_its_server_adapters_stay(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        adapters.create(world, made, adapters.AdapterSpec(switch_id=0, pvid=500))
        unit = pool.create(world, world.state.pools[0].tiers[0], pool.UnitSpec("boot", 1))
        mappings.connect(world, world.vioses[0], made, backing.UNIT, unit.udid)
        lpars.delete(world, made)
        assert networks.find(world, 0, 500) is None
        (server,) = world.vioses[0].servers
        assert (server.client, server.client_id) == (None, made.id)

    def test_a_running_one_and_the_management_partition_are_refused(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        made.state = RUNNING
        with pytest.raises(BadRequest, match="HSCL1552"):
            lpars.delete(world, made)
        management = world.management
        assert isinstance(management, Lpar)
        management.state = OFF
        with pytest.raises(BadRequest, match="management partition"):
            lpars.delete(world, management)


class TestPower:
    def test_states_events_and_hooks_in_turn(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        seen: list[object] = []
        world.subscribe(lambda kind, path, detail: seen.append((kind, path, detail)))
        world.power_hooks.append(lambda lpar, on: seen.append((lpar.name, on)))
        power.begin_on(world, made, "norm", None)
        assert made.state == "starting"
        power.finish_on(world, made)
        event = ("MODIFY_URI", f"LogicalPartition/{made.uuid}", "PartitionState")
        assert seen == [event, event, ("a", True)]

    def test_what_is_already_so_is_told_by_its_code(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        with pytest.raises(JobFailed, match="HSCL1558"):
            power.begin_off(world, made, "shutdown", False)
        power.begin_on(world, made, "norm", None)
        with pytest.raises(JobFailed, match="HSCL3681"):
            power.begin_on(world, made, "norm", None)

    def test_the_operating_system_is_asked_only_through_rmc(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        power.begin_on(world, made, "norm", None)
        power.finish_on(world, made)
        with pytest.raises(JobFailed, match="HSCL0DB4"):
            power.begin_off(world, made, "osshutdown", False)
        asked: list[str] = []
        world.shutdown_hooks.append(lambda lpar: asked.append(lpar.name))
        made.rmc = "active"
        power.begin_off(world, made, "osshutdown", False)
        assert asked == ["a"]

    @pytest.mark.parametrize(("call", "word"), [("warp", "bootmode"), ("explode", "operation")])
    def test_unknown_parameters_are_refused(self, world: World, call: str, word: str) -> None:
        made = lpars.create(world, spec("a"))
        with pytest.raises(JobFailed, match=word):
            if word == "bootmode":
                power.begin_on(world, made, call, None)
            else:
                power.begin_off(world, made, call, False)

    def test_accepted_jobs_can_be_taken_back(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        power.begin_on(world, made, "norm", None)
        power.cancel_on(world, made)
        power.finish_on(world, made)
        assert made.state == OFF
        made.state = RUNNING
        power.begin_off(world, made, "shutdown", False)
        power.cancel_off(world, made)
        power.finish_off(world, made, restart=False)
        assert made.state == RUNNING

    def test_a_processor_mode_counts_from_the_next_start(self, world: World) -> None:
        made = lpars.create(world, spec("a", fields={"compatibility_mode": "POWER8"}))
        power.begin_on(world, made, "norm", None)
        power.finish_on(world, made)
        lpars.update(world, made, lpars.PartitionSpec(fields={"compatibility_mode": "POWER9"}))
        assert current_mode(world, made) == "POWER8"
        power.begin_off(world, made, "shutdown", True)
        power.finish_off(world, made, restart=True)
        assert current_mode(world, made) == "POWER9"

    def test_a_vios_that_changes_its_state_changes_its_cluster(self, world: World) -> None:
        [cluster], vios = world.state.clusters, world.vioses[0]
        world.rmc_seconds = 30.0
        seen = [cluster.version]

        def grew() -> bool:
            seen.append(cluster.version)
            return seen[-1] > seen[-2]

        power.begin_off(world, vios, "shutdown", False)
        assert grew()
        power.finish_off(world, vios, restart=True)
        assert grew()
        assert isinstance(world.clock, StillClock)
        world.clock.time += 31
        world.settle()
        assert grew()
        lpars.update(world, vios, lpars.PartitionSpec(name="renamed"))
        assert grew()

    def test_rmc_follows_a_while_after_the_start(self, world: World) -> None:
        clock = world.clock
        assert isinstance(clock, StillClock)
        world.rmc_seconds = 30.0
        made = lpars.create(world, spec("a"))
        adapters.create(world, made, adapters.AdapterSpec(switch_id=1, pvid=4094))
        power.begin_on(world, made, "norm", None)
        power.finish_on(world, made)
        world.settle()
        assert made.rmc == "inactive"
        clock.time += 31
        world.settle()
        assert made.rmc == "active"

    def test_a_vios_without_adapters_is_reached_again_after_a_restart(self, world: World) -> None:
        vios = world.vioses[0]
        vios.adapters.clear()
        power.begin_off(world, vios, "shutdown", False)
        power.finish_off(world, vios, restart=False)
        assert not vios.is_up
        power.begin_on(world, vios, "norm", None)
        power.finish_on(world, vios)
        assert vios.is_up

    def test_a_job_cut_off_by_a_stop_ends_at_the_next_start(self, world: World) -> None:
        made = lpars.create(world, spec("a"))
        power.begin_on(world, made, "norm", None)
        again = World.from_state(world.to_state(), StillClock())
        found = again.partition(made.uuid)
        assert found is not None
        assert found.state == RUNNING
