"""Validates `powervm:*` flavor keys when a flavor is made: loaded by nova-api, from the platform's own table."""

from __future__ import annotations

from typing import Any

from nova import exception
from nova.api.validation.extra_specs import base

from bigiron.errors import InvalidSpec
from bigiron.powervm import flavor

_TYPES: dict[flavor.Kind, type] = {flavor.Kind.INTEGER: int, flavor.Kind.BOOLEAN: bool}


class FlavorKeyValidator(base.ExtraSpecValidator):
    """Nova's validator of one key, which asks the platform's table what the key takes."""

    def __init__(self, key: flavor.FlavorKey) -> None:
        # Nova knows integers, booleans and strings; it shows these, and `validate` below decides.
        value: dict[str, Any] = {"type": _TYPES.get(key.kind, str)}
        if key.choices:
            value["enum"] = list(key.choices)
        super().__init__(name=key.full_name, description=f"{key.help} ({key.allowed})", value=value)
        self._key = key

    def validate(self, name: str, value: str) -> None:
        try:
            self._key.parse(value)
        except InvalidSpec as error:
            raise exception.ValidationError(error.message) from error


def register() -> list[base.ExtraSpecValidator]:
    """One validator per key; with them nova-api refuses every other key of the namespace."""
    return [FlavorKeyValidator(key) for key in flavor.KEYS]
