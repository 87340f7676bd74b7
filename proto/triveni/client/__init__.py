"""A client of a Triveni server in plain Python: no generated code, no gRPC to be seen.

from triveni.client import Client

client = Client("127.0.0.1:50051")
print(client.recommend(user="ann", like=["42"], search="running shoes", filter="price<100"))
"""

from triveni.client.aio import AsyncClient
from triveni.client.answers import Answer, Problem, Reason, Result, Skipped
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
from triveni.client.results import (
    Embedded,
    Event,
    History,
    Item,
    ItemResult,
    Model,
    Recorded,
    RejectedEvent,
    Switched,
    Training,
    Upserted,
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
    "History",
    "InvalidError",
    "Item",
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
    "ServerError",
    "Skipped",
    "Switched",
    "Training",
    "TriveniError",
    "UnavailableError",
    "Upserted",
    "Vector",
]
