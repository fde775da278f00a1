"""Checks of a typed request, all of them before anything is sent: one error names every field at fault.

checks = Checks()
conid = checks.conid("conid", request.conid)
price = checks.decimal("orders[1].limit_price", order.limit_price)
checks.done()
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from bezant_server import decimals
from bezant_server.errors import BadRequest, Violation, sendable

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_MESSAGE_ID = re.compile(r"[a-z][0-9]{1,9}")
_CURRENCY = re.compile(r"[A-Z]{3,10}")
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./+&'-]{0,39}")
_LARGEST_CONID = 2**31 - 1
_QUOTED_CHARS = 40


def is_account(text: str) -> bool:
    """Whether it is spelled as an account id is, such as DU1234567."""
    return _ACCOUNT.fullmatch(text) is not None


def is_message_id(text: str) -> bool:
    """Whether it is spelled as the id of a warning of IBKR's is, such as o163."""
    return _MESSAGE_ID.fullmatch(text) is not None


class Checks:
    """Collects what is wrong with a request. Each check gives the value back, usable once `done` has passed."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def done(self) -> None:
        """The end of the checks.

        Raises:
            BadRequest: something was wrong.
        """
        if self._violations:
            raise BadRequest.of(tuple(self._violations))

    def refuse(self, field: str, rule: str, given: object = None) -> None:
        """Note that a field breaks a rule; `given` is quoted, shortened."""
        quoted = "" if given is None else f", got '{str(given)[:_QUOTED_CHARS]}'"
        self._violations.append(Violation(sendable(field), sendable(f"{rule}{quoted}")))

    def holds(self, field: str, condition: bool, rule: str, given: object = None) -> bool:
        """Note a broken rule unless the condition is met."""
        if not condition:
            self.refuse(field, rule, given)
        return condition

    def account(self, field: str, text: str) -> str:
        """An account id, such as DU1234567."""
        if not text:
            self.refuse(field, "is required: an account id such as DU1234567")
        elif not is_account(text):
            self.refuse(field, "must be an account id such as DU1234567", text)
        return text

    def symbol(self, field: str, text: str) -> str:
        """The symbol of a contract, such as AAPL or BRK B."""
        self.holds(field, bool(_SYMBOL.fullmatch(text)), "must be a symbol such as AAPL", text)
        return text

    def conid(self, field: str, number: int) -> int:
        """A contract id."""
        self.holds(field, 0 < number <= _LARGEST_CONID, "must be a conid, a whole number above 0", number)
        return number

    def conids(self, field: str, numbers: Iterable[int], *, most: int) -> list[int]:
        """At least one contract id and at most `most`, without repetitions."""
        given = list(numbers)
        self.holds(field, bool(given), "needs at least one conid")
        self.holds(field, len(given) <= most, f"may have at most {most} conids", len(given))
        for index, number in enumerate(given[:most]):
            self.conid(f"{field}[{index}]", number)
        return list(dict.fromkeys(given))

    def decimal(self, field: str, text: str, *, positive: bool = False, not_negative: bool = False) -> Decimal | None:
        """A decimal in the documented grammar; None when it is none (and noted)."""
        number = decimals.parse(text)
        if number is None:
            self.refuse(field, f"must be {decimals.RULE}", text)
        elif positive and number <= 0:
            self.refuse(field, "must be above 0", text)
        elif not_negative and number < 0:
            self.refuse(field, "must not be negative", text)
        return number

    def text(self, field: str, text: str, *, longest: int = 200, required: bool = True) -> str:
        """Text of printable characters."""
        if not text.strip():
            if required or text:
                self.refuse(field, "is required")
        elif len(text) > longest:
            self.refuse(field, f"may have at most {longest} characters", text)
        elif not text.isprintable():
            self.refuse(field, "must be printable text")
        return text

    def currency(self, field: str, text: str) -> str:
        """A currency code in upper case, such as USD."""
        self.holds(field, bool(_CURRENCY.fullmatch(text)), "must be a currency code such as USD", text)
        return text

    def day(self, field: str, text: str) -> date | None:
        """A date as YYYY-MM-DD; None when it is none (and noted)."""
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self.refuse(field, "must be a date as YYYY-MM-DD", text)
        return None

    def chosen(self, field: str, value: int, allowed: Iterable[int], what: str) -> int:
        """A value of an enumeration, not its zero."""
        self.holds(field, value in set(allowed), f"must be {what}", value)
        return value
