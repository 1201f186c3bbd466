"""What smcli is called with and what it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bigiron.sim.zvm.errors import BadCall, SmapiDown, SmapiError
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.system import System

DONE = ("Done",)
OK_STATUS, FAILED_STATUS = 0, 1
_IGNORED = {"--addRCheader": 0, "--timeout": 1}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function: its one-letter options, which may be repeated, and its -k keywords in order."""

    function: str
    options: dict[str, list[str]] = field(default_factory=dict)
    keywords: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        """The image that the last -T names, in capitals."""
        return self.required("T").upper()

    def option(self, letter: str, default: str = "") -> str:
        """The last value of an option."""
        return self.options.get(letter, [default])[-1]

    def required(self, letter: str) -> str:
        """The last value of an option that the function cannot do without."""
        value = self.option(letter)
        if not value:
            raise BadCall(f"Missing required option -{letter}")
        return value

    def vdev(self) -> str:
        """The virtual device number of -v."""
        return directory.device(self.required("v"))

    def keyword(self, name: str, default: str = "") -> str:
        """The last value of a keyword."""
        return next((value for key, value in reversed(self.keywords) if key == name.upper()), default)

    def needed(self, name: str) -> str:
        """The value of a keyword that the function cannot do without. SMAPI 8/3004."""
        value = self.keyword(name)
        if not value:
            raise SmapiError(8, 3004, f"Required Parameter {name} is missing")
        return value

    def all(self, name: str) -> list[str]:
        """Every value of a keyword."""
        return [value for key, value in self.keywords if key == name.upper()]


Handler = Callable[[System, Call], Iterable[str]]
"""Does a function under the system's lock and returns the lines it prints."""


def parse(argv: Sequence[str]) -> Call:
    """Read what follows `smcli`: the function, then options as getopt reads them."""
    if not argv:
        raise BadCall("ERROR: No API function name")
    options: dict[str, list[str]] = {}
    keywords: list[tuple[str, str]] = []
    rest = iter(argv[1:])
    for word in rest:
        if word in _IGNORED:
            for _ in range(_IGNORED[word]):
                next(rest, "")
            continue
        if len(word) < 2 or word[0] != "-":
            continue
        letter = word[1]
        value = word[2:].strip() or next(rest, "")
        if letter == "k":
            name, _, text = _bare(value).partition("=")
            keywords.append((name.strip().upper(), _bare(text)))
        else:
            options.setdefault(letter, []).append(_bare(value))
    return Call(argv[0], options, tuple(keywords))


def _bare(text: str) -> str:
    """Without the quotes that the server's request language may have left."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def success(lines: Iterable[str]) -> str:
    """A header of zeros, then the function's lines. The server's parsers bear no blank line at the end."""
    return "0 0 0 (details) None\n" + "".join(f"{line}\n" for line in lines)


def refusal(error: SmapiError) -> str:
    """SMAPI has refused."""
    word = "Started" if error.rc == 592 else "Failed"
    return (
        f"8 {error.rc} {error.rs} (details) {error.description}\n{word}\n  Return Code: {error.rc}\n"
        f"  Reason Code: {error.rs}\n  Description: {error.description}\n"
    )


def misuse(error: BadCall) -> str:
    """smcli does not understand its arguments."""
    return f"24 0 0 (details) Input error\n{error}\n"


def broken(error: SmapiDown) -> str:
    """smcli could not talk to SMAPI."""
    return f"25 {error.code} {error.errno} (details) {error.text}\nERROR: {error.text}\n"
