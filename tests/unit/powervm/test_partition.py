"""What the platform's states mean."""

from __future__ import annotations

from pypowervm.wrappers.base_partition import LPARState

from bigiron.model import PowerState
from bigiron.powervm.partition import POWER_STATES


def test_every_state_that_the_platform_has_is_mapped() -> None:
    states = {value for name, value in vars(LPARState).items() if name.isupper()}
    assert len(states) > 10
    assert POWER_STATES.keys() == states


def test_only_what_cannot_run_counts_as_stopped() -> None:
    stopped = {state for state, power in POWER_STATES.items() if power is PowerState.STOPPED}
    assert stopped == {LPARState.NOT_ACTIVATED, LPARState.MIGRATING_NOT_ACTIVE}
