"""What a symbol or a code means: a stock, the nearest future of a product, or its future of a month."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bezant.v1 import contracts_service_pb2 as contracts_pb
from bezant_server.contracts.resolving import Resolver
from bezant_server.errors import ContractNotFound
from bezant_server.historical.products import Product, split_month
from bezant_server.inputs import Checks

_LONGEST_SYMBOL = 40


@dataclass(frozen=True, slots=True)
class Coded:
    """A symbol that is a code.

    Attributes:
        code: of the product.
        product: itself.
        month: of the contract, YYYYMM; empty for the nearest.
    """

    code: str
    product: Product
    month: str


class Symbols:
    """See the module.

    Args:
        resolver: for what is no code.
        products: by code.
        now: seconds since 1970.
    """

    def __init__(self, resolver: Resolver, products: Mapping[str, Product], *, now: Callable[[], float]) -> None:
        self._resolver = resolver
        self._products = products
        self._now = now

    @staticmethod
    def check(checks: Checks, symbol: str, code: str) -> None:
        """Note in `checks` what is wrong with a symbol or the code that stands for one."""
        checks.text("symbol", symbol or code, longest=_LONGEST_SYMBOL)

    def coded(self, symbol: str, code: str) -> Coded | None:
        """The product that is meant; None when the symbol is no code. A code wins over a stock of that symbol.

        Raises:
            ContractNotFound: `code` was given and is none.
        """
        given = (code or symbol).strip().upper()
        if given in self._products:
            return Coded(given, self._products[given], "")
        parts = split_month(given)
        if parts is not None and parts[0] in self._products:
            return Coded(parts[0], self._products[parts[0]], parts[1])
        if code:
            raise ContractNotFound(f"there is no product code '{code[:40]}': see /ib/products")
        return None

    async def conid(self, symbol: str, code: str) -> int:
        """The contract that is meant.

        Raises:
            ContractNotFound: there is none.
            AmbiguousSymbol: there are several.
        """
        coded = self.coded(symbol, code)
        if coded is not None:
            return (await self.future(coded)).conid
        request = contracts_pb.ResolveContractRequest(symbol=symbol, security_type="STK", prefer_us=True)
        return await self._resolver.resolve(request)

    async def future(self, coded: Coded) -> contracts_pb.Future:
        """The contract of a product.

        Raises:
            ContractNotFound: there is none, or not any more.
        """
        product = coded.product
        futures = await self._resolver.futures(product.traded_as, product.traded_at)
        if coded.month:
            for future in futures:
                if future.expiry.startswith(coded.month):
                    return future
            listed = ", ".join(future.expiry[:6] for future in futures) or "none"
            raise ContractNotFound(
                f"IBKR lists no {coded.code} of {coded.month}: it is expired or not listed yet; listed are {listed}"
            )
        today = datetime.fromtimestamp(self._now(), UTC).date()
        first = f"{today + timedelta(days=product.roll_days):%Y%m%d}"
        for future in futures:
            if future.expiry > first:
                return future
        raise ContractNotFound(f"IBKR lists no {coded.code} that expires more than {product.roll_days} days from now")
