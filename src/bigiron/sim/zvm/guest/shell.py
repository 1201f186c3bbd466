"""The little of a shell that the Cloud Connector's scripts need. It works on a guest's files and runs nothing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bigiron.sim.zvm.guest.files import HOSTNAME, Files

_SILENT = {
    "cio_ignore", "znetconf", "udevadm", "service", "sleep", "systemctl", "wicked", "ip", "netplan", "chccwdev", "sed",
    "chmod", "set", "export", "/etc/init.d/networking", "chzdev", "nmcli", "touch", "mkdir",
}  # fmt: skip
"""Commands that change nothing that is simulated."""
_REDIRECTIONS = (">>", ">")


@dataclass(slots=True)
class Shell:
    """Runs scripts line by line; `folder` holds what was unpacked beside them."""

    files: Files
    folder: Mapping[str, bytes] = field(default_factory=dict)
    programs: Mapping[str, Callable[[list[str]], str]] = field(default_factory=dict)
    """Scripts of others, by name, that do more than such lines: they return what they print."""
    hostname: str = ""
    output: list[str] = field(default_factory=list)

    def run(self, script: str) -> int:
        """Run a script; the status of its last command, or of `exit`."""
        status = 0
        for line in script.splitlines():
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if text.startswith("exit"):
                return int(text.split()[1]) if len(text.split()) > 1 else status
            status = self._line(text)
        return status

    def _line(self, text: str) -> int:
        try:
            words = shlex.split(text)
        except ValueError:
            self.output.append(f"bash: cannot be read: {text}")
            return 2
        words, target, appends = _redirected(words)
        printed, status = self._command(words) if words else (b"", 0)
        if target:
            (self.files.append if appends else self.files.write)(target, printed)
        elif printed:
            self.output.append(printed.decode("utf-8", "replace").rstrip("\n"))
        return status

    def _command(self, words: list[str]) -> tuple[bytes, int]:
        name = words[0]
        if name == "echo":
            bare = words[1:2] == ["-n"]
            return (" ".join(words[2 if bare else 1 :]) + ("" if bare else "\n")).encode(), 0
        if name == "cat":
            parts = [self._read(path) for path in words[1:]]
            return b"".join(part or b"" for part in parts), 1 if None in parts else 0
        if name == "rm":
            for pattern in (word for word in words[1:] if not word.startswith("-")):
                self.files.remove(pattern)
            return b"", 0
        if name.rpartition("/")[2] == "hostname" and len(words) > 1:
            self.hostname = words[1]
            self.files.write(HOSTNAME, words[1].encode())
            return b"", 0
        if name.rpartition("/")[2] in ("bash", "sh") and len(words) > 1:
            return self._script(words[1], words[2:])
        if name in _SILENT or name.rpartition("/")[2] in _SILENT:
            return b"", 0
        self.output.append(f"bash: {name}: not simulated")
        return b"", 127

    def _script(self, path: str, arguments: list[str]) -> tuple[bytes, int]:
        program = self.programs.get(path.rpartition("/")[2])
        if program is not None:
            return program(arguments).encode(), 0
        content = self._read(path)
        if content is None:
            self.output.append(f"bash: {path}: No such file or directory")
            return b"", 127
        return b"", self.run(content.decode("utf-8", "replace"))

    def _read(self, path: str) -> bytes | None:
        return self.folder.get(path) if path in self.folder else self.files.read(path)


def _redirected(words: list[str]) -> tuple[list[str], str, bool]:
    """A command's words, and where its output goes: `> path` or `>> path`."""
    for sign in _REDIRECTIONS:
        if sign in words:
            at = words.index(sign)
            return words[:at], "".join(words[at + 1 : at + 2]), sign == ">>"
    return words, "", False
