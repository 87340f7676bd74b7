"""Every call has a scope, and the table names no other."""

import pytest
from google.protobuf import descriptor_pool

from engine.service.access.caller import Scope
from engine.service.access.scopes import SCOPES, scope_of
from engine.service.server import READY


def methods() -> set[str]:
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in READY if name]
    return {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}


def test_every_call_of_ours_has_a_scope_and_nothing_else_of_ours_has() -> None:
    assert {method for method in SCOPES if method.startswith("/triveni.")} == methods()


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        ("/triveni.v1.RecommendationService/Search", Scope.READ),
        ("/triveni.v1.NewService/New", Scope.ADMIN),
        ("/grpc.health.v1.Health/Check", None),
        ("/grpc.health.v1.Health/Watch", None),
        ("/grpc.health.v1.Healthy/Check", Scope.ADMIN),
        ("", Scope.ADMIN),
    ],
)
def test_what_is_not_listed_needs_admin_and_health_nothing(method: str, scope: Scope | None) -> None:
    assert scope_of(method) == scope
