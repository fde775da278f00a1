"""What the proto files describe."""

from __future__ import annotations

import re
from pathlib import Path

_PROTOS = Path(__file__).parents[2] / "proto" / "bezant" / "v1"


def described_services() -> tuple[str, ...]:
    """The full name of every service."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(_PROTOS.glob("*.proto")))
    return tuple(f"bezant.v1.{name}" for text in texts for name in re.findall(r"^service (\w+)", text, re.MULTILINE))
