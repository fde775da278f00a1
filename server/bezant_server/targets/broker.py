"""The gateway's failures as callers of target orders know them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bezant_server.errors import AccountNotFound, BadRequest, BrokerConnectionError, UpstreamError


@contextmanager
def told() -> Iterator[None]:
    """Whatever keeps the gateway from answering is one error; 401 and 404 have meanings of their own there.

    Raises:
        BadRequest: the login has no such account.
        BrokerConnectionError: anything else between us and the broker.
    """
    try:
        yield
    except AccountNotFound as error:
        raise BadRequest(f"account_id: {error.message}", field="account_id") from None
    except UpstreamError as error:
        raise BrokerConnectionError(error) from None
