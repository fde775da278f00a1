"""A machine without Go makes the other stubs, and says so; CI does not get away with that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.stack import environment

_ROOT = Path(__file__).resolve().parents[2]
_LOUD = "THE STUBS OF clients/go ARE NEITHER MADE NOR CHECKED HERE"


def _check_without_go(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/generate.py", "--check"],
        cwd=_ROOT,
        env=environment({"PATH": "/nowhere", "CI": "", **variables}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_developer_is_told() -> None:
    result = _check_without_go()
    assert result.stderr.splitlines()[0] == f"Go is not installed: {_LOUD}"
    assert result.returncode == 0, result.stderr


def test_ci_fails() -> None:
    result = _check_without_go(CI="true")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"Go is not installed: {_LOUD}\n"
