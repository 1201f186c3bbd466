"""Virtual machines that are logged on: what CP has given them, and how far their operating system is."""

from __future__ import annotations

from dataclasses import dataclass, field

from bigiron.sim.zvm.model.load import Doing, Meter

CP, BOOTING, UP, STOPPING, DOWN = "cp", "booting", "up", "stopping", "down"
"""Nothing loaded; loading; running; shutting down; halted in a disabled wait."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A virtual network adapter of a running machine; `lan` is empty while it is coupled to nothing."""

    vdev: str
    mac: str
    lan: str = ""
    vlans: tuple[int, ...] = ()
    """The VLANs that its virtual switch lets it use: of the adapter itself, else of the userid's grant."""
    base: float = 0.0
    """What the machine had used when the adapter was coupled: its counters begin then."""


@dataclass(slots=True)
class VirtualMachine:
    """A userid that is logged on."""

    userid: str
    since: float
    memory_mb: int
    cpus: list[str]
    reserved_mb: int = 0
    standby_mb: int = 0
    paused: bool = False
    phase: str = CP
    due: float | None = None
    """When the operating system is up, or has shut down."""
    restarts: bool = False
    """Whether it starts again once it has shut down."""
    logs_off: float | None = None
    """When a logoff that has begun is complete."""
    adapters: dict[str, Adapter] = field(default_factory=dict)
    disks: list[str] = field(default_factory=list)
    """Device numbers of the minidisks that it has."""
    devices: dict[str, str] = field(default_factory=dict)
    """Real devices by virtual device number."""
    online_cpus: list[str] = field(default_factory=list)
    """The processors that its Linux uses."""
    hostname: str = ""
    unit_status: int = 0
    """How the activation engine ended, as systemd tells it."""
    meter: Meter | None = None
    """What it uses; None until that is first looked at."""

    @property
    def logging_off(self) -> bool:
        """Whether CP is still taking it down."""
        return self.logs_off is not None

    def metered(self, now: float, profile: str) -> Meter:
        """The meter, brought up to what the machine does now."""
        stopped = self.paused or self.logging_off or self.phase == DOWN
        doing = Doing(profile, len(self.cpus), booting=self.phase == BOOTING, stopped=stopped)
        known = self.meter or Meter(self.since, self.since, doing)
        self.meter = known.follow(now, doing)
        return self.meter

    @property
    def reachable(self) -> bool:
        """Whether its operating system answers."""
        return self.phase == UP and not self.paused and not self.logging_off


@dataclass(slots=True)
class ConsoleLog:
    """What a userid's console printed, within bounds; positions count characters since the first one."""

    text: str = ""
    dropped: int = 0
    taken: int = 0
    """Up to where it was closed into a spool file."""

    LIMIT = 256 * 1024

    @property
    def end(self) -> int:
        """The position that the next character gets."""
        return self.dropped + len(self.text)

    def write(self, text: str) -> None:
        """Append; the oldest goes beyond the limit."""
        kept = self.text + text
        excess = max(0, len(kept) - self.LIMIT)
        self.text = kept[excess:]
        self.dropped += excess

    def read(self, since: int) -> tuple[int, str]:
        """The text from a position on, and the position where it really begins."""
        start = min(max(since, self.dropped), self.end)
        return start, self.text[start - self.dropped :]

    def take(self) -> str:
        """What was printed since it was last taken."""
        _, text = self.read(self.taken)
        self.taken = self.end
        return text
