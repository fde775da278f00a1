"""Events capture: what the gateway's WebSocket says, held in rings and served by cursor."""

from __future__ import annotations
