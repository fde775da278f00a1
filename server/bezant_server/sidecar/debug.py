"""The debug pages: which cookies are held, and how far the session gets."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pydantic import SecretStr

from bezant_server.cpapi.classify import decode_object
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.jar import set_cookie_name
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import BezantError, DebugUnauthorized, NoSession, NotAuthenticated, NotFound

_PREVIEW_BYTES = 512
_TOKEN_LIKE = re.compile(
    r'(?i)("(?:[a-z_]*(?:session|token|secret|password|credential|cookie|api_?key)[a-z_]*'
    r'|mac|hardware_info|user_?id|user_?name)"\s*:\s*)'
    r'("(?:[^"\\]|\\.)*"?|-?[0-9.]+)'
)
_LONG_HEX = re.compile(r"\b[0-9a-fA-F]{16,}\b")


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    method: str
    path: str
    body: bytes | None
    verdict: str


_AUTH_STATUS = _Step("auth_status", "POST", "/iserver/auth/status", None, "auth_status_failed")
_SSODH_INIT = _Step(
    "ssodh_init", "POST", "/iserver/auth/ssodh/init", b'{"publish":true,"compete":false}', "ssodh_failed"
)
_TICKLE = _Step("tickle", "POST", "/tickle", None, "tickle_failed")
_ACCOUNTS = _Step("accounts", "GET", "/iserver/accounts", None, "accounts_failed")


class DebugPages:
    """The two pages, and the token that opens them.

    Args:
        gateway: the gateway, over the one session.
        token: BEZANT_DEBUG_TOKEN; without it the pages do not exist.
    """

    def __init__(self, *, gateway: CpapiClient, token: SecretStr | None) -> None:
        self._gateway = gateway
        self._token = token

    def authorize(self, given: str) -> None:
        """Let through who knows the token.

        Raises:
            NotFound: there is no token, so there are no pages.
            DebugUnauthorized: it is another one.
        """
        if self._token is None:
            raise NotFound("there is no such page: set BEZANT_DEBUG_TOKEN to open it")
        if not hmac.compare_digest(given.encode(), self._token.get_secret_value().encode()):
            raise DebugUnauthorized("the debug token is missing or wrong: header X-Bezant-Debug-Token or ?token=")

    def jar(self) -> bytes:
        """`{gateway_root, size, entries: [{name, value_length}]}`; never a value."""
        lengths = self._gateway.jar.lengths()
        return json.dumps(
            {
                "gateway_root": self._gateway.gateway.origin,
                "size": len(lengths),
                "entries": [{"name": name, "value_length": length} for name, length in sorted(lengths.items())],
            }
        ).encode()

    async def probe(self) -> bytes:
        """Walk the session's steps: `{verdict, steps: […]}`.

        The brokerage session is initialised only when the gateway says that it is not authenticated: an init tears a
        good session down, and one whose state could not be learnt may be good.
        """
        auth = await self._run(_AUTH_STATUS)
        steps = [auth.report]
        if auth.failure is not None and not isinstance(auth.failure, NoSession):
            steps.append(_skipped(_SSODH_INIT, "auth status unknown"))
            rest = [_TICKLE, _ACCOUNTS]
        elif auth.document.get("authenticated") is True:
            steps.append(_skipped(_SSODH_INIT, "already authenticated"))
            rest = [_TICKLE, _ACCOUNTS]
        else:
            rest = [_SSODH_INIT, _TICKLE, _ACCOUNTS]
        outcomes = [auth]
        for step in rest:
            outcome = await self._run(step)
            outcomes.append(outcome)
            steps.append(outcome.report)
        return json.dumps({"verdict": _verdict(outcomes), "steps": steps}).encode()

    async def _run(self, step: _Step) -> _Outcome:
        return await _timed(step, lambda: self._gateway.call(step.method, step.path, body=step.body))


@dataclass(frozen=True, slots=True)
class _Outcome:
    step: _Step
    report: dict[str, object]
    failure: BezantError | None
    document: dict[str, Any]


async def _timed(step: _Step, call: Callable[[], Awaitable[UpstreamResponse]]) -> _Outcome:
    started = perf_counter()
    response: UpstreamResponse | None = None
    failure: BezantError | None = None
    document: dict[str, Any] = {}
    try:
        response = await call()
        document = decode_object(response)
    except BezantError as error:
        failure = error
    report: dict[str, object] = {
        "name": step.name,
        "method": step.method,
        "path": step.path,
        "status": response.status if response else None,
        "latency_ms": round((perf_counter() - started) * 1000, 1),
        "body_bytes": len(response.body) if response else 0,
        "body_preview": preview(response.body) if response else "",
        "set_cookie_names": sorted({set_cookie_name(value) for value in response.all("set-cookie")})
        if response
        else [],
        "error": _redacted(f"{failure.code}: {failure.message}") if failure else None,
    }
    return _Outcome(step, report, failure, document)


def preview(body: bytes) -> str:
    """The beginning of a body with everything that looks like a secret taken out."""
    text = _redacted(body[: _PREVIEW_BYTES * 2].decode("utf-8", "replace"))
    return text.encode()[:_PREVIEW_BYTES].decode("utf-8", "ignore")


def _redacted(text: str) -> str:
    return _LONG_HEX.sub("[redacted]", _TOKEN_LIKE.sub(r'\1"[redacted]"', text))


def _verdict(outcomes: list[_Outcome]) -> str:
    if any(isinstance(outcome.failure, NotAuthenticated) for outcome in outcomes):
        return "needs_login"
    for outcome in outcomes:
        if outcome.failure is not None:
            return outcome.step.verdict
    auth, *others = outcomes
    if auth.document.get("authenticated") is not True:
        ssodh = others[0].document
        if ssodh.get("connected") is False:
            return "needs_login"
        if ssodh.get("authenticated") is not True:
            return _SSODH_INIT.verdict
    return "ok"


def _skipped(step: _Step, why: str) -> dict[str, object]:
    return {
        "name": step.name,
        "method": step.method,
        "path": step.path,
        "status": None,
        "latency_ms": 0,
        "body_bytes": 0,
        "body_preview": "",
        "set_cookie_names": [],
        "error": None,
        "skipped": why,
    }
