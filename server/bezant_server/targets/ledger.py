"""The database of target orders for the rest of the server: off the event loop, in the order of the calls."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bezant_server.errors import IdempotencyConflict, StateUnavailable
from bezant_server.targets.records import Batch, Entry
from bezant_server.targets.store import Store, StoreUnusable

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Ledger:
    """Every method raises StateUnavailable when the database cannot be used.

    Args:
        store: the database.
        now: seconds since 1970.
    """

    def __init__(self, store: Store, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="target-orders")

    async def add(self, batch: Batch) -> None:
        """Have a batch on disk.

        Raises:
            IdempotencyConflict: its client has used the key for another.
        """
        try:
            await self._run(lambda: self._store.add(batch, now_ms=int(self._now() * 1000)))
        except sqlite3.IntegrityError:
            raise IdempotencyConflict("the idempotency key is in use for another request") from None

    async def update(self, entries: Iterable[Entry]) -> None:
        """Have orders on disk as they are."""
        some = list(entries)
        if some:
            await self._run(lambda: self._store.update(some))

    async def answer(self, batch: Batch) -> None:
        """Have on disk that the caller of a batch is answered with it as it is; the first answer stays."""
        answer = batch.message().SerializeToString()
        await self._run(lambda: self._store.answer(batch.batch_id, answer))

    async def batch(self, batch_id: str) -> Batch | None:
        """A batch, with its orders."""
        return await self._run(lambda: self._store.batch(batch_id))

    async def of_key(self, client: str, idempotency_key: str) -> Batch | None:
        """The batch that a client has made with an idempotency key."""
        return await self._run(lambda: self._store.of_key(client, idempotency_key))

    async def recent(self, most: int) -> Sequence[Batch]:
        """The last batches, the newest first, without their orders."""
        return await self._run(lambda: self._store.recent(most))

    async def unanswered(self) -> Sequence[Batch]:
        """Batches under way, and those that a crash has cut short."""
        return await self._run(self._store.unanswered)

    async def open(self, account: str) -> Sequence[Entry]:
        """Orders of an account that may be working, the lost ones among them."""
        return (await self.all_open()).get(account, ())

    async def all_open(self) -> Mapping[str, Sequence[Entry]]:
        """Orders that may be working, the lost ones among them, by account."""
        return await self._run(self._store.open)

    async def close(self) -> None:
        """Finish what was begun, and let go of the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OSError, StoreUnusable) as error:
            _log.error("the database of target orders cannot be used", extra={"reason": str(error)})
            raise StateUnavailable(f"the database of target orders cannot be used: {error}") from None
