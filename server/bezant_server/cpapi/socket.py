"""The gateway's WebSocket: one connection, from the session's id to its end."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Origin

from bezant_server.cpapi.classify import decode
from bezant_server.cpapi.client import USER_AGENT, CpapiClient
from bezant_server.errors import UpstreamDecodeError

_CLOSE_SECS = 1.0
"""How long a closing handshake may take. Short: a socket is closed because it is broken, or because we stop."""

_HARD_LIMIT_FACTOR = 16
_MESSAGE_TOO_BIG = 1009
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,256}")
_UNSAFE_IN_COOKIE = frozenset('";,\\')


class SocketFailed(Exception):
    """The socket cannot be used any more, or could not be opened; the message holds no secret."""


class FrameTooBig(SocketFailed):
    """A frame was so big that the connection had to be given up."""


class GatewaySocket:
    """An open socket: text requests out, JSON frames in.

    Args:
        connection: the open connection.
        silence_secs: without any frame for so long the socket counts as dead.
        send_secs: the deadline of a request.
    """

    def __init__(self, connection: ClientConnection, *, silence_secs: float, send_secs: float) -> None:
        self._connection = connection
        self._silence_secs = silence_secs
        self._send_secs = send_secs

    async def send(self, text: str) -> None:
        """Send one request, such as `sor+{}`.

        Raises:
            SocketFailed: it was not taken.
        """
        try:
            async with asyncio.timeout(self._send_secs):
                await self._connection.send(text)
        except TimeoutError:
            raise SocketFailed(f"a request was not taken within {self._send_secs:g} s") from None
        except (ConnectionClosed, OSError) as error:
            raise _failure(error) from None

    async def receive(self) -> bytes:
        """The next frame, text or binary, as bytes.

        Raises:
            SocketFailed: the socket closed, or was silent for too long.
        """
        try:
            async with asyncio.timeout(self._silence_secs):
                return await self._connection.recv(decode=False)
        except TimeoutError:
            raise SocketFailed(f"silent for {self._silence_secs:g} s") from None
        except (ConnectionClosed, OSError) as error:
            raise _failure(error) from None


@asynccontextmanager
async def open_socket(
    client: CpapiClient,
    tls: ssl.SSLContext,
    *,
    open_secs: float,
    silence_secs: float,
    max_frame_bytes: int,
) -> AsyncIterator[GatewaySocket]:
    """Connect with the session's cookies, plus the id that a fresh /tickle gives; close at the end.

    Frames over `max_frame_bytes` are still delivered, so that the caller can count and drop them; one of more than 16
    times that ends the connection.

    Raises:
        SocketFailed: no connection.
        BezantError: /tickle gave no session.
    """
    session = await _session_id(client)
    headers = [("Cookie", _cookies(client.jar.header(), session))]
    url = client.gateway.socket_url
    opening = _Connect(
        url,
        ssl=tls if url.startswith("wss:") else None,
        origin=Origin(client.gateway.origin),
        additional_headers=headers,
        user_agent_header=USER_AGENT,
        compression=None,
        proxy=None,
        open_timeout=open_secs,
        close_timeout=_CLOSE_SECS,
        # The gateway's own heartbeats tell whether it lives.
        ping_interval=None,
        max_size=max_frame_bytes * _HARD_LIMIT_FACTOR,
        logger=_silent_logger(),
    )
    try:
        async with client.socket_turn():
            connection = await opening
    except (WebSocketException, OSError, TimeoutError) as error:
        raise _failure(error) from None
    try:
        yield GatewaySocket(connection, silence_secs=silence_secs, send_secs=open_secs)
    finally:
        await connection.close()


class _Connect(connect):
    """Follows no redirect: one leads to the login page, and cookies belong to the gateway's socket alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _session_id(client: CpapiClient) -> str:
    document = decode(await client.call("POST", "/tickle", changes_state=False))
    session = document.get("session") if isinstance(document, dict) else None
    if not isinstance(session, str) or not _SESSION_ID.fullmatch(session) or _UNSAFE_IN_COOKIE & set(session):
        raise UpstreamDecodeError("the gateway's tickle named no session")
    return session


def _cookies(jar: str | None, session: str) -> str:
    others = [pair for pair in (jar or "").split("; ") if pair and not pair.startswith("api=")]
    return "; ".join([*others, f'api={{"session":"{session}"}}'])


def _silent_logger() -> logging.Logger:
    """A logger that leads nowhere: at DEBUG the library writes the handshake, cookies included."""
    logger = logging.Logger("bezant_server.cpapi.socket.library", level=logging.CRITICAL)  # noqa: LOG001
    logger.addHandler(logging.NullHandler())
    return logger


def _failure(error: Exception) -> SocketFailed:
    """Says what happened without the peer's own words, which may hold anything."""
    match error:
        case ConnectionClosed() if error.sent is not None and error.sent.code == _MESSAGE_TOO_BIG:
            return FrameTooBig("a frame was too big to be taken in")
        case ConnectionClosed() if error.rcvd is not None:
            return SocketFailed(f"the gateway closed the socket (code {error.rcvd.code})")
        case ConnectionClosed():
            return SocketFailed("the socket broke")
        case InvalidStatus():
            return SocketFailed(f"the gateway refused the socket (HTTP {error.response.status_code})")
        case TimeoutError():
            return SocketFailed("the socket did not open in time")
        case ssl.SSLError():
            return SocketFailed(f"the socket's TLS failed ({error.reason or type(error).__name__})")
        case OSError():
            return SocketFailed(f"no connection for the socket ({error.strerror or type(error).__name__})")
        case _:
            return SocketFailed(f"the socket did not open ({type(error).__name__})")
