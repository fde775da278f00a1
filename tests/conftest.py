"""How the tests are shared out when several processes run them."""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_CLIENTS = "tests/clients/"


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Gives a file to one process, so that what its tests share is started once.

    The files of the clients go to one and the same: every language tells its story to the same running stack.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _CLIENTS if file.startswith(_CLIENTS) else file


def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: the tests of a server mostly wait for what it does when its time has come."""
    return len(os.sched_getaffinity(0)) * 3 // 2 or 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    return FileByFile(config, log)
