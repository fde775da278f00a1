"""Every way a call can fail is one of the errors of this server, in time, and the client is usable afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.messages import UpstreamRequest
from bezant_server.errors import BezantError, UpstreamError, UpstreamHttpError, UpstreamTimeout, UpstreamUnreachable
from tests.contract.transport.conftest import ServerIdentity, open_client
from tests.support.scripted_gateway import Arrival, Last, ScriptedGateway, answer, json_answer

both = pytest.mark.parametrize("changes_state", [True, False], ids=["change", "read"])

BROKEN_ANSWERS = {
    "no status line": b"hello\r\n\r\n",
    "bad status line": b"HTTP/1.1 OK\r\n\r\n",
    "binary": bytes(range(256)) * 4,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "header without a colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "header with a NUL": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab",
    "chunk size that is no number": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "chunk longer than said": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabcdef\r\n0\r\n\r\n",
    "unknown transfer encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: wonder\r\nContent-Length: 2\r\n\r\nab",
    "huge header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * (512 * 1024) + b"\r\nContent-Length: 0\r\n\r\n",
    "endless header line": b"HTTP/1.1 200 OK\r\nx: " + b"a" * (512 * 1024),
    "a hundred thousand headers": b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 100_000 + b"\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@both
@pytest.mark.parametrize("broken", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_broken_http(gateway: ScriptedGateway, broken: bytes, changes_state: bool) -> None:
    gateway.on("POST", "/v1/api/x", Last(broken))
    async with open_client(gateway.url, request_timeout=5) as client:
        with pytest.raises(UpstreamHttpError):
            await client.call("POST", "/x", changes_state=changes_state)
        await assert_usable(client, gateway)


@both
async def test_an_answer_cut_in_its_content_length(
    client: CpapiClient, gateway: ScriptedGateway, changes_state: bool
) -> None:
    gateway.on("GET", "/v1/api/x", answer(200, b"half", length=8, headers=(("Connection", "close"),)))
    with pytest.raises(UpstreamHttpError):
        await client.call("GET", "/x", changes_state=changes_state)
    await assert_usable(client, gateway)


@both
@pytest.mark.parametrize("sent", [b"", b"5\r\nhal", b"4\r\nhalf\r\n", b"4\r\nhalf\r\n0\r\n"])
async def test_an_answer_cut_in_its_chunks(
    client: CpapiClient, gateway: ScriptedGateway, sent: bytes, changes_state: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    gateway.on("GET", "/v1/api/x", head + sent)
    with pytest.raises(UpstreamHttpError):
        await client.call("GET", "/x", changes_state=changes_state)
    await assert_usable(client, gateway)


@both
async def test_a_head_cut_off(client: CpapiClient, gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on("POST", "/v1/api/x", Last(b"HTTP/1.1 200 OK\r\nContent-Le"))
    with pytest.raises(UpstreamHttpError):
        await client.call("POST", "/x", changes_state=changes_state)
    await assert_usable(client, gateway)


@both
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_a_body_over_the_limit(gateway: ScriptedGateway, framing: str, changes_state: bool) -> None:
    body = b"x" * 5000
    gateway.on(
        "GET",
        "/v1/api/x",
        {
            "length": answer(200, body),
            "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + body + b"\r\n0\r\n\r\n",
            "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body,
        }[framing],
    )
    async with open_client(gateway.url, max_response_bytes=4999) as client:
        with pytest.raises(UpstreamHttpError, match="4999 bytes"):
            await client.call("GET", "/x", changes_state=changes_state)
        await assert_usable(client, gateway)


@both
async def test_a_body_at_the_limit_passes(gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on("GET", "/v1/api/x", answer(200, b"x" * 5000))
    async with open_client(gateway.url, max_response_bytes=5000) as client:
        response = await client.call("GET", "/x", changes_state=changes_state)
    assert response.body == b"x" * 5000


@both
async def test_no_answer_in_time(gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on("POST", "/v1/api/x", stalled())
    async with open_client(gateway.url, request_timeout=0.3) as client:
        with pytest.raises(UpstreamTimeout, match=r"0\.3 s"):
            await client.call("POST", "/x", changes_state=changes_state)
        await assert_usable(client, gateway)


@both
@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_an_answer_that_stalls(gateway: ScriptedGateway, beginning: bytes, changes_state: bool) -> None:
    gateway.on("GET", "/v1/api/x", beginning)
    async with open_client(gateway.url, request_timeout=0.3) as client:
        with pytest.raises(UpstreamTimeout):
            await client.call("GET", "/x", changes_state=changes_state)
        await assert_usable(client, gateway)


@both
async def test_an_answer_that_trickles_has_one_deadline(identity: ServerIdentity, changes_state: bool) -> None:
    """Each byte arrives well within the read timeout; the whole never does."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    async with (
        listening(trickle, identity.context) as port,
        open_client(f"https://127.0.0.1:{port}", request_timeout=0.4) as client,
    ):
        with pytest.raises(UpstreamTimeout):
            await client.call("GET", "/x", changes_state=changes_state)


@both
async def test_connection_refused(changes_state: bool) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with open_client(f"https://127.0.0.1:{port}") as client:
            with pytest.raises(UpstreamUnreachable) as caught:
                await client.call("POST", "/x", changes_state=changes_state)
    assert "outcome" not in caught.value.message


@both
async def test_a_name_that_does_not_resolve(changes_state: bool) -> None:
    async with open_client("https://gateway.invalid") as client:
        with pytest.raises(UpstreamUnreachable):
            await client.call("POST", "/x", changes_state=changes_state)


@both
async def test_a_peer_that_accepts_and_says_nothing(changes_state: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with open_client(f"https://127.0.0.1:{silent.getsockname()[1]}", connect_timeout=0.3) as client:
            with pytest.raises(UpstreamUnreachable) as caught:
                await client.call("POST", "/x", changes_state=changes_state)
    assert "outcome" not in caught.value.message


@both
async def test_a_peer_that_speaks_no_tls(changes_state: bool) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with listening(plain, None) as port, open_client(f"https://127.0.0.1:{port}") as client:
        with pytest.raises(UpstreamUnreachable) as caught:
            await client.call("POST", "/x", changes_state=changes_state)
    assert "outcome" not in caught.value.message


@both
async def test_a_peer_that_closes_in_the_handshake(changes_state: bool) -> None:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    async with listening(closing, None) as port, open_client(f"https://127.0.0.1:{port}") as client:
        with pytest.raises(UpstreamUnreachable) as caught:
            await client.call("POST", "/x", changes_state=changes_state)
    assert "outcome" not in caught.value.message


@both
async def test_a_certificate_that_is_not_trusted(gateway: ScriptedGateway, changes_state: bool) -> None:
    async with open_client(gateway.url, verify=True) as client:
        with pytest.raises(UpstreamUnreachable, match="certificate"):
            await client.call("POST", "/x", changes_state=changes_state)
    assert gateway.arrivals == []


@both
async def test_a_certificate_that_is_trusted(
    gateway: ScriptedGateway, identity: ServerIdentity, changes_state: bool
) -> None:
    gateway.on("POST", "/v1/api/x", json_answer({}))
    async with open_client(gateway.url, verify=True, ca_file=identity.ca_file) as client:
        assert (await client.call("POST", "/x", changes_state=changes_state)).status == 200


@both
async def test_a_certificate_of_another_host(
    gateway: ScriptedGateway, identity: ServerIdentity, changes_state: bool
) -> None:
    other_name = gateway.url.replace("127.0.0.1", "127.0.0.2")
    async with open_client(other_name, verify=True, ca_file=identity.ca_file) as client:
        with pytest.raises(UpstreamUnreachable):
            await client.call("POST", "/x", changes_state=changes_state)


@both
async def test_tls_that_breaks_after_the_request(identity: ServerIdentity, changes_state: bool) -> None:
    """Bytes under the TLS layer that are no TLS: the request had arrived."""

    def serve(connection: ssl.SSLSocket) -> None:
        connection.recv(65536)
        os.write(connection.fileno(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with blocking_server(identity.context, serve) as port:
        async with open_client(f"https://127.0.0.1:{port}", request_timeout=5) as client:
            with pytest.raises(UpstreamHttpError) as caught:
                await client.call("POST", "/x", changes_state=changes_state)
    assert ("outcome is unknown" in caught.value.message) is changes_state


@both
async def test_a_reset_after_the_request(identity: ServerIdentity, changes_state: bool) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with blocking_server(identity.context, serve) as port:
        async with open_client(f"https://127.0.0.1:{port}", request_timeout=5) as client:
            with pytest.raises(UpstreamHttpError) as caught:
                await client.call("POST", "/x", changes_state=changes_state)
    assert ("outcome is unknown" in caught.value.message) is changes_state


@both
async def test_a_peer_that_wants_a_client_certificate(identity: ServerIdentity, changes_state: bool) -> None:
    """With TLS 1.3 the refusal arrives when the client's handshake is over."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.ca_file, identity.ca_file.with_name("gateway-key.pem"))
    context.load_verify_locations(identity.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED

    with blocking_server(context, lambda connection: None) as port:
        async with open_client(f"https://127.0.0.1:{port}", request_timeout=5) as client:
            with pytest.raises(UpstreamError):
                await client.call("POST", "/x", changes_state=changes_state)


@both
async def test_a_gateway_without_tls(changes_state: bool) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(json_answer({"plain": True}))
        writer.close()

    async with listening(plain, None) as port, open_client(f"http://127.0.0.1:{port}") as client:
        assert (await client.call("POST", "/x", changes_state=changes_state)).body == b'{"plain": true}'


@both
async def test_a_cancelled_call_leaves_the_pool_usable(gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on("GET", "/v1/api/x", stalled())
    async with open_client(gateway.url, max_connections=1, connect_timeout=2) as client:
        for count in (1, 2, 3):
            call = asyncio.create_task(client.call("GET", "/x", changes_state=changes_state))
            await gateway.wait_for("GET", "/v1/api/x", count)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        await assert_usable(client, gateway)


@both
async def test_a_call_cancelled_while_it_waits_for_a_connection(gateway: ScriptedGateway, changes_state: bool) -> None:
    release = asyncio.Event()

    async def held(_: Arrival) -> bytes:
        await release.wait()
        return json_answer({})

    gateway.on("GET", "/v1/api/x", held)
    async with open_client(gateway.url, max_connections=1) as client:
        first = asyncio.create_task(client.call("GET", "/x", changes_state=changes_state))
        await gateway.wait_for("GET", "/v1/api/x")
        waiting = asyncio.create_task(client.call("GET", "/x", changes_state=changes_state))
        for _ in range(10):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        assert (await first).status == 200
        await assert_usable(client, gateway)
    assert len(gateway.received("GET", "/v1/api/x")) == 1


@both
async def test_calls_beyond_the_limit_wait_their_turn(gateway: ScriptedGateway, changes_state: bool) -> None:
    release = asyncio.Event()
    active = 0
    most = 0

    async def held(_: Arrival) -> bytes:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await release.wait()
        active -= 1
        return json_answer({})

    gateway.on("GET", "/v1/api/x", held)
    async with open_client(gateway.url, max_connections=2) as client:
        calls = [asyncio.create_task(client.call("GET", "/x", changes_state=changes_state)) for _ in range(6)]
        await gateway.wait_for("GET", "/v1/api/x", 2)
        release.set()
        statuses = [(await call).status for call in calls]
    assert statuses == [200] * 6
    assert most == 2


@both
async def test_a_call_that_waits_too_long_for_its_turn_was_not_sent(
    gateway: ScriptedGateway, changes_state: bool
) -> None:
    gateway.on("GET", "/v1/api/x", stalled())
    async with open_client(gateway.url, max_connections=1, connect_timeout=0.3) as client:
        first = asyncio.create_task(client.call("GET", "/x", changes_state=changes_state))
        await gateway.wait_for("GET", "/v1/api/x")
        with pytest.raises(UpstreamUnreachable) as caught:
            await client.call("POST", "/order", changes_state=changes_state)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
    assert "outcome" not in caught.value.message
    assert gateway.received("POST", "/v1/api/order") == []


@both
@pytest.mark.parametrize("target", ["/" + "a" * 70_000, "/v1/api/\u00e9", "/v1/api/a\x7fb", "/v1/api/a\nb"])
async def test_a_target_that_cannot_be_sent(
    client: CpapiClient, gateway: ScriptedGateway, target: str, changes_state: bool
) -> None:
    with pytest.raises(BezantError):
        await client.exchange(UpstreamRequest("GET", target, changes_state=changes_state))
    assert gateway.arrivals == []


async def assert_usable(client: CpapiClient, gateway: ScriptedGateway) -> None:
    gateway.on("GET", "/v1/api/fine", json_answer({}))
    for changes_state in (True, False):
        assert (await client.call("GET", "/fine", changes_state=changes_state)).status == 200


def stalled() -> Callable[[Arrival], Awaitable[bytes]]:
    async def never(_: Arrival) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    return never


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def blocking_server(context: ssl.SSLContext, serve: Callable[[ssl.SSLSocket], None]) -> Iterator[int]:
    """A server in a thread, whose socket a test may write to below TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as connection:
                        serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(10)
