"""The Java client: built, tested and packed by Maven, against the running stack."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.missing import tool

pytestmark = [pytest.mark.java, pytest.mark.timeout(900)]

FOLDER = Path(__file__).parents[2] / "clients" / "java"
# As a release is made, but for what takes minutes (the compiler checks our Javadoc) or a secret.
RELEASE = ("-Prelease", "-Dmaven.javadoc.skip=true", "-Dgpg.skip=true")
OF_THE_STACK = {
    "theStory",
    "theServerNamesTheTopicWhoseCursorHasExpired",
    "theExampleOfTheReadmeBuysAndItsFragmentsCompile",
    "theBracketOrderIsFollowedToItsEnd",
}


def test_it_builds_and_tells_the_story(client_environment: Mapping[str, str]) -> None:
    tool("java")
    done = subprocess.run(
        [tool("mvn"), "-q", "-B", "-ntp", *RELEASE, "verify"],
        cwd=FOLDER,
        env=dict(client_environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    ran = {
        case.attrib["name"].partition("(")[0]
        for report in (FOLDER / "target" / "surefire-reports").glob("TEST-*.xml")
        for case in ET.parse(report).iter("testcase")
        if case.find("skipped") is None
    }
    assert ran >= OF_THE_STACK
    with zipfile.ZipFile(FOLDER / "target" / "bezant-client-0.1.0.jar") as jar:
        assert {"META-INF/LICENSE", "io/bezant/v1/OrdersServiceGrpc.class"} <= {*jar.namelist()}
        assert "Automatic-Module-Name: io.bezant.client" in jar.read("META-INF/MANIFEST.MF").decode().splitlines()
    with zipfile.ZipFile(FOLDER / "target" / "bezant-client-0.1.0-sources.jar") as jar:
        assert {"io/bezant/client/BezantClient.java", "io/bezant/v1/Order.java"} <= {*jar.namelist()}


def test_the_readme_installs_what_the_pom_makes() -> None:
    project = ET.parse(FOLDER / "pom.xml").getroot()
    lines = [f"  <{name}>{project.findtext(f'{{*}}{name}')}</{name}>" for name in ("groupId", "artifactId", "version")]
    assert "\n".join(lines) in (FOLDER / "README.md").read_text()
