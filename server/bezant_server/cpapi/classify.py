"""What an answer of the gateway means, for calls whose body is not simply forwarded.

IBKR's statuses do not say enough: "no bridge" is a 400, a rejection may be a 200, a logged-out gateway redirects.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import (
    NoSession,
    NotAuthenticated,
    UpstreamApiError,
    UpstreamClientError,
    UpstreamDecodeError,
    UpstreamStatus,
)

_LOGIN_PATHS = ("/sso/Login", "/sso/Dispatcher")
_QUOTED_CHARS = 200


def is_login_redirect(response: UpstreamResponse) -> bool:
    """Whether the gateway sends the caller to its login page."""
    if not 300 <= response.status < 400:
        return False
    try:
        return urlsplit(response.header("location") or "").path.startswith(_LOGIN_PATHS)
    except ValueError:
        return False


def decode(response: UpstreamResponse) -> Any:
    """The JSON of a good answer.

    Raises:
        NotAuthenticated: 401, or a redirect to the login page.
        NoSession: 400 "no bridge".
        UpstreamStatus: 429 or 5xx.
        UpstreamClientError: another 4xx.
        UpstreamDecodeError: HTML, or broken JSON.
        UpstreamApiError: a 200 that says `{"error": …}`.
    """
    check(response)
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        kind = (response.header("content-type") or "no content type")[:_QUOTED_CHARS]
        raise UpstreamDecodeError(f"the gateway answered {response.status} with {kind} where JSON was due") from None
    if isinstance(document, dict) and document.get("error"):
        raise UpstreamApiError(f"the gateway answered {str(document['error'])[:_QUOTED_CHARS]}")
    return document


def check(response: UpstreamResponse) -> None:
    """Refuse an answer whose status alone says that it is no good one.

    Raises:
        NotAuthenticated: 401, or a redirect to the login page.
        NoSession: 400 "no bridge".
        UpstreamStatus: 429 or 5xx.
        UpstreamClientError: another 4xx.
    """
    status = response.status
    if status == 401 or is_login_redirect(response):
        raise NotAuthenticated
    if status == 400 and b"no bridge" in response.body:
        raise NoSession
    if status == 429 or status >= 500:
        raise UpstreamStatus(f"the gateway answered {status}{_quoted(response)}", status=status)
    if status >= 400:
        raise UpstreamClientError(f"the gateway answered {status}{_quoted(response)}", status=status)


def decode_object(response: UpstreamResponse) -> dict[str, Any]:
    """The JSON object of a good answer.

    Raises:
        UpstreamDecodeError: JSON, but no object; what `decode` raises besides.
    """
    document = decode(response)
    if not isinstance(document, dict):
        raise UpstreamDecodeError(
            f"the gateway answered {response.status} with JSON that is no object where one was due"
        )
    return document


def _quoted(response: UpstreamResponse) -> str:
    """The `error` text of a JSON body. Other bodies are not quoted: they may hold anything."""
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return ""
    error = document.get("error") if isinstance(document, dict) else None
    return f": {error[:_QUOTED_CHARS]}" if isinstance(error, str) and error else ""
