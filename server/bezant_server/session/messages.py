"""The session and the limits as SessionService's messages."""

from __future__ import annotations

import math

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import session_service_pb2 as pb
from bezant_server.cpapi.pacing.pacer import Pacer
from bezant_server.session.machine import Accounts, NextAction, Snapshot, State, Status

_PAPER_ACCOUNTS = ("DU", "DF")
"""How the ids of paper accounts begin (IBKR's documentation: DU; DF for an advisor's)."""

_STATES: dict[State, pb.SessionState.ValueType] = {
    state: pb.SessionState.Value(f"SESSION_STATE_{state.value}") for state in State
}
_ACTIONS: dict[NextAction, pb.NextAction.ValueType] = {
    action: pb.NextAction.Value(f"NEXT_ACTION_{action.value}") for action in NextAction
}


def session(snapshot: Snapshot, *, login_url: str) -> pb.Session:
    """The session."""
    status, accounts = snapshot.status, snapshot.accounts
    return pb.Session(
        state=_STATES[snapshot.state],
        can_trade=snapshot.can_trade,
        cause=snapshot.cause,
        next_action=_ACTIONS[snapshot.next_action],
        next_action_text=snapshot.advice,
        login_url=login_url,
        since=timestamp(snapshot.since),
        single_sign_on=pb.SingleSignOn(
            logged_in=snapshot.logged_in,
            sso_expires_at=None if snapshot.sso_expires_at is None else timestamp(snapshot.sso_expires_at),
        ),
        brokerage=_brokerage(status),
        gateway_server=pb.GatewayServer(name=status.server_name or "", version=status.server_version or ""),
        accounts=accounts.accounts or (),
        selected_account=accounts.selected or "",
        trading_mode=trading_mode(accounts),
    )


def trading_mode(accounts: Accounts) -> pb.TradingMode.ValueType:
    """Paper or live, by the selected account, or else by what the gateway says of the login."""
    if accounts.selected is not None:
        paper = accounts.selected.startswith(_PAPER_ACCOUNTS)
    elif accounts.is_paper is not None:
        paper = accounts.is_paper
    else:
        return pb.TRADING_MODE_UNSPECIFIED
    return pb.TRADING_MODE_PAPER if paper else pb.TRADING_MODE_LIVE


def is_paper(account: str, accounts: Accounts) -> bool:
    """Whether an account of the login trades on paper: its id says so, and the gateway does not say otherwise."""
    return account.startswith(_PAPER_ACCOUNTS) and accounts.is_paper is not False


def pacing(pacer: Pacer, *, now: float, wall: float) -> pb.GetPacingResponse:
    """The limits.

    Args:
        pacer: what keeps them.
        now: on the pacer's clock.
        wall: the same moment in seconds since 1970.
    """
    line, counters = pacer.line, pacer.counters
    response = pb.GetPacingResponse(
        enabled=True,
        held=line.is_held(now),
        counters=pb.PacingCounters(
            sent=counters.sent,
            shared=counters.shared,
            served_from_last=counters.served_from_last,
            refused=counters.refused,
            answered_429=counters.answered_429,
        ),
    )
    for gauge in line.gauges:
        limit, free_at = gauge.limit, gauge.ready_at(now)
        response.limits.append(
            pb.PacingLimit(
                name=limit.name,
                count=limit.count,
                window=duration(limit.window_secs) if limit.window_secs else None,
                used=gauge.used(now),
                free_at=timestamp(wall + free_at - now) if now < free_at < math.inf else None,
            )
        )
    for lane, tickets in line.waiting().items():
        longest = max((now - ticket.arrived for ticket in tickets), default=None)
        response.lanes.append(
            pb.PacingLane(
                name=lane.name.lower(),
                waiting=len(tickets),
                longest_wait=None if longest is None else duration(longest),
            )
        )
    if line.pause is not None:
        response.pause.CopyFrom(pb.PacingPause(cause=line.pause.why, until=timestamp(wall + line.pause.until - now)))
    return response


def timestamp(seconds: float) -> Timestamp:
    """Seconds since 1970."""
    moment = Timestamp()
    moment.FromMilliseconds(round(seconds * 1000))
    return moment


def duration(seconds: float) -> Duration:
    """Seconds."""
    length = Duration()
    length.FromMilliseconds(round(seconds * 1000))
    return length


def _brokerage(status: Status) -> pb.BrokerageSession:
    return pb.BrokerageSession(
        authenticated=status.authenticated,
        connected=status.connected,
        established=status.established,
        competing=status.competing,
        message=status.said or "",
        gateway_mac=status.gateway_mac or "",
    )
