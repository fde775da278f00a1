"""Which orders of others count as if they were going to be filled, and which accounts are for paper."""

from __future__ import annotations

import pytest

from bezant.v1 import order_pb2 as pb
from bezant_server.session.machine import Accounts
from bezant_server.session.messages import is_paper
from bezant_server.targets.holdings import is_working

CONDITIONAL = [
    pb.ORDER_TYPE_STOP,
    pb.ORDER_TYPE_STOP_LIMIT,
    pb.ORDER_TYPE_TRAILING_STOP,
    pb.ORDER_TYPE_TRAILING_STOP_LIMIT,
    pb.ORDER_TYPE_MARKET_IF_TOUCHED,
    pb.ORDER_TYPE_LIMIT_IF_TOUCHED,
]
STATUSES = {
    pb.ORDER_STATUS_UNSPECIFIED: True,
    pb.ORDER_STATUS_INACTIVE: False,
    pb.ORDER_STATUS_PENDING_SUBMIT: True,
    pb.ORDER_STATUS_PRE_SUBMITTED: True,
    pb.ORDER_STATUS_SUBMITTED: True,
    pb.ORDER_STATUS_FILLED: False,
    pb.ORDER_STATUS_PENDING_CANCEL: True,
    pb.ORDER_STATUS_PRE_CANCELLED: True,
    pb.ORDER_STATUS_CANCELLED: False,
    pb.ORDER_STATUS_WARN_STATE: False,
}


@pytest.mark.parametrize("order_type", pb.OrderType.values())
def test_types(order_type: pb.OrderType.ValueType) -> None:
    order = pb.Order(status=pb.ORDER_STATUS_SUBMITTED, order_type=order_type)
    assert is_working(order) is (order_type not in CONDITIONAL)


@pytest.mark.parametrize("status", pb.OrderStatus.values())
def test_statuses(status: pb.OrderStatus.ValueType) -> None:
    """One that is being cancelled may still be filled: too little is ordered rather than too much."""
    assert is_working(pb.Order(status=status, order_type=pb.ORDER_TYPE_LIMIT)) is STATUSES[status]


def test_children_of_a_bracket() -> None:
    order = pb.Order(status=pb.ORDER_STATUS_SUBMITTED, order_type=pb.ORDER_TYPE_LIMIT, parent_order_id="17")
    assert not is_working(order)


@pytest.mark.parametrize(
    ("account", "said", "paper"),
    [
        ("DU8730189", True, True),
        ("DU8730189", None, True),
        ("DU8730189", False, False),
        ("DUP203550", True, True),
        ("DFP203550", True, True),
        ("U1234567", True, False),
        ("U1234567", None, False),
        ("U1234567", False, False),
        ("F1234567", True, False),
        ("du8730189", True, False),
        ("", True, False),
    ],
)
def test_paper_accounts(account: str, said: bool | None, paper: bool) -> None:
    assert is_paper(account, Accounts((account,), account, said)) is paper
