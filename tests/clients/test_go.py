"""The Go client, by Go's own tools: its tests against the running stack, its program of the README, its example."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.missing import tool
from tests.support.stack import environment

pytestmark = [pytest.mark.go, pytest.mark.timeout(600)]

_CLIENT = Path(__file__).resolve().parents[2] / "clients" / "go"
_SECS = 550.0


def _go(*arguments: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        [tool("go"), *arguments],
        cwd=_CLIENT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_its_tests_pass(client_environment: Mapping[str, str]) -> None:
    # One package after the other: the example moves the market that the others trade in.
    # Without paths of this machine, so that what is compiled serves the module that the README's test makes, too.
    output = _go("test", "-v", "-count=1", "-p=1", "-trimpath", "./...", env=client_environment)
    assert "--- PASS: TestStory " in output
    assert "--- SKIP" not in output, output


def test_its_code_is_vetted_and_formatted() -> None:
    _go("vet", "./...", env=environment())
    unformatted = subprocess.run(
        [tool("gofmt"), "-l", "."], cwd=_CLIENT, capture_output=True, text=True, timeout=_SECS, check=True
    )
    assert unformatted.stdout == ""


def test_its_modules_are_tidy() -> None:
    _go("mod", "tidy", "-diff", env=environment())
    _go("-C", "tools", "mod", "tidy", "-diff", env=environment())
