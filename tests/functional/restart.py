"""nova-compute dies while its servers are in any task state; after its next start Nova and the platform agree.

Each server is put into the state that the death of the process leaves: Nova's record of what was under way, and a
guest that what was done had left running, stopped, or gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from nova import context, objects
from nova.compute import task_states as task
from nova.compute import vm_states as vm
from tests.functional.actions import ServerActions

RUNNING, STOPPED, GONE = "running", "stopped", "gone"


@dataclass(frozen=True, slots=True)
class Case:
    """What was under way and what the guest is left as, and what both are after the start.

    `stays` is the task state that Nova itself leaves at its start, until an administrator resets it; `half_made` that
    the spawn had not come to its end.
    """

    vm_state: str
    task_state: str | None
    left: str
    status: str
    guest: str
    stays: str | None = None
    half_made: bool = False

    @property
    def name(self) -> str:
        return (
            f"{self.vm_state}-{self.task_state}-{self.left}{'-half' * self.half_made}".replace(" ", "-")
            .replace("_", "-")
            .lower()
        )


POWER = (
    Case(vm.ACTIVE, task.POWERING_OFF, RUNNING, "SHUTOFF", STOPPED),
    Case(vm.ACTIVE, task.POWERING_OFF, STOPPED, "SHUTOFF", STOPPED),
    Case(vm.STOPPED, task.POWERING_ON, STOPPED, "ACTIVE", RUNNING),
    Case(vm.STOPPED, task.POWERING_ON, RUNNING, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBOOT_PENDING, RUNNING, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBOOTING, STOPPED, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBOOT_STARTED, RUNNING, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBOOT_PENDING_HARD, RUNNING, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBOOTING_HARD, STOPPED, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBOOT_STARTED_HARD, STOPPED, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.PAUSING, RUNNING, "ACTIVE", RUNNING),
)
IMAGES = (
    Case(vm.ACTIVE, task.IMAGE_SNAPSHOT, RUNNING, "ACTIVE", RUNNING),
    Case(vm.STOPPED, task.IMAGE_SNAPSHOT_PENDING, STOPPED, "SHUTOFF", STOPPED),
    Case(vm.ACTIVE, task.IMAGE_PENDING_UPLOAD, RUNNING, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.IMAGE_UPLOADING, RUNNING, "ACTIVE", RUNNING),
)
SHAPE = (
    Case(vm.ACTIVE, task.RESIZE_PREP, RUNNING, "ACTIVE", RUNNING),
    Case(vm.ACTIVE, task.REBUILDING, STOPPED, "ERROR", STOPPED),
    Case(vm.ACTIVE, task.REBUILD_SPAWNING, GONE, "ERROR", GONE),
)
ENDS = (
    Case(vm.BUILDING, task.SCHEDULING, GONE, "ERROR", GONE),
    Case(vm.BUILDING, task.NETWORKING, STOPPED, "ERROR", GONE, half_made=True),
    Case(vm.BUILDING, task.SPAWNING, RUNNING, "ERROR", GONE, half_made=True),
    Case(vm.BUILDING, task.SPAWNING, RUNNING, "ERROR", RUNNING),
    # An unshelve: while the guest is half-made the image is still in Glance, and afterwards it may be gone.
    Case(vm.SHELVED_OFFLOADED, task.SPAWNING, STOPPED, "ERROR", GONE, half_made=True),
    Case(vm.SHELVED_OFFLOADED, task.SPAWNING, RUNNING, "ERROR", RUNNING),
    Case(vm.ACTIVE, task.DELETING, RUNNING, "DELETED", GONE),
    Case(vm.STOPPED, task.DELETING, STOPPED, "DELETED", GONE),
    Case(vm.ACTIVE, task.DELETING, GONE, "DELETED", GONE),
    Case(vm.SOFT_DELETED, None, STOPPED, "SOFT_DELETED", STOPPED),
)
STAYING = tuple(
    Case(vm.ACTIVE, state, left, "RESIZE" if state == task.RESIZE_FINISH else "ACTIVE", left, stays=state)
    for state, left in (
        (task.RESCUING, STOPPED),
        (task.SHELVING, RUNNING),
        (task.SHELVING_IMAGE_UPLOADING, STOPPED),
        (task.SUSPENDING, RUNNING),
        (task.RESIZE_FINISH, RUNNING),
    )
)
"""Nova does nothing about these; they must cost nobody anything, and a reset and a hard reboot mend them."""


class RestartTables(ServerActions):
    """All servers of a table at once, with one death and one start; a platform says what its guests are."""

    def guest_state(self, server: dict[str, Any]) -> str:
        """Whether the server's guest is RUNNING, STOPPED or GONE."""
        raise NotImplementedError

    def left_half_made(self) -> Callable[[Case, dict[str, Any]], None]:
        """What enters a server's guest as half made in the ledger of the service that runs now."""
        raise NotImplementedError

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=512, disk_gb=1)

    def after_death(self, cases: tuple[Case, ...]) -> list[tuple[Case, dict[str, Any]]]:
        """Make a server for each case, let the process die and start it again."""
        booted = [self.boot(case.name, flavor_id=self.flavor_id, expected=None) for case in cases]
        servers = [self.settle(server, "ACTIVE") for server in booted]
        for case, server in zip(cases, servers, strict=True):
            # Done by an operation, so that nobody reports it as the guest's own doing.
            with self.driver.started.lifecycle.operation(server["id"]):
                if case.left == STOPPED:
                    self.driver.hypervisor.power_off(server["id"])
                elif case.left == GONE:
                    self.driver.hypervisor.destroy(server["id"])
        half_made = self.left_half_made()
        self.compute.stop()
        for case, server in zip(cases, servers, strict=True):
            if case.half_made:
                half_made(case, server)
            instance = objects.Instance.get_by_uuid(context.get_admin_context(), server["id"])
            instance.vm_state, instance.task_state = case.vm_state, case.task_state
            instance.save()
        self.start_compute()
        return list(zip(cases, servers, strict=True))

    def check(self, case: Case, server: dict[str, Any]) -> None:
        if case.status == "DELETED":
            self.wait_until(lambda: not self._exists(server), f"{case.name}: the server is gone")
        elif case.stays is not None:
            current = self.admin_api.get_server(server["id"])
            assert (current["status"], current["OS-EXT-STS:task_state"]) == (case.status, case.stays), case.name
        else:
            self.settle(server, case.status)
        assert self.guest_state(server) == case.guest, case.name

    def run_table(self, cases: tuple[Case, ...]) -> None:
        made = self.after_death(cases)
        for case, server in made:
            self.check(case, server)
        self.compute.manager._sync_power_states(context.get_admin_context())
        for case, server in made:
            self.check(case, server)
            if case.status == "SOFT_DELETED":
                self.api.post_server_action(server["id"], {"forceDelete": None})
                self.wait_until(lambda server=server: not self._exists(server), "the server is gone")
            elif case.status != "DELETED":
                self.delete(server)

    @pytest.mark.full
    def test_power(self) -> None:
        self.run_table(POWER)

    @pytest.mark.full
    def test_snapshots(self) -> None:
        self.run_table(IMAGES)

    @pytest.mark.full
    def test_resize_and_rebuild(self) -> None:
        self.run_table(SHAPE)

    def test_builds_and_deletes(self) -> None:
        self.run_table(ENDS)

    @pytest.mark.full
    def test_what_nova_leaves_as_it_is_can_be_deleted(self) -> None:
        self.run_table(STAYING)

    @pytest.mark.full
    def test_what_nova_leaves_as_it_is_can_be_mended(self) -> None:
        made = self.after_death(STAYING)
        for case, server in made:
            self.admin_api.post_server_action(server["id"], {"os-resetState": {"state": "active"}})
            self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
            self.settle(server, "ACTIVE")
            assert self.guest_state(server) == RUNNING, case.name
        self.delete(*(server for _case, server in made))

    def test_a_guest_that_is_gone_does_not_keep_the_service_from_starting(self) -> None:
        (_, lost), (_, kept) = self.after_death(
            (
                Case(vm.ACTIVE, None, GONE, "ERROR", GONE),
                Case(vm.ACTIVE, None, RUNNING, "ACTIVE", RUNNING),
            )
        )
        self.settle(lost, "ERROR")
        self.settle(kept, "ACTIVE")
        assert self.guest_state(kept) == RUNNING
        self.delete(lost, kept)
