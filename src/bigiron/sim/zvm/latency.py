"""The latency profiles of z/VM: fixed, so that measured ratios do not depend on chosen sleeps."""

from __future__ import annotations

from bigiron.sim.kernel.latency import Cost, Profile

DISK_BYTES_PER_SECOND = 100e6

PROFILES = {
    # A guest is never up or down at once: who does not wait for it must be found out.
    "none": Profile("none", {"guest_boot": Cost(1.0), "guest_shutdown": Cost(4.0)}),
    "realistic": Profile(
        "realistic",
        {
            "query": Cost(0.05),
            "directory": Cost(2.0, serial=True),
            "activate": Cost(3.0),
            "deactivate": Cost(1.0),
            "change": Cost(0.1),
            "command": Cost(0.01),
            "iucv": Cost(0.05),
            "deploy": Cost(per_item=1 / DISK_BYTES_PER_SECOND),
            "logoff": Cost(0.5),
            "guest_boot": Cost(15.0),
            "guest_shutdown": Cost(3.0),
        },
    ),
}
"""Kinds: query, directory (a change of the user directory, which DIRMAINT does one at a time), activate, deactivate,
change (of what is running), command (of CP or Linux), iucv, deploy (per byte of image), logoff (how long a userid is
still logging off), guest_boot and guest_shutdown (of the operating system in a guest)."""
