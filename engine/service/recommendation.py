"""RecommendationService."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from encoders.errors import TriveniError
from engine.deadline import Deadline
from engine.pipeline import Engine
from engine.service.calls import Context, current_call
from engine.service.convert.events import EventReader
from engine.service.convert.queries import recommend_query, search_query
from engine.service.convert.results import recommend_response, search_response
from engine.service.work import Workers, deadline_of
from engine.types import Query, Recommendations
from triveni.v1 import recommendation_pb2, recommendation_pb2_grpc

_Request = TypeVar("_Request")
_Response = TypeVar("_Response", recommendation_pb2.RecommendResponse, recommendation_pb2.SearchResponse)


class RecommendationServicer(recommendation_pb2_grpc.RecommendationServiceServicer):
    """Recommendations and search: conversion around `Engine.recommend`, all in a worker's thread."""

    def __init__(self, engine: Engine, workers: Workers) -> None:
        self._engine = engine
        self._workers = workers
        self._read = partial(recommend_query, read_event=EventReader())

    async def Recommend(  # noqa: N802
        self, request: recommendation_pb2.RecommendRequest, context: Context
    ) -> recommendation_pb2.RecommendResponse:
        """Recommend items to a person."""
        return await self._answer(request, self._read, recommend_response, deadline_of(context))

    async def Search(  # noqa: N802
        self, request: recommendation_pb2.SearchRequest, context: Context
    ) -> recommendation_pb2.SearchResponse:
        """Find items."""
        return await self._answer(request, search_query, search_response, deadline_of(context))

    async def _answer(
        self,
        request: _Request,
        read: Callable[[_Request], Query],
        write: Callable[[Recommendations], _Response],
        deadline: Deadline,
    ) -> _Response:
        def work() -> _Response:
            query = read(request)
            try:
                return write(self._engine.recommend(query, deadline))
            except TriveniError as error:
                error.field = error.field.removeprefix("query.")
                raise

        response = await self._workers.run(work, deadline)
        call = current_call()
        response.request_id = call.request_id
        call.notes["tier"] = response.tier
        return response
