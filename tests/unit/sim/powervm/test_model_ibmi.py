"""IBM i partitions of the simulated system: where they can be made, and how they start and stop."""

from __future__ import annotations

import pytest
from tests.unit.sim.powervm.rich_world import plain_world, spec

from bigiron.sim.powervm.errors import BadRequest, JobFailed
from bigiron.sim.powervm.model import lpars, power
from bigiron.sim.powervm.model.partition import OFF, RMC_INACTIVE, RUNNING, SHUTTING_DOWN, Lpar
from bigiron.sim.powervm.model.world import World


def ibm_i(world: World, **fields: object) -> Lpar:
    return lpars.create(world, spec("ibmi1", type="OS400", fields={"restricted_io": True, **fields}))


def test_it_needs_restricted_io_where_there_is_no_native_io() -> None:
    world = plain_world()
    with pytest.raises(BadRequest, match="IsRestrictedIOPartition"):
        ibm_i(world, restricted_io=False)
    world.system.capabilities["IBMiNativeIOCapable"] = True
    assert not ibm_i(world, restricted_io=False).restricted_io


def test_a_system_without_ibm_i_makes_none() -> None:
    world = plain_world()
    world.system.capabilities["IBMiCapable"] = False
    with pytest.raises(BadRequest, match="cannot run IBM i"):
        ibm_i(world)


def test_its_ipl_source_is_of_the_start_and_another_partition_has_none() -> None:
    world = plain_world()
    lpar, linux = ibm_i(world), lpars.create(world, spec("linux1"))
    with pytest.raises(JobFailed, match="iIPLsource 'z'"):
        power.begin_on(world, lpar, "norm", None, ipl_source="z")
    with pytest.raises(JobFailed, match="is for IBM i"):
        power.begin_on(world, linux, "norm", None, ipl_source="b")
    with pytest.raises(JobFailed, match="keylock 'open'"):
        power.begin_on(world, lpar, "norm", "open")
    power.begin_on(world, lpar, "norm", "manual", ipl_source="d")
    power.finish_on(world, lpar)
    assert (lpar.source, lpar.keylock, lpar.state) == ("d", "manual", RUNNING)


def test_the_hypervisor_asks_its_operating_system_without_rmc() -> None:
    world = plain_world()
    lpar, linux = ibm_i(world), lpars.create(world, spec("linux1"))
    for partition in (lpar, linux):
        power.begin_on(world, partition, "norm", None)
        power.finish_on(world, partition)
        partition.rmc = RMC_INACTIVE
    with pytest.raises(JobFailed, match="HSCL0DB4"):
        power.begin_off(world, linux, "osshutdown", False)
    power.begin_off(world, lpar, "osshutdown", False)
    assert lpar.state == SHUTTING_DOWN
    power.finish_off(world, lpar, False)
    assert lpar.state == OFF
