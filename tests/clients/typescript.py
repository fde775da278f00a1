"""The TypeScript client's package, installed and built once for all workers that test it."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.support.missing import tool

_ROOT = Path(__file__).resolve().parents[2]
PACKAGE = _ROOT / "clients" / "typescript"
_COMMAND_SECS = 300


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command in the package; AssertionError, with all that it wrote, when it fails."""
    done = subprocess.run(
        command, cwd=PACKAGE, env=env, capture_output=True, text=True, timeout=_COMMAND_SECS, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def build() -> None:
    """Install what the package needs, compile it and bundle its page, unless that is done; a test without npm ends."""
    npm = tool("npm")
    lock = _ROOT / ".run" / "typescript.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        manifest = [PACKAGE / "package.json", PACKAGE / "package-lock.json", PACKAGE / ".npmrc"]
        _once("installed", manifest, lambda: run(npm, "ci", "--no-audit", "--no-fund"))
        _once("built", [*manifest, *_sources()], lambda: _compile(npm))


def _compile(npm: Path) -> None:
    run(npm, "run", "build")
    run(npm, "run", "bundle")


def _sources() -> Iterable[Path]:
    generated = PACKAGE / "src" / "gen"
    yield from (path for path in sorted((PACKAGE / "src").rglob("*.ts")) if not path.is_relative_to(generated))
    yield from sorted((_ROOT / "proto").rglob("*.proto"))
    yield from sorted((PACKAGE / "scripts").iterdir())
    yield from sorted(PACKAGE.glob("tsconfig*.json"))
    yield from (PACKAGE / "buf.gen.yaml", PACKAGE / "examples" / "browser" / "main.ts")


def _once(name: str, sources: Iterable[Path], action: Callable[[], None]) -> None:
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path}\n".encode() + path.read_bytes())
    stamp = PACKAGE / "node_modules" / f".{name}"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        action()
        stamp.write_text(digest.hexdigest())
