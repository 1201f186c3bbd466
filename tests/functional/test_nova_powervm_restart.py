"""nova-compute dies and starts again on PowerVM: the tables of restart.py, with partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.functional import restart
from tests.functional.powervm import PowerVMCloud
from tests.functional.restart import Case

from bigiron.powervm.ledger import LedgerEntry

_STATES = {"running": restart.RUNNING, "not activated": restart.STOPPED}


class Restart(PowerVMCloud, restart.RestartTables):
    """On a shared storage pool."""

    def guest_state(self, server: dict[str, Any]) -> str:
        wanted = f"openstack:{server['id']}"
        found = [str(lpar["state"]) for lpar in self.state()["lpars"] if lpar["description"] == wanted]
        return _STATES[found[0]] if found else restart.GONE

    def left_half_made(self) -> Callable[[Case, dict[str, Any]], None]:
        ledger = self.driver.hypervisor.connection.ledger
        return lambda case, server: ledger.put(LedgerEntry(server["id"], case.name, making=True))
