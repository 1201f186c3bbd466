"""What guests wrote to their consoles: the connector gathers it from the spool, and keeps all of it in a file."""

from __future__ import annotations

import logging

from bigiron.errors import NotFound, PlatformError, Unsupported
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guest

LOG = logging.getLogger(__name__)

_LOG = "/var/lib/zvmsdk/guests/{userid}/console.log"
"""Where every version of the connector keeps it; the path is not configurable there."""


def output(api: Api, guest: Guest, limit: int) -> bytes:
    """The last bytes that the guest wrote, at most so many.

    The connector fails where nothing was written since the last time, and where its cut falls into a character: the
    file has what there is all the same.
    """
    what = f"Reading the console of guest {guest.name}"
    try:
        text = api.action(guest.userid, "get_console_output", what=what)
        return str(text).encode()[-limit:]
    except NotFound:
        raise
    except PlatformError as error:
        LOG.debug("nothing new on the console: %s", error)
        return _kept(api, guest, limit, error)


def _kept(api: Api, guest: Guest, limit: int, reason: PlatformError) -> bytes:
    tail = b""
    try:
        with api.connector.download(
            _LOG.format(userid=guest.userid), f"Reading the console of guest {guest.name}"
        ) as chunks:
            for chunk in chunks:
                tail = (tail + chunk)[-limit:]
    except NotFound:
        raise Unsupported(
            f"Guest {guest.name} has written nothing to its console: {reason.message} The profile of guests must spool "
            "the console to the Cloud Connector's userid (SPOOL CONSOLE START TO *)."
        ) from reason
    return tail
