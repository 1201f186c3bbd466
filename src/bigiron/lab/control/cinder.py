"""Cinder's API and scheduler in one process, without a volume back end: the catalog is complete, volumes need hardware.

Cinder 28, of OpenStack 2026.1, runs its scheduler under eventlet only: there the API is alone.

Usage: python -m bigiron.lab.control.cinder CONFIG_FILE PORT
"""

from __future__ import annotations

import importlib.util
import os
import sys

from bigiron.lab import litedb
from bigiron.lab.control.serving import serve


def main() -> None:
    """Start from the command line."""
    config, port = sys.argv[1], int(sys.argv[2])
    sys.argv = ["cinder-control", f"--config-file={config}"]
    os.environ["OS_CINDER_DISABLE_EVENTLET_PATCHING"] = "true"
    threads = importlib.util.find_spec("cinder.monkey_patch") is not None
    if threads:
        from cinder import monkey_patch

        monkey_patch.patch()
    litedb.install()
    from cinder.wsgi.api import application

    from cinder import policy, service  # isort: skip

    # As in Neutron: the policies are loaded at the first request, without a lock.
    policy.init()
    on_stop = []
    if threads:
        scheduler = service.Service.create(binary="cinder-scheduler")
        scheduler.start()
        on_stop.append(scheduler.stop)
    serve(application, port, threads=8, on_stop=on_stop)


if __name__ == "__main__":
    main()
