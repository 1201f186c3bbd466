"""The table of `powervm:*` keys: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigiron.errors import InvalidSpec
from bigiron.powervm import flavor
from bigiron.powervm.flavor import Kind, LparShape


def shape(memory_mb: int = 2048, vcpus: int = 2, **keys: str) -> LparShape:
    options = {f"powervm:{name}": value for name, value in keys.items()}
    return flavor.parse(options, memory_mb, vcpus, proc_units_factor=0.1, weight=64)


def test_defaults_follow_the_flavor() -> None:
    made = shape()
    assert (made.memory_mb, made.min_memory_mb, made.max_memory_mb) == (2048, 2048, 2048)
    assert (made.vcpus, made.min_vcpus, made.max_vcpus) == (2, 2, 2)
    assert (made.proc_units, made.min_proc_units, made.max_proc_units) == (0.2, 0.2, 0.2)
    assert (made.uncapped, made.weight, made.dedicated, made.remote_restart) == (True, 64, False, True)
    assert made.availability_priority is None and made.secure_boot is None


def test_every_key_reaches_the_shape() -> None:
    made = shape(
        min_mem="1024", max_mem="4096", min_vcpu="1", max_vcpu="4", proc_units="0.5", min_proc_units="0.1",
        max_proc_units="2", shared_weight="200", availability_priority="200", enable_lpar_metric="yes",
        ppt_ratio="1:128", enforce_affinity_check="True", secure_boot="2", uncapped="false",
        processor_compatibility="POWER9", shared_proc_pool_name="gold", srr_capability="no",
    )  # fmt: skip
    assert (made.min_memory_mb, made.max_memory_mb) == (1024, 4096)
    assert (made.min_vcpus, made.max_vcpus) == (1, 4)
    assert (made.proc_units, made.min_proc_units, made.max_proc_units) == (0.5, 0.1, 2.0)
    assert (made.weight, made.availability_priority, made.secure_boot) == (200, 200, 2)
    assert (made.collect_metrics, made.uncapped, made.remote_restart) == (True, False, False)
    assert (made.page_table_ratio, made.processor_mode, made.pool) == ("1:128", "POWER9", "gold")
    assert made.enforce_affinity_check is True
    assert made.processors == 0.5


def test_dedicated_processors_are_whole() -> None:
    made = shape(vcpus=3, dedicated_proc="true", dedicated_sharing_mode="share_idle_procs_always")
    assert made.dedicated and made.processors == 3.0
    assert made.dedicated_sharing == "sre idle procs always"


def test_a_plus_in_the_processor_mode_is_spelled_as_the_platform_does() -> None:
    assert shape(processor_compatibility="power6+_enhanced").processor_mode == "POWER6_Plus_Enhanced"


def test_a_default_entitlement_gives_way_to_the_bounds() -> None:
    assert shape(min_proc_units="0.5", max_proc_units="1").proc_units == 0.5
    assert shape(vcpus=8, max_proc_units="0.4").proc_units == 0.4
    wide = shape(vcpus=1, max_vcpu="8")
    assert wide.max_proc_units == 0.4


def test_keys_of_others_are_none_of_our_business() -> None:
    assert flavor.values({"hw:cpu_policy": "dedicated", "trait:CUSTOM_X": "required"}) == {}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"proc_unit": "1"}, "powervm:proc_unit is not known"),
        ({"min_mem": "64"}, "powervm:min_mem is '64', and must be a whole number of at least 128"),
        ({"min_mem": "4096"}, "powervm:min_mem is 4096, and must be at most the flavor's memory in MB, 2048"),
        ({"max_mem": "1024"}, "powervm:max_mem is 1024, and must be at least"),
        ({"min_vcpu": "3"}, "powervm:min_vcpu is 3, and must be at most"),
        ({"max_vcpu": "1"}, "powervm:max_vcpu is 1, and must be at least"),
        ({"proc_units": "0.04"}, "powervm:proc_units is '0.04', and must be a number of at least 0.05"),
        ({"proc_units": "0.06"}, "must be a number from 0.1 to 2 for vcpus=2"),
        ({"proc_units": "2.5"}, "must be a number from 0.1 to 2 for vcpus=2"),
        ({"proc_units": "nan"}, "powervm:proc_units is 'nan'"),
        ({"proc_units": "inf"}, "powervm:proc_units is 'inf'"),
        ({"proc_units": "half"}, "powervm:proc_units is 'half'"),
        ({"shared_weight": "256"}, "must be a whole number from 0 to 255"),
        ({"availability_priority": "-1"}, "must be a whole number from 0 to 255"),
        ({"dedicated_proc": "maybe"}, "must be true or false"),
        ({"ppt_ratio": "1:100"}, "must be one of 1:64"),
        ({"secure_boot": "10"}, "must be a whole number from 0 to 9"),
        ({"processor_compatibility": "POWER5"}, "must be one of default"),
        ({"dedicated_sharing_mode": "share"}, "must be one of share_idle_procs"),
        ({"dedicated_sharing_mode": "keep_idle_procs"}, "while powervm:dedicated_proc is not true"),
        ({"dedicated_proc": "true", "proc_units": "1"}, "while powervm:dedicated_proc is true"),
        ({"shared_proc_pool_name": " "}, "must be a name"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(keys: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        shape(**keys)
    assert words in refused.value.message


@given(key=st.sampled_from(flavor.KEYS), text=st.text(max_size=12))
def test_any_text_is_parsed_or_refused_and_never_anything_else(key: flavor.FlavorKey, text: str) -> None:
    try:
        value = key.parse(text)
    except InvalidSpec as refused:
        assert key.full_name in refused.message and key.allowed in refused.message
        return
    expected = {Kind.INTEGER: int, Kind.NUMBER: float, Kind.BOOLEAN: bool, Kind.CHOICE: str, Kind.TEXT: str}
    assert type(value) is expected[key.kind]


@given(
    vcpus=st.integers(1, 64),
    low=st.integers(1, 64),
    high=st.integers(1, 64),
    units=st.none() | st.floats(0.05, 64).map(lambda value: round(value, 2)),
)
def test_an_accepted_shape_keeps_the_platform_s_rules(vcpus: int, low: int, high: int, units: float | None) -> None:
    keys = {"min_vcpu": str(low), "max_vcpu": str(high)} | ({"proc_units": str(units)} if units else {})
    try:
        made = shape(vcpus=vcpus, **keys)
    except InvalidSpec:
        return
    assert made.min_vcpus <= made.vcpus <= made.max_vcpus
    assert made.min_proc_units <= made.proc_units <= made.max_proc_units
    for count, share in (
        (made.vcpus, made.proc_units),
        (made.min_vcpus, made.min_proc_units),
        (made.max_vcpus, made.max_proc_units),
    ):
        assert round(count * 0.05, 2) <= round(share, 2) <= count


def test_the_table_needs_no_client_of_the_platform() -> None:
    code = (
        "import sys, bigiron.powervm.flavor\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'pypowervm', 'lxml', 'requests', 'oslo_config'}, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
