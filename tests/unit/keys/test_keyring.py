"""Whose a key is, as the file of keys changes."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
from pathlib import Path

import pytest

from bezant_server.keys import document
from bezant_server.keys.keyring import Client, KeyRing
from bezant_server.keys.scopes import Scope

ALICE, BOB = "bz_alice-s-own", "bz_bob-s-own"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def write(path: Path, content: object, mode: int = 0o600) -> None:
    """Put a file there as an editor does, in place."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(data)
    path.chmod(mode)


def name(ring: KeyRing, key: str) -> str | None:
    """Whose a key is."""
    client = ring.client(key)
    return None if client is None else client.name


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api-keys.json"


def test_a_key_is_its_clients(path: Path) -> None:
    write(path, {"alice": digest(ALICE), "bob": digest(BOB).upper()})
    ring = KeyRing(path)

    assert name(ring, ALICE) == "alice"
    assert name(ring, BOB) == "bob"
    for nobodys in ("", "alice", digest(ALICE), ALICE[:-1], f"{ALICE} ", ALICE.upper(), "\u00fc", "\0"):
        assert ring.client(nobodys) is None


@pytest.mark.parametrize(
    ("entry", "scope"),
    [
        (digest(ALICE), Scope.TRADE),
        ({"sha256": digest(ALICE)}, Scope.TRADE),
        ({"sha256": digest(ALICE), "scope": "read"}, Scope.READ),
        ({"scope": "trade", "sha256": digest(ALICE).upper()}, Scope.TRADE),
        ({"sha256": digest(ALICE), "scope": "admin"}, Scope.ADMIN),
    ],
)
def test_a_key_is_good_for_its_scope_and_without_one_to_trade(entry: object, scope: Scope, path: Path) -> None:
    write(path, {"alice": entry, "bob": digest(BOB)})
    ring = KeyRing(path)
    assert ring.client(ALICE) == Client("alice", scope)
    assert ring.client(BOB) == Client("bob", Scope.TRADE)


def test_another_scope_counts_at_the_next_call(path: Path) -> None:
    write(path, {"alice": digest(ALICE)})
    ring = KeyRing(path)
    assert ring.client(ALICE) == Client("alice", Scope.TRADE)
    write(path, {"alice": {"sha256": digest(ALICE), "scope": "read"}})
    assert ring.client(ALICE) == Client("alice", Scope.READ)


@pytest.mark.parametrize("key", ["client-0", "client-4", "client-8", "nobody"])
def test_a_key_is_compared_with_every_entry(key: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = {f"client-{number}": digest(f"client-{number}") for number in range(9)}
    write(path, clients)
    compared: list[object] = []
    compare = hmac.compare_digest

    def counted(held: str, given: str) -> bool:
        compared.append(held)
        return compare(held, given)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    assert name(KeyRing(path), key) == (None if key == "nobody" else key)
    assert compared == list(clients.values())


def test_a_change_of_the_file_counts_at_the_next_call(path: Path) -> None:
    write(path, {"alice": digest(ALICE)})
    ring = KeyRing(path)
    assert (name(ring, ALICE), name(ring, BOB)) == ("alice", None)

    write(path, {"alice": digest(ALICE), "bob": digest(BOB)})
    assert (name(ring, ALICE), name(ring, BOB)) == ("alice", "bob")

    other = path.with_name("other")
    write(other, {"bob": digest(BOB)})
    other.replace(path)
    assert (name(ring, ALICE), name(ring, BOB)) == (None, "bob")


def test_another_file_of_the_same_size_and_time_is_noticed(path: Path) -> None:
    write(path, {"alice": digest(ALICE)})
    ring = KeyRing(path)
    assert name(ring, ALICE) == "alice"
    seen = path.stat()

    other = path.with_name("other")
    write(other, {"alice": digest(BOB)})
    os.utime(other, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert other.stat().st_size == seen.st_size
    other.replace(path)
    assert (name(ring, ALICE), name(ring, BOB)) == (None, "alice")


def test_an_unchanged_file_is_not_read_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, {"alice": digest(ALICE)})
    ring = KeyRing(path)
    with caplog.at_level(logging.INFO, "bezant_server"):
        for _ in range(5):
            assert name(ring, ALICE) == "alice"
    assert [record.message for record in caplog.records] == ["API keys read"]


def test_without_a_file_no_key_is_valid_and_the_log_says_once_how_to_add_one(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(path)
    for _ in range(3):
        assert name(ring, ALICE) is None
    (record,) = warnings(caplog)
    assert "bezant keys add NAME" in record.message
    assert vars(record)["path"] == str(path)

    write(path, {"alice": digest(ALICE)})
    assert name(ring, ALICE) == "alice"
    path.unlink()
    assert name(ring, ALICE) is None
    assert name(ring, ALICE) is None
    assert len(warnings(caplog)) == 2


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{'alice': 1}",
    "no end": b'{"alice": "',
    "no UTF-8": b'{"alice": "\xff"}',
    "a list": b"[]",
    "a number": b"1" * 5000,
    "a deep hole": b"[" * 100_000,
    "no digest": json.dumps({"alice": ALICE}).encode(),
    "a short digest": json.dumps({"alice": digest(ALICE)[1:]}).encode(),
    "a long digest": json.dumps({"alice": digest(ALICE) + "0"}).encode(),
    "a number for a digest": json.dumps({"alice": 1}).encode(),
    "an object without a digest": json.dumps({"alice": {"scope": "read"}}).encode(),
    "an object with another member": json.dumps({"alice": {"sha256": digest(ALICE), "scop": "read"}}).encode(),
    "a member twice": f'{{"alice": {{"sha256": "{digest(ALICE)}", "scope": "read", "scope": "admin"}}}}'.encode(),
    "another scope": json.dumps({"alice": {"sha256": digest(ALICE), "scope": "write"}}).encode(),
    "a scope in capitals": json.dumps({"alice": {"sha256": digest(ALICE), "scope": "READ"}}).encode(),
    "a number for a scope": json.dumps({"alice": {"sha256": digest(ALICE), "scope": 1}}).encode(),
    "no scope after all": json.dumps({"alice": {"sha256": digest(ALICE), "scope": None}}).encode(),
    "a list for a digest": json.dumps({"alice": [digest(ALICE), "read"]}).encode(),
    "a key twice, once with a scope": json.dumps(
        {"alice": digest(ALICE), "bob": {"sha256": digest(ALICE), "scope": "read"}}
    ).encode(),
    "one bad of two": json.dumps({"alice": digest(ALICE), "bob": ""}).encode(),
    "no name": json.dumps({"": digest(ALICE)}).encode(),
    "a name with a blank": json.dumps({"alice smith": digest(ALICE)}).encode(),
    "a name with a newline": json.dumps({"alice\n": digest(ALICE)}).encode(),
    "a long name": json.dumps({"a" * 65: digest(ALICE)}).encode(),
    "a key for a name": json.dumps({f"{ALICE}!": digest(ALICE)}).encode(),
    "a name twice": f'{{"alice": "{digest(ALICE)}", "alice": "{digest(BOB)}"}}'.encode(),
    "a key twice": json.dumps({"alice": digest(ALICE), "bob": digest(ALICE)}).encode(),
    "too large": json.dumps({"alice": digest(ALICE)}).encode() + b" " * document.MOST_BYTES,
    "too many": json.dumps({str(number): digest(str(number)) for number in range(document.MOST_CLIENTS + 1)}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_lets_nobody_in_until_it_is_mended(
    content: bytes, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, {"alice": digest(ALICE)})
    ring = KeyRing(path)
    assert name(ring, ALICE) == "alice"

    write(path, content)
    for _ in range(3):
        assert (name(ring, ALICE), name(ring, BOB), name(ring, "")) == (None, None, None)
    (record,) = warnings(caplog)
    told = vars(record)
    assert record.message == "the file of API keys is malformed: no key is valid"
    assert told["path"] == str(path)
    assert told["reason"]
    for secret in (ALICE, digest(ALICE), digest(BOB), "alice"):
        assert secret not in told["reason"]

    write(path, {"alice": digest(ALICE)})
    assert name(ring, ALICE) == "alice"
    assert len(warnings(caplog)) == 1


def test_each_change_to_something_malformed_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing(path)
    for content in (b"[", b"[[", b"[[["):
        write(path, content)
        assert name(ring, ALICE) is None
        assert name(ring, ALICE) is None
    assert len(warnings(caplog)) == 3


def test_as_many_clients_as_there_may_be(path: Path) -> None:
    write(path, {f"{number:064}": digest(str(number)) for number in range(document.MOST_CLIENTS)})
    assert name(KeyRing(path), "17") == f"{17:064}"


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "below a file"])
def test_what_is_no_readable_file_lets_nobody_in_until_it_is(
    kind: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = path.parent / "folder"
    path = folder / path.name
    if kind == "below a file":
        folder.touch()
    else:
        folder.mkdir()
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
    ring = KeyRing(path)
    open_files = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        assert name(ring, ALICE) is None
    assert len([*Path("/proc/self/fd").iterdir()]) == open_files
    (record,) = warnings(caplog)
    assert vars(record)["path"] == str(path)
    assert vars(record)["reason"]

    if kind == "below a file":
        folder.unlink()
        folder.mkdir()
    elif kind == "directory":
        path.rmdir()
    else:
        path.unlink()
    write(path, {"alice": digest(ALICE)})
    assert name(ring, ALICE) == "alice"


@pytest.mark.parametrize(("mode", "told"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o620, 1)])
def test_a_file_that_others_can_read_is_told_once(
    mode: int, told: int, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, {"alice": digest(ALICE)}, mode)
    ring = KeyRing(path)
    assert name(ring, ALICE) == "alice"
    path.unlink()
    write(path, {"bob": digest(BOB)}, mode)
    assert name(ring, BOB) == "bob"
    assert [record.message for record in warnings(caplog)] == [
        "the file of API keys is open to other users: chmod 600"
    ] * told
