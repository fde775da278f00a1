"""What the gateway answers to an order, a change or a reply, as outcomes.

IBKR's documentation and recordings have four shapes: a list of orders, a list with a question, an object with an error
(as a 200), and an object with a prompt. What is none of them is an unknown outcome, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bezant.v1 import orders_service_pb2 as pb
from bezant_server.cpapi import document, refusals
from bezant_server.cpapi.document import Row, plain_text
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import BezantError, NoSession, NotAuthenticated, UpstreamDecodeError, UpstreamNotPrimed
from bezant_server.orders import decode, vocabulary

_CERTAIN_REFUSALS = frozenset({400, 403, 404, 405, 411, 413, 415, 422})
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Question:
    """A question of IBKR's.

    Attributes:
        reply_id: to answer it by.
        message_ids: what it asks about; empty when IBKR does not say.
        message: as callers get it.
    """

    reply_id: str
    message_ids: frozenset[str]
    message: pb.OrderNeedsConfirmation


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of orders that IBKR looked at, each with its client order id if the answer has it."""

    orders: Sequence[tuple[str, pb.OrderAccepted | pb.OrderRejected]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was placed.

    Attributes:
        status: of the answer.
        message: as callers get it.
    """

    status: int
    message: pb.OrderRejected


@dataclass(frozen=True, slots=True)
class Unclear:
    """The order was sent, and the answer does not say what became of it.

    Attributes:
        cause: what happened.
        status: of the answer; 0 when none came.
    """

    cause: str
    status: int = 0


Answer = Placed | Question | Refused | Unclear


def read(response: UpstreamResponse, path: str) -> Answer:
    """What an answer says.

    Raises:
        NotAuthenticated, NoSession, UpstreamNotPrimed, UpstreamStatus (429): the gateway did not look at the order.
    """
    refusal = _refusal(response, path)
    if isinstance(refusal, NotAuthenticated | NoSession | UpstreamNotPrimed) or response.status == _TOO_MANY:
        raise refusal or NotAuthenticated
    if response.status >= 300 and response.status not in _CERTAIN_REFUSALS:
        return Unclear(f"the gateway answered {response.status}", response.status)
    try:
        answer = document.parse(response.body)
        if response.status >= 300:
            return Refused(response.status, _rejected(answer, response.status))
        return _read(answer)
    except (ValueError, RecursionError, UpstreamDecodeError):
        if response.status in _CERTAIN_REFUSALS:
            return Refused(response.status, pb.OrderRejected(reason=f"the gateway answered {response.status}"))
        return Unclear("the gateway's answer cannot be read")


def _refusal(response: UpstreamResponse, path: str) -> BezantError | None:
    try:
        refusals.read(response, path)
    except BezantError as error:
        return error
    return None


def _read(answer: Any) -> Answer:
    if isinstance(answer, dict):
        if answer.get("error") or answer.get("reqId"):
            return Refused(200, _rejected(answer, 200))
        answer = [answer]
    rows = document.rows(answer, "")
    if not rows:
        return Unclear("the gateway's answer is empty")
    for row in rows:
        if row.text("id") and "message" in row:
            return _question(row)
    return Placed([_placed(row) for row in rows])


def _question(row: Row) -> Question:
    ids, texts = row.texts("messageIds"), row.texts("message")
    warnings = [
        pb.OrderWarning(
            message_id=ids[index] if index < len(ids) else "",
            text=plain_text(texts[index]) if index < len(texts) else "",
            raw_text=texts[index] if index < len(texts) else "",
        )
        for index in range(max(len(ids), len(texts)))
    ]
    message = pb.OrderNeedsConfirmation(reply_id=row.text("id"), warnings=warnings, options=row.texts("messageOptions"))
    return Question(row.text("id"), frozenset(ids), message)


def _placed(row: Row) -> tuple[str, pb.OrderAccepted | pb.OrderRejected]:
    client_order_id = row.text("local_order_id")
    if error := row.text("error"):
        return client_order_id, pb.OrderRejected(reason=plain_text(error))
    order_id = row.text("order_id")
    if not order_id:
        raise UpstreamDecodeError(f"the gateway's answer has no order id at '{row.place}'")
    status = row.text("order_status")
    return client_order_id, pb.OrderAccepted(
        order_id=order_id,
        status=vocabulary.status(status),
        raw_status=status,
        parent_order_id=row.text("parent_order_id"),
        oca_group_id=row.text("oca_group_id"),
    )


def _rejected(answer: Any, status: int) -> pb.OrderRejected:
    row = Row(answer, "")
    if row.text("reqId"):
        prompt = decode.prompt(row)
        return pb.OrderRejected(reason=prompt.text, prompt=prompt)
    said = row.plain("error", "message", "text")
    return pb.OrderRejected(reason=said or f"the gateway answered {status}")
