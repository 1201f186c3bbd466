"""Running totals of loads: closed formulas that never fall, whatever changes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigiron.sim.kernel.load import IDLE, PROFILES
from bigiron.sim.powervm.pcm.load import Meter, Share

SHARED = Share(entitled=0.5, limit=2.0, pool=0)
CAPPED = Share(entitled=0.5, limit=0.5, pool=0)
OWN = Share(entitled=2.0, limit=2.0, pool=None)
DONATING = Share(entitled=2.0, limit=2.0, pool=None, donates=True)


def meter(profile: str, share: Share = SHARED) -> Meter:
    return Meter(1000.0, 1000.0, profile, share)


def test_idle_takes_two_percent_of_the_entitlement() -> None:
    used = meter(IDLE).at(1100)
    assert (used.entitled, used.busy) == (pytest.approx(50), pytest.approx(1))


def test_steady_takes_more_all_the_time() -> None:
    assert meter("steady").at(1010).busy == pytest.approx(0.6 * 0.5 * 10)
    assert meter("steady").at(1100).busy == pytest.approx(0.6 * 0.5 * 100)


def test_a_burst_goes_beyond_the_entitlement_where_the_partition_may() -> None:
    before, after = meter("burst").at(1240), meter("burst").at(1300)
    assert before.uncapped == 0
    assert after.uncapped - before.uncapped == pytest.approx(0.5 * 60)
    assert meter("burst", CAPPED).at(1300).uncapped == 0
    assert meter("burst", CAPPED).at(1300).capped == pytest.approx(0.1 * 0.5 * 240 + 0.5 * 60)


def test_processors_of_its_own_are_dispatched_also_while_idle() -> None:
    used = meter(IDLE, OWN).at(1100)
    assert used.capped == used.entitled == pytest.approx(200)
    assert used.busy == pytest.approx(4)


def test_processors_that_are_given_away_while_idle_are_not_idle() -> None:
    used = meter("steady", DONATING).at(1100)
    assert (used.idle, used.donated, used.busy) == (0, pytest.approx(80), pytest.approx(120))


def test_work_waits_where_no_more_processors_may_be_used() -> None:
    assert meter("burst").at(1300).waiting == 0
    assert meter("burst", CAPPED).at(1300).waiting == meter("burst", CAPPED).at(1540).waiting == pytest.approx(0.5 * 60)


def test_nothing_is_used_before_the_start() -> None:
    assert meter("steady").at(900).busy == 0


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5000), st.sampled_from(sorted(PROFILES)), st.sampled_from([SHARED, CAPPED, OWN, DONATING])
        ),
        max_size=8,
    )
)
def test_totals_never_fall(changes: list[tuple[float, str, Share]]) -> None:
    now, running = 1000.0, meter(IDLE)
    totals = [running.at(now)]
    for seconds, profile, share in changes:
        now += seconds
        totals.append(running.at(now))
        running = running.changed(now, profile, share)
        totals.append(running.at(now))
    totals.append(running.at(now + 100))
    for earlier, later in itertools.pairwise(totals):
        for name in ("entitled", "capped", "uncapped", "idle", "donated", "waiting", "busy"):
            assert getattr(later, name) >= getattr(earlier, name) - 1e-6
