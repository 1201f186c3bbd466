"""A simulated z/VM without the Cloud Connector: commands go to it directly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import zvm

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import FaultPlan
from bigiron.sim.kernel.journal import Journal
from bigiron.sim.kernel.latency import Latency
from bigiron.sim.zvm.commands import SMAPI, Answer, Commands
from bigiron.sim.zvm.guest.boot import Guests
from bigiron.sim.zvm.latency import PROFILES
from bigiron.sim.zvm.model import genesis
from bigiron.sim.zvm.model.system import System

BOOT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Zvm:
    """A system and everything around it that answers commands. Its clock stands still."""

    system: System
    clock: Clock
    faults: FaultPlan
    journal: Journal
    commands: Commands
    folder: Path

    def run(self, *words: str) -> Answer:
        return self.commands.run(words)

    def smcli(self, function: str, *words: str) -> Answer:
        return self.run("smcli", function, "--addRCheader", *words, "--timeout", "240")

    def ok(self, function: str, *words: str) -> list[str]:
        """The lines that a function prints, after its header."""
        answer = self.smcli(function, *words)
        header, *lines = answer.output.splitlines()
        assert (answer.status, header) == (0, "0 0 0 (details) None"), answer.output
        return lines

    def codes(self, function: str, *words: str) -> tuple[int, int]:
        """Return and reason code of a refusal."""
        answer = self.smcli(function, *words)
        overall, rc, rs = answer.output.split()[:3]
        assert (answer.status, overall) == (1, "8"), answer.output
        return int(rc), int(rs)

    def vmcp(self, command: str) -> str:
        answer = self.run("vmcp", command)
        assert answer.status == 0, answer.output
        return answer.output

    def file(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def punch(self, userid: str, name: str, content: str | bytes, spool_class: str = "X") -> None:
        """Send a file to a userid's reader, as the Cloud Connector does."""
        answer = self.run("vmur", "punch", "-r", self.file(name, content))
        assert answer.status == 0, answer.output
        number = answer.output.split("spoolid ")[1].split()[0]
        self.vmcp(f"change rdr {number} class {spool_class}")
        self.vmcp(f"transfer * rdr {number} to {userid} rdr")

    def create(self, userid: str, *statements: str, disks: Sequence[int] = ()) -> None:
        """A userid with minidisks of so many cylinders from 0100 on; it loads the first."""
        lines = [f"USER {userid} LBYONLY 2048m 8G G", "INCLUDE OSDFLT", "MACHINE ESA 8", "IPL 0100", *statements]
        self.ok("Image_Create_DM", "-T", userid, "-f", self.file(userid, "\n".join(lines) + "\n"))
        for number, size in enumerate(disks):
            self.add_disk(userid, f"01{number:02d}", size)

    def add_disk(self, userid: str, vdev: str, size: int, pool: str = "POOL1", kind: str = "3390") -> None:
        words = ("-v", vdev, "-t", kind, "-a", "AUTOG", "-r", pool, "-u", "1", "-z", str(size), "-f", "1", "-m", "MR")
        self.ok("Image_Disk_Create_DM", "-T", userid, *words)

    def boot(self, userid: str) -> None:
        """A userid with a system on its disk that has come up and obeys the connector."""
        self.create(userid)
        self.boot_disk(userid)
        self.punch(userid, "iucvauth.sh", "#!/bin/bash\necho -n ZCC00001 > /etc/iucv_authorized_userid\n")
        self.ok("Image_Activate", "-T", userid)
        self.clock.advance(BOOT_SECONDS)

    def boot_disk(self, userid: str) -> None:
        """A disk at 0100 that can be loaded."""
        self.add_disk(userid, "0100", 100)
        image = self.file("boot.image", zvm.image(100, b"system" * 100))
        assert self.run("unpackdiskimage", userid, "0100", image).status == 0

    def iucv(self, userid: str, command: str) -> str:
        answer = self.run("iucvclnt", userid, command)
        assert answer.status == 0, answer.output
        return answer.output

    def files(self, userid: str) -> dict[str, str]:
        """What the Linux of a userid was configured with."""
        from bigiron.sim.zvm import overview

        with self.system.lock:
            self.system.settle()
            found: dict[str, str] = overview.files(self.system, userid)["files"]
            return found


@pytest.fixture
def z(tmp_path: Path) -> Zvm:
    clock = Clock(scale=0.0)
    system = genesis.build(zvm.system_document(), clock, tmp_path / "state")
    system.boot_seconds = system.shutdown_seconds = BOOT_SECONDS
    Guests(system)
    faults, journal = FaultPlan(late=(SMAPI,)), Journal()
    root = tmp_path / "connector" / "root"
    commands = Commands(system, clock, Latency(clock, PROFILES, "none"), faults, journal, root)
    folder = tmp_path / "server"
    folder.mkdir()
    return Zvm(system, clock, faults, journal, commands, folder)
