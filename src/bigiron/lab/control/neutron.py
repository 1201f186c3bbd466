"""Neutron's API and RPC listeners in one process.

Usage: python -m bigiron.lab.control.neutron CONFIG_FOLDER PORT
"""

from __future__ import annotations

import logging
import os
import sys

from bigiron.lab import litedb
from bigiron.lab.control.serving import serve

LOG = logging.getLogger(__name__)


def start_rpc_listeners() -> None:
    """Listen for agents, which `neutron-rpc-server` does in a process of its own."""
    from neutron_lib.plugins import directory

    for plugin in directory.get_unique_plugins():
        # Every plug-in inherits them; one that hears no agent says so only when it is called.
        for name in ("start_rpc_listeners", "start_rpc_state_reports_listener"):
            try:
                getattr(plugin, name, lambda: None)()
            except NotImplementedError:
                LOG.debug("%s has no %s", type(plugin).__name__, name)


def main() -> None:
    """Start from the command line."""
    folder, port = sys.argv[1], int(sys.argv[2])
    sys.argv = ["neutron-control"]
    os.environ["OS_NEUTRON_CONFIG_DIR"] = folder
    os.environ["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf;ml2_conf.ini"
    litedb.install()
    from neutron.wsgi.api import application

    from neutron import policy  # isort: skip

    # Neutron loads its policies at the first request, without a lock: simultaneous first requests would get 403.
    policy.init()
    start_rpc_listeners()
    serve(application, port, threads=16)


if __name__ == "__main__":
    main()
