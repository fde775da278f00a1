"""JSON over REST: what RPCs do that answer with a `google.api.HttpBody` of our own making."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from bezant_server.cpapi import caller as callers
from bezant_server.cpapi import document
from bezant_server.errors import BadRequest
from bezant_server.rpc import call as calls
from bezant_server.rpc.call import Context
from bezant_server.rpc.rows import Rows

JSON = "application/json"

_OK = 200
_MOST_PARAMETERS = 100


async def answer(context: Context, value: object, *, status: int = _OK) -> HttpBody:
    """A JSON answer.

    Args:
        context: of the RPC; success is certain from here on.
        value: of objects, lists, text, numbers (int or Decimal), booleans and None.
        status: of HTTP.
    """
    metadata = callers.current().headers()
    if status != _OK:
        metadata.append(("x-http-status", str(status)))
    if metadata:
        await context.send_initial_metadata(tuple(metadata))
    return HttpBody(content_type=JSON, data=document.dump(value))


def parameters(request: Message, names: Collection[str]) -> Mapping[str, str]:
    """The query parameters of a REST request, by name; of a gRPC request, its fields.

    Args:
        request: the RPC's.
        names: those that there are; a field has the same name, or the same in camelCase.

    Raises:
        BadRequest: an unknown name, one that is given twice, or text that is not UTF-8.
    """
    http = calls.current().http
    if http is None:
        fields = {
            spelling: str(getattr(request, field.name))
            for field in request.DESCRIPTOR.fields
            for spelling in (field.name, field.json_name)
        }
        return {name: fields.get(name, "") for name in names}
    _, _, query = http.target.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except UnicodeDecodeError:
        raise BadRequest("the query must be text in UTF-8") from None
    except ValueError:
        raise BadRequest(f"the query may have at most {_MOST_PARAMETERS} parameters") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        shown = name[:40]
        if name not in names:
            known = f"known are {', '.join(names)}" if names else "it takes none"
            raise BadRequest(f"there is no query parameter '{shown}': {known}", field=shown)
        if name in given:
            raise BadRequest(f"the query parameter '{shown}' is given twice", field=shown)
        given[name] = value
    return {name: given.get(name, "") for name in names}


def path_field(rows: Rows, request: Message, name: str) -> str:
    """A field that stands in the path.

    Raises:
        BadRequest: it is not text in UTF-8.
    """
    http = calls.current().http
    return str(getattr(request, name)) if http is None else rows.field(name, http.path)


def whole_or_fraction(text: str) -> int | Decimal:
    """A quantity as JSON: a whole number without a point, else with what fraction it has."""
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number.normalize()


def fraction(text: str | None) -> Decimal | None:
    """A price or an amount as JSON: with a point always, so that readers get one type."""
    if text is None:
        return None
    return Decimal(text if "." in text else f"{text}.0")


def optional(message: Any, name: str) -> str | None:
    """A field of a message, None when it is absent."""
    return getattr(message, name) if message.HasField(name) else None
