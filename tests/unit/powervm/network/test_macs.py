"""The platform's spelling of the addresses that a guest may use."""

from __future__ import annotations

import pytest

from bigiron.powervm.network import macs

ONE, TWO = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"


@pytest.mark.parametrize(
    ("value", "wire"), [(macs.ALL, "ALL"), (macs.NONE, "NONE"), (f"{ONE},{TWO}", "FA163E000001 FA163E000002")]
)
def test_a_value_comes_back_as_it_went(value: str, wire: str) -> None:
    assert macs.to_wire(value) == wire
    assert macs.from_wire(wire) == value


def test_an_order_of_its_own_is_no_difference() -> None:
    assert macs.from_wire("FA163E000002 FA163E000001") == macs.listed([TWO, ONE]) == f"{ONE},{TWO}"


def test_what_is_not_said_is_allowed_and_no_address_is_none() -> None:
    assert macs.from_wire(None) == macs.ALL
    assert macs.listed([]) == macs.NONE
