"""The commands of docs/typed-api.md, against what `bezant serve` serves in front of the paper gateway."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.contract.grpc_surface.test_grpcurl import grpcurl
from tests.support.typed import typed_server

pytestmark = [pytest.mark.go, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[3] / "docs" / "typed-api.md"
COMMANDS = re.findall(r"^ {4}\$ (grpcurl .+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

__all__ = ["grpcurl"]


def test_every_command_of_the_tour_works(grpcurl: Path, tmp_path: Path) -> None:
    assert len(COMMANDS) > 5
    with typed_server(tmp_path) as server:
        for command in COMMANDS:
            words = shlex.split(command.replace("127.0.0.1:50051", server.target))
            done = subprocess.run([grpcurl, *words[1:]], capture_output=True, text=True, timeout=60, check=False)
            left = "-max-time" in words and "DeadlineExceeded" in done.stderr
            assert done.returncode == 0 or left, f"{command}\n{done.stderr}"
            assert "{" in done.stdout
