"""Tells the agents of a port that leaves its host: Neutron's server itself notifies them of bound ports only.

An agent that went on counting the port as plugged would report it up as soon as it is bound to that host again, before
its new adapter is there.
"""

from __future__ import annotations

from typing import Any

from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api


class TellsOfUnbinding:
    """Part of a mechanism driver, which has the `vif_type` of its ports."""

    vif_type: str

    def update_port_postcommit(self, context: Any) -> None:
        """Send a port update for a port that was ours."""
        if context.original_vif_type == self.vif_type and context.vif_type != self.vif_type:
            segment = context.original_bottom_bound_segment or {}
            directory.get_plugin().notifier.port_update(
                context.plugin_context,
                context.current,
                segment.get(api.NETWORK_TYPE),
                segment.get(api.SEGMENTATION_ID),
                segment.get(api.PHYSICAL_NETWORK),
            )
