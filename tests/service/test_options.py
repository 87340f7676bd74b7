"""What a request may ask for itself, over the wire: its way, a version of the model, a half-life."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.types import ItemId, Query, ReasonKind
from engine.events.types import MODEL, Served
from engine.models.errors import CheckpointError
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.query.scored import Scored
from engine.query.stages import Request, Stages, Tools
from engine.service.server import ServerOptions
from tests.models.versions import FILE, LOADERS, draft, make, write_direction
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import CONCEPTS, concept_space, concept_text
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2

R, E = recommendation_pb2, event_pb2
SOME = ("bird", "car", "cat")


class Picks:
    """Names three items, one of which is not there."""

    reason = ReasonKind.POPULAR

    def candidates(self, *_: object) -> Sequence[ItemId]:
        return [ItemId("bird/0"), ItemId("cat/1"), ItemId("nowhere")]


class NotFirst:
    """Leaves out the item that scores highest."""

    reads_payloads = False

    def apply(self, query: Query, scored: Scored) -> Scored:
        order = (-scored.candidates.scores).argsort(kind="stable")
        return scored.take(order[1:])


@contextmanager
def server_with(path: Path, serving: Serving | None = None, **parts: object) -> Iterator[Running]:
    space = concept_space()
    store, events = open_edge(path / "items", space), open_events(path)
    with running(space, store, events, ServerOptions(address="127.0.0.1:0"), serving=serving, **parts) as run:
        run.upsert([item(f"{one}/{row}", text=concept_text(one, row).text) for one in SOME for row in range(4)])
        yield run
    events.close()
    store.close()


@contextmanager
def serving_of(path: Path, **options: object) -> Iterator[Serving]:
    serving = Serving(Registry(path / "models"), LOADERS, concept_space().fingerprint, **options)  # type: ignore[arg-type]
    serving.start()
    yield serving
    serving.close()


def text(concept: str) -> content_pb2.Content:
    return content_pb2.Content(text=concept_text(concept, 7).text)


def like(name: str, days: float = 0.0) -> E.Event:
    message = E.Event(kind=E.EVENT_KIND_LIKE, item_id=name)
    message.time.FromDatetime(datetime.now(UTC) - timedelta(days=days))
    return message


def recommend(run: Running, **fields: object) -> R.RecommendResponse:
    return run.recommendations.Recommend(R.RecommendRequest(**fields), timeout=20)  # type: ignore[arg-type]


def counts(answer: R.RecommendResponse | R.SearchResponse) -> dict[str, int]:
    return {stage.name: stage.count for stage in answer.stages}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a version, a source and a rule."""
    path = tmp_path_factory.mktemp("trace")
    with serving_of(path) as serving:
        serving.promote(make(serving.registry, "cat").version)
        with server_with(path, serving, sources={"picks": Picks()}, rules={"not-first": NotFirst()}) as run:
            yield run


def test_the_way_of_a_request(everything: Running) -> None:
    history = [like("bird/1"), like("car/2", 3), like("gone")]
    answer = recommend(everything, user_id="ann", history=history, limit=3, trace=True)
    found = counts(answer)
    assert list(found) == [
        "recorded", "history", "interests", "model", "source picks", "retrieve", "score", "rerank full", "rules",
        "policy", "explain", "payloads", "total",
    ]  # fmt: skip
    assert (found["recorded"], found["history"], found["source picks"]) == (0, 2, 3)
    assert found["retrieve"] == found["score"] == found["rerank full"] == 10  # all but the two that were liked
    assert found["rules"] == 9
    assert found["policy"] == found["explain"] == found["payloads"] == found["total"] == len(answer.results) == 3


def test_the_interests_of_a_request(everything: Running) -> None:
    recorded = E.UserEvent(user_id="iris", event=like("car/2", 3))
    recorded.event.id = "options-1"
    assert everything.events.RecordEvents(E.RecordEventsRequest(events=[recorded])).recorded_count == 1
    history = [like("bird/1"), like("bird/2", 1), E.Event(kind=E.EVENT_KIND_DISLIKE, item_id="cat/0")]
    answer = recommend(everything, user_id="iris", history=history, trace=True)
    birds, cars = answer.interests
    assert [event.index for event in birds.events] == [0, 1]
    assert [event.share for event in birds.events] == pytest.approx([0.5, 0.5], abs=0.02)
    assert [(event.index, event.event_id) for event in cars.events] == [(-1, "options-1")]
    assert birds.weight > cars.weight
    assert birds.weight + cars.weight == pytest.approx(1)
    assert set(birds.nearest_item_ids[:2]) == {"bird/0", "bird/3"}
    assert set(cars.nearest_item_ids[:3]) == {"car/0", "car/1", "car/3"}
    assert not recommend(everything, user_id="iris", history=history).interests
    everything.events.DeleteUser(E.DeleteUserRequest(user_id="iris"))


def test_the_way_of_somebody_new_and_of_a_search(everything: Running) -> None:
    new = counts(recommend(everything, user_id="new", limit=2, trace=True))
    assert "retrieve" not in new and new["popular"] == 12 and new["history"] == 0
    request = R.SearchRequest(parts=[R.QueryPart(content=text("car"))], trace=True, model="untrained", limit=4)
    found = counts(everything.recommendations.Search(request, timeout=20))
    assert found["version"] == 0
    assert not {"recorded", "model"} & set(found) and not any(name.startswith("rerank") for name in found)
    assert found["total"] == 4


def test_without_being_asked_for_there_is_no_way(everything: Running) -> None:
    assert not recommend(everything, history=[like("bird/1")]).stages
    request = R.SearchRequest(parts=[R.QueryPart(content=text("car"))])
    assert not everything.recommendations.Search(request, timeout=20).stages


@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(st.sampled_from(CONCEPTS), max_size=2),
    history=st.lists(st.sampled_from([f"{one}/{row}" for one in SOME for row in range(4)]), max_size=5),
    limit=st.integers(1, 15),
    least=st.none() | st.floats(-2, 6),
    model=st.sampled_from(["", "untrained"]),
)
def test_stages_fit_into_the_whole_and_their_numbers_agree(
    everything: Running, parts: list[str], history: list[str], limit: int, least: float | None, model: str
) -> None:
    answer = recommend(
        everything,
        parts=[R.QueryPart(content=text(one)) for one in parts],
        history=[like(name) for name in history],
        policy=R.PolicyOptions(min_score=least),
        limit=limit,
        model=model,
        trace=True,
    )
    *stages, total = answer.stages
    assert total.name == "total"
    assert 0 < sum(stage.duration.ToNanoseconds() for stage in stages) <= total.duration.ToNanoseconds() + len(stages)
    found = counts(answer)
    assert found["history"] == len(history) - len(answer.skipped)
    assert found["rules"] >= found["policy"] == found["explain"] >= found["payloads"] == len(answer.results)
    assert found.get("score", found.get("popular", 0)) >= found["rules"]
    same = recommend(
        everything,
        parts=[R.QueryPart(content=text(one)) for one in parts],
        history=[like(name) for name in history],
        policy=R.PolicyOptions(min_score=least),
        limit=limit,
        model=model,
    )
    assert [result.item_id for result in same.results] == [result.item_id for result in answer.results]


def test_a_stage_of_ones_own_is_noted_and_rules_hold_before_it(tmp_path: Path) -> None:
    def the_first_two(request: Request, scored: Scored, tools: Tools) -> tuple[Scored, np.ndarray]:
        best = (-scored.candidates.scores).argsort(kind="stable")[:2]
        return scored.take(best), np.ones(len(best))

    asked = {"parts": [R.QueryPart(content=text("car"))], "limit": 12, "policy": R.PolicyOptions(diversity=0.0)}
    with server_with(tmp_path / "plain") as run:
        plain = [result.item_id for result in recommend(run, **asked).results]
    with server_with(tmp_path, rules={"not-first": NotFirst()}, stages=Stages(select=the_first_two)) as run:
        answer = recommend(run, **asked, trace=True)
    assert [result.item_id for result in answer.results] == plain[1:3]
    assert (counts(answer)["score"], counts(answer)["rules"], counts(answer)["policy"]) == (12, 11, 2)


def test_a_version_that_is_asked_for_answers(tmp_path: Path) -> None:
    parts = [R.QueryPart(content=text(concept)) for concept in SOME]
    with serving_of(tmp_path) as serving, server_with(tmp_path, serving) as run:
        birds, cars, cats = (make(serving.registry, concept).version for concept in SOME)
        serving.promote(birds)
        for version, first in ((cars, "car"), (cats, "cat"), ("", "bird"), (birds, "bird"), (cars, "car")):
            answer = recommend(run, parts=parts, limit=2, model=version, trace=True)
            assert (answer.model, answer.tier, answer.compared_model) == (version or birds, "full", "")
            assert answer.results[0].item_id.split("/")[0] == first
            assert counts(answer).get("version") == (1 if version else None)
            assert len(serving._loaded._held) <= 2
        answer = recommend(run, parts=parts, limit=2, model="untrained")
        assert (answer.model, answer.tier) == ("untrained", "retrieval")
        request = R.SearchRequest(parts=parts, model=cats)
        assert run.recommendations.Search(request, timeout=20).model == cats


def test_a_version_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    parts = [R.QueryPart(content=text("car"))]
    with serving_of(tmp_path, on_request=0) as serving, server_with(tmp_path, serving) as run:
        known, other = (make(serving.registry, concept).version for concept in ("bird", "car"))
        serving.promote(known)
        assert recommend(run, parts=parts, model=known).model == known
        refused = failure(lambda: recommend(run, parts=parts, model=other))
        assert (refused.code, list(refused.fields)) == ("FAILED_PRECONDITION", ["model"])
        assert "raise models.on_request" in refused.message
        gone = failure(lambda: recommend(run, parts=parts, model="20200101-000000-aaaaaa"))
        assert (gone.code, list(gone.fields)) == ("NOT_FOUND", ["model"])
    with serving_of(tmp_path) as serving, server_with(tmp_path / "again", serving) as run:
        strange = serving.registry.create(draft(fingerprint="another"), write_direction("car")).version
        assert failure(lambda: recommend(run, parts=parts, model=strange)).code == "FAILED_PRECONDITION"
        (serving.registry.path / other / FILE).write_bytes(b"broken")
        broken = failure(lambda: recommend(run, parts=parts, model=other))
        assert (broken.code, broken.reason) == ("FAILED_PRECONDITION", "CHECKPOINT")
        with pytest.raises(CheckpointError):
            serving.promote(other)
        assert recommend(run, parts=parts).model == known
    with server_with(tmp_path / "none") as run:
        assert failure(lambda: recommend(run, parts=parts, model=known)).code == "NOT_FOUND"
        assert recommend(run, parts=parts, model="untrained").model == "untrained"


def test_a_version_that_was_retired_is_not_had_from_memory(tmp_path: Path) -> None:
    with serving_of(tmp_path) as serving, server_with(tmp_path, serving) as run:
        version = make(serving.registry, "car").version
        assert recommend(run, model=version).model == version
        serving.registry.retire(version)
        assert failure(lambda: recommend(run, model=version)).code == "NOT_FOUND"


def test_lists_of_a_version_that_was_asked_for_count_in_nothing(tmp_path: Path) -> None:
    """Whoever compares versions by hand must not decide between them by the way."""
    with serving_of(tmp_path) as serving, server_with(tmp_path, serving) as run:
        versions = [make(serving.registry, concept).version for concept in ("bird", "car")]
        full = {str(number): "x" for number in range(32)}  # as much as a request may say
        answers = [recommend(run, user_id="ann", model=version, context=full) for version in versions]
        plain = recommend(run, user_id="ann")
        names = {one.request_id for one in (*answers, plain)}
        served: dict[str, Served] = {}
        until = time.monotonic() + 20
        while set(served) != names:  # a list is logged once its call has ended, which the caller sees a little before
            assert time.monotonic() < until
            assert run.server.services[""].impressions.flush(10)
            served = {one.impression.request_id: one for one in run.event_store.impressions()}
    for version, answer in zip(versions, answers, strict=True):
        shown = served[answer.request_id].impression
        assert (shown.model, shown.context[MODEL]) == (version, version)
        assert not shown.of_the_policy and not shown.to_learn_from
    shown = served[plain.request_id].impression
    assert shown.of_the_policy and shown.to_learn_from and not shown.context


def test_a_half_life_of_ones_own(tmp_path: Path) -> None:
    history = [like("bird/1", 60), like("bird/2", 60), like("car/1")]
    with server_with(tmp_path) as run:

        def first(**fields: object) -> str:
            answer = recommend(run, history=history, limit=6, policy=R.PolicyOptions(diversity=0.0), **fields)
            return answer.results[0].item_id.split("/")[0]

        assert first(half_life=Duration(seconds=365 * 86400)) == "bird"
        assert first(half_life=Duration(seconds=86400)) == "car"
        month = Duration(seconds=30 * 86400)
        same, told = recommend(run, history=history), recommend(run, history=history, half_life=month)
        assert [r.item_id for r in same.results] == [r.item_id for r in told.results]
        for wrong in (Duration(), Duration(seconds=-5), Duration(seconds=3650 * 86400 + 1)):
            refused = failure(lambda wrong=wrong: recommend(run, history=history, half_life=wrong))
            assert (refused.code, list(refused.fields)) == ("INVALID_ARGUMENT", ["half_life"])
            assert "at most 3,650 days" in refused.message
