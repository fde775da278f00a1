"""The positions of an account, page by page as the gateway has them."""

from __future__ import annotations

import asyncio

from bezant.v1 import portfolio_service_pb2 as pb
from bezant_server.cpapi import document
from bezant_server.cpapi.client import segment
from bezant_server.cpapi.document import Row
from bezant_server.portfolio import decode
from bezant_server.session.typed import Need, TypedGateway, remaining_secs

UPSTREAM_PAGE = 100
"""Positions on a page of the gateway (IBKR's documentation, and recorded pages)."""

_MOST_PAGES = 200
_LOADING_TRIES = 3
_LOADING_SECS = 1.0


class Positions:
    """Reads positions.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def slice(self, account: str, *, model: str, offset: int, size: int) -> tuple[list[pb.Position], bool]:
        """At most `size` positions from `offset` on, and whether there are more."""
        first = offset // UPSTREAM_PAGE
        rows = await self._pages(account, model, first=first, enough=offset - first * UPSTREAM_PAGE + size + 1)
        if any(_page_size(row) != UPSTREAM_PAGE for row in rows[:1]):
            # Pages of another size: only a walk from the first one finds the place.
            first, rows = 0, await self._pages(account, model, first=0, enough=offset + size + 1)
        skipped = offset - first * UPSTREAM_PAGE
        wanted = rows[skipped : skipped + size]
        return [decode.position(row, account) for row in wanted], len(rows) > skipped + size

    async def uncached(self, account: str, *, model: str) -> list[pb.Position]:
        """All positions, past the gateway's cache; it does not page them."""
        query = [("model", model)] if model else []
        answer = await self._gateway.read(
            f"/portfolio2/{segment(account)}/positions", query=query, need=Need.PORTFOLIO, account=account
        )
        if answer is None:
            # Nothing held is an empty list; this is no answer.
            document.wrong_shape("", "a list", answer)
        return [decode.position(row, account) for row in document.rows(answer, "")]

    async def _pages(self, account: str, model: str, *, first: int, enough: int) -> list[Row]:
        rows: list[Row] = []
        seen: set[tuple[str, str]] = set()
        for number in range(first, first + _MOST_PAGES):
            page = await self._page(account, model, number)
            fresh = [row for row in page if _key(row) not in seen]
            seen.update(map(_key, fresh))
            rows += fresh
            # A gateway that does not page gives the same rows again (recorded by others).
            if not fresh or len(page) < _page_size(page[0]) or len(rows) >= enough:
                break
        return rows

    async def _page(self, account: str, model: str, number: int) -> list[Row]:
        """A page. The gateway loads the definitions of contracts after the first call for them."""
        path = f"/portfolio/{segment(account)}/positions/{number}"
        query = [("model", model)] if model else []
        rows: list[Row] = []
        for attempt in range(_LOADING_TRIES):
            answer = await self._gateway.read(path, query=query, need=Need.PORTFOLIO, account=account)
            rows = document.rows(answer, "")
            last = attempt == _LOADING_TRIES - 1 or remaining_secs() < 2 * _LOADING_SECS
            if last or all(map(decode.is_defined, rows)):
                break
            await asyncio.sleep(_LOADING_SECS)
        return rows


def _key(row: Row) -> tuple[str, str]:
    return row.text("conid"), row.text("model")


def _page_size(row: Row) -> int:
    return row.integer("pageSize") or UPSTREAM_PAGE
