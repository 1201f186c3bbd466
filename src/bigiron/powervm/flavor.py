"""The `powervm:*` flavor keys: ONE table of names, types and ranges, and the partition's shape that they describe.

Standard library only: the API's validator reads the same table in processes that have no PowerVM client installed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from bigiron.errors import InvalidSpec

NAMESPACE = "powervm"

MIN_MEMORY_MB = 128
MIN_PROC_UNITS = 0.05

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


class Kind(enum.Enum):
    """How a key's value is written."""

    INTEGER = "int"
    NUMBER = "float"
    BOOLEAN = "bool"
    CHOICE = "choice"
    TEXT = "str"


Value = int | float | bool | str


@dataclass(frozen=True, slots=True)
class FlavorKey:
    """A key without its namespace, the values it takes, and what it does; bounds are inclusive."""

    name: str
    kind: Kind
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{NAMESPACE}:{self.name}"

    @property
    def allowed(self) -> str:
        """The values as a person reads them."""
        if self.kind is Kind.BOOLEAN:
            return "true or false"
        if self.kind is Kind.CHOICE:
            return "one of " + ", ".join(self.choices)
        if self.kind is Kind.TEXT:
            return "a name"
        what = "a whole number" if self.kind is Kind.INTEGER else "a number"
        if self.low is not None and self.high is not None:
            return f"{what} from {self.low:g} to {self.high:g}"
        return f"{what} of at least {self.low:g}" if self.low is not None else what

    def parse(self, text: str) -> Value:
        """The value; raises InvalidSpec naming the key, the value and what is allowed."""
        try:
            value = self._convert(str(text).strip())
        except ValueError:
            value = None
        in_range = not isinstance(value, (int, float)) or (
            (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        )
        if value is None or not in_range:
            raise InvalidSpec(f"Flavor key {self.full_name} is {text!r}, and must be {self.allowed}.")
        return value

    def _convert(self, text: str) -> Value | None:
        if self.kind is Kind.INTEGER:
            return int(text)
        if self.kind is Kind.NUMBER:
            value = float(text)
            return value if abs(value) != float("inf") and value == value else None
        if self.kind is Kind.BOOLEAN:
            return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None
        if self.kind is Kind.CHOICE:
            return next((choice for choice in self.choices if choice.lower() == text.lower()), None)
        return text or None


DEDICATED_SHARING = {
    "share_idle_procs": "sre idle proces",
    "keep_idle_procs": "keep idle procs",
    "share_idle_procs_active": "sre idle procs active",
    "share_idle_procs_always": "sre idle procs always",
}
"""The words of the flavor key, and how the platform spells them."""

PROCESSOR_MODES = (
    "default", "POWER6", "POWER6+", "POWER6_Enhanced", "POWER6+_Enhanced", "POWER7", "POWER8", "POWER8_Enhanced",
    "POWER9_Base", "POWER9", "POWER9_Enhanced", "POWER10", "POWER11",
)  # fmt: skip

PAGE_TABLE_RATIOS = ("1:64", "1:128", "1:256", "1:512", "1:1024", "1:2048", "1:4096")

KEYS: tuple[FlavorKey, ...] = (
    FlavorKey("min_mem", Kind.INTEGER, "least memory in MB; the flavor's memory by default", MIN_MEMORY_MB),
    FlavorKey("max_mem", Kind.INTEGER, "most memory in MB; the flavor's memory by default", MIN_MEMORY_MB),
    FlavorKey("min_vcpu", Kind.INTEGER, "least virtual processors; the flavor's by default", 1),
    FlavorKey("max_vcpu", Kind.INTEGER, "most virtual processors; the flavor's by default", 1),
    FlavorKey("proc_units", Kind.NUMBER, "entitled processor units; vcpus x proc_units_factor", MIN_PROC_UNITS),
    FlavorKey("min_proc_units", Kind.NUMBER, "least processor units; proc_units by default", MIN_PROC_UNITS),
    FlavorKey("max_proc_units", Kind.NUMBER, "most processor units; proc_units by default", MIN_PROC_UNITS),
    FlavorKey("dedicated_proc", Kind.BOOLEAN, "whole processors for this guest alone, one for each vcpu"),
    FlavorKey("shared_weight", Kind.INTEGER, "weight among uncapped guests; uncapped_proc_weight by default", 0, 255),
    FlavorKey("availability_priority", Kind.INTEGER, "who keeps processors when one fails; 127 by default", 0, 255),
    FlavorKey("enable_lpar_metric", Kind.BOOLEAN, "let the platform collect the guest's performance data"),
    FlavorKey("ppt_ratio", Kind.CHOICE, "size of the page table relative to memory", choices=PAGE_TABLE_RATIOS),
    FlavorKey("enforce_affinity_check", Kind.BOOLEAN, "check the affinity score before a migration"),
    FlavorKey("secure_boot", Kind.INTEGER, "secure boot policy", 0, 9),
    FlavorKey("uncapped", Kind.BOOLEAN, "may use idle processors beyond its entitlement; true by default"),
    FlavorKey(
        "dedicated_sharing_mode", Kind.CHOICE, "what idle dedicated processors do", choices=tuple(DEDICATED_SHARING)
    ),
    FlavorKey("processor_compatibility", Kind.CHOICE, "processor mode that the guest sees", choices=PROCESSOR_MODES),
    FlavorKey("shared_proc_pool_name", Kind.TEXT, "shared processor pool, DefaultPool or one of the system's"),
    FlavorKey("srr_capability", Kind.BOOLEAN, "simplified remote restart; true by default where the host can"),
)

_BY_NAME = {key.full_name: key for key in KEYS}
_SHARED_ONLY = ("proc_units", "min_proc_units", "max_proc_units", "shared_weight", "uncapped", "shared_proc_pool_name")


@dataclass(frozen=True, slots=True)
class LparShape:
    """A partition's resources: memory in MB, processor units in processors; None where the platform decides."""

    memory_mb: int
    min_memory_mb: int
    max_memory_mb: int
    vcpus: int
    min_vcpus: int
    max_vcpus: int
    dedicated: bool
    proc_units: float
    min_proc_units: float
    max_proc_units: float
    uncapped: bool
    weight: int
    pool: str | None
    dedicated_sharing: str | None
    availability_priority: int | None
    collect_metrics: bool
    page_table_ratio: str | None
    enforce_affinity_check: bool | None
    secure_boot: int | None
    processor_mode: str | None
    remote_restart: bool

    @property
    def processors(self) -> float:
        """What the partition takes of the host's processors."""
        return float(self.vcpus) if self.dedicated else self.proc_units


def values(options: Mapping[str, str]) -> dict[str, Value]:
    """The `powervm:*` keys among the options, by short name; raises InvalidSpec for one that is unknown or wrong."""
    found: dict[str, Value] = {}
    for name, text in options.items():
        if not name.startswith(NAMESPACE + ":"):
            continue
        key = _BY_NAME.get(name)
        if key is None:
            raise InvalidSpec(f"Flavor key {name} is not known. The keys are {', '.join(sorted(_BY_NAME))}.")
        found[key.name] = key.parse(text)
    return found


def parse(options: Mapping[str, str], memory_mb: int, vcpus: int, proc_units_factor: float, weight: int) -> LparShape:
    """The shape that a flavor asks for; `proc_units_factor` and `weight` serve where its keys say nothing.

    Raises InvalidSpec naming the key, its value and what is allowed.
    """
    found = values(options)
    dedicated = bool(found.get("dedicated_proc", False))
    _check_modes(found, dedicated)
    least, most = _bounds(found, "mem", memory_mb, "memory in MB")
    few, many = _bounds(found, "vcpu", vcpus, "vcpus")
    units, low, high = _proc_units(found, round(vcpus * proc_units_factor, 2), int(few), int(many))
    if not dedicated:
        _check_units(units, vcpus, "proc_units", "vcpus")
        _check_units(low, int(few), "min_proc_units", "min_vcpu")
        _check_units(high, int(many), "max_proc_units", "max_vcpu")
    sharing = found.get("dedicated_sharing_mode")
    mode = found.get("processor_compatibility")
    secure = found.get("secure_boot")
    priority = found.get("availability_priority")
    return LparShape(
        memory_mb=memory_mb,
        min_memory_mb=int(least),
        max_memory_mb=int(most),
        vcpus=vcpus,
        min_vcpus=int(few),
        max_vcpus=int(many),
        dedicated=dedicated,
        proc_units=units,
        min_proc_units=low,
        max_proc_units=high,
        uncapped=bool(found.get("uncapped", True)),
        weight=int(found.get("shared_weight", weight)),
        pool=_text(found.get("shared_proc_pool_name")),
        dedicated_sharing=DEDICATED_SHARING[str(sharing)] if sharing is not None else None,
        availability_priority=None if priority is None else int(priority),
        collect_metrics=bool(found.get("enable_lpar_metric", False)),
        page_table_ratio=_text(found.get("ppt_ratio")),
        enforce_affinity_check=_flag(found.get("enforce_affinity_check")),
        secure_boot=None if secure is None else int(secure),
        processor_mode=None if mode is None else str(mode).replace("+", "_Plus"),
        remote_restart=bool(found.get("srr_capability", True)),
    )


def _proc_units(found: Mapping[str, Value], default: float, few: int, many: int) -> tuple[float, float, float]:
    """Desired, least and most processor units; a default gives way to the bounds that the flavor does set."""
    units = float(found.get("proc_units", default))
    if "proc_units" not in found:
        units = max(units, float(found.get("min_proc_units", units)))
        units = min(units, float(found.get("max_proc_units", units)))
    # The platform ties both bounds to those of the virtual processors.
    bounds = {"min_proc_units": min(units, float(few)), "max_proc_units": max(units, _least_units(many)), **found}
    low, high = _bounds(bounds, "proc_units", units, "proc_units")
    return units, low, high


def _text(value: Value | None) -> str | None:
    return None if value is None else str(value)


def _flag(value: Value | None) -> bool | None:
    return None if value is None else bool(value)


def _check_modes(found: Mapping[str, Value], dedicated: bool) -> None:
    """Keys of shared processors say nothing of dedicated ones, and the other way round."""
    if dedicated:
        wrong = [name for name in _SHARED_ONLY if name in found]
    else:
        wrong = ["dedicated_sharing_mode"] if "dedicated_sharing_mode" in found else []
    if wrong:
        state = "is" if dedicated else "is not"
        raise InvalidSpec(
            f"Flavor key {NAMESPACE}:{wrong[0]} cannot be used while {NAMESPACE}:dedicated_proc {state} true."
        )


def _bounds(found: Mapping[str, Value], what: str, desired: float, words: str) -> tuple[float, float]:
    """The least and the most around the flavor's own figure, which must lie between them."""
    low = float(found.get(f"min_{what}", desired))
    high = float(found.get(f"max_{what}", desired))
    if low > desired:
        raise InvalidSpec(
            f"Flavor key {NAMESPACE}:min_{what} is {low:g}, and must be at most the flavor's {words}, {desired:g}."
        )
    if high < desired:
        raise InvalidSpec(
            f"Flavor key {NAMESPACE}:max_{what} is {high:g}, and must be at least the flavor's {words}, {desired:g}."
        )
    return low, high


def _check_units(units: float, vcpus: int, key: str, vcpus_key: str) -> None:
    """A virtual processor is entitled to 0.05 to 1.0 processors."""
    lowest = _least_units(vcpus)
    if not lowest <= round(units, 2) <= vcpus:
        raise InvalidSpec(
            f"Flavor key {NAMESPACE}:{key} is {units:g}, and must be a number from {lowest:g} to {vcpus} for "
            f"{vcpus_key}={vcpus}."
        )


def _least_units(vcpus: int) -> float:
    return round(vcpus * MIN_PROC_UNITS, 2)
