"""Identical reads share one call, and a last answer can serve for a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse

ShareKey = tuple[str, str, bytes]


def share_key(request: UpstreamRequest) -> ShareKey:
    """What makes two reads the same. Headers do not count: a shared read is asked in identity encoding."""
    return request.method, request.target, request.body or b""


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """An answer as it may be given again.

    Attributes:
        response: without its Set-Cookie, which was the first caller's.
        received_at: on the clock of the line.
        changes: how many state-changing calls had finished when its call was sent.
    """

    response: UpstreamResponse
    received_at: float
    changes: int


class LastAnswers:
    """The last good answers, bounded in number and size; the least used go first.

    Args:
        max_answers: held at once.
        max_bytes: of all bodies together; an answer over an eighth of that is not held.
    """

    def __init__(self, *, max_answers: int, max_bytes: int) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._answers: OrderedDict[ShareKey, LastAnswer] = OrderedDict()
        self._bytes = 0

    def put(self, key: ShareKey, answer: LastAnswer) -> None:
        """Hold an answer in place of an earlier one."""
        self.drop(key)
        size = len(answer.response.body)
        if size > self._max_bytes // 8:
            return
        self._answers[key] = answer
        self._bytes += size
        while len(self._answers) > self._max_answers or self._bytes > self._max_bytes:
            self.drop(next(iter(self._answers)))

    def get(self, key: ShareKey) -> LastAnswer | None:
        """The last answer, if it is held."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def drop(self, key: ShareKey) -> None:
        """Forget one answer."""
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._bytes -= len(answer.response.body)

    def clear(self) -> None:
        """Forget every answer, as when another login begins."""
        self._answers.clear()
        self._bytes = 0


def for_sharers(response: UpstreamResponse) -> UpstreamResponse:
    """An answer without what belongs to its first caller alone."""
    headers = tuple((name, value) for name, value in response.headers if name != "set-cookie")
    return UpstreamResponse(response.status, headers, response.body)
