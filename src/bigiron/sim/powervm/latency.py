"""The latency profiles of the PowerVM REST API: fixed, so that measured ratios do not depend on chosen sleeps."""

from __future__ import annotations

from bigiron.sim.kernel.latency import Cost, Profile

UPLOAD_BYTES_PER_SECOND = 100e6

PROFILES = {
    # A guest is never up the moment it is switched on: who does not wait for it must be found out.
    "none": Profile("none", {"guest_boot": Cost(1.0)}),
    "realistic": Profile(
        "realistic",
        {
            "quick": Cost(0.03),
            "feed": Cost(0.2, per_item=0.002),
            "get": Cost(0.1),
            "vios_get": Cost(1.0),
            "write": Cost(0.5),
            "vios_post": Cost(4.0, serial=True),
            "lpar_put": Cost(3.0),
            "upload": Cost(per_item=1 / UPLOAD_BYTES_PER_SECOND),
            "power_job": Cost(5.0),
            "guest_boot": Cost(20.0),
        },
    ),
}
