"""Glance's image API in one process.

Usage: python -m bigiron.lab.control.glance CONFIG_FOLDER PORT
"""

from __future__ import annotations

import os
import sys

from bigiron.lab import litedb
from bigiron.lab.control.serving import serve


def main() -> None:
    """Start from the command line."""
    folder, port = sys.argv[1], int(sys.argv[2])
    sys.argv = ["glance-api"]
    os.environ["OS_GLANCE_CONFIG_DIR"] = folder
    litedb.install()
    from glance.wsgi.api import application

    serve(application, port, threads=8)


if __name__ == "__main__":
    main()
