"""Changes that are seen to their end, though the caller may leave: an order that was sent cannot be called back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse

_log = logging.getLogger(__name__)


class Outliving:
    """Runs changes so that a caller who goes away cancels nothing, and logs what became of those."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[UpstreamResponse]] = set()

    async def see_through(
        self, request: UpstreamRequest, work: Coroutine[Any, Any, UpstreamResponse]
    ) -> UpstreamResponse:
        """The answer of `work`, which goes on to its own end if the caller is cancelled."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                task.add_done_callback(partial(_tell, request))
            raise


def _tell(request: UpstreamRequest, task: asyncio.Task[UpstreamResponse]) -> None:
    call = {"http_method": request.method, "path": request.target.partition("?")[0]}
    if task.cancelled():
        _log.warning("a change whose caller left was cut off: its outcome is unknown", extra=call)
    elif error := task.exception():
        _log.warning("a change whose caller left failed", extra=call | {"reason": str(error)})
    else:
        _log.warning("a change whose caller left was answered", extra=call | {"status": task.result().status})
