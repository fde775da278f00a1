"""What is known at present of something that IBKR's socket tells, for any number of readers of any speed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.errors import UpstreamDecodeError


class Live(ABC):
    """A state that frames change.

    Attributes:
        version: of the newest frame; each frame is one more.
        generation: grows when everything known is out of date.
        refusal: why IBKR gives nothing, in its words; empty when it does.
        watchers: set whenever something changes.
    """

    def __init__(self) -> None:
        self.version = 0
        self.generation = 0
        self.refusal = ""
        self.watchers: set[asyncio.Event] = set()

    @property
    @abstractmethod
    def has_begun(self) -> bool:
        """Whether anything is known."""

    @abstractmethod
    def _merge(self, content: Row) -> None:
        """Take in the content of a frame.

        Raises:
            UpstreamDecodeError: it cannot be read; nothing was taken in.
        """

    @abstractmethod
    def _forget(self) -> None:
        """Know nothing any more."""

    def take(self, frame: bytes) -> None:
        """Take in a frame; one that cannot be read says nothing."""
        try:
            content = Row(document.parse(frame), "")
            refusal = _text(content.raw("error"))
            self.version += 1
            if not refusal:
                self._merge(content)
        except (ValueError, RecursionError, UpstreamDecodeError):
            return
        self.refusal = refusal
        self._wake()

    def interrupt(self) -> None:
        """The connection has ended: what is known is out of date."""
        if self.has_begun or self.refusal:
            self.generation += 1
            self.refusal = ""
            self._forget()
            self._wake()

    def _wake(self) -> None:
        for watcher in self.watchers:
            watcher.set()


def _text(value: Any) -> str:
    return "" if value is None else str(value)
