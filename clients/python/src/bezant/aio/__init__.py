"""The client for asyncio: `connect` and `follow_events` as in `bezant`, to be awaited."""

from __future__ import annotations

from bezant.aio._client import Client, connect
from bezant.aio._follow import FollowedEvents, follow_events

__all__ = ["Client", "FollowedEvents", "connect", "follow_events"]
