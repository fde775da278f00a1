"""Calls that the gateway wants made before others: once a session, shared by all who need them at a time.

Whoever makes such a call counts: the server's own upkeep, a REST caller, another typed call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi import effects, refusals
from bezant_server.cpapi.caller import Caller
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse
from bezant_server.errors import BezantError

ACCOUNTS = "/iserver/accounts"
"""Before snapshots, live orders and everything about an order."""
PORTFOLIO = "/portfolio/accounts"
"""Before everything else below /portfolio."""
ORDERS = "/iserver/account/orders"
"""The live orders."""
SEARCH = "/iserver/secdef/search"
"""Of an underlying's symbol, before its strikes and derivatives."""

_COUNTS_AS = {
    ACCOUNTS: ACCOUNTS,
    PORTFOLIO: PORTFOLIO,
    "/portfolio/subaccounts": PORTFOLIO,
    "/portfolio/subaccounts2": PORTFOLIO,
}
_MOST_SEARCHES = 10_000

Key = tuple[str, str]
"""A path, and for a search its symbol."""


class Preflights:
    """What was made in this session.

    Args:
        gateway: where its API is.
    """

    def __init__(self, gateway: GatewayUrl) -> None:
        # Paths are told apart in lower case.
        self._gateway = replace(gateway, base_path=gateway.base_path.lower())
        self._done: set[Key] = set()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._orders_filtered = False

    @property
    def orders_filtered(self) -> bool:
        """Whether the gateway lists a part of the live orders alone: the part that somebody has asked for.

        It does so until it is told to begin anew (IBKR's documentation).
        """
        return self._orders_filtered

    def answered(self, request: UpstreamRequest, outcome: UpstreamResponse | BezantError) -> None:
        """An exchange with the gateway is over."""
        if isinstance(outcome, BezantError) or outcome.status != 200:
            return
        target, _, query = request.target.partition("?")
        path = effects.resolved(target) or ""
        if not self._gateway.is_api_path(path):
            return
        path = self._gateway.below_base(path)
        if path in _COUNTS_AS:
            self._done.add((_COUNTS_AS[path], ""))
        elif path == ORDERS:
            asked = dict(parse_qsl(query))
            self._orders_filtered = bool(asked.get("filters", "")) or (
                self._orders_filtered and asked.get("force", "").lower() != "true"
            )
        elif path == SEARCH and request.method == "GET" and len(self._done) < _MOST_SEARCHES:
            self._done.update((SEARCH, value.upper()) for name, value in parse_qsl(query) if name == "symbol")

    def forget(self) -> None:
        """Another session has begun."""
        self._done.clear()
        self._running.clear()
        self._orders_filtered = False

    def is_first(self, name: str) -> bool:
        """Whether this is the first time in this session that something of that name is asked."""
        key = (name, "")
        first = key not in self._done
        self._done.add(key)
        return first

    async def ensure(self, client: CpapiClient, path: str, *, symbol: str = "") -> None:
        """Make the call unless this session has had it.

        Args:
            client: makes it.
            path: ACCOUNTS, PORTFOLIO or SEARCH.
            symbol: to search for.

        Raises:
            BezantError: it failed.
        """
        key = (path, symbol.upper())
        if key in self._done:
            return
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(_make(client, path, symbol))
            task.add_done_callback(self._finished(key))
        # The first to ask may leave; the others still need it.
        await asyncio.shield(task)

    def _finished(self, key: Key) -> Callable[[asyncio.Task[None]], None]:
        def finished(task: asyncio.Task[None]) -> None:
            if self._running.get(key) is task:
                del self._running[key]
            if not task.cancelled():
                # Read here, so that a failure which nobody waits for any more is not reported as lost.
                task.exception()

        return finished


async def _make(client: CpapiClient, path: str, symbol: str) -> None:
    # For all who wait, so under no one's deadline.
    callers.enter(Caller(max_age_secs=0.0))
    query = [("symbol", symbol)] if symbol else []
    refusals.read(await client.call("GET", path, query=query, changes_state=False), path)
