"""A running capture against a gateway, as the server builds it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from bezant_server.config import load
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.jar import CookieJar
from bezant_server.cpapi.tls import client_context
from bezant_server.events.build import Capture
from bezant_server.events.clock import Clock

_FAST = {
    "BEZANT_EVENTS_ENABLED": "true",
    "BEZANT_EVENTS_BACKOFF_MIN_SECS": "0.01",
    "BEZANT_EVENTS_BACKOFF_MAX_SECS": "0.05",
    "BEZANT_EVENTS_FLUSH_SECS": "0.01",
}


@dataclass
class Running:
    """A capture, and shorthands for what tests ask of it."""

    capture: Capture
    jar: CookieJar
    task: asyncio.Task[None]

    async def poll(self, topic: str, since: int = 0, *, conid: str = "", limit: str = "") -> dict[str, Any] | None:
        """The answer of a poll; None for "nothing newer"."""
        answer = await self.capture.face.poll(topic, since=str(since), limit=limit, conid=conid)
        return None if answer.body is None else json.loads(answer.body)

    async def payloads(self, topic: str, count: int, *, conid: str = "") -> list[dict[str, Any]]:
        """The payloads of a topic's first `count` events, waited for."""
        name = f"{topic}:{conid}" if conid else topic
        async with asyncio.timeout(20):
            while self.status()["buffer_sizes"].get(name, 0) < count:  # noqa: ASYNC110  as its callers do
                await asyncio.sleep(0.005)
        answer = await self.poll(topic, conid=conid)
        assert answer is not None
        return [event["payload"] for event in answer["events"][:count]]

    def status(self) -> dict[str, Any]:
        """What /events/_status answers."""
        report: dict[str, Any] = json.loads(self.capture.face.status())
        return report

    async def until_status(self, name: str, value: object) -> dict[str, Any]:
        """Wait until a member of the status has a value."""
        async with asyncio.timeout(20):
            while self.status()[name] != value:  # noqa: ASYNC110  the status is polled by its callers too
                await asyncio.sleep(0.005)
        return self.status()

    async def until_frames(self, kind: str, count: int) -> None:
        """Wait until so many frames of a kind have arrived."""
        async with asyncio.timeout(20):
            while self.status()["frames"].get(kind, 0) < count:  # noqa: ASYNC110  the status is polled by its callers too
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Cancel, as the server does at shutdown."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@contextlib.asynccontextmanager
async def running(
    url: str,
    variables: Mapping[str, str] | None = None,
    *,
    clock: Clock | None = None,
    random: Random | None = None,
) -> AsyncIterator[Running]:
    """Start a capture; a test that lets it die fails with what killed it."""
    settings = load({**_FAST, "IBKR_GATEWAY_URL": url, **(variables or {})})
    tls = client_context(verify=False, ca_file=None)
    jar = CookieJar()
    client = CpapiClient(
        gateway=settings.gateway_url,
        jar=jar,
        tls=tls,
        connect_timeout=5,
        request_timeout=5,
        max_response_bytes=1 << 20,
        max_connections=8,
    )
    capture = Capture(
        settings, client, tls, clock=clock or Clock(), random=random or Random(7), on_status=lambda _: None
    )
    run = Running(capture, jar, asyncio.create_task(capture.run()))
    try:
        yield run
    finally:
        await run.stop()
        await client.aclose()
