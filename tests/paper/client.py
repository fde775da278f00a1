"""A small client for tests: real HTTPS and WebSocket, answers as they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from yarl import URL

from tests.support.paper import PaperGateway

ACCOUNT, OTHER_ACCOUNT = "DU8730189", "DUP203550"
AAPL, SPY, SAP = 265598, 756733, 14204
_DEADLINE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class PaperClient:
    def __init__(self, paper: PaperGateway) -> None:
        self.paper = paper
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=paper.ssl_context()), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """A request to a path below the API, or to one outside it when it begins with `//`."""
        url = self.paper.origin + path[1:] if path.startswith("//") else self.paper.base_url + path
        async with self._http.request(method, URL(url, encoded=True), allow_redirects=False, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = await self.call("GET", path, **options)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a POST that succeeds."""
        answer = await self.call("POST", path, json={} if body is None else body, **options)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    async def prime(self) -> None:
        """What every client does first."""
        await self.get("/iserver/accounts")
        await self.get("/portfolio/accounts")
        await self.get("/iserver/account/orders")

    async def place(self, account: str = ACCOUNT, **order: Any) -> Any:
        """Place an order, unanswered questions and all."""
        return await self.post(f"/iserver/account/{account}/orders", {"orders": [an_order(**order)]})

    async def confirm(self, answer: Any) -> tuple[Any, list[str]]:
        """Confirm every question; the final answer, and the message ids that were asked."""
        asked: list[str] = []
        while isinstance(answer, list) and "message" in answer[0]:
            asked += answer[0]["messageIds"]
            answer = await self.post(f"/iserver/reply/{answer[0]['id']}", {"confirmed": True})
        return answer, asked

    async def placed(self, account: str = ACCOUNT, **order: Any) -> int:
        """Place an order and confirm everything; its id."""
        answer, _ = await self.confirm(await self.place(account, **order))
        return int(answer[0]["order_id"])

    async def pin(self, conid: int, bid: float, ask: float, last: float | None = None) -> None:
        body = {"conid": conid, "bid": bid, "ask": ask}
        await self.paper.acontrol("/quotes", body if last is None else body | {"last": last})

    async def live(self, order_id: int) -> Any:
        for row in (await self.get("/iserver/account/orders"))["orders"]:
            if row["orderId"] == order_id:
                return row
        return None

    async def until_status(self, order_id: int, status: str) -> Any:
        """Wait until an order is in a status; its row."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while True:
                row = await self.live(order_id)
                if row and row["status"] == status:
                    return row
                await asyncio.sleep(0.02)

    async def session_id(self) -> str:
        return str((await self.post("/tickle"))["session"])

    async def connect(self, cookie: str | None = None) -> PaperSocket:
        """Open the WebSocket, with the session's cookie if no other is given."""
        if cookie is None:
            cookie = f"api={await self.session_id()}"
        socket = await connect(
            self.paper.socket_url,
            ssl=self.paper.ssl_context(),
            additional_headers={"Cookie": cookie},
            max_size=None,
            close_timeout=5,
        )
        return PaperSocket(socket)

    async def greeted(self) -> PaperSocket:
        """Open the WebSocket and read its greeting."""
        socket = await self.connect()
        await socket.until(lambda frame: frame.get("topic") == "sts")
        return socket


class PaperSocket:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def message(self, seconds: float = _DEADLINE_SECONDS) -> str | bytes:
        """The next message as it is: bytes if it came as a binary one."""
        async with asyncio.timeout(seconds):
            return await self._socket.recv()

    async def frame(self, seconds: float = _DEADLINE_SECONDS) -> Any:
        return json.loads(await self.message(seconds))

    async def until(self, wanted: Any, seconds: float = _DEADLINE_SECONDS) -> Any:
        """The first frame that fits."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.frame(seconds)
                if wanted(frame):
                    return frame

    async def topic(self, topic: str) -> Any:
        """The next frame of a topic."""
        return await self.until(lambda frame: frame.get("topic") == topic)

    async def closed(self) -> bool:
        """Read until the socket ends."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self._socket.recv()
        return True


def an_order(**changes: Any) -> dict[str, Any]:
    """One share of AAPL at a limit, unless told otherwise."""
    order: dict[str, Any] = {
        "conid": AAPL,
        "orderType": "LMT",
        "price": 200.0,
        "side": "BUY",
        "tif": "DAY",
        "quantity": 1,
    }
    return {name: value for name, value in (order | changes).items() if value is not None}
