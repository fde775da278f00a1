"""The heartbeat that keeps the gateway's session from idling out."""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from bezant_server.cpapi.classify import decode
from bezant_server.cpapi.client import CpapiClient
from bezant_server.errors import BezantError

_log = logging.getLogger(__name__)


class Keepalive:
    """POST /tickle at an interval; IBKR ends a session after about six minutes without a request.

    Args:
        gateway: the gateway, over the one session.
        interval: seconds between two tickles.
    """

    def __init__(self, *, gateway: CpapiClient, interval: float) -> None:
        self._gateway = gateway
        self._interval = interval
        self._failing = ""

    async def run(self) -> NoReturn:
        """Tickle for ever. A tickle that fails is logged, and the next one is sent all the same."""
        while True:
            await self._tickle()
            await asyncio.sleep(self._interval)

    async def _tickle(self) -> None:
        try:
            decode(await self._gateway.call("POST", "/tickle", changes_state=False))
        except BezantError as error:
            self._report(error)
            return
        if self._failing:
            _log.info("the gateway answers tickles again")
            self._failing = ""

    def _report(self, error: BezantError) -> None:
        """Say it when it begins or changes: an outage of a night is a line, not hundreds."""
        level = logging.DEBUG if self._failing == error.code else logging.WARNING
        _log.log(level, "tickle failed", extra={"code": error.code, "reason": error.message})
        self._failing = error.code
