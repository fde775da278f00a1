"""CPAPI's portfolio JSON into messages."""

from __future__ import annotations

from typing import Any

from bezant.v1 import portfolio_service_pb2 as pb
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row


def accounts(answer: Any) -> list[pb.Account]:
    """The answer of /portfolio/accounts and /portfolio/subaccounts."""
    return [account(row) for row in document.rows(answer, "")]


def account(row: Row) -> pb.Account:
    """One account."""
    return pb.Account(
        account_id=row.text("accountId", "id"),
        title=row.text("accountTitle"),
        display_name=row.text("displayName"),
        alias=row.text("accountAlias"),
        currency_code=row.text("currency"),
        type=row.text("type"),
    )
