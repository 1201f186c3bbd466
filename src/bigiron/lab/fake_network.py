"""A mechanism driver for `lab up --driver fake`, whose guests are not real: every port is bound and up at once."""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class FakeNetwork(api.MechanismDriver):
    """Bind ports without an agent, so that Nova's fake driver can be measured in the same lab as a real one."""

    def initialize(self) -> None:
        """Need nothing at start-up."""

    @property
    def connectivity(self) -> str:
        """Promise what a bridge would: a connection on layer 2."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind to the first segment and report the port up in the same transaction."""
        segment = context.segments_to_bind[0]
        details = {portbindings.CAP_PORT_FILTER: False}
        context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OTHER, details, status=constants.PORT_STATUS_ACTIVE)
