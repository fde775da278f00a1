"""What IBKR's refusals mean. Its statuses lie, so one table says what each is, by path, status and text.

A refusal is an answer with a 4xx or 5xx, or a 200 whose body is an error. The first row that matches counts; a refusal
that none matches means what `classify.decode` says of its status.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bezant_server import errors
from bezant_server.cpapi import classify, document
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import BezantError, UpstreamDecodeError

_QUOTED_CHARS = 200
_ERROR_MEMBERS = ("error", "errorMessage", "message", "text")


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal, as the rows see it.

    Attributes:
        path: below the API's base path.
        status: of the answer.
        text: what the gateway says, shortened; empty when it says nothing readable.
        stranger: whether the path names an account that is known not to be the login's.
    """

    path: str
    status: int
    text: str
    stranger: bool


@dataclass(frozen=True, slots=True)
class _Row:
    path: re.Pattern[str]
    statuses: frozenset[int]
    text: re.Pattern[str]
    make: Callable[[Refused], BezantError]
    strangers_only: bool

    def matches(self, refused: Refused) -> bool:
        return (
            refused.status in self.statuses
            and (refused.stranger or not self.strangers_only)
            and self.path.fullmatch(refused.path) is not None
            and self.text.search(refused.text) is not None
        )


def _row(
    path: str,
    statuses: str,
    text: str,
    make: Callable[[Refused], BezantError],
    *,
    strangers_only: bool = False,
) -> _Row:
    return _Row(
        re.compile(path),
        frozenset(int(status) for status in statuses.split()),
        re.compile(text, re.IGNORECASE),
        make,
        strangers_only,
    )


def _account(refused: Refused) -> BezantError:
    return errors.AccountNotFound(f"the login has no such account{_said(refused)}")


def _contract(refused: Refused) -> BezantError:
    return errors.ContractNotFound(f"IBKR knows no such contract{_said(refused)}")


def _not_primed(refused: Refused) -> BezantError:
    return errors.UpstreamNotPrimed(f"the gateway wants its account list asked for first{_said(refused)}")


def _history(refused: Refused) -> BezantError:
    return errors.HistoryUnavailable(f"IBKR has no such history{_said(refused)}")


def _snapshot(refused: Refused) -> BezantError:
    return errors.SnapshotRefused(f"IBKR does not give the regulatory snapshot{_said(refused)}")


def _scan(refused: Refused) -> BezantError:
    return errors.ScanRefused(f"IBKR knows no such scan{_said(refused)}")


def _order_not_found(refused: Refused) -> BezantError:
    return errors.OrderNotFound(f"this session knows no such order{_said(refused)}")


def _order_not_open(refused: Refused) -> BezantError:
    return errors.OrderNotOpen(f"the order is not open any more{_said(refused)}")


def _order_not_editable(refused: Refused) -> BezantError:
    return errors.OrderNotEditable(f"IBKR does not let this session change the order{_said(refused)}")


def _order_refused(refused: Refused) -> BezantError:
    return errors.OrderRefused(f"IBKR refuses{_said(refused)}")


_ANY = ".*"
_ORDER = r"/iserver/account/[^/]+/order/[^/]+"
_NO_ORDER = r"does(n't| not) exist|not found|no such order"
_CLOSED = r"\b(filled|cancell?ed)\b"
_LOCKED = r"can ?not be modified|not editable|not allowed|different (user|session|client)"

REFUSALS: tuple[_Row, ...] = (
    #    path                                      statuses       text              meaning
    _row(r"/iserver/.*", "400 500 200", r"query /accounts first", _not_primed),
    _row(r"/(portfolio2?|pa|iserver/account|acesws)/.*", "400 401 403 500 503", _ANY, _account, strangers_only=True),
    _row(r"/portfolio2?/[^/]+(/.*)?", "503", r"^$|service unavailable", _not_primed),
    _row(r"/iserver/account/order/status/[^/]+", "400 503", _ANY, _order_not_found),
    _row(_ORDER, "200 400 404 500", _NO_ORDER, _order_not_found),
    _row(_ORDER, "200 400 500", _CLOSED, _order_not_open),
    _row(_ORDER, "200 400 403 500", _LOCKED, _order_not_editable),
    _row(r"/iserver/account/[^/]+/orders/whatif", "200 400 500", _ANY, _order_refused),
    _row(r"/iserver/notification", "200 400 500", _ANY, _order_refused),
    _row(r"/iserver/account", "500", r"unknown account", _account),
    _row(
        r"/iserver/account/[^/]+/(summary|balances|margins|market_value|available_funds)(/.*)?", "400", _ANY, _account
    ),
    _row(r"/pa/.*", "400 500", r"account", _account),
    _row(r"/iserver/contract/[^/]+/(info|info-and-rules|algos)", "400 404 500 503", _ANY, _contract),
    _row(r"/iserver/contract/rules", "400 500", _ANY, _contract),
    _row(r"/iserver/secdef/info", "400 404", r"no contract", _contract),
    _row(r"/contract/trading-schedule", "400 404 500", _ANY, _contract),
    _row(r"/iserver/marketdata/history|/hmds/history", "200 400 404 500", _ANY, _history),
    _row(r"/md/regsnapshot", "200 400 403 404 500", _ANY, _snapshot),
    _row(r"/iserver/scanner/run", "400 500", _ANY, _scan),
)
"""Sources: recorded statuses of a paper account for bad input, IBKR's OpenAPI description."""


def read(response: UpstreamResponse, path: str, *, stranger: bool = False) -> Any:
    """The JSON of a good answer, its numbers exact.

    Args:
        response: the answer.
        path: of the call, below the API's base path.
        stranger: whether the path names an account that is known not to be the login's.

    Raises:
        BezantError: what a row says, or else `classify.decode`.
    """
    if response.status >= 400:
        raise meaning(Refused(path, response.status, _text_of(response.body), stranger), response)
    classify.check(response)
    try:
        answer = document.parse(response.body)
    except (ValueError, RecursionError):
        kind = (response.header("content-type") or "no content type")[:_QUOTED_CHARS]
        raise UpstreamDecodeError(f"the gateway answered {response.status} with {kind} where JSON was due") from None
    if isinstance(answer, dict) and answer.get("error"):
        raise meaning(Refused(path, response.status, str(answer["error"])[:_QUOTED_CHARS], stranger), response)
    return answer


def meaning(refused: Refused, response: UpstreamResponse) -> BezantError:
    """The error that a refusal means."""
    if not (refused.status == 400 and "no bridge" in refused.text):
        for row in REFUSALS:
            if row.matches(refused):
                return row.make(refused)
    try:
        classify.decode(response)
    except BezantError as error:
        return error
    return errors.UpstreamApiError(f"the gateway answered {refused.text}")


def _said(refused: Refused) -> str:
    return f": the gateway answered {refused.status}{f', {refused.text}' if refused.text else ''}"


def _text_of(body: bytes) -> str:
    """What a JSON body says of the refusal. Other bodies are not quoted: they may hold anything."""
    try:
        answer = document.parse(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    said = next((answer[name] for name in _ERROR_MEMBERS if isinstance(answer.get(name), str)), "")
    return str(said)[:_QUOTED_CHARS]
