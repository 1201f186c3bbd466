"""Keystone's identity API in one process.

Usage: python -m bigiron.lab.control.keystone CONFIG_FILE PORT
"""

from __future__ import annotations

import os
import sys

from bigiron.lab import litedb
from bigiron.lab.control.serving import serve


def main() -> None:
    """Start from the command line."""
    config, port = sys.argv[1], int(sys.argv[2])
    sys.argv = ["keystone-api"]
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = config
    litedb.install()
    from keystone.wsgi.api import application

    serve(application, port, threads=8)


if __name__ == "__main__":
    main()
