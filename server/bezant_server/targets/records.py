"""Batches and their orders, as they are on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bezant.v1 import targets_service_pb2 as pb
from bezant_server.session.messages import timestamp


class Phase(StrEnum):
    """How far an order has come.

    PLANNED: it is on disk, and was not sent. SENDING: it may have been sent, and nobody knows what came of it. PLACED:
    IBKR has it, and it may change. MISSING: IBKR does not list it, and it counts as not placed, or as expired, unless
    it is seen after all. ENDED: nothing more happens to it.
    """

    PLANNED = "planned"
    SENDING = "sending"
    PLACED = "placed"
    MISSING = "missing"
    ENDED = "ended"


@dataclass(slots=True)
class Entry:
    """An order of a batch.

    Attributes:
        batch_id: its batch.
        place: in the batch, from 0 on.
        phase: how far it has come.
        sent_at_ms: when it was sent, milliseconds since 1970; None before.
        order: itself.
    """

    batch_id: str
    place: int
    phase: Phase
    sent_at_ms: int | None
    order: pb.TargetOrder

    def settle(self, phase: Phase, status: pb.TargetStatus.ValueType, error: str = "") -> None:
        """Note where it stands."""
        self.phase, self.order.status, self.order.error = phase, status, error


@dataclass(frozen=True, slots=True)
class Batch:
    """What was made of one request.

    Attributes:
        batch_id: its id.
        account: what it trades for.
        client: the name of the API key that asked for it.
        submitted_at_ms: when, milliseconds since 1970.
        idempotency_key: empty for none.
        digest: of the request.
        answer: a TargetBatch, serialized: what the caller was answered; None while there is no answer.
        entries: its orders; none in a list of batches.
    """

    batch_id: str
    account: str
    client: str
    submitted_at_ms: int
    idempotency_key: str
    digest: str
    answer: bytes | None
    entries: Sequence[Entry]

    def message(self) -> pb.TargetBatch:
        """As callers get it, its orders as they are known now."""
        return pb.TargetBatch(
            batch_id=self.batch_id,
            account_id=self.account,
            client=self.client,
            submitted_at=timestamp(self.submitted_at_ms / 1000),
            orders=[entry.order for entry in self.entries],
        )

    def answered(self) -> pb.TargetBatch:
        """As the caller was answered."""
        return self.message() if self.answer is None else pb.TargetBatch.FromString(self.answer)
