"""What callers have chosen for the brokerage session.

The gateway forgets it with the session (observed on a live gateway), so it is told again when a new one opens.
"""

from __future__ import annotations

from bezant_server.session import reading

_MOST_SUPPRESSED = 1000


class Choices:
    """The selected account, and the order questions that are not to be asked."""

    def __init__(self) -> None:
        self.account: str | None = None
        self.suppressed: frozenset[str] = frozenset()

    def learn(self, path: str, body: bytes | None) -> None:
        """Take in a POST that has succeeded."""
        asked = reading.document(body or b"")
        if path == "/iserver/questions/suppress/reset":
            self.suppressed = frozenset()
        if not isinstance(asked, dict):
            return
        if path in ("/iserver/account", "/iserver/dynaccount") and isinstance(asked.get("acctId"), str):
            self.account = asked["acctId"]
        ids = asked.get("messageIds")
        if path == "/iserver/questions/suppress" and isinstance(ids, list):
            added = {each for each in ids if isinstance(each, str)}
            if len(self.suppressed | added) <= _MOST_SUPPRESSED:
                self.suppressed |= added

    def forget(self) -> None:
        """Somebody logged out: whoever logs in next chooses anew."""
        self.account = None
        self.suppressed = frozenset()
