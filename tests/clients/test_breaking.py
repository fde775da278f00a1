"""A change of the protos that would break a client fails `make lint`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_ORDERS = "proto/bezant/v1/orders_service.proto"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What buf reads of this repository, to be changed."""
    shutil.copytree(_ROOT / "proto", tmp_path / "proto")
    shutil.copyfile(_ROOT / "buf.yaml", tmp_path / "buf.yaml")
    for path in files("googleapis-common-protos") or ():
        if path.match("google/api/*.proto"):
            target = tmp_path / "third_party" / "proto" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(path.locate()), target)
    return tmp_path


def _lint(checkout: Path) -> subprocess.CompletedProcess[str]:
    """The step of scripts/lint.sh."""
    step = re.search(r'^step "buf breaking" "\$bin/buf" (.*)$', (_ROOT / "scripts/lint.sh").read_text(), re.MULTILINE)
    assert step is not None
    command = [str(Path(sys.executable).with_name("buf")), *shlex.split(step[1])]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60, check=False)


def _change(checkout: Path, pattern: str, replacement: str) -> None:
    proto = checkout / _ORDERS
    changed, count = re.subn(pattern, replacement, proto.read_text(), flags=re.MULTILINE)
    assert count == 1
    proto.write_text(changed)


def test_as_it_is_nothing_breaks(checkout: Path) -> None:
    result = _lint(checkout)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_what_is_added_breaks_nothing(checkout: Path) -> None:
    _change(checkout, r"^message OrderAccepted \{$", "message OrderAccepted {\n  string added = 900;")
    assert _lint(checkout).returncode == 0


@pytest.mark.parametrize(
    ("pattern", "replacement", "named"),
    [
        (r"^  string parent_order_id = 4;\n", "", '"4" with name "parent_order_id" on message "OrderAccepted"'),
        (r"^  string parent_order_id = 4;$", "  string parent = 4;", '"4" on message "OrderAccepted"'),
        (
            r"^  string parent_order_id = 4;$",
            "  int64 parent_order_id = 4;",
            '"parent_order_id" on message "OrderAccepted"',
        ),
        (
            r"^  string parent_order_id = 4;$",
            '  string parent_order_id = 4 [json_name = "parent"];',
            '"4" with name "parent_order_id" on message "OrderAccepted" changed option "json_name"',
        ),
        (r"^  TRAILING_UNIT_PERCENT = 2;\n", "", '"2" on enum "TrailingUnit"'),
        (r"^  rpc CancelOrder\(.*;\n", "", 'RPC "CancelOrder" on service "OrdersService" was deleted'),
        (r"^service OrdersService \{", "service BrokerService {", 'service "OrdersService" was deleted'),
    ],
    ids=[
        "field removed",
        "field renamed",
        "type changed",
        "JSON name changed",
        "enum value removed",
        "RPC removed",
        "service removed",
    ],
)
def test_what_breaks_a_client_is_named(checkout: Path, pattern: str, replacement: str, named: str) -> None:
    _change(checkout, pattern, replacement)

    result = _lint(checkout)

    assert result.returncode != 0
    assert _ORDERS in result.stdout
    assert named in result.stdout
