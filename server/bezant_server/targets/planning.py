"""The orders that are missing to the targets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal

from bezant.v1 import contracts_service_pb2 as contracts_pb
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.contracts.resolving import Resolver
from bezant_server.contracts.trading_rules import TradingRules
from bezant_server.errors import AmbiguousSymbol, ContractNotFound
from bezant_server.targets import prices
from bezant_server.targets.holdings import Holdings
from bezant_server.targets.prices import NoTick
from bezant_server.targets.requests import Target
from bezant_server.targets.spelling import BUY, LIMIT, MARKET, SELL, plain

Contracts = Mapping[str, contracts_pb.Contract | ContractNotFound | AmbiguousSymbol]

_RULE_WORDS = {LIMIT: "limit", MARKET: "market"}
_NO_TICK = "IBKR does not tell the price steps of the contract: no limit price can be made for it"


class _Refused(Exception):
    """The order cannot be made; the message says why."""


class Planner:
    """Makes orders out of targets.

    Args:
        resolver: finds contracts.
        rules: says whether fractions of one can be traded.
    """

    def __init__(self, *, resolver: Resolver, rules: TradingRules) -> None:
        self._resolver = resolver
        self._rules = rules

    async def contracts(self, targets: Sequence[Target]) -> Contracts:
        """The contract that each symbol means, or why there is none."""
        return await self._resolver.stocks([target.symbol for target in targets])

    async def plan(
        self, targets: Sequence[Target], *, contracts: Contracts, holdings: Holdings
    ) -> list[pb.TargetOrder]:
        """An order for each target, or what stands against it; those to be sent have the status UNSPECIFIED.

        Args:
            targets: what shall be held.
            contracts: what their symbols mean.
            holdings: what is held, and what is on its way.
        """
        orders: list[pb.TargetOrder] = []
        taken: dict[int, str] = {}
        for target in targets:
            order = pb.TargetOrder(
                symbol=target.symbol,
                desired_position=plain(target.quantity),
                order_type=MARKET if _is_market(target) else LIMIT,
                quantity="0",
                filled_quantity="0",
            )
            orders.append(order)
            with _refusals_of(order):
                _decide(order, target, _contract(target.symbol, contracts, taken), holdings)
        fractional = [
            order
            for order in orders
            if order.status == pb.TARGET_STATUS_UNSPECIFIED and Decimal(order.quantity) % 1 != 0
        ]
        await asyncio.gather(*map(self._check_fraction, fractional))
        return orders

    async def _check_fraction(self, order: pb.TargetOrder) -> None:
        with _refusals_of(order):
            try:
                _, rules = await self._rules.of(order.conid, selling=order.action == SELL)
            except ContractNotFound as error:
                raise _Refused(error.message) from None
            if rules is None:
                raise _Refused("IBKR does not tell whether fractions of a share can be traded")
            if _RULE_WORDS[order.order_type] not in rules.fraction_order_types:
                raise _Refused(
                    f"{order.order_type} orders of this contract are in whole shares, and {order.quantity} are missing"
                )
            smallest = Decimal(1).scaleb(-rules.fraction_digits)
            if Decimal(order.quantity) % smallest != 0:
                raise _Refused(
                    f"this contract is traded in steps of {plain(smallest)}, and {order.quantity} are missing"
                )


@contextmanager
def _refusals_of(order: pb.TargetOrder) -> Iterator[None]:
    """What stands against an order becomes its error."""
    try:
        yield
    except _Refused as refusal:
        order.status, order.error = pb.TARGET_STATUS_ERROR, str(refusal)


def _decide(order: pb.TargetOrder, target: Target, contract: contracts_pb.Contract, holdings: Holdings) -> None:
    order.conid = contract.conid
    current = holdings.positions.get(contract.conid, Decimal(0))
    working = holdings.working.get(contract.conid, Decimal(0))
    delta = target.quantity - current - working
    order.current_position, order.working_quantity, order.delta = plain(current), plain(working), plain(delta)
    if contract.conid in holdings.blocked:
        raise _Refused(holdings.blocked[contract.conid])
    if delta == 0:
        order.status = pb.TARGET_STATUS_NO_CHANGE
        return
    order.action = BUY if delta > 0 else SELL
    order.quantity = plain(abs(delta))
    limit = _limit(target, contract, buying=delta > 0)
    if limit is not None:
        order.limit_price = plain(limit, exactly=target.limit_price is not None)


def _contract(symbol: str, contracts: Contracts, taken: dict[int, str]) -> contracts_pb.Contract:
    """What a symbol means, unless another of the batch means the same; notes it in `taken`."""
    contract = contracts[symbol]
    if not isinstance(contract, contracts_pb.Contract):
        raise _Refused(contract.message)
    if contract.conid in taken:
        raise _Refused(f"it is the same contract as {taken[contract.conid]}")
    taken[contract.conid] = symbol
    return contract


def _is_market(target: Target) -> bool:
    return target.limit_price is None and (target.expected_price is None or target.tolerance is None)


def _limit(target: Target, contract: contracts_pb.Contract, *, buying: bool) -> Decimal | None:
    steps = contract.price_increments
    try:
        if target.limit_price is not None:
            if not prices.is_on_tick(target.limit_price, steps):
                step = prices.tick(target.limit_price, steps)
                raise _Refused(f"limit_price {target.limit_price} is not a multiple of the contract's step, {step}")
            return target.limit_price
        if target.expected_price is None or target.tolerance is None:
            return None
        limit = prices.tolerated(target.expected_price, target.tolerance, steps, buying=buying)
    except NoTick:
        raise _Refused(_NO_TICK) from None
    if limit <= 0:
        raise _Refused("the limit price that the tolerance allows is 0 on the contract's steps")
    return limit
