"""The one error of the lab: the command line shows it as a sentence, and any other error as a traceback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LabError(Exception):
    """Something the user can act on; the message names the object and the fix."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn what calls of programs and of OpenStack end with, where nothing more is known, into a LabError."""
    # Here and not above: they take half a second, and most modules need no more than the error.
    from keystoneauth1.exceptions import ClientException
    from openstack.exceptions import SDKException

    try:
        yield
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{Path(error.cmd[0]).name} did not end within {error.timeout:.0f} s: see whether the machine is too busy "
            "or the disk full, and try again"
        ) from error
    except (SDKException, ClientException) as error:
        raise LabError(
            f"OpenStack did not do what it was asked ({error}): see `bigiron lab status`, and `bigiron lab logs` of "
            "the program concerned"
        ) from error
