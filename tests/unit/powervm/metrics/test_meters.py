"""Guests' figures from one reading to the next, whatever happens in between."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.powervm.metrics.samples import HERTZ, hypervisor, memory, partition, traffic, vios

from bigiron.powervm.metrics.documents import FibreLink, HypervisorSample, ScsiLink
from bigiron.powervm.metrics.guests import Meters, Usage
from bigiron.powervm.metrics.monitor import Reading

SECOND = 1_000_000_000
GUEST = "2545BCC5-BAE8-4414-AD49-EAFC2DEE2546"
MACS = {GUEST: {"V2-C2": "fa:16:3e:00:00:01", "V2-C3": "fa:16:3e:00:00:02", "V2-C9": "02:00:00:00:00:01"}}


def cycles(seconds: float) -> int:
    return int(seconds * HERTZ)


def busy(second: float, used: float, **more: Any) -> HypervisorSample:
    """The guest `second` seconds after its start, of which it kept a processor busy for `used`."""
    return hypervisor(second, [partition(GUEST, cycles(second / 2), cycles(used), **more)])


def follow(meters: Meters, sample: HypervisorSample | None, **more: Any) -> Usage:
    """The guest's figures after one more reading."""
    return meters.follow(Reading(sample, **more), MACS, {GUEST: "02:00:00:00:00:01"})[GUEST]


def used(usage: Usage) -> int:
    assert usage.processor is not None
    return usage.processor.used_ns


def test_a_fully_busy_dedicated_core_makes_a_second_in_a_second() -> None:
    meters = Meters()
    samples = [
        hypervisor(at, [partition(GUEST, cycles(at), cycles(at), pool=None, processors=1.0)]) for at in (30, 60, 90)
    ]
    made = [used(follow(meters, sample)) for sample in samples]
    assert [later - earlier for earlier, later in itertools.pairwise(made)] == [30 * SECOND, 30 * SECOND]


def test_idle_and_donated_time_is_not_used() -> None:
    one = partition(GUEST, cycles(30), cycles(30), idle=cycles(10), donated=cycles(5), waiting=cycles(2), pool=None)
    processor = follow(Meters(), hypervisor(30, [one])).processor
    assert processor is not None
    assert (processor.used_ns, processor.capped_ns) == (15 * SECOND, 30 * SECOND)
    assert (processor.idle_ns, processor.donated_ns, processor.waiting_ns) == (10 * SECOND, 5 * SECOND, 2 * SECOND)
    assert (processor.pool, processor.at) == (None, 30.0)


@given(
    st.lists(
        st.tuples(st.integers(1, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12)),
        min_size=2, max_size=10,
    )
)  # fmt: skip
def test_within_one_activation_processor_time_never_falls(readings: list[tuple[int, int, int, int]]) -> None:
    """Its parts are read one after the other, so that what they add up to could fall by a hair."""
    meters, made = Meters(), []
    for number, (capped, uncapped, idle, donated) in enumerate(readings, 1):
        one = partition(GUEST, number, capped, uncapped, idle=idle, donated=donated)
        made.append(used(follow(meters, hypervisor(30 * number, [one]))))
    assert made == sorted(made)


def test_a_partition_that_was_started_anew_counts_anew() -> None:
    meters = Meters()
    assert used(follow(meters, busy(600, 100))) == 100 * SECOND
    restarted = replace(busy(20, 3), at=630.0)
    assert used(follow(meters, restarted)) == 3 * SECOND
    assert follow(meters, hypervisor(660, [partition(GUEST, 0)])) == Usage(partition(GUEST, 0)), "it is off"


def test_a_partition_that_has_left_and_come_back_counts_anew() -> None:
    meters = Meters()
    nics = (traffic("V2-C2", 2**31),)
    follow(meters, busy(600, 100, nics=nics))
    assert meters.follow(Reading(hypervisor(630)), {}, {}) == {}
    back = follow(meters, busy(660, 100, nics=(traffic("V2-C2", 10),)))
    assert [nic.in_bytes for nic in back.nics] == [10]


def test_a_time_base_that_contradicts_the_declaration_is_measured_and_nothing_jumps() -> None:
    """Such as a declaration that is the processors' clock."""
    meters = Meters()
    fast = [replace(busy(at, at), hertz=4e9) for at in (30, 60, 90, 120, 179)]
    made = [used(follow(meters, sample)) for sample in fast]
    slow = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert slow[0] == pytest.approx(30 * SECOND / 7.8125, abs=1), "one stretch alone is not believed"
    assert slow[1:] == pytest.approx([30 * SECOND, 30 * SECOND, 59 * SECOND], abs=1)


def test_a_clock_that_was_set_is_not_another_time_base() -> None:
    meters = Meters()
    for at, told in ((600, 600), (660, 660), (720, 4320), (780, 4380), (840, 4440)):
        sample = replace(busy(at, at), hertz=None, timebase=at * HERTZ, at=float(told))
        assert used(follow(meters, sample)) == at * SECOND


def test_adapters_are_told_by_their_macs_and_the_managements_is_not() -> None:
    nics = (traffic("V2-C2", 10, out_packets=3), traffic("V2-C3", 20, in_drops=2), traffic("V2-C9", 30))
    found = follow(Meters(), busy(30, 1, nics=(*nics, traffic("V2-C7", 40))))
    assert {(nic.mac, nic.in_bytes, nic.out_packets, nic.in_drops) for nic in found.nics} == {
        ("fa:16:3e:00:00:01", 10, 3, 0),
        ("fa:16:3e:00:00:02", 20, 0, 2),
    }
    assert {nic.location for nic in found.nics} == {"V2-C2", "V2-C3"}


def test_the_logical_ports_of_a_vnic_are_added_up() -> None:
    """One carries the frames, and the next one when it fails."""
    meters = Meters()
    macs = {GUEST: {"P1-S1": "fa:16:3e:00:00:05", "P2-S1": "fa:16:3e:00:00:05"}}

    def after(second: int, first: int, second_port: int) -> int:
        ports = {GUEST: {"P1-S1": traffic("P1-S1", first), "P2-S1": traffic("P2-S1", second_port)}}
        sample = hypervisor(second, [partition(GUEST, cycles(second))], ports=ports)
        (nic,) = meters.follow(Reading(sample), macs, {})[GUEST].nics
        return nic.in_bytes

    assert after(30, 100, 1) == 101
    assert after(60, 100, 51) == 151
    assert after(90, 20, 51) == 171, "the first port was reset"


def disks(second: float, slots: dict[int, int], vios_up: float | None = None, **more: Any) -> Reading:
    """The guest's disk behind slot 7 of VIOS 1 and a channel, with the VIOS's sample and since when that runs."""
    guest = partition(
        GUEST, cycles(second), disks=(ScsiLink(1, 7), ScsiLink(2, 7)), channels=(FibreLink(1, ("c0", "c1")),)
    )  # fmt: skip
    own = partition("VIOS", cycles(second if vios_up is None else vios_up))
    sample = hypervisor(second, [guest], vioses={1: own})
    return Reading(sample, vioses={1: vios(second, slots, **more)})


def read_bytes(meters: Meters, reading: Reading) -> dict[str, int]:
    return {disk.name: disk.read_bytes for disk in meters.follow(reading, {}, {})[GUEST].disks}


def test_disks_are_told_by_the_adapters_of_the_vios() -> None:
    found = read_bytes(Meters(), disks(30, {7: 10, 8: 99}, fibre={"c1": 5, "c9": 6}))
    assert found == {"vios1-vhost7": 10, "vios1-vfc1": 5}, "of VIOS 2 nothing is known"


def test_a_vios_that_was_restarted_takes_nothing_away() -> None:
    meters = Meters()
    assert read_bytes(meters, disks(600, {7: 2**32 - 5})) == {"vios1-vhost7": 2**32 - 5}
    assert read_bytes(meters, disks(630, {7: 10}, vios_up=20)) == {"vios1-vhost7": 2**32 + 5}
    assert read_bytes(meters, disks(660, {7: 30}, vios_up=50)) == {"vios1-vhost7": 2**32 + 25}


@pytest.mark.parametrize("listed", [True, False])
def test_a_vios_that_is_long_in_starting_takes_nothing_away(listed: bool) -> None:
    """The last sample that it gave stays the newest meanwhile."""
    meters = Meters()
    old = disks(600, {7: 3 * 2**30})
    read_bytes(meters, old)
    assert old.hypervisor is not None
    off = {1: partition("VIOS", 0)} if listed else {}
    for second, vioses in ((630, off), (690, {1: partition("VIOS", cycles(20))})):
        sample = replace(disks(second, {}).hypervisor or old.hypervisor, vioses=vioses)
        assert read_bytes(meters, Reading(sample, vioses=old.vioses)) == {"vios1-vhost7": 3 * 2**30}
    assert read_bytes(meters, disks(720, {7: 10}, vios_up=50)) == {"vios1-vhost7": 3 * 2**30 + 10}
    assert read_bytes(meters, disks(750, {7: 30}, vios_up=80)) == {"vios1-vhost7": 3 * 2**30 + 30}


def test_a_counter_that_wraps_goes_on() -> None:
    meters = Meters()
    read_bytes(meters, disks(600, {7: 2**32 - 5}))
    assert read_bytes(meters, disks(630, {7: 10})) == {"vios1-vhost7": 2**32 + 10}


def test_without_the_hypervisors_document_the_others_still_tell() -> None:
    meters = Meters()
    whole = disks(600, {7: 100})
    meters.follow(whole, {}, {})
    alone = Reading(None, vioses={1: vios(630, {7: 150})}, memory={GUEST: memory(630)})
    found = meters.follow(alone, {}, {})[GUEST]
    assert [disk.read_bytes for disk in found.disks] == [150]
    assert found.memory is not None and (found.processor, found.nics) == (None, ())
    assert Meters().follow(alone, {}, {}) == {}, "nor is anything made up where nothing was known"


def test_memory_and_what_was_swapped_since_the_first_look() -> None:
    meters = Meters()
    first = follow(meters, busy(120, 1), memory={GUEST: memory(120, pages_in=256.0, pages_out=512.0)}).memory
    second = follow(meters, busy(240, 1), memory={GUEST: memory(240, pages_in=256.0, pages_out=512.0)}).memory
    again = follow(meters, busy(270, 1), memory={GUEST: memory(240, pages_in=256.0, pages_out=512.0)}).memory
    assert first is not None and second is not None
    assert (first.total_mb, first.used_mb, first.swapped_in_mb) == (2048, 512, 0)
    assert (second.swapped_in_mb, second.swapped_out_mb) == (120, 240)
    assert again == second, "the same sample adds nothing"


def test_a_rate_of_swapping_does_not_fill_a_gap() -> None:
    meters = Meters()
    follow(meters, busy(120, 1), memory={GUEST: memory(120)})
    found = follow(meters, busy(36120, 1), memory={GUEST: memory(36120, pages_in=256.0)}).memory
    assert found is not None and found.swapped_in_mb == 600, "of the last ten minutes, and not of ten hours"


def test_what_the_guests_system_does_not_know_is_none() -> None:
    told = {GUEST: memory(120, available_percent=None, pages_in=None, pages_out=None)}
    found = follow(Meters(), busy(120, 1), memory=told).memory
    assert found is not None
    assert (found.used_mb, found.swapped_in_mb, found.swapped_out_mb) == (None, None, None)
