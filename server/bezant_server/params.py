"""Reading the text of query parameters, with errors that name the parameter."""

from __future__ import annotations

import re

from bezant_server.errors import BadRequest, MissingQueryParam

_CONID_WITH_EXCHANGE = re.compile(r"[0-9]{1,15}(@[A-Za-z0-9.]{1,20})?")
_MAX_DIGITS = 18


def required(name: str, text: str) -> str:
    """The text of a parameter that must be there.

    Raises:
        MissingQueryParam: it is absent or blank.
    """
    if not text.strip():
        raise MissingQueryParam(name)
    return text.strip()


def whole_number(name: str, text: str, *, default: int, minimum: int = 0) -> int:
    """A whole number in decimal digits; absent means `default`.

    Raises:
        BadRequest: anything else, or less than `minimum`.
    """
    text = text.strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise BadRequest(f"{name} must be a whole number, got '{text[:40]}'", field=name)
    number = int(text)
    if number < minimum:
        raise BadRequest(f"{name} must be {minimum} or more, got {number}", field=name)
    return number


def conids(name: str, text: str) -> str:
    """A comma-separated list of conids, each optionally with `@EXCHANGE`, as the gateway takes it.

    Raises:
        BadRequest: an element is something else.
    """
    return _list(name, text, _CONID_WITH_EXCHANGE, "a conid such as 265598")


def field_ids(name: str, text: str) -> str:
    """A comma-separated list of market-data field numbers.

    Raises:
        BadRequest: an element is something else.
    """
    return _list(name, text, re.compile(r"[0-9]{1,9}"), "a field number such as 31")


def boolean(name: str, text: str, *, default: bool) -> bool:
    """`true` or `false`; absent means `default`.

    Raises:
        BadRequest: anything else.
    """
    match text.strip().lower():
        case "":
            return default
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise BadRequest(f"{name} must be true or false, got '{text[:40]}'", field=name)


def _list(name: str, text: str, pattern: re.Pattern[str], wanted: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not pattern.fullmatch(part):
            raise BadRequest(f"{name} must be a comma-separated list, each {wanted}; got '{part[:40]}'", field=name)
    return ",".join(parts)
