"""Makes everything that is generated from proto/: the Python stubs and Envoy's descriptor set.

python scripts/generate.py           write it
python scripts/generate.py --check   fail if what is committed differs from what would be written
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
GOOGLE_PROTOS = ROOT / "third_party" / "proto"
STUBS = Path("clients/python/src/bezant/v1")
DESCRIPTOR = Path("envoy/bezant.binpb")
WANTED = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
)


def main() -> int:
    place_google_protos()
    if sys.argv[1:] != ["--check"]:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        stale = sorted(differences(Path(scratch)))
    for path in stale:
        print(f"{path} is not what proto/ generates: run make generate", file=sys.stderr)
    return 1 if stale else 0


def place_google_protos() -> None:
    """Copy Google's protos out of the installed googleapis-common-protos wheel; git ignores them."""
    shutil.rmtree(GOOGLE_PROTOS, ignore_errors=True)
    for path in files("googleapis-common-protos") or ():
        if str(path) in WANTED:
            target = GOOGLE_PROTOS / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(path.locate()), target)


def generate(out: Path) -> None:
    stubs = out / STUBS
    shutil.rmtree(stubs, ignore_errors=True)
    stubs.mkdir(parents=True)
    (out / DESCRIPTOR).parent.mkdir(exist_ok=True)
    run(str(BIN / "buf"), "generate", "--output", str(out))
    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    run(
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "--proto_path=proto",
        f"--proto_path={GOOGLE_PROTOS}",
        f"--grpc_python_out={out / 'clients/python/src'}",
        *protos,
    )
    for package in (stubs, stubs.parent):
        (package / "py.typed").touch()
    (stubs / "__init__.py").touch()
    (stubs.parent / "__init__.py").touch()
    run(
        str(BIN / "buf"),
        "build",
        "--as-file-descriptor-set",
        "--exclude-source-info",
        "--output",
        str(out / DESCRIPTOR),
    )


def differences(fresh: Path) -> set[Path]:
    paths = {DESCRIPTOR}
    for root in (ROOT, fresh):
        paths |= {
            path.relative_to(root)
            for path in (root / STUBS).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    return {
        path
        for path in paths
        if not (ROOT / path).exists()
        or not (fresh / path).exists()
        or not filecmp.cmp(ROOT / path, fresh / path, shallow=False)
    }


def run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
