"""The TypeScript client, by its own tests in front of the running stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.typescript import PACKAGE, build, run
from tests.support.certificates import self_signed

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]


def test_its_own_tests_pass(client_environment: Mapping[str, str], tmp_path: Path) -> None:
    build()
    run("node_modules/.bin/tsc")
    certificate, _ = self_signed(tmp_path)
    tls = {"BEZANT_TEST_CERT": str(certificate), "BEZANT_TEST_KEY": str(certificate.with_name("gateway-key.pem"))}
    run("node_modules/.bin/vitest", "run", env={**client_environment, **tls, "NO_COLOR": "1"})


def test_what_it_is_built_from_is_pinned_and_names_no_registry() -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text())
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    packages = {name.removeprefix("node_modules/"): package for name, package in lock["packages"].items() if name}
    assert [name for name, version in manifest["devDependencies"].items() if version != packages[name]["version"]] == []
    # Who installs the package may have a newer one that is compatible, so that there is one of it.
    wanted = {name: f"^{packages[name]['version']}" for name in manifest["dependencies"]}
    assert manifest["dependencies"] == wanted
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
