"""What fault sweeps on z/VM share: the requests and commands of a recorded run, and the ways in which each can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tests.support.zvm_host import World

from bigiron.sim.kernel.faults import Action, Fault

REST = ("GET", "PUT", "POST", "DELETE")
CHANGES = ("SMAPI", "VMUR", "TOOL")
REASON = "596/3661"
FOR_EVER_S = 1000.0
"""What hangs does so for longer than smcli is told to wait."""
UNREACHABLE = {
    (
        Action.DROP_AFTER,
        "linkdiskandbringonline",
    ): "the connector's host has the disk linked, and no request unlinks it",
    (Action.ERROR, "offlinediskanddetach"): "the same",
    (Action.ERROR, "Name_List_Remove"): "the connector takes no notice, and forgets the guest",
    (Action.DROP_AFTER, "punch"): "the file is in the connector's own reader, and no request purges that",
}
"""What the connector leaves on its own host when a command fails there: only a login there puts it right."""


@dataclass(frozen=True)
class Moment:
    """The n-th request or command of its kind."""

    method: str
    template: str
    nth: int

    def fault(self, action: Action) -> Fault:
        """The failure of this one; a directory manager's message where it is SMAPI's."""
        return Fault(self.method, self.template, action, nth=self.nth, reason=REASON, seconds=FOR_EVER_S)

    def label(self, action: Action) -> str:
        """The failure in words, for messages."""
        return f"{action} at {self.method} {self.template} number {self.nth}"


def moments(world: World, methods: Collection[str]) -> list[Moment]:
    """What the journal has since it was cleared; looks at power states are nobody's step."""
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for entry in world.simulator.journal.entries():
        if entry.method not in methods or entry.template == "/token" or entry.template.endswith("power_state_real"):
            continue
        counts[(entry.method, entry.template)] += 1
        found.append(Moment(entry.method, entry.template, counts[(entry.method, entry.template)]))
    return found


def failures(found: Sequence[Moment], actions: Sequence[Action]) -> Iterator[tuple[Moment, Action]]:
    """Each moment with each action, without what nobody can put right from outside."""
    for moment in found:
        for action in actions:
            if (action, moment.template) not in UNREACHABLE:
                yield moment, action


def loses_upload(moment: Moment, action: Action) -> bool:
    """Whether the connector keeps an upload whose answer, and with it the file's name, is lost."""
    return moment.template == "/files" and moment.method == "PUT" and action is Action.DROP_AFTER
