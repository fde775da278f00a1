"""Makes everything that is generated from proto/: the stubs of Python and Go, and Envoy's descriptor set.

python scripts/generate.py           write it
python scripts/generate.py --check   fail if what is committed differs from what would be written

Without a Go toolchain its stubs are left as they are, with a line that says so; under CI=true that fails.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
GOOGLE_PROTOS = ROOT / "third_party" / "proto"
PYTHON = Path("clients/python/src")
GO = Path("clients/go")
DESCRIPTOR = Path("envoy/bezant.binpb")
PYTHON_STUBS = f"{PYTHON}/bezant/v1/*.py*"
GO_STUBS = f"{GO}/**/*.pb.go"
WANTED = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
)


def main() -> int:
    with_go = has_go()
    place_google_protos()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate_python(fresh)
        generate_descriptor(fresh)
        patterns = [PYTHON_STUBS, str(DESCRIPTOR)]
        if with_go:
            generate_go(fresh)
            patterns.append(GO_STUBS)
        stale = sorted(differences(fresh, patterns))
        if sys.argv[1:] != ["--check"]:
            for path in stale:
                replace(path, fresh)
            return 0
    for path in stale:
        print(f"{path} is not what proto/ generates: run make generate", file=sys.stderr)
    return 1 if stale else 0


def place_google_protos() -> None:
    """Copy Google's protos out of the installed googleapis-common-protos wheel; git ignores them."""
    for path in files("googleapis-common-protos") or ():
        if str(path) in WANTED:
            source, target = Path(str(path.locate())), GOOGLE_PROTOS / path
            if not target.exists() or not filecmp.cmp(source, target, shallow=False):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def generate_python(out: Path) -> None:
    stubs = out / PYTHON / "bezant" / "v1"
    stubs.mkdir(parents=True)
    run(str(BIN / "buf"), "generate", "--output", str(out))
    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    run(
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "--proto_path=proto",
        f"--proto_path={GOOGLE_PROTOS}",
        f"--grpc_python_out={out / PYTHON}",
        *protos,
    )
    (stubs / "__init__.py").touch()


def generate_descriptor(out: Path) -> None:
    (out / DESCRIPTOR).parent.mkdir()
    run(
        str(BIN / "buf"),
        "build",
        "--as-file-descriptor-set",
        "--exclude-source-info",
        "--output",
        str(out / DESCRIPTOR),
    )


def has_go() -> bool:
    if shutil.which("go") is not None:
        return True
    message = "Go is not installed: THE STUBS OF clients/go ARE NEITHER MADE NOR CHECKED HERE"
    if os.environ.get("CI") == "true":
        raise SystemExit(message)
    print(message, file=sys.stderr)
    return False


def generate_go(out: Path) -> None:
    run(str(BIN / "buf"), "generate", "--template", str(GO / "buf.gen.yaml"), "--output", str(out))


def differences(fresh: Path, patterns: list[str]) -> Iterator[Path]:
    """What is missing, superfluous or different, relative to the root."""
    paths = {path.relative_to(root) for root in (ROOT, fresh) for pattern in patterns for path in root.glob(pattern)}
    for path in paths:
        if not (
            (ROOT / path).exists() and (fresh / path).exists() and filecmp.cmp(ROOT / path, fresh / path, shallow=False)
        ):
            yield path


def replace(path: Path, fresh: Path) -> None:
    """Put the fresh file in its place, whole: who imports it meanwhile finds the one or the other."""
    target = ROOT / path
    if not (fresh / path).exists():
        target.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.fresh")
    shutil.copyfile(fresh / path, beside)
    beside.replace(target)


def run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
