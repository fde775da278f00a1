"""A subject beside its baseline: measured in turn, printed as medians with their ratio."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.load import Figures

Measure = Callable[[int, float], Awaitable[Figures]]
"""Given connections and seconds."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something measured, and what it is held against."""

    name: str
    subject: Measure
    baseline: Measure


def print_heading() -> None:
    """The names of the columns that `measure` prints."""
    print(f"{'':34}{'conns':>6}{'req/s':>9}{'p50 ms':>8}{'p99 ms':>8}   {'baseline':>9}{'ratio':>7}")


async def measure(scenario: Scenario, connections: int, seconds: float, rounds: int) -> None:
    """Measure a scenario so many rounds and print its line."""
    subjects: list[Figures] = []
    baselines: list[Figures] = []
    for _ in range(rounds):
        baselines.append(await scenario.baseline(connections, seconds))
        subjects.append(await scenario.subject(connections, seconds))
    ratio = statistics.median(
        subject.rate / baseline.rate for subject, baseline in zip(subjects, baselines, strict=True)
    )

    def median(pick: Callable[[Figures], float], figures: list[Figures]) -> float:
        return statistics.median(pick(each) for each in figures)

    print(
        f"{scenario.name:34}{connections:>6}{median(lambda each: each.rate, subjects):>9.0f}"
        f"{median(lambda each: each.p50, subjects):>8.2f}{median(lambda each: each.p99, subjects):>8.2f}"
        f"   {median(lambda each: each.rate, baselines):>9.0f}{ratio:>7.2f}",
        flush=True,
    )
