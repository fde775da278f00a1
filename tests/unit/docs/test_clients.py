"""docs/clients.md, against the clients: its names are theirs, and its excerpts are from what their tests run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "clients.md"
TEXT = PAGE.read_text(encoding="utf-8")
COLUMNS = {"Go": "go", "Java": "java", "TypeScript": "typescript", "Python": "python", "Python, asyncio": "python"}
LANGUAGES = {"go": "Go", "java": "Java", "ts": "TypeScript", "python": "Python"}


class Excerpt(NamedTuple):
    """A block of code of the page.

    Attributes:
        heading: which call it shows.
        language: of the block.
        source: the file that the page says it is from.
        code: its text.
    """

    heading: str
    language: str
    source: Path
    code: str


def excerpts() -> list[Excerpt]:
    found = []
    for heading, section in re.findall(r"^### (.*)\n((?:(?!^##).*\n)*)", TEXT, re.MULTILINE):
        for name, link, language, code in re.findall(
            r"^\[(\w+)\]\(([^)]*)\)\n\n```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL
        ):
            assert LANGUAGES[language] == name
            found.append(Excerpt(heading, language, PAGE.parent / link, code))
    return found


def program_lines(source: Path, language: str) -> list[str]:
    """The lines of a program; of a README, those of its twenty lines, which are all of it that a test runs."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".md":
        (text, *_) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for line in text.splitlines()]


def cells() -> Iterator[tuple[str, str, str]]:
    """Of the table: the row, the folder of the client, and what is said of it."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")
    ]
    for row in rows:
        for column, cell in zip(head[1:], row[1:], strict=True):
            yield row[0], COLUMNS[column], cell


def client_text(folder: str) -> str:
    """All that is committed, or about to be, of a client and of its tests."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", f"clients/{folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / line for line in listed.stdout.splitlines() if "_pb2" not in line and ".pb.go" not in line]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.exists())


@pytest.mark.parametrize("folder", sorted(set(COLUMNS.values())))
def test_every_name_of_the_table_is_one_of_the_client(folder: str) -> None:
    text = client_text(folder)
    said = [(row, name) for row, client, cell in cells() if client == folder for name in re.findall(r"`([^`]*)`", cell)]
    assert len(said) > 15
    for row, name in said:
        for word in re.findall(r"[\w@/-]+", name):
            assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), f"{row}: {name}"


@pytest.mark.parametrize("excerpt", excerpts(), ids=lambda each: f"{each.heading}-{each.language}")
def test_every_excerpt_is_in_a_tested_program(excerpt: Excerpt) -> None:
    lines = program_lines(excerpt.source, excerpt.language)
    for piece in excerpt.code.split("…\n"):
        wanted = [line.strip() for line in piece.strip().splitlines()]
        at = [start for start in range(len(lines)) if lines[start : start + len(wanted)] == wanted]
        assert at, f"{excerpt.source.name} has no\n{piece}"
        lines = lines[at[0] + len(wanted) :]


def test_every_call_is_shown_in_every_language() -> None:
    shown = {(each.heading, each.language) for each in excerpts()}
    assert shown == {(heading, language) for heading, _ in shown for language in LANGUAGES}
    assert len(shown) == 5 * len(LANGUAGES)
    assert TEXT.count("```") == 2 * (len(shown) + 1)


def test_the_template_for_another_language_is_one_of_bufs(tmp_path: Path) -> None:
    """With plugins that are here in place of Ruby's."""
    (template,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r"^ {4}\$ (.*buf generate .*)$", TEXT, re.MULTILINE)
    here = Path(sys.executable).parent
    python = f"protoc_builtin: python\n    protoc_path: [{sys.executable}, -m, grpc_tools.protoc]"
    template = template.replace("protoc_builtin: ruby", python)
    template = template.replace("local: grpc_ruby_plugin", f"local: {here / 'protoc-gen-mypy'}\n    opt: quiet")
    (tmp_path / "buf.gen.ruby.yaml").write_text(template, encoding="utf-8")
    words = shlex.split(command.replace("buf.gen.ruby.yaml", str(tmp_path / "buf.gen.ruby.yaml")))

    subprocess.run([here / "buf", *words[1:], "--output", tmp_path], cwd=ROOT, check=True, timeout=60)

    made = {str(path.relative_to(tmp_path / "gen")) for path in (tmp_path / "gen").rglob("*.*")}
    assert {"bezant/v1/orders_service_pb2.py", "bezant/v1/orders_service_pb2.pyi", "google/api/http_pb2.py"} <= made
