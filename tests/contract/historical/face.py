"""What a client of /ib does, and what the paper gateway behind it was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import grpc

from bezant.v1 import historical_service_pb2 as pb
from bezant.v1 import historical_service_pb2_grpc as pb_grpc
from tests.contract.rest.checks import assert_clean
from tests.support.edge import Edge, HttpAnswer
from tests.support.paper import PaperGateway

INIT = "POST /v1/api/iserver/auth/ssodh/init"
HISTORY = "/v1/api/iserver/marketdata/history"
SIDES = "/v1/api/hmds/history"
SIDES_INIT = "/v1/api/hmds/auth/init"
_MONTHS = "FGHJKMNQUVXZ"


@dataclass(frozen=True, slots=True)
class Face:
    """Server, Envoy and the paper gateway behind them."""

    edge: Edge
    paper: PaperGateway

    def call(self, path: str, query: Mapping[str, str] | None = None, *, method: str = "GET") -> HttpAnswer:
        """An answer of /ib, whatever it is."""
        text = urlencode(query or {}, quote_via=quote)
        answer = self.edge.send(
            method, f"/ib/{path}{'?' if text else ''}{text}", body=b"" if method == "POST" else None
        )
        assert_clean(answer)
        assert answer.header("content-type") == "application/json"
        return answer

    def read(self, path: str, query: Mapping[str, str] | None = None, *, method: str = "GET") -> Any:
        """The JSON of an answer that is a success."""
        answer = self.call(path, query, method=method)
        assert answer.status == 200, answer
        return answer.json()

    def refused(self, path: str, query: Mapping[str, str] | None = None, *, status: int, code: str) -> Any:
        """The envelope of an error: its code and its message, and what the code adds."""
        answer = self.call(path, query)
        envelope = answer.json()
        assert (answer.status, envelope["code"]) == (status, code), envelope
        assert list(envelope)[:2] == ["code", "message"]
        return envelope

    def typed_bars(self, symbol: str, *, duration: str, bar_size: str) -> Any:
        """See the function."""
        return typed_bars(f"127.0.0.1:{self.edge.grpc_port}", symbol, duration=duration, bar_size=bar_size)

    def bars(self, symbol: str, **query: str) -> list[dict[str, Any]]:
        """Bars; parameters are spelled as the query spells them."""
        answer: dict[str, Any] = self.read(f"market-data/{symbol}", query)
        assert answer["count"] == len(answer["data"])
        bars: list[dict[str, Any]] = answer["data"]
        return bars

    def listed(self, symbol: str) -> list[str]:
        """The months of the futures that the gateway lists, YYYYMM, the nearest first."""
        answer = self.edge.get(f"/v1/api/trsrv/futures?symbols={symbol}").json()
        return sorted(str(future["expirationDate"])[:6] for future in answer[symbol])

    def forget(self) -> None:
        """Let the gateway count its requests anew."""
        self.paper.control("/requests", method="DELETE")

    def asked(self, path: str) -> list[dict[str, str]]:
        """The queries of the gateway's requests at a path, since it began to count."""
        recent = self.paper.requests()["recent"]
        return [dict(parse_qsl(request["query"])) for request in recent if request["path"] == path]

    def count(self, method_and_path: str) -> int:
        """How often the gateway had a request, since it began to count."""
        return int(self.paper.requests()["counts"].get(method_and_path, 0))

    def fault(self, path: str, body: Any, *, status: int, times: int = 10) -> None:
        """Let requests at a path be answered otherwise."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.paper.control("/faults", {"path": path, "status": status, "body": text, "times": times})


def with_month(code: str, month: str) -> str:
    """The code of a product's contract of a month given as YYYYMM."""
    return f"{code}{_MONTHS[int(month[4:]) - 1]}{month[2:4]}"


def typed_bars(target: str, symbol: str, *, duration: str, bar_size: str) -> Any:
    """The same bars over gRPC at `target`, with beginnings in UTC: local times repeat when clocks are set back."""
    request = pb.ListHistoricalBarsRequest(symbol=symbol, duration=duration, bar_size=bar_size)
    channel: Any = grpc.insecure_channel(target)
    with channel:
        return pb_grpc.HistoricalDataServiceStub(channel).ListHistoricalBars(request, timeout=60)
