"""Snapshots that are whole.

The gateway begins to look at a contract, or at one more field of it, when it is first asked; its answers fill up from
call to call, and a field that a contract does not have never comes (IBKR's documentation, observed on live gateways).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bezant.v1 import quote_pb2
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.marketdata import decode
from bezant_server.paging import pieces
from bezant_server.session.typed import TypedGateway, remaining_secs

_CONIDS_A_CALL = 100
_FIELDS_A_CALL = 50
_WAITS = (0.25, 0.5, 1.0)
_QUIET_ROUNDS = 2
"""Rounds in a row that bring nothing new, after which what is missing counts as not there."""
_MARGIN_SECS = 0.5
_ABSENT_SECS = 60.0
_MOST_REMEMBERED = 5000


class Quotes:
    """Reads quotes.

    Args:
        gateway: where it asks.
        clock: monotonic seconds.
    """

    def __init__(self, gateway: TypedGateway, *, clock: Callable[[], float]) -> None:
        self._gateway = gateway
        self._clock = clock
        self._absent: OrderedDict[int, tuple[float, frozenset[int]]] = OrderedDict()

    async def read(self, conids: Sequence[int], fields: Sequence[int]) -> list[quote_pb2.Quote]:
        """A quote of each contract, as whole as it becomes before the caller's deadline."""
        found: dict[int, dict[str, Any]] = {conid: {} for conid in conids}
        end = self._clock() + max(remaining_secs() - _MARGIN_SECS, 0.0)
        quiet, first = 0, True
        for wait in itertools.chain(_WAITS, itertools.repeat(_WAITS[-1])):
            unfinished = [conid for conid in conids if self._awaited(conid, found[conid], fields)]
            if not unfinished:
                break
            before = sum(map(len, found.values()))
            await self._ask(unfinished, fields, found)
            after = sum(map(len, found.values()))
            has_fields = any(str(field) in row for row in found.values() for field in fields)
            quiet = quiet + 1 if not first and has_fields and after == before else 0
            first = False
            done = not any(self._awaited(conid, found[conid], fields) for conid in conids)
            if done or quiet >= _QUIET_ROUNDS or self._clock() + wait >= end:
                break
            await asyncio.sleep(wait)
        return [self._quote(conid, found[conid], fields) for conid in conids]

    async def _ask(self, conids: Sequence[int], fields: Sequence[int], found: dict[int, dict[str, Any]]) -> None:
        calls = [
            self._gateway.read(
                "/iserver/marketdata/snapshot",
                query=[("conids", ",".join(map(str, some))), ("fields", ",".join(map(str, columns)))],
            )
            for some in pieces(conids, _CONIDS_A_CALL)
            for columns in pieces(fields, _FIELDS_A_CALL)
        ]
        for answer in await asyncio.gather(*calls):
            for row in document.rows(answer, ""):
                conid = row.integer("conid") or 0
                if conid in found:
                    found[conid].update((name, row.raw(name)) for name in row if name in row)

    def _awaited(self, conid: int, row: dict[str, Any], fields: Iterable[int]) -> set[int]:
        """Fields that have not come and may."""
        missing = {field for field in fields if str(field) not in row}
        since, absent = self._absent.get(conid, (0.0, frozenset()))
        # Only of a contract that has said something: the first answer says nothing of any field.
        known = row and self._clock() - since < _ABSENT_SECS
        return missing - absent if known and len(missing) < len(set(fields)) else missing

    def _quote(self, conid: int, row: dict[str, Any], fields: Iterable[int]) -> quote_pb2.Quote:
        missing = sorted({field for field in fields if str(field) not in row})
        self._absent.pop(conid, None)
        if missing:
            self._absent[conid] = (self._clock(), frozenset(missing))
            while len(self._absent) > _MOST_REMEMBERED:
                self._absent.popitem(last=False)
        quote = decode.quote(Row({"conid": conid, **row}, f"conid {conid}"))
        quote.missing_fields.extend(missing)
        return quote
