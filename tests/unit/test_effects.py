"""What a call to the gateway does, by its method and path."""

from __future__ import annotations

import pytest

from bezant_server.cpapi.effects import changes_state


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_writes_changes_state(method: str) -> None:
    assert changes_state(method, "/v1/api/portfolio/accounts")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_read_does_not_unless_its_path_does(method: str) -> None:
    assert not changes_state(method, "/v1/api/portfolio/accounts")
    assert not changes_state(method, "/v1/api/iserver/auth/status")
    for path in ("/logout", "/tickle", "/iserver/reauthenticate", "/iserver/auth/ssodh/init"):
        assert changes_state(method, f"/v1/api{path}")


@pytest.mark.parametrize(
    "path", ["/v1/api/LOGOUT/", "/v1/api/log%6Fut", "/v1/api/logout;x", "/x/..%2Flogout", "/%25252525252e"]
)
def test_a_path_is_taken_as_the_most_lenient_server_would(path: str) -> None:
    assert changes_state("GET", path)
