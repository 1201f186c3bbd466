"""How the management partition's commands reach the simulator: a file in the tree names its control address.

Standard library only, and nothing of the simulator: a command must start in a few hundredths of a second.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FILE = "endpoints.json"
_TIMEOUT_S = 60.0


class Unreachable(Exception):
    """The simulator cannot be asked; the message names the address and what to do."""


class Simulator:
    """The control address of a running simulator."""

    def __init__(self, control: str) -> None:
        self.control = control.rstrip("/")

    @classmethod
    def of_tree(cls, root: Path) -> Simulator:
        """The simulator that presents this tree. Raises Unreachable."""
        file = root / FILE
        try:
            return cls(json.loads(file.read_text())["control"])
        except (OSError, ValueError, KeyError) as error:
            raise Unreachable(f"{file} names no simulator ({error}); start the simulator of this tree") from error

    def ask(self, method: str, path: str, body: Any = None, timeout: float = _TIMEOUT_S) -> tuple[int, Any]:
        """Status and JSON answer; `body` is sent as it is where it is a string, else as JSON. Raises Unreachable."""
        data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self.control + path, data, method=method)
        request.add_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        # A proxy of the environment must not see calls to the loopback address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, _refusal(error)
        except (OSError, ValueError) as error:
            raise Unreachable(f"no simulator answers at {self.control} ({error}); is it running?") from error


def tell(text: object) -> None:
    """Print a command's result."""
    sys.stdout.write(f"{text}\n")


def fail(command: str, message: object, status: int = 1) -> int:
    """Print why a command fails and return its exit status."""
    sys.stderr.write(f"{command}: {message}\n")
    return status


def _refusal(error: urllib.error.HTTPError) -> Any:
    text = error.read().decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return {"error": text.strip() or str(error)}
