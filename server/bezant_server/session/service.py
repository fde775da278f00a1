"""SessionService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from bezant.v1 import session_service_pb2 as pb
from bezant.v1 import session_service_pb2_grpc as pb_grpc
from bezant_server.cpapi.classify import decode
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.pacing.pacer import Pacer
from bezant_server.errors import UpstreamDecodeError
from bezant_server.rpc.call import Context
from bezant_server.session import messages, reading
from bezant_server.session.keeper import SessionKeeper

_PAPER_LOGIN = 2
"""`LOGIN_TYPE` of a paper account (IBKR's OpenAPI description; 1 is live)."""


class SessionService(pb_grpc.SessionServiceServicer):
    """See the proto file.

    Args:
        keeper: the session.
        gateway: for what is asked of the gateway directly.
        login_url: where a human logs in.
        clock: the pacer's, in seconds.
        now: seconds since 1970.
    """

    def __init__(
        self,
        *,
        keeper: SessionKeeper,
        gateway: CpapiClient,
        login_url: str,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._keeper = keeper
        self._gateway = gateway
        self._login_url = login_url
        self._clock = clock
        self._now = now

    async def GetSession(self, request: pb.GetSessionRequest, context: Context) -> pb.GetSessionResponse:
        return pb.GetSessionResponse(session=self._session())

    async def WatchSession(
        self, request: pb.WatchSessionRequest, context: Context
    ) -> AsyncIterator[pb.WatchSessionResponse]:
        async for snapshot in self._keeper.follow():
            if snapshot is None:
                heartbeat = pb.SessionHeartbeat(sent_at=messages.timestamp(self._now()))
                yield pb.WatchSessionResponse(heartbeat=heartbeat)
            else:
                yield pb.WatchSessionResponse(session=messages.session(snapshot, login_url=self._login_url))

    async def InitBrokerageSession(
        self, request: pb.InitBrokerageSessionRequest, context: Context
    ) -> pb.InitBrokerageSessionResponse:
        await self._keeper.open(compete=request.compete)
        return pb.InitBrokerageSessionResponse(session=self._session())

    async def Reauthenticate(self, request: pb.ReauthenticateRequest, context: Context) -> pb.ReauthenticateResponse:
        answer = decode(await self._gateway.call("POST", "/iserver/reauthenticate"))
        message = answer.get("message") if isinstance(answer, dict) else None
        return pb.ReauthenticateResponse(message=message if isinstance(message, str) else "")

    async def ValidateSso(self, request: pb.ValidateSsoRequest, context: Context) -> pb.ValidateSsoResponse:
        answer = decode(await self._gateway.call("GET", "/sso/validate", changes_state=False))
        if not isinstance(answer, dict):
            raise UpstreamDecodeError("the gateway's validation of single sign-on is no JSON object")
        name, kind = answer.get("USER_NAME"), answer.get("LOGIN_TYPE")
        ends_at = reading.ends_at(answer.get("EXPIRES"), now=self._now())
        mode = pb.TRADING_MODE_PAPER if kind == _PAPER_LOGIN else pb.TRADING_MODE_LIVE
        return pb.ValidateSsoResponse(
            valid=answer.get("RESULT") is True,
            user_name=name if isinstance(name, str) else "",
            sso_expires_at=None if ends_at is None else messages.timestamp(ends_at),
            trading_mode=mode if isinstance(kind, int) else pb.TRADING_MODE_UNSPECIFIED,
        )

    async def Tickle(self, request: pb.TickleRequest, context: Context) -> pb.TickleResponse:
        await self._keeper.look()
        return pb.TickleResponse(session=self._session())

    async def Logout(self, request: pb.LogoutRequest, context: Context) -> pb.LogoutResponse:
        decode(await self._gateway.call("POST", "/logout"))
        return pb.LogoutResponse(session=self._session())

    async def GetPacing(self, request: pb.GetPacingRequest, context: Context) -> pb.GetPacingResponse:
        pacer = self._gateway.pacing
        if not isinstance(pacer, Pacer):
            return pb.GetPacingResponse(enabled=False)
        return messages.pacing(pacer, now=self._clock(), wall=self._now())

    def _session(self) -> pb.Session:
        return messages.session(self._keeper.snapshot, login_url=self._login_url)
