"""What the OpenAPI document says, held against what is served: requests made up from it, and answers checked by it.

Everything is real but IBKR: Envoy, the server, and a paper gateway, so that orders may be sent. Paths that are
forwarded to the gateway untouched, its login among them, are not in the document, so nothing is made up for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.stack import Stack, start_stack
from tests.unit.docs.test_openapi import DOCUMENT

TIMEOUT = {"$ref": "#/components/parameters/Timeout"}
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


def without_timeout(operation: dict[str, Any]) -> dict[str, Any]:
    """A short patience would be told that it was too short, and rightly; a long one would ask for the same again."""
    return operation | {"parameters": [each for each in operation["parameters"] if each != TIMEOUT]}


# Each size of bar is asked for with the duration of the examples, and a week has thousands of bars of a minute.
BRIEF: dict[str, Any] = json.loads(json.dumps(DOCUMENT).replace('"1 W"', '"1 D"'))
PATHS = {
    path: {verb: without_timeout(operation) for verb, operation in operations.items()}
    for path, operations in BRIEF["paths"].items()
}
# Keys are the stack's own. With one seed, and nothing learned from answers, every run asks the same.
UNTAUGHT = {"extra-data-sources": {"responses": False}}
CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"with-security-parameters": False, "deterministic": True, "max-examples": 5},
        "phases": {
            "examples": UNTAUGHT,
            "coverage": UNTAUGHT,
            "fuzzing": {**UNTAUGHT, "error-feedback": {"enabled": False}},
        },
    }
)
SCHEMA = schemathesis.openapi.from_dict(BRIEF | {"paths": PATHS}, config=CONFIG)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    variables = {
        "BEZANT_PACING": "off",
        "BEZANT_EVENTS_ENABLED": "true",
        "BEZANT_EVENTS_DB_PATH": "events.db",
        "BEZANT_DEBUG_TOKEN": "open",
    }
    with start_stack(tmp_path_factory.mktemp("stack"), env=variables) as running:
        yield running


def no_failure_of_ours(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """The gateway may answer with a 5xx, where its answers are forwarded; the server itself has no reason to."""
    if response.status_code >= 500:
        forwarded = "default" in case.operation.definition.raw["responses"]
        assert forwarded, response.text
        assert "error" in response.json(), response.text


# What HEAD answers is what GET does.
@SCHEMA.exclude(method="HEAD").parametrize()
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_an_operation_does_what_the_document_says(case: Case[Any], stack: Stack) -> None:
    headers = {"X-API-Key": str(stack.api_key), "X-Bezant-Debug-Token": "open"}
    response = case.call(base_url=stack.rest_url, headers=headers, timeout=30)
    case.validate_response(response, checks=[no_failure_of_ours, *CHECKS])
