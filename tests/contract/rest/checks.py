"""What several of these tests assert."""

from __future__ import annotations

from tests.support.edge import HttpAnswer


def assert_envelope(answer: HttpAnswer, status: int, code: str, *, naming: str = "") -> None:
    """The answer is an error of ours, whole and clean; its message names what is at fault."""
    assert (answer.status, answer.json().get("code")) == (status, code), answer
    assert set(answer.json()) == {"code", "message"}
    assert answer.json()["message"]
    assert naming in answer.json()["message"]
    assert answer.header("content-type") == "application/json"
    assert_clean(answer)


def assert_clean(answer: HttpAnswer) -> None:
    """Nothing of what is spoken behind Envoy shows."""
    leaked = {name for name in answer.names() if name.startswith(("grpc-", "x-envoy-", "x-http-", "x-error-", "x-no-"))}
    assert not leaked | (answer.names() & {"x-content-length", "trailer", "access-control-allow-origin"})
