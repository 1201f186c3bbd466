"""TLS between nova-novncproxy and the VNC port: VeNCrypt 0.2 with the subtype X509None.

Spoken in front of `mkvterm`'s server, which only knows the security type None: the versions are passed through, None is
chosen there, and what follows, from that server's security result on, goes through TLS.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from dataclasses import dataclass

from bigiron.errors import AuthError, InvalidSpec

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_VERSION_BYTES = 12
_NONE, _VENCRYPT, _X509_NONE = 1, 19, 260
_VENCRYPT_VERSION = b"\x00\x02"
_SHAKE_S = 30.0


@dataclass(frozen=True, slots=True)
class VncCertificates:
    """PEM files: the authority of the proxies' certificates, and this host's own certificate and key."""

    ca: str
    cert: str
    key: str


def server_context(files: VncCertificates) -> ssl.SSLContext:
    """Only who has a certificate of that authority gets in. Raises InvalidSpec for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(files.cert, files.key)
        context.load_verify_locations(files.ca)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSpec(
            f"The certificates for VNC cannot be used ({error}): check [powervm] vnc_ca_certs ({files.ca}), "
            f"vnc_server_cert ({files.cert}) and vnc_server_key ({files.key}), or set vnc_use_x509_auth = false."
        ) from error
    return context


async def secure(viewer: Pair, served: Pair, context: ssl.SSLContext) -> None:
    """Agree on TLS with the viewer and on None with the server. Raises AuthError, OSError and TimeoutError."""
    try:
        async with asyncio.timeout(_SHAKE_S):
            await _choose_none(viewer, served)
            await _choose_x509(*viewer)
            await viewer[1].start_tls(context)
    except (asyncio.IncompleteReadError, ssl.SSLError) as error:
        raise AuthError(f"A viewer did not take to TLS: {error}") from error


async def _choose_none(viewer: Pair, served: Pair) -> None:
    viewer[1].write(await served[0].readexactly(_VERSION_BYTES))
    served[1].write(await viewer[0].readexactly(_VERSION_BYTES))
    (count,) = await served[0].readexactly(1)
    offered = await served[0].readexactly(count)
    if _NONE not in offered:
        raise AuthError(f"mkvterm's VNC server offers the security types {list(offered)}, and None (1) is needed.")
    served[1].write(bytes([_NONE]))


async def _choose_x509(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes([1, _VENCRYPT]))
    if (await reader.readexactly(1))[0] != _VENCRYPT:
        raise AuthError(
            "A viewer chose another security type than VeNCrypt: set [vnc] auth_schemes of nova-novncproxy."
        )
    writer.write(_VENCRYPT_VERSION)
    if await reader.readexactly(2) != _VENCRYPT_VERSION:
        writer.write(b"\x01")
        raise AuthError("A viewer speaks another version of VeNCrypt than 0.2.")
    writer.write(b"\x00" + struct.pack(">BI", 1, _X509_NONE))
    if await reader.readexactly(4) != struct.pack(">I", _X509_NONE):
        writer.write(b"\x00")
        raise AuthError("A viewer chose another subtype of VeNCrypt than X509None.")
    writer.write(b"\x01")
    await writer.drain()
