"""Requests through one pool of connections, as the clients of both platforms make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

CONNECT_TIMEOUT_S = 10.0


def connections(ca_file: str | None, size: int) -> requests.Session:
    """A pool of connections that verifies certificates, with the system's authorities where no file is named."""
    session = requests.Session()
    # Without this, REQUESTS_CA_BUNDLE and proxy variables of the environment would override the options.
    session.trust_env = False
    session.verify = ca_file or True
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=size, max_retries=0, pool_block=False)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def send(
    session: requests.Session,
    method: str,
    url: str,
    *,
    body: Callable[[], Any],
    headers: Mapping[str, str],
    timeout_s: float,
    stream: bool,
    again: bool,
) -> requests.Response:
    """Send a request and return its answer; raises what requests raises.

    A kept connection that the server closes at the same moment costs the request: what may be sent `again`, such as a
    read, is then repeated once.
    """
    for attempt in (0, 1) if again else (1,):
        try:
            return session.request(
                method, url, data=body(), headers=dict(headers), stream=stream,
                timeout=(CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False,
            )  # fmt: skip
        except requests.exceptions.ConnectionError as error:
            if attempt or isinstance(error, (requests.exceptions.SSLError, requests.exceptions.Timeout)):
                raise
    raise AssertionError("the last attempt returns or raises")
