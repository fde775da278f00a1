from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from tests.support.targets import Trading, start_trading

RunTrading = Callable[..., AbstractContextManager[Trading]]


@pytest.fixture
def run_trading(tmp_path_factory: pytest.TempPathFactory) -> RunTrading:
    """Runs a paper gateway with flags, and a server and Envoy with variables, for one test."""
    return partial(start_trading, tmp_path_factory.mktemp("trading"))


@pytest.fixture(scope="session")
def shared_trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    with start_trading(tmp_path_factory.mktemp("trading")) as running:
        yield running


@pytest.fixture
def trading(shared_trading: Trading) -> Trading:
    """One for tests that use stocks or accounts of their own."""
    shared_trading.mend()
    shared_trading.begin()
    return shared_trading
