"""IBKR's pacing: ten requests a second, the documented limits of single endpoints, and the penalty box."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from bezant_server.paper.clock import Clock

GLOBAL_LIMIT, GLOBAL_SECONDS = 10, 1.0
PENALTY_SECONDS = 600.0
# IBKR's documentation does not say how many refusals of one endpoint it tolerates; this many within a minute.
TOLERATED_REFUSALS, REFUSAL_SECONDS = 10, 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` requests in `seconds` whose method and path (below the API prefix) match."""

    name: str
    methods: frozenset[str]
    path: re.Pattern[str]
    count: int
    seconds: float


def _limit(methods: str, path: str, count: int, seconds: float) -> Limit:
    return Limit(path, frozenset(methods.split()), re.compile(path), count, seconds)


@dataclass(slots=True)
class _Client:
    arrivals: dict[str, deque[float]] = field(default_factory=dict)
    refusals: deque[float] = field(default_factory=deque)
    boxed_until: float = 0.0


class Pacing:
    """Decides, for each client address, whether a request passes."""

    def __init__(self, clock: Clock, *, enabled: bool) -> None:
        self.enabled = enabled
        self._clock = clock
        self._clients: dict[str, _Client] = {}
        self._limits = (
            _limit("GET POST PUT DELETE", r"^/fyi/.*", 1, 1),
            _limit("GET", r"^/iserver/account/orders/?$", 1, 5),
            _limit("GET", r"^/iserver/account/pnl/partitioned/?$", 1, 5),
            _limit("GET", r"^/iserver/account/trades/?$", 1, 5),
            _limit("GET", r"^/iserver/marketdata/snapshot/?$", 10, 1),
            _limit("GET", r"^/iserver/scanner/params/?$", 1, 900),
            _limit("POST", r"^/iserver/scanner/run/?$", 1, 1),
            _limit("POST", r"^/pa/performance/?$", 1, 900),
            _limit("POST", r"^/pa/allperiods/?$", 1, 900),
            _limit("POST", r"^/pa/summary/?$", 1, 900),
            _limit("POST", r"^/pa/transactions/?$", 1, 900),
            _limit("GET", r"^/portfolio/accounts/?$", 1, 5),
            _limit("GET", r"^/portfolio/subaccounts/?$", 1, 5),
            _limit("GET", r"^/sso/validate/?$", 1, 60),
            _limit("GET POST", r"^/tickle/?$", 1, 1),
        )

    def admits(self, client: str, method: str, path: str) -> bool:
        """Whether a request passes; one that does not may send its client to the penalty box.

        Exceeding the global limit does so at once, exceeding an endpoint's after ten refusals within a minute.
        In the box every request is refused.
        """
        if not self.enabled:
            return True
        now = self._clock.now()
        state = self._clients.setdefault(client, _Client())
        if now < state.boxed_until:
            return False
        if not self._take(state, "*", GLOBAL_LIMIT, GLOBAL_SECONDS, now):
            state.boxed_until = now + PENALTY_SECONDS
            return False
        for limit in self._limits:
            if method in limit.methods and limit.path.match(path):
                if self._take(state, limit.name, limit.count, limit.seconds, now):
                    continue
                state.refusals.append(now)
                while state.refusals[0] <= now - REFUSAL_SECONDS:
                    state.refusals.popleft()
                if len(state.refusals) > TOLERATED_REFUSALS:
                    state.boxed_until = now + PENALTY_SECONDS
                return False
        return True

    def boxed(self) -> dict[str, float]:
        """Clients in the penalty box, and for how many more seconds."""
        now = self._clock.now()
        return {name: state.boxed_until - now for name, state in self._clients.items() if state.boxed_until > now}

    def forgive(self) -> None:
        """Forget every request and empty the box."""
        self._clients.clear()

    @staticmethod
    def _take(state: _Client, name: str, count: int, seconds: float, now: float) -> bool:
        arrivals = state.arrivals.setdefault(name, deque())
        while arrivals and arrivals[0] <= now - seconds:
            arrivals.popleft()
        if len(arrivals) >= count:
            return False
        arrivals.append(now)
        return True
