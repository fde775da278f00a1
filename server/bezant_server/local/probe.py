"""Whether a running sidecar answers: `python -m bezant_server.local.probe http://127.0.0.1:8080`, for health checks.

It asks for the state of the events capture, which the server answers itself: a gateway that is down or logged out makes
no sidecar unhealthy, since starting it anew would mend nothing.
"""

from __future__ import annotations

import http.client
import json
import sys
from urllib.parse import urlsplit

_TIMEOUT_SECS = 3.0


def answers(host: str, port: int) -> bool:
    """Whether Envoy listens there and the server behind it answers, with whatever status."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECS)
    try:
        connection.request("GET", "/events/_status")
        body = json.load(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(body, dict) and body.get("code") != "server_unavailable"


def main(arguments: list[str]) -> int:
    """Exit status 0 if the sidecar at the given URL answers, 1 if not."""
    url = urlsplit(arguments[0] if arguments else "http://127.0.0.1:8080")
    return 0 if answers(url.hostname or "127.0.0.1", url.port or 80) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
