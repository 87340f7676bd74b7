"""RecommendationService."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog

from encoders.errors import TriveniError
from engine.core.caching import Uses
from engine.core.deadline import Deadline
from engine.core.types import Query, Recommendations
from engine.events.check import EventLimits, check_context
from engine.events.history import StoredHistory
from engine.events.types import ASKED, MODEL
from engine.query.pipeline import Engine
from engine.query.trace import Trace
from engine.service.calls import Call, Context, current_call, status_name
from engine.service.convert.events import EventReader
from engine.service.convert.queries import recommend_query, search_query
from engine.service.convert.results import impression_of, recommend_response, search_response
from engine.service.impressions import ImpressionLog
from engine.service.metrics import TenantMetrics
from engine.service.result_pages import Asked, ResultPage, page_of
from engine.service.work import Workers, deadline_of
from triveni.v1 import recommendation_pb2, recommendation_pb2_grpc

_MESSAGE_FIELDS = {"policy.exclude": "policy.exclude_item_ids", "half_life_days": "half_life"}
"""Fields of a query that a message calls otherwise."""

_Response = TypeVar("_Response", recommendation_pb2.RecommendResponse, recommendation_pb2.SearchResponse)


class RecommendationServicer(recommendation_pb2_grpc.RecommendationServiceServicer):
    """Recommendations and search: conversion around `Engine.recommend`, all in a worker's thread.

    Args:
        engine: answers queries.
        history: what was recorded of people.
        impressions: is told of each list that was served.
        limits: the largest context of one.
        workers: where the work is done.
        metrics: are told of stages and tiers.
    """

    def __init__(
        self,
        engine: Engine,
        history: StoredHistory,
        impressions: ImpressionLog,
        limits: EventLimits,
        workers: Workers,
        metrics: TenantMetrics,
    ) -> None:
        self._engine, self._history, self._impressions = engine, history, impressions
        self._limits, self._workers, self._metrics = limits, workers, metrics
        self._read_event = EventReader(limits.kinds)
        self._read = partial(recommend_query, read_event=self._read_event)
        self._log = structlog.get_logger("triveni.service")

    def caches(self) -> Mapping[str, Uses]:
        """How the events that are remembered were used; see `Caching`."""
        return {"events": self._read_event.uses}

    def forget(self) -> None:
        """Remember no more events that came with requests."""
        self._read_event.clear()

    async def Recommend(  # noqa: N802
        self, request: recommendation_pb2.RecommendRequest, context: Context
    ) -> recommendation_pb2.RecommendResponse:
        """Recommend items to a person."""
        deadline, call = deadline_of(context), current_call()
        call.user = request.user_id
        response = await self._workers.run(lambda: self._recommend(request, deadline, call), deadline)
        about = {**request.context, ASKED: "query"} if request.parts else request.context
        return self._serve(response, self._limits.users(request.user_id), about, request.model, context)

    def _recommend(
        self, request: recommendation_pb2.RecommendRequest, deadline: Deadline, call: Call
    ) -> recommendation_pb2.RecommendResponse:
        trace = Trace(interests=request.trace)
        check_context(request.context, self._limits)
        query = self._read(request)
        page, depth = self._page(request, call), self._engine.max_depth
        query = replace(page.query(query, depth), user=self._limits.users(query.user))
        joined = self._history.join(query, deadline, page.before)
        if joined.unread:
            self._log.warning("stored history unread", reason=joined.unread)
        if request.user_id:
            trace.passed("recorded", len(joined.query.history) - joined.own)
        answer = self._answer(joined.query, deadline, trace, call, told=request.trace)
        response = recommend_response(answer, joined)
        response.next_page_token = page.next_token(answer, depth)
        return response

    async def Search(  # noqa: N802
        self, request: recommendation_pb2.SearchRequest, context: Context
    ) -> recommendation_pb2.SearchResponse:
        """Find items."""
        deadline, call = deadline_of(context), current_call()
        response = await self._workers.run(lambda: self._search(request, deadline, call), deadline)
        return self._serve(response, "", {}, request.model, context)

    def _search(
        self, request: recommendation_pb2.SearchRequest, deadline: Deadline, call: Call
    ) -> recommendation_pb2.SearchResponse:
        query = search_query(request)
        page, depth = self._page(request, call), self._engine.max_depth
        answer = self._answer(page.query(query, depth), deadline, Trace(), call, told=request.trace)
        response = search_response(answer)
        response.next_page_token = page.next_token(answer, depth)
        return response

    def _page(self, request: Asked, call: Call) -> ResultPage:
        fingerprint = self._engine.manifest.fingerprint
        return page_of(request, call.time, tenant=call.caller.tenant, fingerprint=fingerprint)

    def _answer(self, query: Query, deadline: Deadline, trace: Trace, call: Call, *, told: bool) -> Recommendations:
        try:
            made = self._engine.recommend(query, deadline, trace)
        except TriveniError as error:
            field = error.field.removeprefix("query.")
            error.field = _MESSAGE_FIELDS.get(field, field)
            raise
        self._metrics.passed(made.stages)
        call.stages, call.stages_began = made.stages, trace.began
        return made if told else replace(made, stages=())

    def _serve(
        self, response: _Response, user: str, about: Mapping[str, str], model: str, context: Context
    ) -> _Response:
        """Name the answer; once it has left, log what it showed. What did not reach the caller was not shown."""
        call = current_call()
        about = {**about, MODEL: model} if model else about
        response.request_id = call.request_id
        self._metrics.answered(response.tier)
        call.notes |= {"model": response.model, "tier": response.tier}
        if response.compared_model:
            call.notes["compared_model"] = response.compared_model

        def log(ended: Any) -> None:
            if status_name(ended) == "OK":
                self._impressions.add(impression_of(response, user, about, call.time))

        context.add_done_callback(log)  # type: ignore[arg-type]
        return response
