"""How dataclasses turn into JSON-able values and back: a simulator's whole state is written and read this way."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def dump(value: Any) -> Any:
    """A dataclass, sequence or dict as JSON-able values."""
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        return {name: dump(getattr(value, name)) for name in _names(kind)}
    if isinstance(value, (list, tuple)):
        return [dump(v) for v in value]
    if isinstance(value, dict):
        return {k: dump(v) for k, v in value.items()}
    return value


def load(cls: type[T], data: typing.Mapping[str, Any]) -> T:
    """The dataclass that `dump` gave this value for; unknown keys are refused, missing ones take their defaults."""
    kind: Any = cls
    hints = _hints(kind)
    unknown = set(data) - set(hints)
    if unknown:
        raise ValueError(f"{cls.__name__} has no {', '.join(sorted(unknown))}: the state is of another version")
    return cls(**{key: _convert(hints[key], value) for key, value in data.items()})


def _convert(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert(next(a for a in typing.get_args(hint) if a is not type(None)), value)
    if origin is list:
        return [_convert(typing.get_args(hint)[0], v) for v in value]
    if origin is tuple:
        return tuple(_convert(typing.get_args(hint)[0], v) for v in value)
    if origin is dict:
        return {k: _convert(typing.get_args(hint)[1], v) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return load(typing.cast(type, hint), value)
    return value


@functools.cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls))


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {name: hints[name] for name in _names(cls)}
