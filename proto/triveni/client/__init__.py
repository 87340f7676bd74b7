"""A client of a Triveni server in plain Python: no generated code, no gRPC to be seen.

from triveni.client import Client

client = Client("127.0.0.1:50051")
print(client.recommend(user="ann", like=["42"], search="running shoes", filter="price<100"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triveni.client.aio import AsyncClient
    from triveni.client.answers import Answer, ItemPart, Reason, Result, Skipped
    from triveni.client.contents import Part, Vector
    from triveni.client.errors import (
        DeadlineError,
        DeniedError,
        InvalidError,
        NotFoundError,
        OverloadedError,
        PreconditionError,
        ServerError,
        TriveniError,
        UnavailableError,
    )
    from triveni.client.problem import Problem
    from triveni.client.results import (
        Embedded,
        Event,
        Forgotten,
        History,
        Item,
        ItemResult,
        Model,
        Recorded,
        RejectedEvent,
        ServedList,
        Switched,
        Training,
        Upserted,
        UserData,
    )
    from triveni.client.sync import Client

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "DeadlineError",
    "DeniedError",
    "Embedded",
    "Event",
    "Forgotten",
    "History",
    "InvalidError",
    "Item",
    "ItemPart",
    "ItemResult",
    "Model",
    "NotFoundError",
    "OverloadedError",
    "Part",
    "PreconditionError",
    "Problem",
    "Reason",
    "Recorded",
    "RejectedEvent",
    "Result",
    "ServedList",
    "ServerError",
    "Skipped",
    "Switched",
    "Training",
    "TriveniError",
    "UnavailableError",
    "Upserted",
    "UserData",
    "Vector",
]

_NAMES = {
    "aio": ("AsyncClient",),
    "answers": (
        "Answer",
        "ItemPart",
        "Reason",
        "Result",
        "Skipped",
    ),
    "contents": (
        "Part",
        "Vector",
    ),
    "errors": (
        "DeadlineError",
        "DeniedError",
        "InvalidError",
        "NotFoundError",
        "OverloadedError",
        "PreconditionError",
        "ServerError",
        "TriveniError",
        "UnavailableError",
    ),
    "problem": ("Problem",),
    "results": (
        "Embedded",
        "Event",
        "Forgotten",
        "History",
        "Item",
        "ItemResult",
        "Model",
        "Recorded",
        "RejectedEvent",
        "ServedList",
        "Switched",
        "Training",
        "Upserted",
        "UserData",
    ),
    "sync": ("Client",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """What is asked for is imported then: conversions alone need no gRPC, a waiting client no awaited one."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
