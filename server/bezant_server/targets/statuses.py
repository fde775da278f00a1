"""IBKR's statuses in the words of the trading API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bezant.v1 import order_pb2
from bezant.v1 import targets_service_pb2 as pb

SPELLED: Mapping[int, str] = MappingProxyType(
    {
        pb.TARGET_STATUS_NO_CHANGE: "no_change",
        pb.TARGET_STATUS_PRE_SUBMITTED: "PreSubmitted",
        pb.TARGET_STATUS_SUBMITTED: "Submitted",
        pb.TARGET_STATUS_FILLED: "Filled",
        pb.TARGET_STATUS_CANCELLED: "Cancelled",
        pb.TARGET_STATUS_INACTIVE: "Inactive",
        pb.TARGET_STATUS_ERROR: "error",
    }
)
"""As the trading API spells them."""

OPEN: frozenset[int] = frozenset({pb.TARGET_STATUS_PRE_SUBMITTED, pb.TARGET_STATUS_SUBMITTED})
"""Statuses of orders that may still be filled."""

_OF_ORDERS: Mapping[int, pb.TargetStatus.ValueType] = MappingProxyType(
    {
        order_pb2.ORDER_STATUS_PENDING_SUBMIT: pb.TARGET_STATUS_PRE_SUBMITTED,
        order_pb2.ORDER_STATUS_PRE_SUBMITTED: pb.TARGET_STATUS_PRE_SUBMITTED,
        order_pb2.ORDER_STATUS_SUBMITTED: pb.TARGET_STATUS_SUBMITTED,
        # It may be filled until its end is certain.
        order_pb2.ORDER_STATUS_PENDING_CANCEL: pb.TARGET_STATUS_SUBMITTED,
        order_pb2.ORDER_STATUS_PRE_CANCELLED: pb.TARGET_STATUS_SUBMITTED,
        order_pb2.ORDER_STATUS_FILLED: pb.TARGET_STATUS_FILLED,
        order_pb2.ORDER_STATUS_CANCELLED: pb.TARGET_STATUS_CANCELLED,
        order_pb2.ORDER_STATUS_INACTIVE: pb.TARGET_STATUS_INACTIVE,
        order_pb2.ORDER_STATUS_WARN_STATE: pb.TARGET_STATUS_INACTIVE,
    }
)


def of_order(status: order_pb2.OrderStatus.ValueType) -> pb.TargetStatus.ValueType:
    """The status of an order that IBKR has taken; one that is not known is that of an order not yet at the exchange."""
    return _OF_ORDERS.get(status, pb.TARGET_STATUS_PRE_SUBMITTED)
