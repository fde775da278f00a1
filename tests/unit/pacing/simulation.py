"""A line on virtual time, in front of a gateway that takes its own note of what arrives when."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from itertools import count

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi.messages import UpstreamRequest
from bezant_server.cpapi.pacing.calls import profile
from bezant_server.cpapi.pacing.line import Line, RefusedError, Ticket

GATEWAY = GatewayUrl("https", "localhost:5000", "/v1/api")


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that somebody will make.

    Attributes:
        at: when.
        method, path: of the call, below /v1/api.
        client: who.
        patience: seconds until its deadline.
        latency: seconds that the gateway takes.
        transit: share of the latency after which it arrives.
        question: the id of the question in its answer; empty for none.
    """

    at: float
    method: str
    path: str
    client: str = "a"
    patience: float = 60.0
    latency: float = 0.02
    transit: float = 0.5
    question: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of one call."""

    ask: Ask
    refused: float | None = None
    late: float | None = None
    sent: list[float] = field(default_factory=list)
    arrived: float = math.nan
    done: float = math.nan

    @property
    def waited(self) -> float:
        return self.sent[0] - self.ask.at


def simulate(line: Line, asks: list[Ask], *, status: int = 200) -> list[Outcome]:
    """Let every call join at its time, and run until nothing waits or is under way."""
    outcomes = [Outcome(ask) for ask in sorted(asks, key=lambda ask: ask.at)]
    joining = list(outcomes)
    running: list[tuple[float, int, Ticket, Outcome]] = []
    waiting: dict[Ticket, Outcome] = {}
    numbers = count()
    now = 0.0
    while joining or running or waiting:
        now = max(
            now,
            min(
                joining[0].ask.at if joining else math.inf,
                running[0][0] if running else math.inf,
                line.look_again_at(now),
            ),
        )
        assert not math.isinf(now), "the line waits for nothing"
        while running and running[0][0] <= now:
            _, _, ticket, outcome = heapq.heappop(running)
            questions = frozenset({outcome.ask.question} - {""})
            line.answered(ticket, now, status=status, questions=questions)
            outcome.done = now
        while joining and joining[0].ask.at <= now:
            outcome = joining.pop(0)
            ask = outcome.ask
            request = UpstreamRequest(ask.method, f"/v1/api{ask.path}", changes_state=ask.method != "GET")
            try:
                ticket = line.join(profile(request, GATEWAY), client=ask.client, now=now, deadline=now + ask.patience)
            except RefusedError:
                outcome.refused = now
            else:
                waiting[ticket] = outcome
        for ticket in [*line.late(now), *line.stopped(now)]:
            waiting.pop(ticket).late = now
        while (sendable := line.next_to_send(now)) is not None:
            outcome = waiting.pop(sendable)
            outcome.sent.append(now)
            outcome.arrived = now + outcome.ask.latency * outcome.ask.transit
            heapq.heappush(running, (now + outcome.ask.latency, next(numbers), sendable, outcome))
    return outcomes
