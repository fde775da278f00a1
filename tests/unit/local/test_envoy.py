from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bezant_server import config
from bezant_server.local import envoy


@pytest.mark.parametrize(("request_timeout", "idle"), [("30", 300), ("270", 300), ("900", 930)])
def test_envoy_waits_longer_than_the_server_for_an_answer(request_timeout: str, idle: float, tmp_path: Path) -> None:
    settings = config.load({"BEZANT_REQUEST_TIMEOUT_SECS": request_timeout})
    document = yaml.safe_load(envoy.render(settings, socket=tmp_path / "server.sock"))
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert float(manager["stream_idle_timeout"].removesuffix("s")) == idle
