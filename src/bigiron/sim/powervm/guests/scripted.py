"""The scripted guest: a state machine that prints what a partition would, and costs nothing while nobody looks.

It has no thread and no timer. A boot is a list of stages with the times at which they are over; whoever reads the
console first calls `advance`, which prints what is due by then.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime

from bigiron.sim.kernel.configdrive import ConfigDrive, NoConfigDrive, read
from bigiron.sim.powervm.guests import bootlog
from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.guests.hardware import Hardware


class Phase(enum.Enum):
    """How far a guest is."""

    OFF = "off"
    FIRMWARE = "firmware"
    BOOTING = "booting"
    UP = "up"
    SHUTTING_DOWN = "shutting down"
    NO_BOOT_DEVICE = "no boot device"


@dataclass(frozen=True, slots=True)
class CloudInit:
    """What came of the config drive: the host name and what was printed."""

    hostname: str
    text: str


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is printed at a time of the simulation's clock, and the phase that begins there."""

    at: float
    text: Callable[[], str]
    phase: Phase


class ScriptedGuest:
    """The guest of one partition; its methods may be called from any thread."""

    def __init__(self, console: Console, readers: Executor) -> None:
        """`readers` reads config drives: at once, because a medium may be gone before anyone looks at the console."""
        self.console = console
        self._readers = readers
        self._lock = threading.Lock()
        self._stages: deque[_Stage] = deque()
        self._phase = Phase.OFF
        self._cloud_init: Future[CloudInit] | None = None
        self._login = _Login("localhost")

    def phase(self, now: float) -> Phase:
        """How far it is by now."""
        with self._lock:
            self._advance(now)
            return self._phase

    def hostname(self, now: float) -> str | None:
        """The name that its operating system gave itself, once it is up."""
        with self._lock:
            self._advance(now)
            return self._login.hostname if self._phase is Phase.UP else None

    def advance(self, now: float) -> None:
        """Print what is due by now."""
        with self._lock:
            self._advance(now)

    def power_on(self, hardware: Hardware, now: float, ready: float) -> None:
        """Begin a boot that is over at `ready`; both are seconds of the simulation's clock."""
        with self._lock:
            self._advance(now)
            span = ready - now
            self._phase = Phase.FIRMWARE
            self._stages.clear()
            banner = "" if hardware.ibm_i else bootlog.banner(hardware)
            self._stages.append(_Stage(now, lambda: _mark("power on", now) + banner, Phase.FIRMWARE))
            if hardware.menu:
                self._stages.append(_Stage(now, lambda: bootlog.firmware_menu(hardware), Phase.FIRMWARE))
            elif hardware.ibm_i and hardware.boot_disk is not None:
                self._stages.append(_Stage(ready, lambda: bootlog.ibm_i(hardware), Phase.UP))
            elif hardware.boot_disk is None:
                missing = _Stage(now + span / 4, lambda: bootlog.no_boot_device(hardware), Phase.NO_BOOT_DEVICE)
                self._stages.append(missing)
            else:
                self._linux(hardware, now, span)

    def shut_down(self, now: float) -> None:
        """The platform asks the operating system to shut down; the power goes some time later."""
        with self._lock:
            self._advance(now)
            if self._phase is Phase.UP:
                self._phase = Phase.SHUTTING_DOWN
                self.console.write(bootlog.shutdown(self._login.hostname))

    def power_off(self, now: float) -> None:
        """The power goes, whatever runs."""
        with self._lock:
            self._advance(now)
            self._stages.clear()
            if self._phase is not Phase.OFF:
                self._phase = Phase.OFF
                self.console.write(_mark("power off", now))

    def type_text(self, text: str, now: float) -> None:
        """Take what someone typed; only a guest that is up answers."""
        with self._lock:
            self._advance(now)
            if self._phase is Phase.UP:
                self.console.write(self._login.type_text(text))

    def _linux(self, hardware: Hardware, now: float, span: float) -> None:
        self._cloud_init = self._readers.submit(_run_cloud_init, hardware)
        self._login = _Login("localhost")
        self._stages.extend(
            (
                _Stage(now + span * 0.25, lambda: bootlog.bootloader(hardware), Phase.BOOTING),
                _Stage(now + span * 0.4, lambda: bootlog.kernel(hardware), Phase.BOOTING),
                _Stage(now + span * 0.8, self._configure, Phase.BOOTING),
                _Stage(now + span, lambda: bootlog.login(self._login.hostname), Phase.UP),
            )
        )

    def _configure(self) -> str:
        """cloud-init's stage: the host name changes."""
        if self._cloud_init is None:
            return ""
        outcome = self._cloud_init.result()
        self._cloud_init = None
        self._login = _Login(outcome.hostname)
        return outcome.text

    def _advance(self, now: float) -> None:
        while self._stages and self._stages[0].at <= now:
            stage = self._stages.popleft()
            self.console.write(stage.text())
            self._phase = stage.phase


class _Login:
    """getty and login: they echo the name, ask for a password and let nobody in."""

    def __init__(self, hostname: str) -> None:
        self.hostname = hostname
        self._name = ""
        self._password = False

    def type_text(self, text: str) -> str:
        """What is printed for what was typed."""
        return "".join(self._key(char) for char in text.replace("\r\n", "\r").replace("\n", "\r"))

    def _key(self, char: str) -> str:
        if char == "\r":
            return self._enter()
        if self._password:
            return ""
        if char in "\x7f\b":
            erased = bool(self._name)
            self._name = self._name[:-1]
            return "\b \b" if erased else ""
        if not char.isprintable():
            return ""
        self._name += char
        return char

    def _enter(self) -> str:
        if self._password:
            self._password, self._name = False, ""
            return f"\n\nLogin incorrect\n{self.hostname} login: "
        if not self._name:
            return f"\n{self.hostname} login: "
        self._password = True
        return "\nPassword: "


def _run_cloud_init(hardware: Hardware) -> CloudInit:
    """Look for a config drive on the optical devices, in order."""
    drive: ConfigDrive | None = None
    trouble = "there is no optical device"
    for device in hardware.optical:
        if device.media is None:
            trouble = f"the optical device {device.name} is empty"
            continue
        try:
            drive = read(device.media)
            break
        except NoConfigDrive as error:
            trouble = str(error)
    try:
        return CloudInit(drive.hostname if drive else "localhost", bootlog.cloud_init(hardware, drive, trouble))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        trouble = f"the documents of {hardware.name}'s config drive are malformed: {error!r}"
        return CloudInit("localhost", bootlog.cloud_init(hardware, None, trouble))


def _mark(what: str, now: float) -> str:
    """A line that divides one life of the partition from the next."""
    return f"\n--- {what} {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC ---\n"
