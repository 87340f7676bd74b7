"""schemathesis over /openapi.json: answers are as the document says, and no request is answered by 5xx."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from engine.http.app import all_bindings
from engine.http.openapi import document
from tests.http.doors import Opened

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@schemathesis.serializer("application/x-ndjson")
def lines(context: object, value: object) -> bytes:
    """Any lines."""
    return str(value).encode("utf-8", "replace")


schema = schemathesis.openapi.from_dict(document(all_bindings()))
schema.config.generation.allow_x00 = True


@pytest.fixture(scope="module")
def url(door: Opened) -> str:
    return door.url


@schema.parametrize()
@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_documented(case: schemathesis.Case, url: str) -> None:
    response = case.call(base_url=url, headers={"x-request-timeout": "60"}, timeout=70)
    case.validate_response(response, checks=CHECKS)
