"""The gateway's JSON about scans as messages."""

from __future__ import annotations

import re
from typing import Any

from bezant.v1 import scanner_service_pb2 as pb
from bezant_server import decimals
from bezant_server.cpapi.document import Row
from bezant_server.cpapi.magnitudes import scaled

_NUMBER = re.compile(r"([-+]?[0-9.,]+)([KMB]?)%?")


def parameters(answer: Any) -> pb.GetScannerParametersResponse:
    """The answer of /iserver/scanner/params."""
    row = Row(answer, "")
    return pb.GetScannerParametersResponse(
        scan_types=[
            pb.ScanType(code=each.text("code"), name=each.text("display_name"), instruments=each.texts("instruments"))
            for each in row.rows("scan_type_list")
        ],
        instruments=[
            pb.ScanInstrument(code=each.text("type"), name=each.text("display_name"), filters=each.texts("filters"))
            for each in row.rows("instrument_list")
        ],
        filters=[
            pb.ScanFilter(
                code=each.text("code"),
                name=each.text("display_name"),
                group=each.text("group"),
                type=each.text("type"),
                values=[
                    pb.ScanFilterValue(value=value.text("vendor"), is_default=value.boolean("default") is True)
                    for value in each.rows("combo_values")
                ],
            )
            for each in row.rows("filter_list")
        ],
        locations=[_location(each) for each in row.rows("location_tree")],
    )


def scan(answer: Any) -> pb.RunScanResponse:
    """The answer of /iserver/scanner/run."""
    row = Row(answer, "")
    contracts = row.rows("contracts")
    name = row.text("scan_data_column_name") or next((each.text("column_name") for each in contracts), "")
    return pb.RunScanResponse(
        contracts=[
            pb.ScannedContract(
                rank=rank,
                conid=each.integer("con_id", "conid") or 0,
                symbol=each.text("symbol"),
                company_name=each.text("company_name"),
                description=each.text("contract_description_1", "description"),
                listing_exchange=each.text("listing_exchange"),
                security_type=each.text("sec_type"),
                scan_data=each.text("scan_data"),
                scan_value=_value(each.text("scan_data")),
                conidex=each.text("conidex"),
            )
            for rank, each in enumerate(contracts, 1)
        ],
        scan_data_name=name,
    )


def _location(row: Row) -> pb.ScanLocation:
    return pb.ScanLocation(
        code=row.text("type"),
        name=row.text("display_name"),
        locations=[_location(each) for each in row.rows("locations")],
    )


def _value(text: str) -> str | None:
    """`163.773K` is 163773; what is no number is None."""
    match = _NUMBER.fullmatch(text.strip())
    number = decimals.read(match[1]) if match else None
    return None if match is None or number is None else scaled(number, match[2])
