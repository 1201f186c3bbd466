"""The little of a shell that the Cloud Connector's scripts need. It works on a guest's files and runs nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bigiron.sim.zvm.guest.files import HOSTNAME, Files

_SILENT = {
    "cio_ignore", "znetconf", "udevadm", "service", "sleep", "systemctl", "wicked", "ip", "netplan", "chccwdev",
    "qeth_configure", "chmod", "set", "export", "networking", "chzdev", "nmcli", "touch", "mkdir",
}  # fmt: skip
"""Commands that change nothing that is simulated."""
_CONTROL = {"if", "then", "else", "elif", "fi", "for", "while", "do", "done"}
"""Lines of these are passed over: what stands between them is tried."""
_ASSIGNMENT = re.compile(r"\w+=")
_REDIRECTED = re.compile(r"(>>?)(.*)")
_DELETE, _SUBSTITUTE = re.compile(r"/(.*)/d"), re.compile(r"s/(.*?)/(.*?)/g?")


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
        if text.split()[0] in _CONTROL or _ASSIGNMENT.match(text):
            return 0
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
        if name == "sed":
            self._sed(words[1:])
            return b"", 0
        if name.rpartition("/")[2] in _SILENT:
            return b"", 0
        self.output.append(f"bash: {name}: not simulated")
        return b"", 127

    def _sed(self, words: list[str]) -> None:
        """sed -i of one expression, `/x/d` or `s/x/y/`, on a file; others change nothing."""
        if len(words) != 3 or words[0] != "-i" or self.files.read(words[2]) is None:
            return
        lines = self.files.text(words[2]).splitlines()
        if match := _DELETE.fullmatch(words[1]):
            lines = [line for line in lines if not re.search(match[1], line)]
        elif match := _SUBSTITUTE.fullmatch(words[1]):
            lines = [re.sub(match[1], match[2], line) for line in lines]
        self.files.write(words[2], "".join(f"{line}\n" for line in lines).encode())

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
    """A command's words, and where its output goes: `> path` or `>>path`."""
    for at, word in enumerate(words):
        if match := _REDIRECTED.fullmatch(word):
            target = match[2] or "".join(words[at + 1 : at + 2])
            return words[:at], target, match[1] == ">>"
    return words, "", False
