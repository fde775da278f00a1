"""A file that a script makes and that is committed: written, or held against what would be written."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write_or_check(target: Path, text: str) -> int:
    """Write a file; with `--check` on the command line only say whether it has this text.

    Returns:
        The exit status: 1 when it has another.
    """
    if sys.argv[1:] != ["--check"]:
        target.write_text(text, encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return 0
    print(f"{target.relative_to(ROOT)} is stale: run make generate", file=sys.stderr)
    return 1
