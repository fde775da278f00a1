"""IBKR's statuses in the words of the trading API."""

from __future__ import annotations

import pytest

from bezant.v1 import order_pb2
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.orders import vocabulary
from bezant_server.targets import statuses

SHOWN = {
    "PendingSubmit": "PreSubmitted",
    "PreSubmitted": "PreSubmitted",
    "Submitted": "Submitted",
    "PendingCancel": "Submitted",
    "PreCancelled": "Submitted",
    "Filled": "Filled",
    "Cancelled": "Cancelled",
    "Inactive": "Inactive",
    "WarnState": "Inactive",
}


@pytest.mark.parametrize(("upstream", "shown"), SHOWN.items())
def test_each_status(upstream: str, shown: str) -> None:
    status = statuses.of_order(vocabulary.status(upstream))
    assert statuses.SPELLED[status] == shown
    assert (status in statuses.OPEN) is (shown in ("PreSubmitted", "Submitted"))


def test_every_status_of_orders_is_among_them() -> None:
    assert {vocabulary.status(upstream) for upstream in SHOWN} == set(order_pb2.OrderStatus.values()) - {0}


def test_an_unknown_status_is_not_taken_for_the_end() -> None:
    assert statuses.of_order(order_pb2.ORDER_STATUS_UNSPECIFIED) in statuses.OPEN


def test_every_status_of_targets_is_spelled() -> None:
    assert set(statuses.SPELLED) == set(pb.TargetStatus.values()) - {pb.TARGET_STATUS_UNSPECIFIED}
    documented = ["no_change", "PreSubmitted", "Submitted", "Filled", "Cancelled", "Inactive", "error"]
    assert list(statuses.SPELLED.values()) == documented
