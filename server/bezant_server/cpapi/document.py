"""The gateway's JSON, read with care: numbers keep their digits, and a wrong type is an error that names its place.

IBKR writes the same value now as a number, now as text, and leaves out, empties or nulls what it does not know. So a
reader says what a value must be, and gets it in one type, or None when it is absent.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from google.protobuf.timestamp_pb2 import Timestamp

from bezant_server import decimals
from bezant_server.errors import UpstreamDecodeError

_AMOUNT = re.compile(r"(.*?[0-9.])\s*([A-Z]{3,10})?")
_NO_NUMBER = frozenset({"n/a", "na", "none", "null", "-", "--"})
"""How IBKR says in text that there is no number (its examples)."""
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_TAG = re.compile(r"<[^<>]{0,200}>")
_LARGEST = 2**63 - 1
_FIRST_MS = 100_000_000_000
"""In milliseconds the year 1973; in seconds the year 5138."""
_LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, beyond which a Timestamp cannot be."""


def parse(body: bytes) -> Any:
    """JSON whose numbers are int or Decimal. NaN and the infinities, which are no JSON, count as null.

    Raises:
        ValueError, RecursionError: it is no JSON.
    """
    return json.loads(body, parse_float=Decimal, parse_constant=lambda _: None)


def dump(value: object) -> bytes:
    """JSON of dicts, lists, text, whole numbers, booleans, None and decimals, which keep their digits."""
    return _dumped(value).encode()


def _dumped(value: object) -> str:
    match value:
        case Mapping():
            members = (f"{json.dumps(name)}:{_dumped(member)}" for name, member in value.items())
            return f"{{{','.join(members)}}}"
        case list() | tuple():
            return f"[{','.join(map(_dumped, value))}]"
        case Decimal():
            return format(value, "f")
        case str() | bool() | int() | None:
            return json.dumps(value)
    raise TypeError(type(value).__name__)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with the currency that stood beside it, if one did."""

    number: str
    currency: str


class Row:
    """One JSON object of the gateway.

    Every method takes the names that IBKR may give the field; the first that is present counts. Absent, null and empty
    text are None (in `text`, empty).

    Args:
        value: the object.
        place: where it stands, for errors: `positions[3]`.

    Raises:
        UpstreamDecodeError: it is no object, or later, a field has another type than asked for.
    """

    __slots__ = ("_object", "place")

    def __init__(self, value: Any, place: str) -> None:
        self.place = place
        if not isinstance(value, Mapping):
            raise _wrong(place, "an object", value)
        self._object = value

    def __contains__(self, name: str) -> bool:
        return self._object.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._object)

    def raw(self, *names: str) -> Any:
        """The value as it is."""
        return self._first(names)[1]

    def text(self, *names: str) -> str:
        """Text, empty when absent; a number counts as its digits."""
        name, value = self._first(names)
        match value:
            case None:
                return ""
            case str():
                return value
            case bool():
                raise self._wrong(name, "text", value)
            case int() | Decimal():
                return str(value)
        raise self._wrong(name, "text", value)

    def words(self, *names: str) -> str:
        """As `text`, without the HTML entities that IBKR leaves in names and descriptions."""
        return html.unescape(self.text(*names))

    def plain(self, *names: str) -> str:
        """As `text`, without any HTML."""
        return plain_text(self.text(*names))

    def decimal(self, *names: str) -> str | None:
        """A decimal in the grammar of `decimals`. Text may have thousands commas; a currency behind it is dropped."""
        amount = self.amount(*names)
        return None if amount is None else amount.number

    def nonzero(self, *names: str) -> str | None:
        """As `decimal`; 0 is absent, too: IBKR says so for strikes and multipliers that there are not."""
        number = self.decimal(*names)
        return number if number is not None and any(digit in number for digit in "123456789") else None

    def amount(self, *names: str) -> Amount | None:
        """A number and the currency that stands behind it: `994,831 USD`."""
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            number = decimals.plain(value)
            return None if number is None else Amount(number, "")
        if isinstance(value, str):
            if value.strip().lower() in _NO_NUMBER:
                return None
            match = _AMOUNT.fullmatch(value.strip())
            number = decimals.read(match[1]) if match else None
            if match and number is not None:
                return Amount(number, match[2] or "")
        raise self._wrong(name, "a number", value)

    def double(self, *names: str) -> float | None:
        """A number whose exact digits do not matter, such as a greek."""
        number = self.decimal(*names)
        return None if number is None else float(number)

    def integer(self, *names: str) -> int | None:
        """A whole number that fits 64 bits; text of digits, and a number without a fraction, count."""
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 19 and value == int(value):
            value = int(value)
        if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST:
            return value
        raise self._wrong(name, "a whole number", value)

    def boolean(self, *names: str) -> bool | None:
        """True or false; the words and the numbers 1 and 0 count."""
        name, value = self._first(names)
        match value:
            case None:
                return None
            case bool():
                return value
            case 0 | 1:
                return bool(value)
            case str() if value.strip().lower() in ("true", "false", "1", "0", "yes", "no", "y", "n"):
                return value.strip().lower() in ("true", "1", "yes", "y")
        raise self._wrong(name, "true or false", value)

    def moment(self, *names: str) -> Timestamp | None:
        """A time since 1970, given in milliseconds, or in seconds where the number is too small; 0 is absent."""
        name, value = self._first(names)
        milliseconds = self.integer(*names)
        if not milliseconds:
            return None
        if 0 < milliseconds < _FIRST_MS:
            milliseconds *= 1000
        if not 0 < milliseconds <= _LAST_MS:
            raise self._wrong(name, "milliseconds since 1970", value)
        moment = Timestamp()
        moment.FromMilliseconds(milliseconds)
        return moment

    def row(self, *names: str) -> Row | None:
        """An object."""
        name, value = self._first(names)
        return None if value is None else Row(value, self._place(name))

    def rows(self, *names: str) -> list[Row]:
        """A list of objects; none when absent."""
        name, value = self._first(names)
        return rows(value, self._place(name))

    def texts(self, *names: str) -> list[str]:
        """A list of texts or numbers; none when absent, and one text counts as a list of it."""
        name, value = self._first(names)
        return texts(value, self._place(name))

    def decimals(self, name: str) -> list[str | None]:
        """A list of numbers; none when absent."""
        values = self.raw(name)
        if values is None:
            return []
        if not isinstance(values, list):
            raise _wrong(self._place(name), "a list", values)
        cells = Row({str(index): value for index, value in enumerate(values)}, self._place(name))
        return [cells.decimal(str(index)) for index in range(len(values))]

    def entries(self, *names: str) -> list[tuple[str, Row]]:
        """The members of an object of objects, by name, without the nulls; none when absent."""
        row = self.row(*names)
        return [] if row is None else row.members()

    def members(self) -> list[tuple[str, Row]]:
        """The members of this object, each of which must be an object, without the nulls."""
        return [(name, Row(value, self._place(name))) for name, value in self._object.items() if value is not None]

    def _first(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            value = self._object.get(name)
            if value is not None and value != "":
                return name, value
        return names[0], None

    def _place(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def _wrong(self, name: str, wanted: str, value: Any) -> UpstreamDecodeError:
        return _wrong(self._place(name), wanted, value)


def rows(value: Any, place: str) -> list[Row]:
    """A list of objects; null is none, and nulls in it are left out.

    Raises:
        UpstreamDecodeError: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(place, "a list", value)
    return [Row(element, f"{place}[{index}]") for index, element in enumerate(value) if element is not None]


def texts(value: Any, place: str) -> list[str]:
    """A list of texts; null is none, numbers count as their digits, and a single text as a list of it.

    Raises:
        UpstreamDecodeError: it is something else.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise _wrong(place, "a list", value)
    return [_text(element, f"{place}[{index}]") for index, element in enumerate(value) if element is not None]


def plain_text(markup: str) -> str:
    """Text without HTML, its tags turned into spaces."""
    return " ".join(html.unescape(_TAG.sub(" ", markup)).split())


def wrong_shape(place: str, wanted: str, value: Any) -> NoReturn:
    """Refuse a value of another type than due.

    Raises:
        UpstreamDecodeError: always.
    """
    raise _wrong(place, wanted, value)


def _text(value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise _wrong(place, "text", value)


def _wrong(place: str, wanted: str, value: Any) -> UpstreamDecodeError:
    # The value itself is not quoted: it may be an account's.
    found = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", Decimal: "a number"}
    what = found.get(type(value), "null" if value is None else "something else")
    return UpstreamDecodeError(f"the gateway's answer has {what} at '{place[:200] or '(top)'}' where {wanted} was due")
