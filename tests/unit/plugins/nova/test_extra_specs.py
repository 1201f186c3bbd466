"""The API's validation of `powervm:*` keys: the platform's table, loaded as nova-api loads it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from nova import exception
from nova.api.validation.extra_specs import base

from bigiron.plugins.nova import extra_specs
from bigiron.powervm import flavor

VALIDATORS = {validator.name: validator for validator in extra_specs.register()}


def test_every_key_of_the_platform_is_known_and_described() -> None:
    assert set(VALIDATORS) == {key.full_name for key in flavor.KEYS}
    assert all(isinstance(one, base.ExtraSpecValidator) and one.description for one in VALIDATORS.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proc_units", "0.5"), ("uncapped", "yes"), ("shared_weight", "255"), ("ppt_ratio", "1:4096"),
        ("processor_compatibility", "POWER10"), ("shared_proc_pool_name", "DefaultPool"), ("min_mem", "256"),
    ],
)  # fmt: skip
def test_a_good_value_passes(name: str, value: str) -> None:
    VALIDATORS[f"powervm:{name}"].validate(f"powervm:{name}", value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("proc_units", "0.01", "at least 0.05"), ("uncapped", "perhaps", "true or false"),
        ("shared_weight", "256", "from 0 to 255"), ("ppt_ratio", "1:3", "1:64"), ("secure_boot", "x", "from 0 to 9"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(exception.ValidationError) as caught:
        VALIDATORS[f"powervm:{name}"].validate(f"powervm:{name}", value)
    assert f"powervm:{name}" in str(caught.value)
    assert allowed in str(caught.value)


def test_nova_api_loads_it_by_its_entry_point_without_a_powervm_client() -> None:
    script = (
        "import sys\n"
        "sys.modules['pypowervm'] = None\n"
        "from nova.api.validation.extra_specs import validators\n"
        "from nova import exception\n"
        "validators.validate('powervm:uncapped', 'true')\n"
        "try:\n"
        "    validators.validate('powervm:no_such_key', '1')\n"
        "except exception.ValidationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "powervm:no_such_key" in done.stdout
