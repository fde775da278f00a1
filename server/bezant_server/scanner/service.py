"""ScannerService."""

from __future__ import annotations

import re
from decimal import Decimal

from bezant.v1 import scanner_service_pb2 as pb
from bezant.v1 import scanner_service_pb2_grpc as pb_grpc
from bezant_server import decimals
from bezant_server.inputs import Checks
from bezant_server.rpc.call import Context
from bezant_server.scanner import decode
from bezant_server.session.typed import TypedGateway

_CODE = re.compile(r"[A-Za-z0-9._-]{1,60}")
_MOST_FILTERS = 50


class ScannerService(pb_grpc.ScannerServiceServicer):
    """See the proto file.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def GetScannerParameters(
        self, request: pb.GetScannerParametersRequest, context: Context
    ) -> pb.GetScannerParametersResponse:
        return decode.parameters(await self._gateway.read("/iserver/scanner/params"))

    async def RunScan(self, request: pb.RunScanRequest, context: Context) -> pb.RunScanResponse:
        checks = Checks()
        for field in ("instrument", "location", "scan_type"):
            text = getattr(request, field)
            checks.holds(field, bool(_CODE.fullmatch(text)), "must be a code that GetScannerParameters gives", text)
        checks.holds("filters", len(request.filters) <= _MOST_FILTERS, f"may have at most {_MOST_FILTERS}")
        filters = []
        for index, each in enumerate(request.filters[:_MOST_FILTERS]):
            checks.holds(f"filters[{index}].code", bool(_CODE.fullmatch(each.code)), "must be a code", each.code)
            checks.text(f"filters[{index}].value", each.value, longest=100)
            number = decimals.parse(each.value)
            value: Decimal | str = each.value if number is None else number
            filters.append({"code": each.code, "value": value})
        checks.done()
        body = {
            "instrument": request.instrument,
            "type": request.scan_type,
            "location": request.location,
            "filter": filters,
        }
        return decode.scan(await self._gateway.read("/iserver/scanner/run", method="POST", body=body))
