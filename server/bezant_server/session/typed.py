"""How typed RPCs call the gateway: when the session is ready, prepared as the gateway wants it, and understood."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any

from bezant_server.cpapi import caller as callers
from bezant_server.cpapi import document, refusals
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import AccountNotFound, UpstreamNotPrimed, UpstreamTimeout
from bezant_server.session import preflights
from bezant_server.session.keeper import SessionKeeper
from bezant_server.session.preflights import Preflights

_NO_DEADLINE_SECS = 30.0
_SETTLING_TRIES = 3
_SETTLING_SECS = 1.0
_LEAST_SECS = 2 * _SETTLING_SECS
"""A caller with less time than this gets the empty answer rather than none."""


class Need(Enum):
    """What a call needs before it.

    LOGIN: single sign-on, which the call itself finds out about. PORTFOLIO: that, and the portfolio's accounts asked
    for. BROKERAGE: a brokerage session that is READY, and its accounts asked for.
    """

    LOGIN = auto()
    PORTFOLIO = auto()
    BROKERAGE = auto()


_PREFLIGHT = {Need.PORTFOLIO: preflights.PORTFOLIO, Need.BROKERAGE: preflights.ACCOUNTS}


class TypedGateway:
    """The gateway as the domains see it.

    Every method raises what the gateway's refusal means (`cpapi.refusals`), SessionNotReady, RateLimited, and
    UpstreamTimeout once the caller's deadline has passed.

    Args:
        client: the gateway.
        keeper: the session.
        prepared: the preparatory calls.
        connect_secs: longest that a read waits for a session that is opening.
    """

    def __init__(
        self, *, client: CpapiClient, keeper: SessionKeeper, prepared: Preflights, connect_secs: float
    ) -> None:
        self._client = client
        self._keeper = keeper
        self._prepared = prepared
        self._connect_secs = connect_secs

    async def read(
        self,
        path: str,
        *,
        method: str = "GET",
        query: Iterable[tuple[str, str]] = (),
        body: object = None,
        need: Need = Need.BROKERAGE,
        account: str = "",
    ) -> Any:
        """The JSON that a read answers, its numbers int or Decimal (`cpapi.document`). The caller's leaving cancels it.

        Args:
            path: below the API's base path, its parameters encoded by `segment`.
            method: upper case.
            query: pairs to encode.
            body: to send as JSON.
            need: what must come before.
            account: that the path or body is about, if it is about one.
        """
        pairs = list(query)
        async with _within_deadline():
            await self.prepare(need, wait_secs=self._connect_secs)
            try:
                return self._understood(await self._ask(method, path, pairs, body), path, account)
            except UpstreamNotPrimed:
                # The gateway's backend has forgotten what this session asked for. A read may be made again.
                self._prepared.forget()
                await self.prepare(need, wait_secs=self._connect_secs)
                return self._understood(await self._ask(method, path, pairs, body), path, account)

    async def read_settled(
        self,
        path: str,
        *,
        is_empty: Callable[[Any], bool],
        query: Iterable[tuple[str, str]] = (),
        account: str = "",
        always: bool = False,
    ) -> Any:
        """As `read`, for a path whose first answer in a session is empty while the gateway begins to load.

        Args:
            path: below the API's base path.
            is_empty: whether an answer has nothing in it.
            query: pairs to encode.
            account: that the path is about, if it is about one.
            always: whether an empty answer is doubted at any time, rather than as the session's first.
        """
        pairs = list(query)
        async with _within_deadline():
            for _ in range(_SETTLING_TRIES):
                doubted = self._prepared.is_first(f"{path} {pairs}") or always
                answer = await self.read(path, query=pairs, account=account)
                if not (doubted and is_empty(answer)):
                    break
                if remaining_secs() < _LEAST_SECS:
                    break
                await asyncio.sleep(_SETTLING_SECS)
        return answer

    async def change(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: object = None,
        need: Need = Need.BROKERAGE,
        account: str = "",
    ) -> Any:
        """The JSON that a change answers. It is sent once, whatever comes of it, and not before the session is READY.

        Args: as `read`.
        """
        return self._understood(
            await self.send(method, path, query=query, body=body, need=need, account=account), path, account
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: object = None,
        need: Need = Need.BROKERAGE,
        account: str = "",
    ) -> UpstreamResponse:
        """The answer to a change as it came, whatever it says; sent once.

        Raises:
            AccountNotFound, SessionNotReady, RateLimited, UpstreamUnreachable: it was not sent.
            UpstreamTimeout, UpstreamHttpError: it was sent, and what came of it is unknown.
        """
        await self.prepare(need, wait_secs=0.0)
        if self.is_stranger(account):
            raise AccountNotFound(f"the login has no account {account}")
        return await self._client.call(method, path, query=query, body=_json(body))

    async def ready(self) -> None:
        """See to it that the brokerage session is READY and prepared, with the patience of a read."""
        async with _within_deadline():
            await self.prepare(Need.BROKERAGE, wait_secs=self._connect_secs)

    @property
    def selected_account(self) -> str:
        """The account that the session has selected; empty while it is unknown."""
        return self._keeper.snapshot.accounts.selected or ""

    @property
    def orders_filtered(self) -> bool:
        """Whether the gateway lists a part of the live orders alone, because somebody asked for that."""
        return self._prepared.orders_filtered

    async def prepare(self, need: Need, *, wait_secs: float) -> None:
        """See to what a call needs before it.

        Args:
            need: what that is.
            wait_secs: longest wait for a session that is opening.
        """
        if need is Need.BROKERAGE:
            await self._keeper.ready(wait_secs=wait_secs)
        if need in _PREFLIGHT:
            await self._prepared.ensure(self._client, _PREFLIGHT[need])

    async def search_first(self, symbol: str) -> None:
        """See to it that the underlying was searched for in this session, as its derivatives need."""
        async with _within_deadline():
            await self.prepare(Need.BROKERAGE, wait_secs=self._connect_secs)
            await self._prepared.ensure(self._client, preflights.SEARCH, symbol=symbol)

    def _understood(self, response: UpstreamResponse, path: str, account: str) -> Any:
        return refusals.read(response, path, stranger=self.is_stranger(account))

    def is_stranger(self, account: str) -> bool:
        """Whether an account is known not to be the login's."""
        snapshot = self._keeper.snapshot
        known = snapshot.accounts.accounts
        return bool(account and known and snapshot.logged_in and account not in known)

    async def _ask(self, method: str, path: str, query: list[tuple[str, str]], body: object) -> UpstreamResponse:
        return await self._client.call(method, path, query=query, body=_json(body), changes_state=False)


@asynccontextmanager
async def _within_deadline() -> AsyncIterator[None]:
    seconds = remaining_secs()
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UpstreamTimeout(f"no whole answer of the gateway within {seconds:.3g} s") from None


def remaining_secs() -> float:
    """How long the caller will wait for an answer."""
    deadline = callers.current().deadline
    return _NO_DEADLINE_SECS if deadline is None else max(deadline - time.monotonic(), 0.0)


def _json(body: object) -> bytes | None:
    return None if body is None else document.dump(body)
