"""Which scope a method needs: one table of all calls."""

from collections.abc import Mapping

from engine.service.access.caller import Scope

SCOPES: Mapping[str, Scope] = {
    "/triveni.v1.RecommendationService/Recommend": Scope.READ,
    "/triveni.v1.RecommendationService/Search": Scope.READ,
    "/triveni.v1.CatalogService/UpsertItems": Scope.WRITE,
    "/triveni.v1.CatalogService/GetItem": Scope.READ,
    "/triveni.v1.CatalogService/ListItems": Scope.READ,
    "/triveni.v1.CatalogService/DeleteItems": Scope.WRITE,
    "/triveni.v1.EncoderService/Encode": Scope.READ,
    "/triveni.v1.EventService/RecordEvents": Scope.WRITE,
    "/triveni.v1.EventService/StreamEvents": Scope.WRITE,
    "/triveni.v1.EventService/GetHistory": Scope.READ,
    "/triveni.v1.EventService/DeleteUser": Scope.WRITE,
    "/triveni.v1.ModelService/ListModels": Scope.READ,
    "/triveni.v1.ModelService/GetModel": Scope.READ,
    "/triveni.v1.ModelService/PromoteModel": Scope.ADMIN,
    "/triveni.v1.ModelService/RollbackModel": Scope.ADMIN,
    "/triveni.v1.ModelService/TrainModel": Scope.TRAIN,
    "/triveni.v1.ModelService/GetTraining": Scope.READ,
    "/triveni.v1.ModelService/ListTrainings": Scope.READ,
    "/triveni.v1.ModelService/CancelTraining": Scope.TRAIN,
    "/triveni.v1.AdminService/Backup": Scope.ADMIN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Scope.READ,
}
"""By full name of the method."""

_OPEN = "/grpc.health.v1.Health/"
"""Begins the methods that need no credential."""


def scope_of(method: str) -> Scope | None:
    """The scope that a method needs; None if it needs no credential. What is not in the table needs `admin`.

    Args:
        method: its full name, `/package.Service/Method`.
    """
    return None if method.startswith(_OPEN) else SCOPES.get(method, Scope.ADMIN)
