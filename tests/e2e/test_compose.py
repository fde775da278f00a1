"""The container's files: read by Compose's own loader, and run without a container."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bezant_server.config import Settings, load, variable_name
from bezant_server.keys import exposure
from bezant_server.local import probe
from tests.support.missing import tool
from tests.support.paper import start_paper
from tests.support.stack import environment, start_stack

_ROOT = Path(__file__).resolve().parents[2]
_COMPOSE = _ROOT / "docker-compose.yaml"
_DOCKERFILE = _ROOT / "deploy" / "Dockerfile"
_LOADER = _ROOT / "tests" / "compose"
_BUILD_SECS = 300
_SECS = 45.0


def _project(**variables: str) -> dict[str, Any]:
    """docker-compose.yaml as compose-go normalises it."""
    loaded = subprocess.run(
        [tool("go"), "run", ".", str(_COMPOSE)],
        cwd=_LOADER,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=_BUILD_SECS,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    document: dict[str, Any] = json.loads(loaded.stdout)
    return document


def _service(**variables: str) -> dict[str, Any]:
    services = _project(**variables)["services"]
    assert list(services) == ["bezant"]
    service: dict[str, Any] = services["bezant"]
    return service


def _instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with continued lines joined and comments left out."""
    lines = [line for line in _DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name.upper(), rest) for name, rest in pairs]


def _image_environment() -> dict[str, str]:
    final = _instructions()[max(i for i, (name, _) in enumerate(_instructions()) if name == "FROM") :]
    return dict(part.split("=", 1) for name, rest in final if name == "ENV" for part in shlex.split(rest))


def _last(instruction: str) -> str:
    return [rest for name, rest in _instructions() if name == instruction][-1]


def _ours(names: dict[str, Any]) -> set[str]:
    return {name for name in names if name.startswith(("BEZANT_", "IBKR_"))}


@pytest.mark.go
@pytest.mark.timeout(_BUILD_SECS + 60)
class TestComposeFile:
    def test_ports_are_published_on_loopback_alone(self) -> None:
        service = _service()

        assert service.get("network_mode") is None
        assert {(port["host_ip"], port["published"], port["target"]) for port in service["ports"]} == {
            ("127.0.0.1", "8080", 8080),
            ("127.0.0.1", "50051", 50051),
        }

    def test_no_key_is_needed_because_nothing_is_published_beyond_loopback(self) -> None:
        settings = load(_service()["environment"])

        assert exposure.beyond_loopback(settings)
        assert exposure.guarded(settings) == settings
        assert settings.require_keys is False

    def test_it_runs_without_privileges(self) -> None:
        service = _service()

        assert service["user"] == "10001:10001" == _last("USER")
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & service.keys()

    def test_it_has_the_health_check_of_the_image(self) -> None:
        check = _service()["healthcheck"]

        assert check["test"] == ["CMD", *json.loads(_last("HEALTHCHECK").split("CMD", 1)[1])]
        assert check["test"][:4] == ["CMD", "python", "-m", probe.__name__]

    def test_its_variables_are_those_of_the_configuration(self) -> None:
        known = {variable_name(field) for field in Settings.model_fields.values()}
        passed = _service()["environment"]

        assert _ours(passed) == set(passed)
        assert _ours(passed) <= known
        assert _ours(_image_environment()) <= known
        # What is published is what the programs inside listen on.
        assert load(passed).bind.port == 8080
        assert load(passed).grpc_bind.port == 50051

    def test_its_defaults_can_be_used_and_overridden(self) -> None:
        assert str(load(_service()["environment"]).gateway_url) == "https://host.docker.internal:5000/v1/api"
        url = "https://gateway.example:5000/v1/api"
        assert _service(IBKR_GATEWAY_URL=url)["environment"]["IBKR_GATEWAY_URL"] == url

    def test_the_gateway_of_the_host_can_be_reached_by_name(self) -> None:
        assert _service()["extra_hosts"] == ["host.docker.internal=host-gateway"]

    def test_the_history_lies_on_a_volume(self) -> None:
        project = _project()
        service = project["services"]["bezant"]
        (volume,) = service["volumes"]

        assert (volume["type"], volume["source"] in project["volumes"]) == ("volume", True)
        path = load(service["environment"]).events_db_path
        assert path is not None
        assert path.is_relative_to(volume["target"])

    def test_calls_in_flight_can_end_before_it_is_killed(self) -> None:
        service = _service()

        assert _seconds(service["stop_grace_period"]) > load(service["environment"]).shutdown_grace_secs + 3 * 10


def _seconds(duration: str) -> float:
    """A duration as compose-go writes it, such as 1m15s."""
    minutes, _, seconds = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(seconds.removesuffix("s"))


def test_the_image_is_made_from_files_that_are_there() -> None:
    for name, rest in _instructions():
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                assert (_ROOT / source).exists(), source


def test_the_image_installs_pinned_and_hashed_requirements_as_another_user_than_root() -> None:
    installs = [rest for name, rest in _instructions() if name == "RUN" and "pip install" in rest]

    assert "--require-hashes -r requirements/run.txt" in installs[0]
    assert all("--no-deps" in install and "--no-build-isolation" in install for install in installs[1:])
    names = [name for name, _ in _instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert _last("USER").split(":")[0] not in {"0", "root"}


def test_the_entrypoint_answers_outside_a_container(tmp_path: Path) -> None:
    program, *args = json.loads(_last("ENTRYPOINT"))
    assert (program, args) == ("bezant", ["up"])
    console_script = Path(sys.executable).with_name(program)
    image = {name: value for name, value in _image_environment().items() if name in _ours(_image_environment())}
    # The addresses stay those of the image; the ports would collide with whatever else runs on this machine.
    adapted = {name: re.sub(r":\d+$", ":0", value) for name, value in image.items()}
    assert adapted == {"BEZANT_BIND": "0.0.0.0:0", "BEZANT_GRPC_BIND": "0.0.0.0:0"}

    with (
        start_paper(tmp_path / "gateway") as gateway,
        start_stack(
            tmp_path,
            paper=False,
            command=(str(console_script), *args),
            env={
                **adapted,
                # As docker-compose.yaml has it; the image alone would ask for a key.
                "BEZANT_INSECURE": "true",
                "IBKR_GATEWAY_URL": gateway.base_url,
                "BEZANT_EVENTS_DB_PATH": str(tmp_path / "events.db"),
            },
        ) as stack,
    ):
        place = urlsplit(stack.rest_url)
        assert place.hostname == "127.0.0.1"
        with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=_SECS)) as connection:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            assert (answer.status, json.load(answer)["authenticated"]) == (200, True)

        _, *command = json.loads(_last("HEALTHCHECK").split("CMD", 1)[1])
        command = [sys.executable, *command[:-1], stack.rest_url]
        assert subprocess.run(command, cwd=tmp_path, timeout=_SECS, check=False).returncode == 0
        assert stack.stop() == 0
        assert subprocess.run(command, cwd=tmp_path, timeout=_SECS, check=False).returncode == 1
