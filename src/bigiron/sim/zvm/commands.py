"""Every command of the Cloud Connector's server: faults, what it costs, a line in the journal, and the answer."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import Action, Fault, FaultPlan
from bigiron.sim.kernel.journal import Entry, Journal
from bigiron.sim.kernel.latency import Latency
from bigiron.sim.zvm import cp
from bigiron.sim.zvm.errors import BadCall, CpError, SmapiDown, SmapiError, ToolError
from bigiron.sim.zvm.guest import iucv
from bigiron.sim.zvm.linux import host, reader, zthin
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.smapi import protocol
from bigiron.sim.zvm.smapi.table import FUNCTIONS

LOG = logging.getLogger(__name__)

SMAPI, CP, VMUR, IUCV, TOOL = "SMAPI", "CP", "VMUR", "IUCV", "TOOL"
"""What stands as the method of a command in the journal and in faults."""
_UNKNOWN_PROGRAM = 127
_LOST = 255
_IMAGE_TOOLS = {"unpackdiskimage": 2, "creatediskimage": 2}
"""Which argument is the image, by which their time is counted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's exit status and output."""

    status: int
    output: str
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A command as the journal and faults know it."""

    method: str
    template: str
    subject: str
    words: tuple[str, ...]
    cost: str
    key: str = ""
    items: float = 0.0

    @property
    def path(self) -> str:
        """The function or program with the userid that it is about."""
        return f"{self.template}/{self.subject}" if self.subject else self.template


class Commands:
    """Answers commands, from any number of threads."""

    def __init__(
        self, system: System, clock: Clock, latency: Latency, faults: FaultPlan, journal: Journal, root: Path
    ) -> None:
        self._system = system
        self._clock = clock
        self._latency = latency
        self._faults = faults
        self._journal = journal
        self._root = root
        self._tools = self._programs()

    def run(self, words: Sequence[str], timeout: float | None = None) -> Answer:
        """Answer one command: the program's name and its arguments."""
        request = self._request(words)
        began, started = time.monotonic(), self._clock.now()
        fault = self._faults.strike(request.method, request.path, request.template)
        try:
            answer = self._perform(request, fault)
        except Exception as error:  # the server's worker must get an answer, and the log must tell why
            LOG.exception("command %s failed", " ".join(words))
            answer = Answer(_LOST, f"the simulator failed: {type(error).__name__}: {error}\n")
        if timeout is not None and self._clock.now() - started > timeout:
            answer = replace(answer, timed_out=True)
        self._note(request, answer, fault, started, time.monotonic() - began)
        return answer

    def _note(self, request: Request, answer: Answer, fault: Fault | None, started: float, seconds: float) -> None:
        sent = sum(len(word) + 1 for word in request.words)
        status = answer.status
        if request.method == SMAPI and status:
            codes = answer.output.split(None, 3)[:3]
            status = int(codes[1]) if len(codes) > 1 and codes[1].lstrip("-").isdigit() else status
        self._journal.add(
            Entry(
                started, request.method, request.path, request.template, " ".join(request.words[1:]), status, sent,
                len(answer.output), seconds * 1000, 0, "", "", False, fault.action.value if fault else "",
            )
        )  # fmt: skip

    # -- what a command is ----------------------------------------------------------------------------------------

    def _request(self, words: Sequence[str]) -> Request:
        program, arguments = (words[0], tuple(words[1:])) if words else ("", ())
        if program == "smcli":
            return self._smapi_request(arguments)
        if program == "vmcp":
            template, subject = cp.template(" ".join(arguments))
            return Request(CP, template, subject, ("vmcp", *arguments), "command")
        if program == "vmur":
            return Request(VMUR, arguments[0] if arguments else "", "", ("vmur", *arguments), "command")
        if program == "iucvclnt":
            userid, command = (*arguments, "", "")[:2]
            return Request(IUCV, iucv.kind(command), userid.upper(), ("iucvclnt", *arguments), "iucv")
        subject = arguments[0].upper() if arguments and program in _IMAGE_TOOLS else ""
        cost, items = ("deploy", self._image_size(program, arguments)) if program in _IMAGE_TOOLS else ("command", 0.0)
        return Request(TOOL, program, subject, (program, *arguments), cost, items=items)

    def _smapi_request(self, arguments: tuple[str, ...]) -> Request:
        name = arguments[0] if arguments else ""
        function = FUNCTIONS.get(name)
        try:
            subject = protocol.parse(arguments).option("T").upper()
        except BadCall:
            subject = ""
        cost, key = (function.cost, function.serial_key) if function else ("query", "")
        return Request(SMAPI, name, subject, ("smcli", *arguments), cost, key)

    def _image_size(self, program: str, arguments: Sequence[str]) -> float:
        """The bytes that move: of the image that is unpacked, or of the disk that is captured."""
        try:
            if program == "unpackdiskimage":
                return Path(arguments[_IMAGE_TOOLS[program]]).stat().st_size
            with self._system.lock:
                disk = self._system.disk(arguments[0], arguments[1])
                return self._system.disks.path(disk).stat().st_blocks * 512.0 if disk else 0.0
        except (OSError, IndexError, SmapiError):
            return 0.0

    # -- doing it -------------------------------------------------------------------------------------------------

    def _perform(self, request: Request, fault: Fault | None) -> Answer:
        if fault is not None:
            if fault.action is Action.HANG:
                if late := self._hang(request, fault):
                    return late
            elif fault.action is Action.LATE:
                return self._later(request, fault.seconds)
            elif fault.action is not Action.DROP_AFTER:
                return self._struck(request, fault)
        with self._latency.spend(request.cost, request.key, request.items):
            answer = self._dispatch(request)
        return self._struck(request, fault) if fault and fault.action is Action.DROP_AFTER else answer

    def _hang(self, request: Request, fault: Fault) -> Answer | None:
        """Wait as a fault says. smcli waits no longer than it was told to, and has then done nothing."""
        words = request.words
        limit = words[words.index("--timeout") + 1] if "--timeout" in words[:-1] else ""
        if limit.isdigit() and fault.seconds > int(limit):
            self._clock.sleep(int(limit))
            return Answer(1, protocol.broken(SmapiDown()))
        self._clock.sleep(fault.seconds)
        return None

    def _later(self, request: Request, seconds: float) -> Answer:
        """What SMAPI answers where it has passed a change on, and hears of it no more."""
        due = self._clock.now() + seconds
        folder = tempfile.TemporaryDirectory(prefix="late-")
        kept = replace(request, words=tuple(_kept(word, Path(folder.name)) for word in request.words))

        def take_effect() -> None:
            with folder:
                if self._clock.wait_until(due):
                    self._dispatch(kept)

        threading.Thread(target=take_effect, name="late change", daemon=True).start()
        return Answer(1, protocol.broken(SmapiDown()))

    def _dispatch(self, request: Request) -> Answer:
        if request.method == SMAPI:
            return self._smapi(request.words[1:])
        with self._system.lock:
            self._system.settle()
            if request.method in (CP, IUCV, VMUR):
                return self._one_of_cp(request)
        tool = self._tools.get(request.template)
        if tool is None:
            return Answer(_UNKNOWN_PROGRAM, f"{request.template}: command not found\n")
        try:
            return Answer(0, tool(request.words[1:]))
        except ToolError as error:
            return Answer(error.status, error.text)

    def _one_of_cp(self, request: Request) -> Answer:
        try:
            if request.method == CP:
                return Answer(0, cp.run(self._system, " ".join(request.words[1:])))
            if request.method == IUCV:
                return Answer(0, iucv.run(self._system, request.words[1:]))
            return Answer(0, reader.run(self._system, request.words[1:], self._root))
        except CpError as error:
            return _cp_refusal(request, error)
        except ToolError as error:
            return Answer(error.status, error.text)

    def _smapi(self, arguments: Sequence[str]) -> Answer:
        try:
            call = protocol.parse(arguments)
            function = FUNCTIONS.get(call.function)
            if function is None:
                raise BadCall(f"ERROR: Unsupported API function name {call.function}")
            with self._system.lock:
                self._system.settle()
                return Answer(0, protocol.success(function.handler(self._system, call)))
        except SmapiError as error:
            return Answer(1, protocol.refusal(error))
        except BadCall as error:
            return Answer(1, protocol.misuse(error))

    def _programs(self) -> dict[str, Callable[[Sequence[str]], str]]:
        system, root = self._system, self._root
        return {
            "unpackdiskimage": lambda words: zthin.unpackdiskimage(system, words),
            "creatediskimage": lambda words: zthin.creatediskimage(system, words),
            "linkdiskandbringonline": lambda words: zthin.linkdiskandbringonline(system, words),
            "offlinediskanddetach": lambda words: zthin.offlinediskanddetach(system, words),
            "refresh_bootmap": lambda words: zthin.refresh_bootmap(system, words),
            "dasdfmt": lambda words: zthin.formatted(system, words[-1]),
            "fdasd": lambda words: zthin.present(system, words[-1]),
            "fdisk": lambda words: zthin.present(system, words[-1]),
            "blockdev": lambda words: zthin.present(system, words[-1]),
            "mkfs": lambda words: zthin.made_filesystem(system, words[-1], words[words.index("-t") + 1]),
            "mkfs.xfs": lambda words: zthin.made_filesystem(system, words[-1], "xfs"),
            "mkswap": lambda words: zthin.made_filesystem(system, words[-1], "swap"),
            "udevadm": lambda words: "",
            "udevsettle": lambda words: "",
            "hexdump": lambda words: host.hexdump(words, root),
            "scp": lambda words: host.scp(words, root),
            "lschp": lambda words: host.lschp(system, words),
            "zhypinfo": lambda words: host.zhypinfo(system),
        }

    # -- faults ---------------------------------------------------------------------------------------------------

    def _struck(self, request: Request, fault: Fault) -> Answer:
        """The answer of a command that a fault has struck."""
        dropped = fault.action in (Action.DROP_BEFORE, Action.DROP_AFTER)
        busy = fault.action in (Action.BUSY, Action.STALE)
        rc, rs = codes(fault)
        if request.method == SMAPI:
            if dropped:
                return Answer(1, protocol.broken(SmapiDown()))
            return Answer(1, protocol.refusal(SmapiError(400, 12) if busy else SmapiError(rc, rs, fault.message)))
        if request.method == VMUR and busy:
            return Answer(1, reader.BUSY)
        if request.method == IUCV:
            status = iucv.SOCKET if dropped or busy else iucv.FAILED
            return Answer(status, f"ERROR: {fault.message}\nReturn code {status}, Reason code {rs}.\n")
        if request.method == CP and not dropped:
            return _cp_refusal(request, CpError(rs or rc, f"HCPxxx{rs or rc:03d}E {fault.message}"))
        return Answer(_LOST if dropped else 1, f"ERROR: {fault.message}\n")


def _kept(word: str, folder: Path) -> str:
    """A word of a command; of a file that is to be read, which its owner removes, a copy in the folder."""
    path = Path(word)
    return str(shutil.copy(path, folder)) if path.is_absolute() and path.is_file() else word


def codes(fault: Fault) -> tuple[int, int]:
    """The return and reason code of a fault: `reason` says both, as 596/6831, or the second, beside `status`."""
    first, slash, second = fault.reason.partition("/")
    if slash:
        return int(first), int(second)
    return fault.status, int(first) if first.isdigit() else 0


def _cp_refusal(request: Request, error: CpError) -> Answer:
    command = " ".join(request.words[1:]).upper()
    return Answer(1, f"{error.message}\nError: non-zero CP response for command '{command}': #{error.number}\n")
