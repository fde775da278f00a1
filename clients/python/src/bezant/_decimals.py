"""Prices and quantities between the API's strings and Python's Decimal, digit for digit.

    decimal = ["-"] digits ["." digits]

with at most 30 digits on each side of the point; no exponent, no plus, no separators, no NaN.
"""

from __future__ import annotations

import re
from decimal import Decimal

from google.protobuf.message import Message

_MAX_DIGITS = 30
_GRAMMAR = re.compile(rf"-?[0-9]{{1,{_MAX_DIGITS}}}(\.[0-9]{{1,{_MAX_DIGITS}}})?")
_RULE = f"a decimal: digits with an optional minus and point, at most {_MAX_DIGITS} on each side"


def parse_decimal(text: str) -> Decimal:
    """The number that the API wrote: `"1.50"` is `Decimal("1.50")`.

    Raises:
        ValueError: the text is not in the grammar.
    """
    if _GRAMMAR.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not {_RULE}")
    return Decimal(text)


def format_decimal(number: Decimal | int) -> str:
    """A number as the API wants it: `Decimal("1.50")` is `"1.50"`, `Decimal("1E+3")` is `"1000"`.

    Raises:
        TypeError: it is a float, whose digits are not those that you wrote.
        ValueError: the grammar cannot say it: NaN, infinity, or more than 30 digits on a side.
    """
    if not isinstance(number, Decimal | int) or isinstance(number, bool):
        raise TypeError(f"{number!r} is not a Decimal or an int")
    number = Decimal(number)
    # The magnitude first: a number such as 1E+999999 is not to be written out.
    if number.is_finite() and -_MAX_DIGITS <= number.adjusted() < _MAX_DIGITS:
        text = format(number, "f")
        if _GRAMMAR.fullmatch(text) is not None:
            return text
    raise ValueError(f"{number!r} is not {_RULE}")


def get_decimal(message: Message, field: str) -> Decimal | None:
    """A decimal field of a message, such as `get_decimal(quote, "bid_price")`; None when it is absent.

    Raises:
        ValueError: the message has no such text field, or what stands there is not in the grammar.
    """
    descriptor = message.DESCRIPTOR.fields_by_name.get(field)
    if descriptor is None or descriptor.type != descriptor.TYPE_STRING or descriptor.is_repeated:
        raise ValueError(f"{message.DESCRIPTOR.name} has no text field {field!r}")
    text: str = getattr(message, field)
    if not text and not (descriptor.has_presence and message.HasField(field)):
        return None
    return parse_decimal(text)
