"""The one grammar of decimals, on the wire to callers and in the gateway's JSON.

    decimal = ["-"] digits ["." digits]

No exponent, no sign but minus, no separators, no NaN, at most 30 digits before the point and 30 behind it. A decimal
keeps the digits that it was written with: `1.50` stays `1.50`. It never passes through a binary float.
"""

from __future__ import annotations

import re
from decimal import Decimal, DecimalException

MAX_DIGITS = 30
"""On each side of the point."""
RULE = f"a decimal such as -12.50: digits with an optional minus and point, at most {MAX_DIGITS} on each side"

_DECIMAL = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{1,{MAX_DIGITS}}})?")
_WRITTEN = re.compile(r"([+-]?)((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)(?:\.[0-9]*)?)(?:[eE]([+-]?[0-9]{1,3}))?")


def parse(text: str) -> Decimal | None:
    """The decimal that a caller wrote, or None when the grammar does not allow it."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def plain(number: Decimal | int) -> str | None:
    """A number in the grammar, digit for digit; None for what it cannot say (NaN, or an absurd magnitude).

    Java's largest double, which IBKR uses for "not set", is such a magnitude.
    """
    if isinstance(number, int):
        number = Decimal(number)
    if not number.is_finite() or not -MAX_DIGITS <= number.adjusted() < MAX_DIGITS:
        return None
    text = format(number, "f")
    whole, _, fraction = text.partition(".")
    text = f"{whole}.{fraction[:MAX_DIGITS]}" if fraction else whole
    return text.removeprefix("-") if not any(digit in text for digit in "123456789") else text


def read(text: str) -> str | None:
    """A number that the gateway wrote as text (`994,831.50`, `+1.2`, `.5`, `1E3`); None when it is none."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or not any(letter.isdigit() for letter in match[2]):
        return None
    sign, digits, exponent = match.groups()
    try:
        return plain(Decimal(f"{sign}{digits.replace(',', '')}{f'E{exponent}' if exponent else ''}"))
    except DecimalException:
        return None
