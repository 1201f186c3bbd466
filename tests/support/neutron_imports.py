"""Lets Neutron's server code be imported in the process that also runs Nova's tests.

Nova forbids the import of eventlet in its native-thread mode. Neutron's API modules import oslo.service's WSGI module,
which imports eventlet without using it: what Nova guards against, patched threads, does not come from that.
"""

from __future__ import annotations

import importlib
import sys
import warnings


def prepare() -> None:
    """Import what Neutron needs with Nova's guard lifted for that moment."""
    guards = [finder for finder in sys.meta_path if type(finder).__name__ == "PoisonEventletImport"]
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in guards]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The package chooses native threads for oslo.service, which would else choose by itself.
            importlib.import_module("neutron")
            importlib.import_module("oslo_service.wsgi")
    finally:
        sys.meta_path[:0] = guards
        # Nova refuses to start where eventlet has been imported; who needed it keeps its reference.
        for name in [name for name in sys.modules if name.partition(".")[0] == "eventlet"]:
            del sys.modules[name]
