"""Recommend and Search over the wire."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from encoders.types import Text
from engine.core.deadline import Deadline
from engine.core.types import Query, QueryPart
from tests.service.running import Running
from tests.tiny import concept_png, concept_text, concept_wav
from triveni.v1 import content_pb2, event_pb2, filter_pb2, recommendation_pb2

C, E, F, R = content_pb2.Content, event_pb2, filter_pb2, recommendation_pb2


def ids(response: R.RecommendResponse | R.SearchResponse) -> list[str]:
    return [result.item_id for result in response.results]


def part(**source: object) -> R.QueryPart:
    return R.QueryPart(**source)  # type: ignore[arg-type]


def test_each_kind_of_content_finds_its_concept(server: Running) -> None:
    for content in (
        C(text=concept_text("piano", 5).text),
        C(image=concept_png("piano", 5)),
        C(audio=concept_wav("piano", 5)),
    ):
        answer = server.recommendations.Search(R.SearchRequest(parts=[part(content=content)], limit=3), timeout=10)
        assert {item.split("/")[0] for item in ids(answer)} == {"piano"}
        assert [result.rank for result in answer.results] == [1, 2, 3]
        assert answer.fingerprint == server.space.fingerprint
        assert (answer.tier, answer.model) == ("retrieval", "untrained")


def test_result_carries_payload_and_reasons(server: Running) -> None:
    request = R.SearchRequest(
        parts=[part(content=C(text="piano")), part(content=C(image=concept_png("piano", 3)), weight=0.5)], limit=3
    )
    found = {result.item_id: result for result in server.recommendations.Search(request).results}
    result = found["piano/image"]
    assert MessageToDict(result.payload) == {
        "category": "piano",
        "price": 1.0,
        "tags": ["a", {"b": None}],
        "year": 2000.0,
    }
    assert {reason.kind for reason in result.reasons} == {R.REASON_KIND_QUERY}
    assert {reason.index for reason in result.reasons} == {1}  # it is as near to the picture as a copy
    assert {reason.index for reason in found["piano/audio"].reasons} == {0, 1}
    assert {reason.modality for reason in found["piano/audio"].reasons} == {content_pb2.MODALITY_AUDIO}
    np.testing.assert_allclose(sum(reason.share for reason in result.reasons), 1, atol=1e-5)


def test_a_reason_tells_the_part_of_words(server: Running) -> None:
    request = R.SearchRequest(parts=[part(content=C(text="PIANO"))], limit=5)
    shares = {one.item_id: one.reasons[0].words_share for one in server.recommendations.Search(request).results}
    assert 0 < shares["piano/text"] < 1 and shares["piano/image"] == 0


def test_item_and_vector_are_query_parts(server: Running) -> None:
    answer = server.recommendations.Search(R.SearchRequest(parts=[part(item_id="car/audio")], limit=2))
    assert set(ids(answer)) == {"car/text", "car/image"}
    vector = server.space.encode([Text("car")])[0].astype("<f4").tobytes()
    message = content_pb2.Vector(modality="MODALITY_TEXT", values=vector, fingerprint=server.space.fingerprint)
    others = [content_pb2.MODALITY_IMAGE, content_pb2.MODALITY_AUDIO]  # where its words do not count
    by_vector, by_text = (
        server.recommendations.Search(R.SearchRequest(parts=[one], limit=3, modalities=others))
        for one in (part(vector=message), part(content=C(text="car")))
    )
    assert ids(by_vector) == ids(by_text)
    np.testing.assert_allclose([r.score for r in by_vector.results], [r.score for r in by_text.results], rtol=1e-4)


def test_the_wire_changes_nothing(server: Running) -> None:
    """The same query in process gives the same answer."""
    here = server.tenant.engine.recommend(
        Query((QueryPart(Text("a bird")), QueryPart(Text("a car"), 0.4))), Deadline()
    )
    there = server.recommendations.Search(
        R.SearchRequest(parts=[part(content=C(text="a bird")), part(content=C(text="a car"), weight=0.4)])
    )
    assert ids(there) == [result.item for result in here.results]
    for ours, theirs in zip(here.results, there.results, strict=True):
        np.testing.assert_allclose(theirs.score, ours.score, rtol=1e-6)
        assert [(reason.index, round(reason.share, 5)) for reason in theirs.reasons] == [
            (reason.index, round(reason.share, 5)) for reason in ours.reasons
        ]


def test_recommend_from_a_mixed_history(server: Running) -> None:
    day = 86_400
    history = [
        E.Event(kind="EVENT_KIND_SEARCH", content=C(text="bird"), time=Timestamp(seconds=100 * day)),
        E.Event(kind="EVENT_KIND_UPLOAD", content=C(audio=concept_wav("bird", 9)), time=Timestamp(seconds=101 * day)),
        E.Event(kind="EVENT_KIND_CLICK", item_id="bird/text", time=Timestamp(seconds=102 * day), value=2.0),
        E.Event(kind="EVENT_KIND_DISLIKE", item_id="car/image", time=Timestamp(seconds=103 * day)),
        E.Event(kind="EVENT_KIND_LIKE", item_id="gone", id="e1", request_id="r1", context={"page": "home"}),
    ]
    answer = server.recommendations.Recommend(R.RecommendRequest(user_id="u", history=history, limit=4))
    assert set(ids(answer)[:2]) == {"bird/image", "bird/audio"}
    assert "bird/text" not in ids(answer)
    assert "car/image" not in ids(answer)
    assert [(skipped.index, "gone" in skipped.reason) for skipped in answer.skipped] == [(4, True)]
    first = answer.results[0].reasons
    assert {reason.kind for reason in first} == {R.REASON_KIND_EVENT}
    assert {reason.index for reason in first} <= {0, 1, 2, 3}
    policy = R.PolicyOptions(include_seen=True)
    again = server.recommendations.Recommend(R.RecommendRequest(history=history, limit=9, policy=policy))
    assert "bird/text" in ids(again)


def test_policy_reaches_the_engine(server: Running) -> None:
    def search(**options: object) -> list[str]:
        policy = R.PolicyOptions(**options)  # type: ignore[arg-type]
        return ids(
            server.recommendations.Search(R.SearchRequest(parts=[part(content=C(text="bird"))], policy=policy))
        )

    assert "bird/image" not in search(exclude_item_ids=["bird/image"])
    capped = search(max_per_value={"category": 1})
    assert sorted(item.split("/")[0] for item in capped) == ["bird", "car", "piano"]
    assert search(min_score=1e9) == []


def test_filters_reach_the_store(server: Running) -> None:
    def search(filter_: F.Filter) -> set[str]:
        request = R.SearchRequest(parts=[part(content=C(text="bird"))], filter=filter_)
        return set(ids(server.recommendations.Search(request)))

    piano = F.Filter(match=F.Match(field="category", value=F.Scalar(string_value="piano")))
    cars = F.Filter(match_any=F.MatchAny(field="category", values=[F.Scalar(string_value="car")]))
    cheap = F.Filter(range=F.Range(field="price", gt=0, lte=1))
    year = F.Filter(match=F.Match(field="year", value=F.Scalar(int_value=2001)))
    assert search(piano) == {"piano/text", "piano/image", "piano/audio"}
    assert search(year) == {"car/text", "car/image", "car/audio"}
    assert search(cheap) == {"bird/text", "piano/image"}
    assert search(F.Filter(all_of=F.FilterList(filters=[piano, cheap]))) == {"piano/image"}
    assert len(search(F.Filter(any_of=F.FilterList(filters=[piano, cars])))) == 6
    assert len(search(F.Filter(negated=piano))) == 6


def test_modalities_narrow_the_search(server: Running) -> None:
    request = R.SearchRequest(parts=[part(content=C(text="bird"))], modalities=["MODALITY_AUDIO"])
    assert {item.split("/")[1] for item in ids(server.recommendations.Search(request))} == {"audio"}


def test_nothing_known_gives_fresh_items_and_says_so(server: Running) -> None:
    answer = server.recommendations.Recommend(R.RecommendRequest())
    assert answer.tier == "cold"
    assert len(answer.results) == 9
    assert {reason.kind for result in answer.results for reason in result.reasons} <= {
        R.REASON_KIND_FRESH,
        R.REASON_KIND_POPULAR,
    }


def test_concurrent_calls_get_their_own_answers(server: Running) -> None:
    def search(concept: str) -> bool:
        request = R.SearchRequest(parts=[part(content=C(text=concept))], limit=3)
        return {item.split("/")[0] for item in ids(server.recommendations.Search(request, timeout=30))} == {concept}

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(search, ["bird", "piano", "car"] * 32))


def test_the_callers_request_id_is_used(server: Running) -> None:
    answer, _ = server.recommendations.Recommend.with_call(
        R.RecommendRequest(limit=1), metadata=(("x-request-id", "mine-1"),)
    )
    assert answer.request_id == "mine-1"
    unnamed = server.recommendations.Recommend(R.RecommendRequest(limit=1))
    assert len(unnamed.request_id) == 32
    spaced = server.recommendations.Recommend(R.RecommendRequest(limit=1), metadata=(("x-request-id", "a b"),))
    assert spaced.request_id != "a b"
