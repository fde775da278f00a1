"""What callers ask for, checked as a whole before anything is done, from JSON and from messages alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from bezant.v1 import targets_service_pb2 as pb
from bezant_server import decimals
from bezant_server.errors import BadRequest
from bezant_server.inputs import Checks
from bezant_server.targets.spelling import plain

MOST_TARGETS = 100
"""In a batch."""

_LARGEST = Decimal(10) ** 9
_LONGEST_KEY = 255
_MOST_NAMED = 10
_MEMBERS = ("account_id", "orders")
_MEMBERS_OF_ORDER = ("symbol", "quantity", "limit_price", "expected_price", "tolerance_pct")


@dataclass(frozen=True, slots=True)
class Target:
    """What shall be held of a stock.

    Attributes:
        symbol: upper case.
        quantity: in shares; negative is short.
        limit_price: to send as it is.
        expected_price: what the tolerance is measured from.
        tolerance: in percent.
    """

    symbol: str
    quantity: Decimal
    limit_price: Decimal | None
    expected_price: Decimal | None
    tolerance: Decimal | None


_NONE = Target("", Decimal(0), None, None, None)
"""In the place of what is no target, so that those behind it keep their number."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request for targets.

    Attributes:
        account: as given; empty when none is named.
        targets: of different symbols.
        idempotency_key: empty for none.
    """

    account: str
    targets: tuple[Target, ...]
    idempotency_key: str

    @property
    def digest(self) -> str:
        """The same for requests that ask for the same, however they are written."""
        asked = [
            [
                each.symbol,
                *(
                    None if number is None else plain(number)
                    for number in (each.quantity, each.limit_price, each.expected_price, each.tolerance)
                ),
            ]
            for each in self.targets
        ]
        return hashlib.sha256(json.dumps([self.account, asked]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Names:
    """How a face spells its fields."""

    orders: str
    tolerance: str


_JSON = _Names(orders="orders", tolerance="tolerance_pct")
_TYPED = _Names(orders="targets", tolerance="tolerance_percent")


def from_json(body: bytes, *, idempotency_key: str) -> Submission:
    """The submission in a JSON body.

    Raises:
        BadRequest: every field at fault is named.
    """
    checks = Checks()
    given = _object(body)
    _known(checks, "", given, _MEMBERS)
    account = given.get("account_id")
    if account is not None and not isinstance(account, str):
        checks.refuse("account_id", "must be text", account)
        account = None
    rows = given.get("orders")
    if not isinstance(rows, list):
        checks.refuse("orders", "is required: a list of targets")
        checks.done()
        rows = []
    targets = []
    for index, row in enumerate(rows[:MOST_TARGETS]):
        place = f"orders[{index}]"
        if not isinstance(row, dict):
            checks.refuse(place, "must be an object")
            targets.append(_NONE)
            continue
        _known(checks, f"{place}.", row, _MEMBERS_OF_ORDER)
        symbol = row.get("symbol")
        if not isinstance(symbol, str):
            checks.refuse(f"{place}.symbol", "is required: text such as AAPL")
            symbol = ""
        else:
            checks.symbol(f"{place}.symbol", symbol)
        numbers = {name: _number(checks, f"{place}.{name}", row.get(name)) for name in _MEMBERS_OF_ORDER[1:]}
        if row.get("quantity") is None:
            checks.refuse(f"{place}.quantity", "is required: the position to reach, 0 to close it")
        targets.append(
            Target(
                symbol=_normal(symbol),
                quantity=numbers["quantity"] or Decimal(0),
                limit_price=numbers["limit_price"],
                expected_price=numbers["expected_price"],
                tolerance=numbers["tolerance_pct"],
            )
        )
    return _checked(checks, _JSON, Submission(account or "", tuple(targets), idempotency_key), given=len(rows))


def from_message(request: pb.SubmitTargetsRequest) -> Submission:
    """The submission in a message.

    Raises:
        BadRequest: every field at fault is named.
    """
    checks = Checks()
    targets = []
    for index, each in enumerate(request.targets[:MOST_TARGETS]):
        place = f"targets[{index}]"

        def number(name: str, *, place: str = place, each: pb.Target = each) -> Decimal | None:
            return checks.decimal(f"{place}.{name}", getattr(each, name)) if each.HasField(name) else None  # type: ignore[arg-type]

        checks.symbol(f"{place}.symbol", each.symbol)
        targets.append(
            Target(
                symbol=_normal(each.symbol),
                quantity=checks.decimal(f"{place}.quantity", each.quantity) or Decimal(0),
                limit_price=number("limit_price"),
                expected_price=number("expected_price"),
                tolerance=number("tolerance_percent"),
            )
        )
    submission = Submission(request.account_id, tuple(targets), request.idempotency_key)
    return _checked(checks, _TYPED, submission, given=len(request.targets))


def _normal(symbol: str) -> str:
    return " ".join(symbol.upper().split())


def _checked(checks: Checks, names: _Names, submission: Submission, *, given: int) -> Submission:
    """What both faces check; `given` is how many targets there were."""
    if submission.account:
        checks.account("account_id", submission.account)
    checks.holds(names.orders, given > 0, "needs at least one target")
    checks.holds(names.orders, given <= MOST_TARGETS, f"may have at most {MOST_TARGETS} targets", given)
    seen: set[str] = set()
    for index, target in enumerate(submission.targets):
        place = f"{names.orders}[{index}]"
        checks.holds(f"{place}.symbol", not target.symbol or target.symbol not in seen, "is given twice", target.symbol)
        seen.add(target.symbol)
        _bounded(checks, f"{place}.quantity", target.quantity)
        for name, price in (("limit_price", target.limit_price), ("expected_price", target.expected_price)):
            if price is not None and checks.holds(f"{place}.{name}", price > 0, "must be above 0", price):
                _bounded(checks, f"{place}.{name}", price)
        if target.tolerance is not None:
            allowed = 0 <= target.tolerance < 100
            checks.holds(
                f"{place}.{names.tolerance}", allowed, "must be a percentage from 0 to below 100", target.tolerance
            )
            rule = "needs expected_price, which it is measured from"
            checks.holds(f"{place}.{names.tolerance}", target.expected_price is not None, rule)
    if submission.idempotency_key:
        checks.text("idempotency_key", submission.idempotency_key, longest=_LONGEST_KEY)
    checks.done()
    return submission


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(
            body, parse_float=_decimal, parse_constant=_no_number, object_pairs_hook=_without_repetitions
        )
    except (ValueError, RecursionError) as error:
        why = f": {error}" if isinstance(error, _NotAccepted) else ""
        raise BadRequest(f"the body must be JSON{why}", field="body") from None
    if not isinstance(given, dict):
        raise BadRequest("the body must be a JSON object", field="body")
    return given


class _NotAccepted(ValueError):
    """JSON that Python reads and we do not."""


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except DecimalException:
        raise _NotAccepted(f"{text[:40]} is too large or too small a number") from None


def _no_number(name: str) -> None:
    """What pandas writes for "no price": taken for an absent one, it would make a market order."""
    raise _NotAccepted(f"{name} is no number")


def _without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotAccepted(f"'{twice[:40]}' is given twice in one object")
    return members


def _known(checks: Checks, place: str, given: dict[str, Any], names: Sequence[str]) -> None:
    unknown = [name for name in given if name not in names]
    for name in unknown[:_MOST_NAMED]:
        checks.refuse(f"{place}{name[:40]}", f"is unknown: known are {', '.join(names)}")
    if len(unknown) > _MOST_NAMED:
        checks.refuse(place or "body", f"has {len(unknown)} unknown fields")


def _number(checks: Checks, field: str, value: object) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        text = decimals.plain(value)
        if text is not None and Decimal(text) == value:
            return Decimal(text)
    checks.refuse(field, "must be a number", value)
    return None


def _bounded(checks: Checks, field: str, number: Decimal) -> None:
    checks.holds(field, abs(number) < _LARGEST, "is too large", number)
