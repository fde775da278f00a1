"""Which account targets are for, and whether it may be traded."""

from __future__ import annotations

from collections.abc import Sequence

from bezant.v1 import targets_service_pb2 as pb
from bezant_server.errors import BadRequest
from bezant_server.session.keeper import SessionKeeper
from bezant_server.session.messages import is_paper
from bezant_server.session.typed import TypedGateway

_FIELD = "account_id"


class Accounts:
    """See the module.

    Args:
        gateway: the gateway.
        keeper: the session, which knows the login's accounts.
        allowed: those that targets may be for; empty for all of the login.
        default: the one that is meant when none is named.
        live: whether live accounts may be traded.
    """

    def __init__(
        self,
        *,
        gateway: TypedGateway,
        keeper: SessionKeeper,
        allowed: Sequence[str],
        default: str | None,
        live: bool,
    ) -> None:
        self._gateway = gateway
        self._keeper = keeper
        self._allowed = tuple(allowed)
        self._default = default
        self._live = live

    async def chosen(self, given: str) -> str:
        """The account that is meant.

        Args:
            given: by the caller; empty when none is named.

        Raises:
            BadRequest: it is not one of the login, or not one that targets may be for, or several may be meant.
            SessionNotReady: nobody knows the login's accounts.
        """
        if self._keeper.snapshot.accounts.accounts is None:
            await self._gateway.ready()
        known = [account for account in self._keeper.accounts if account in (self._allowed or self._keeper.accounts)]
        account = given or self._default or self._only(known)
        if account not in known:
            raise BadRequest(f"{_FIELD}: there is no account '{account}' for targets", field=_FIELD)
        return account

    def check_tradable(self, account: str) -> None:
        """Refuse a live account, unless those may be traded.

        Raises:
            BadRequest: it is live.
        """
        if not self._may_trade(account):
            raise BadRequest(
                f"{_FIELD}: {account} is a live account, and targets are for paper accounts: "
                "BEZANT_TARGET_LIVE=true lets them trade it",
                field=_FIELD,
            )

    async def health(self) -> list[pb.AccountHealth]:
        """Whether each account can be traded now: the gateway is asked, at most once a second."""
        await self._keeper.look()
        snapshot = self._keeper.snapshot
        return [
            pb.AccountHealth(
                account_id=account,
                tradable=snapshot.can_trade and account in self._keeper.accounts and self._may_trade(account),
            )
            for account in self._allowed or self._keeper.accounts
        ]

    def _only(self, known: Sequence[str]) -> str:
        selected = self._keeper.snapshot.accounts.selected
        if len(known) == 1:
            return known[0]
        if selected in known:
            return str(selected)
        raise BadRequest(f"{_FIELD} is required: it is one of {', '.join(known) or 'none'}", field=_FIELD)

    def _may_trade(self, account: str) -> bool:
        return self._live or is_paper(account, self._keeper.snapshot.accounts)
