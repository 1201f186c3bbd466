"""What Nova's fixtures make anew for each test, and a process may keep: together a fourth of what a test costs."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

import fixtures
from nova import policy
from nova.conf import paths
from oslo_config import cfg


class KeptPolicy(fixtures.Fixture):
    """Nova's policies as shipped, which its fixtures load twice for each test."""

    _enforcer: Any = None

    def _setUp(self) -> None:
        cfg.CONF.set_override("policy_file", paths.state_path_def("etc/nova/policy.yaml"), group="oslo_policy")
        policy._ENFORCER = KeptPolicy._enforcer
        policy.init(suppress_deprecation_warnings=True)
        KeptPolicy._enforcer = policy._ENFORCER
        self.addCleanup(setattr, policy, "_ENFORCER", None)


@functools.cache
def api_paste_config() -> str:
    """Nova's own, without the old path of the API, whose routes are as many again."""
    lines = Path(sys.prefix, "etc/nova/api-paste.ini").read_text(encoding="utf-8").splitlines()
    file = _kept_file()
    file.write("\n".join(line for line in lines if not line.startswith(("/v2:", "/v2/"))))
    file.flush()
    return str(file.name)


@functools.cache
def _kept_file() -> Any:
    """Open as long as the process lives, and gone with it."""
    return tempfile.NamedTemporaryFile("w", suffix=".ini", encoding="utf-8")
