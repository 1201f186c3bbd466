"""Runs a platform's steps without a plug-in: side by side where their needs allow, undone in reverse on a failure."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from io import BytesIO
from pathlib import Path
from typing import Any

import pycdlib

from bigiron.hypervisor import CONFIG_DRIVE, NICS_READY, Step, Values, nic_plugged
from bigiron.model import GuestSpec


class BuildDrive(Step):
    """Makes a config drive, as the Nova plug-in's step does."""

    name = "build config drive"
    provides = CONFIG_DRIVE

    def __init__(self, folder: Path, guest: GuestSpec) -> None:
        self._path = folder / f"{guest.uuid}.iso"

    def execute(self, values: Values) -> Path:
        iso = pycdlib.PyCdlib()
        iso.new(interchange_level=3, vol_ident="config-2")
        data = b'{"uuid": "x"}'
        iso.add_fp(BytesIO(data), len(data), "/META.JSN;1")
        iso.write(str(self._path))
        iso.close()
        return self._path


class NicsReady(Step):
    """Stands for the wait until the network service has reported every port."""

    name = "nics ready"
    provides = NICS_READY

    def __init__(self, guest: GuestSpec) -> None:
        self.needs = tuple(nic_plugged(nic) for nic in guest.nics)

    def execute(self, values: Values) -> None:
        return None


def around(steps: Sequence[Step], guest: GuestSpec, folder: Path) -> list[Step]:
    """The platform's steps and those that a plug-in adds."""
    own: list[Step] = [NicsReady(guest)]
    if guest.config_drive:
        own.append(BuildDrive(folder, guest))
    return [*steps, *own]


def run(steps: Sequence[Step], parallel: int = 4) -> dict[str, Any]:
    """Run the steps; on a failure undo all that have begun, latest first, and raise the first error."""
    values: dict[str, Any] = {}
    waiting, begun = list(steps), []
    running: dict[Future[Any], Step] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(parallel) as pool:
        while running or (waiting and failure is None):
            ready = [step for step in waiting if all(key.name in values for key in step.needs)]
            for step in ready if failure is None else []:
                waiting.remove(step)
                begun.append(step)
                running[pool.submit(step.execute, Values(values))] = step
            assert running, f"nothing provides what is needed by {[step.name for step in waiting]}"
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                error = future.exception()
                failure = failure or error
                if error is None and step.provides is not None:
                    values[step.provides.name] = future.result()
    if failure is None:
        return values
    undo(begun, values)
    raise failure


def undo(steps: Sequence[Step], values: dict[str, Any]) -> None:
    """Undo every step, latest first; the first error is raised once all have had their turn."""
    first: Exception | None = None
    for step in reversed(steps):
        try:
            step.revert(Values(values))
        except Exception as error:  # noqa: BLE001 - every step has its turn, whatever the others raise
            first = first or error
    if first is not None:
        raise AssertionError(f"undoing failed: {first}") from first
