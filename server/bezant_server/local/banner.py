"""What `bezant up` says once everything runs."""

from __future__ import annotations

from bezant_server.local.plan import Plan

_LOGIN_PATH = "/sso/Login?forwardTo=22&RL=1&ip2loc=on"
_AAPL = 265598


def text(plan: Plan, *, login: bool) -> str:
    """URLs, and commands to try.

    Args:
        plan: what runs.
        login: whether a browser's login comes first.
    """
    gateway = plan.paper.api if plan.paper else str(plan.settings.gateway_url)
    rows = [
        ("REST, gRPC-Web", plan.rest_url),
        ("gRPC", plan.grpc_target),
        ("paper gateway" if plan.paper else "gateway", gateway),
    ]
    if plan.ib_url:
        rows.insert(2, ("historical data", f"{plan.ib_url}/ib/"))
    if plan.paper:
        rows.append(("paper control", plan.paper.control))
    if not plan.settings.require_keys:
        # A browser has no key to send with an address that is typed.
        rows.append(("to read", f"{plan.rest_url}/docs"))
    if login:
        rows.append(("log in at", f"{plan.rest_url}{_LOGIN_PATH}"))
    title = "bezant is up, on the paper gateway: nothing here is real" if plan.paper else "bezant is up"
    with_key = f"-H 'X-API-Key: {plan.api_key or 'KEY'}' "
    key = with_key if plan.settings.require_keys else ""
    curl = f"curl {_tls(plan, '--')}"
    grpcurl = f"grpcurl {_tls(plan, '-') or '-plaintext '}{key}"
    commands = [
        f"{curl}{plan.rest_url}/health",
        f"{curl}{key}{plan.rest_url}/accounts",
        f"{curl}{key}'{plan.rest_url}/events/marketdata?conid={_AAPL}&limit=1'"
        if plan.settings.events_enabled
        else f"{grpcurl}{plan.grpc_target} list",
        *([f"{curl}{with_key}{plan.rest_url}/api/v1/positions"] if plan.api_key else []),
    ]
    return "\n".join(
        [
            "",
            title,
            "",
            *(f"  {name:<16}{value}" for name, value in rows),
            *_warnings(plan),
            "",
            "Try:",
            *(f"  {command}" for command in commands),
            "",
            "Ctrl-C stops everything.",
            "",
        ]
    )


def _tls(plan: Plan, dashes: str) -> str:
    """What a command says about certificates; which file has the authority is not known here."""
    if plan.settings.tls_cert is None:
        return ""
    own = f"{dashes}cert YOURS.crt {dashes}key YOURS.key " if plan.settings.tls_client_ca else ""
    return f"{dashes}cacert CA.crt {own}"


def _warnings(plan: Plan) -> list[str]:
    warnings = []
    if plan.settings.require_keys and not plan.api_key:
        warnings += ["", "  Every call needs an API key. bezant keys add NAME makes one."]
    for line in plan.exposure:
        warnings += ["", f"  {line[0].upper()}{line[1:]}."]
    if not plan.paper:
        warnings += ["", "  /health says whether the gateway answers. None at hand? bezant up --paper"]
    return warnings
