"""What goes wrong with the monitor's samples when a script on the control address says so: gaps, late and missing
documents, counters that wrap, answers that are no JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BROKEN = ("truncated", "text", "empty")
_KEYS = ("gap", "missing", "late", "wrap_bits", "broken")

COUNTERS = frozenset(
    {
        "receivedPackets", "sentPackets", "droppedPackets", "droppedReceivedPackets", "droppedSentPackets", "errorIn",
        "errorOut", "receivedBytes", "sentBytes", "numOfReads", "numOfWrites", "readBytes", "writeBytes",
    }
)  # fmt: skip
"""What adapters count; the hypervisor's counters of cycles are too wide to wrap."""


@dataclass(frozen=True, slots=True)
class Script:
    """From when it is set on; categories are those of the feed, such as phyp, lpar and vios_1."""

    gap: bool = False
    """No samples are taken."""
    missing: frozenset[str] = frozenset()
    """Categories of which samples have no document."""
    late: Mapping[str, float] = field(default_factory=dict)
    """After how many seconds the documents of a category appear in the feed."""
    wrap_bits: int | None = None
    """Adapters' counters begin at 0 again after 2 to the power of this."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Categories whose documents are served truncated, as text or empty."""

    @classmethod
    def from_json(cls, wish: Mapping[str, Any], categories: Mapping[str, str]) -> Script:
        """Read what a client of the control address wishes; `categories` by the names that it may use for them.

        Raises ValueError that says what is wrong.
        """
        if unknown := set(wish) - set(_KEYS):
            raise ValueError(f"a script has no {', '.join(sorted(unknown))}; it has {', '.join(_KEYS)}")

        def category(name: Any) -> str:
            if str(name) not in categories:
                raise ValueError(f"there is no category {name}; use one of {', '.join(sorted(categories))}")
            return categories[str(name)]

        bits = wish.get("wrap_bits")
        broken = {category(name): str(how) for name, how in dict(wish.get("broken", {})).items()}
        if wrong := set(broken.values()) - set(BROKEN):
            raise ValueError(f"a document cannot be {', '.join(sorted(wrong))}; use one of {', '.join(BROKEN)}")
        if bits is not None and not 8 <= int(bits) <= 64:
            raise ValueError("wrap_bits is a number from 8 to 64")
        return cls(
            gap=bool(wish.get("gap", False)),
            missing=frozenset(category(name) for name in wish.get("missing", [])),
            late={category(name): float(seconds) for name, seconds in dict(wish.get("late", {})).items()},
            wrap_bits=None if bits is None else int(bits),
            broken=broken,
        )

    def to_json(self) -> dict[str, Any]:
        """As the control address shows it."""
        return {
            "gap": self.gap,
            "missing": sorted(self.missing),
            "late": dict(self.late),
            "wrap_bits": self.wrap_bits,
            "broken": dict(self.broken),
        }

    def spoiled(self, category: str, text: str) -> str:
        """A document as it is served."""
        how = self.broken.get(category)
        if how is None:
            return text
        return {"truncated": text[: len(text) // 2], "text": "Service temporarily unavailable", "empty": ""}[how]


def wrapped(value: Any, bits: int | None) -> Any:
    """A document whose adapters' counters have so many bits; the same document where that is not limited."""
    if bits is None:
        return value
    if isinstance(value, dict):
        return {
            key: int(one) % 2**bits if key in COUNTERS and isinstance(one, int | float) else wrapped(one, bits)
            for key, one in value.items()
        }
    return [wrapped(one, bits) for one in value] if isinstance(value, list) else value
