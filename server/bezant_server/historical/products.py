"""The product codes: futures under names of their own, from a table that users can extend."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bezant_server.config import ConfigError

_BUILT_IN = Path(__file__).with_name("products.toml")
_CODE = re.compile(r"[A-Z0-9]{2,20}")
_MONTHS = "FGHJKMNQUVXZ"
_WITH_MONTH = re.compile(rf"([A-Z0-9]{{2,20}})([{_MONTHS}])([0-9]{{2}})")

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9.]{1,20}$")]


class Product(BaseModel):
    """A row of the table. `symbol`, `secType`, `exchange` and `currency` are what /ib/products prints.

    Attributes:
        ibkr_symbol: what IBKR trades it by; `symbol` if it says nothing else.
        ibkr_exchange: where; `exchange` if it says nothing else.
        roll_days: the contract changes so many days before the nearer one expires.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    symbol: _Word
    secType: Literal["CONTFUT"] = "CONTFUT"  # noqa: N815  as the table spells it
    exchange: _Word
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    ibkr_symbol: _Word | Literal[""] = ""
    ibkr_exchange: _Word | Literal[""] = ""
    roll_days: Annotated[int, Field(ge=0, le=365)]

    @property
    def traded_as(self) -> str:
        """Its symbol at IBKR."""
        return self.ibkr_symbol or self.symbol

    @property
    def traded_at(self) -> str:
        """Its exchange at IBKR."""
        return self.ibkr_exchange or self.exchange


def table(own: Path | None) -> Mapping[str, Product]:
    """The products by code: those that come with the server, then the user's.

    Raises:
        ConfigError: the user's file cannot be read, or a row of it is wrong.
    """
    return _read(_BUILT_IN) | ({} if own is None else _read(own))


def split_month(text: str) -> tuple[str, str] | None:
    """A code and the month of its contract as YYYYMM, out of code, month letter and year; None for anything else."""
    match = _WITH_MONTH.fullmatch(text)
    if match is None:
        return None
    return match[1], f"20{match[3]}{_MONTHS.index(match[2]) + 1:02}"


def _read(path: Path) -> dict[str, Product]:
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"BEZANT_PRODUCTS_PATH: cannot use {path}: {error}") from None
    found = {}
    for code, row in rows.items():
        if not _CODE.fullmatch(code):
            raise ConfigError(f"BEZANT_PRODUCTS_PATH: '{code}' is no code: 2 to 20 capital letters and digits")
        try:
            found[code] = Product.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, (code, *first["loc"])))
            raise ConfigError(f"BEZANT_PRODUCTS_PATH: {place}: {first['msg']}") from None
    return found
