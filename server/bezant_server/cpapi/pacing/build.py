"""Puts pacing together from the configuration."""

from __future__ import annotations

import time

from bezant_server.config import ConfigError, Settings
from bezant_server.cpapi.client import Exchange
from bezant_server.cpapi.pacing import limits
from bezant_server.cpapi.pacing.line import Line, Rules
from bezant_server.cpapi.pacing.pacer import Pacer
from bezant_server.cpapi.pacing.sharing import LastAnswers


def build(settings: Settings, send: Exchange) -> Pacer:
    """A pacer in front of the plain way to send a call.

    Raises:
        ConfigError: BEZANT_PACING_FILE cannot be used.
    """
    try:
        allowed = limits.load(settings.pacing_file)
    except limits.PacingFileError as error:
        raise ConfigError(f"BEZANT_PACING_FILE: {error}") from None
    rules = Rules(
        limits=allowed,
        margin_secs=settings.pacing_margin_secs,
        transit_secs=settings.pacing_transit_secs,
        hold_secs=settings.pacing_hold_secs,
        queue_cap=settings.pacing_queue_cap,
        backoff_min_secs=settings.pacing_backoff_min_secs,
        backoff_max_secs=settings.pacing_backoff_max_secs,
    )
    return Pacer(
        line=Line(rules),
        gateway=settings.gateway_url,
        send=send,
        clock=time.monotonic,
        default_wait_secs=settings.request_timeout_secs,
        answers=LastAnswers(max_answers=settings.last_answers_cap, max_bytes=settings.last_answers_bytes),
    )
