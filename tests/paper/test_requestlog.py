from __future__ import annotations

from bezant_server.paper.requestlog import RequestLog


def test_paths_without_end_are_counted_in_bounded_memory() -> None:
    log = RequestLog()
    for number in range(5000):
        log.arrived("GET", f"/{number}?query", {}, b"")
    log.arrived("GET", "/0", {}, b"")
    report = log.report()
    assert report["total"] == 5001
    assert report["counts"]["GET /0"] == 2
    assert report["counts"]["others"] == 4000
    assert len(report["counts"]) == 1001
