"""Events over the wire: recorded, read back, used, deleted; served lists."""

import itertools
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.events.types import ASKED, Impression, Served
from tests.service.running import Running, failure
from tests.tiny import concept_png, concept_text, concept_wav
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2

C, E, R = content_pb2.Content, event_pb2, recommendation_pb2
NOW = datetime.now(UTC).replace(microsecond=0)


def at(minutes: float) -> Timestamp:
    """A time, so many minutes ago."""
    message = Timestamp()
    message.FromDatetime(NOW - timedelta(minutes=minutes))
    return message


def event(kind: str = "LIKE", item: str = "bird/text", minutes: float = 5, **fields: object) -> E.Event:
    if "content" not in fields:
        fields["item_id"] = item
    fields.setdefault("time", at(minutes))
    return E.Event(kind=f"EVENT_KIND_{kind}", **fields)  # type: ignore[arg-type]


def somebody() -> str:
    return f"user-{uuid.uuid4().hex}"


def record(server: Running, user: str, events: Sequence[E.Event]) -> E.RecordEventsResponse:
    request = E.RecordEventsRequest(events=[E.UserEvent(user_id=user, event=each) for each in events])
    return server.events.RecordEvents(request, timeout=20)


def history(server: Running, user: str, size: int = 0) -> list[E.Event]:
    found, token = [], ""
    while True:
        page = server.events.GetHistory(
            E.GetHistoryRequest(user_id=user, page_size=size, page_token=token), timeout=20
        )
        assert not size or len(page.events) <= size
        found += page.events
        token = page.next_page_token
        if not token:
            return found


MIXED = (
    event("SEARCH", content=C(text=concept_text("piano").text), minutes=1),
    event("LIKE", "bird/image", minutes=2),
    event("UPLOAD", content=C(image=concept_png("car", 3)), minutes=3),
    event("UPLOAD", content=C(audio=concept_wav("bird", 3)), minutes=4),
    event("RATE", "car/text", minutes=6, value=2.0),
    event("DISLIKE", "car/audio", minutes=7, context={"device": "phone"}),
)


def test_events_come_back_newest_first_and_are_recorded_once(server: Running) -> None:
    user, sent = somebody(), [E.Event.FromString(each.SerializeToString()) for each in MIXED]
    for each in sent:
        each.id = f"{user}-{each.time.seconds}"
    shuffled = random.Random(0).sample(sent, len(sent))
    first = record(server, user, shuffled)
    assert (first.recorded_count, first.duplicate_count, list(first.rejected)) == (len(sent), 0, [])
    again = record(server, user, [*sent, *shuffled])
    assert (again.recorded_count, again.duplicate_count) == (0, 2 * len(sent))
    found = history(server, user)
    assert [each.id for each in found] == [each.id for each in sent]
    for got, was in zip(found, sent, strict=True):
        if was.content.WhichOneof("content") in ("image", "audio"):
            assert got.content.WhichOneof("content") == was.content.WhichOneof("content")
            assert not got.content.image
            assert not got.content.audio
            got.content.CopyFrom(was.content)
        assert got == was


def test_events_without_ids_are_recorded_once_by_what_they_say(server: Running) -> None:
    user = somebody()
    assert record(server, user, MIXED).recorded_count == len(MIXED)
    assert record(server, user, MIXED[::-1]).duplicate_count == len(MIXED)


BAD = [
    (E.UserEvent(user_id="u", event=event(item="gone")), "event.item_id", "gone"),
    (E.UserEvent(user_id="u", event=event(minutes=-60)), "event.time", "ahead"),
    (E.UserEvent(user_id="u", event=event("VIEW", value=-1.0)), "event.value", "-1"),
    (E.UserEvent(user_id="u", event=E.Event(kind=99, item_id="bird/text")), "event.kind", "99"),
    (E.UserEvent(user_id="u", event=event("SEARCH", item="bird/text")), "event.content", "no content"),
    (E.UserEvent(user_id="u", event=event("UPLOAD", content=C(image=b"no picture"))), "event.content", "image"),
    (E.UserEvent(event=event()), "user_id", "empty"),
    (E.UserEvent(user_id="u"), "event", "not set"),
]


def test_bad_events_are_refused_one_by_one_and_the_rest_is_kept(server: Running) -> None:
    user = somebody()
    good = [E.UserEvent(user_id=user, event=event(minutes=row, id=f"{user}{row}")) for row in range(len(BAD) + 1)]
    mixed = [good[0]]
    for row, (bad, _, _) in enumerate(BAD, 1):
        mixed += [bad, good[row]]
    unary = server.events.RecordEvents(E.RecordEventsRequest(events=mixed), timeout=20)
    stream = server.events.StreamEvents((E.StreamEventsRequest(event=each) for each in mixed), timeout=20)
    assert (unary.recorded_count, unary.duplicate_count) == (len(good), 0)
    assert (stream.recorded_count, stream.duplicate_count, stream.rejected_count) == (0, len(good), len(BAD))
    for rejected, path in ((unary.rejected, "events[{}]."), (stream.rejected, "")):
        assert [each.index for each in rejected] == [2 * row + 1 for row in range(len(BAD))]
        for each, (_, field, word) in zip(rejected, BAD, strict=True):
            assert each.problem.field == path.format(each.index) + field, each
            assert word in each.problem.message, each
            assert each.problem.status == "INVALID_ARGUMENT"
            assert each.problem.remedy
    assert len(history(server, user)) == len(good)


def test_user_id_of_a_megabyte_is_refused_and_the_rest_is_kept(server: Running) -> None:
    """The server of these tests takes messages to 1 MiB; an id of 10 MB does not even come in."""
    user, long = somebody(), "u" * 900_000
    events = [E.UserEvent(user_id=name, event=event(id=f"{user}-{name[:1]}")) for name in (long, user)]
    response = server.events.RecordEvents(E.RecordEventsRequest(events=events), timeout=20)
    assert response.recorded_count == 1
    assert response.rejected[0].problem.field == "events[0].user_id"
    assert "900000" in response.rejected[0].problem.message
    assert response.ByteSize() < 1000
    for call in (
        lambda: history(server, long),
        lambda: server.events.DeleteUser(E.DeleteUserRequest(user_id=long), timeout=20),
        lambda: history(server, ""),
    ):
        found = failure(call)
        assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["user_id"])
    ten = E.UserEvent(user_id="u" * 10_000_000, event=event())
    refused = failure(lambda: server.events.RecordEvents(E.RecordEventsRequest(events=[ten]), timeout=20))
    assert refused.code == "RESOURCE_EXHAUSTED"


def test_too_many_events_and_a_bad_page_are_refused(server: Running) -> None:
    many = E.RecordEventsRequest(events=[E.UserEvent(user_id="u")] * 5001)
    found = failure(lambda: server.events.RecordEvents(many, timeout=20))
    assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["events"])
    assert "StreamEvents" in found.message
    for fields, name in (({"page_size": -1}, "page_size"), ({"page_token": "x"}, "page_token")):
        request = E.GetHistoryRequest(user_id="u", **fields)  # type: ignore[arg-type]
        found = failure(lambda request=request: server.events.GetHistory(request, timeout=20))
        assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", [name])


def test_a_long_stream_is_recorded_and_lists_the_first_thousand_refused(server: Running) -> None:
    user = somebody()
    good = [E.UserEvent(user_id=user, event=event(minutes=row / 60, id=f"{user}{row}")) for row in range(2000)]
    sent = (
        E.StreamEventsRequest(event=each) for pair in zip(good, [E.UserEvent()] * 2000, strict=True) for each in pair
    )
    response = server.events.StreamEvents(sent, timeout=60)
    assert (response.recorded_count, response.rejected_count, len(response.rejected)) == (2000, 2000, 1000)
    assert [each.index for each in response.rejected] == list(range(1, 2000, 2))
    assert [each.id for each in history(server, user, size=300)] == [each.event.id for each in good]


def test_bytes_that_are_no_event_do_not_end_a_stream(server: Running) -> None:
    call = server.channel.stream_unary("/triveni.v1.EventService/StreamEvents")
    good = E.StreamEventsRequest(event=E.UserEvent(user_id=somebody(), event=event())).SerializeToString()
    response = E.StreamEventsResponse.FromString(call(iter([b"\xff\xff", good]), timeout=20))
    assert (response.recorded_count, response.rejected_count) == (1, 1)
    assert response.rejected[0].problem.reason == "MALFORMED"


def test_page_token_of_another_person_is_refused(server: Running) -> None:
    one, other = somebody(), somebody()
    record(server, one, [event(id=f"{one}{row}") for row in range(3)])
    page = server.events.GetHistory(E.GetHistoryRequest(user_id=one, page_size=1), timeout=20)
    stolen = E.GetHistoryRequest(user_id=other, page_token=page.next_page_token)
    assert failure(lambda: server.events.GetHistory(stolen, timeout=20)).code == "INVALID_ARGUMENT"


def recommend(server: Running, **fields: object) -> R.RecommendResponse:
    fields.setdefault("limit", 5)
    return server.recommendations.Recommend(R.RecommendRequest(**fields), timeout=20)  # type: ignore[arg-type]


def scored(answer: R.RecommendResponse) -> list[tuple[str, float]]:
    return [(result.item_id, pytest.approx(result.score, rel=1e-3)) for result in answer.results]


def test_user_id_alone_answers_as_the_same_history_inline(server: Running) -> None:
    user = somebody()
    shown = event("IMPRESSION", "piano/text", minutes=8)  # weighs nothing, and may be shown again
    assert record(server, user, [*MIXED, shown]).recorded_count == len(MIXED) + 1
    inline, stored = recommend(server, history=MIXED), recommend(server, user_id=user)
    assert stored.tier == "retrieval"
    assert scored(stored) == scored(inline)
    ids = {row: each.id for row, each in enumerate(history(server, user))}
    for got, was in zip(stored.results, inline.results, strict=True):
        assert {reason.index for reason in got.reasons} == {-1}
        assert [reason.event_id for reason in got.reasons] == [ids[reason.index] for reason in was.reasons]
        assert not any(reason.event_id for reason in was.reasons)


def test_inline_history_is_added_and_keeps_its_positions(server: Running) -> None:
    user = somebody()
    record(server, user, MIXED[2:])
    both, inline = recommend(server, user_id=user, history=MIXED[:2]), recommend(server, history=MIXED)
    assert scored(both) == scored(inline)
    ids = [each.id for each in history(server, user)]
    for got, was in zip(both.results, inline.results, strict=True):
        named = [(reason.index, reason.event_id) for reason in got.reasons]
        assert named == [(r.index, "") if r.index < 2 else (-1, ids[r.index - 2]) for r in was.reasons]


def test_an_event_that_is_stored_and_inline_counts_once(server: Running) -> None:
    user = somebody()
    record(server, user, MIXED)
    both, inline = recommend(server, user_id=user, history=MIXED), recommend(server, history=MIXED)
    assert scored(both) == scored(inline)
    assert not any(reason.event_id for result in both.results for reason in result.reasons)


def test_stored_events_that_cannot_be_used_are_named(server: Running) -> None:
    user = somebody()
    run_item = "piano/image"
    record(server, user, [event(item=run_item, id=f"{user}1"), event(item="bird/text", id=f"{user}2")])
    (point,) = server.store.retrieve([run_item])  # type: ignore[list-item]
    server.store.delete([run_item])  # type: ignore[list-item]
    try:
        answer = recommend(server, user_id=user)
    finally:
        server.store.upsert([point])  # type: ignore[list-item]
    assert [(each.index, each.event_id) for each in answer.skipped] == [(-1, f"{user}1")]
    assert answer.results


def test_deleted_person_is_forgotten(server: Running) -> None:
    user = somebody()
    record(server, user, MIXED)
    answer = recommend(server, user_id=user)
    assert answer.tier == "retrieval"
    gone = server.events.DeleteUser(E.DeleteUserRequest(user_id=user), timeout=20)
    assert gone.deleted_count == len(MIXED)
    assert history(server, user) == []
    assert recommend(server, user_id=user).tier == "cold"
    assert answer.request_id not in {served.impression.request_id for served in impressions(server)}


def impressions(server: Running) -> list[Served]:
    """All served lists, once those that wait are written."""
    assert server.server.services[""].impressions.flush(10)
    return list(server.event_store.impressions())


def test_served_lists_are_logged_and_joined_by_request_id(server: Running) -> None:
    user = somebody()
    answer = recommend(server, user_id=user, context={"page": "home"}, limit=4)
    clicked = event("CLICK", answer.results[2].item_id, minutes=0, request_id=answer.request_id)
    stranger = event("CLICK", answer.results[1].item_id, minutes=0, request_id=answer.request_id)
    record(server, user, [clicked])
    record(server, somebody(), [stranger])
    asked = recommend(server, user_id=user, parts=[R.QueryPart(content=C(text="bird"))], context={"page": "home"})
    found = server.recommendations.Search(R.SearchRequest(parts=[R.QueryPart(content=C(text="bird"))]), timeout=20)
    refused = failure(lambda: recommend(server, user_id=user, limit=0))
    logged = {served.impression.request_id: served for served in impressions(server)}
    shown = logged[answer.request_id].impression
    assert shown.user == user
    assert list(shown.items) == [result.item_id for result in answer.results]
    assert shown.positions == (1, 2, 3, 4)
    assert shown.propensities == (1.0,) * 4
    assert (shown.model, shown.tier, dict(shown.context)) == ("untrained", "cold", {"page": "home"})
    assert dict(logged[asked.request_id].impression.context) == {"page": "home", ASKED: "query"}
    assert [each.item for each in logged[answer.request_id].followed] == [answer.results[2].item_id]
    assert logged[found.request_id].impression.user == ""
    assert refused.request_id not in logged


def test_propensities_are_the_frequencies_of_the_lists(server: Running) -> None:
    """Without exploration, the same request gets the same list every time, and each place says 1."""
    asked: list[dict[str, object]] = [
        {"history": MIXED},
        {"history": MIXED, "policy": R.PolicyOptions(diversity=0.8, max_per_value={"category": 2})},
        {},
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = [
            list(pool.map(lambda _, fields=fields: recommend(server, **fields), range(24))) for fields in asked
        ]
    names = {answer.request_id for same in answers for answer in same}
    logged: dict[str, Impression] = {}
    for _ in range(100):  # a list is logged once its call has ended, which the caller sees a little before
        logged = {served.impression.request_id: served.impression for served in impressions(server)}
        if names <= logged.keys():
            break
        time.sleep(0.05)
    for same in answers:
        shown = [logged[answer.request_id] for answer in same]
        frequency = Counter((item, place) for one in shown for place, item in enumerate(one.items, 1))
        for one in shown:
            stated = zip(one.items, one.positions, one.propensities, strict=True)
            assert [frequency[item, place] / len(shown) for item, place, _ in stated] == list(one.propensities)


def test_a_person_is_deleted_while_their_events_come_in(server: Running) -> None:
    """No event is lost without being counted as deleted."""
    user, stop = somebody(), threading.Event()

    def endless() -> Iterator[E.StreamEventsRequest]:
        for row in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            yield E.StreamEventsRequest(event=E.UserEvent(user_id=user, event=event(id=f"{user}{row}")))

    stream = server.events.StreamEvents.future(endless(), timeout=60)
    gone = 0
    for _ in range(10):
        gone += server.events.DeleteUser(E.DeleteUserRequest(user_id=user), timeout=20).deleted_count
        time.sleep(0.02)
    stop.set()
    response = stream.result(timeout=20)
    assert 0 < response.recorded_count == gone + len(history(server, user, size=1000))
    assert (response.duplicate_count, response.rejected_count) == (0, 0)


def test_answer_that_did_not_arrive_is_not_logged(server: Running) -> None:
    uploads = [event("UPLOAD", content=C(image=concept_png("bird", seed))) for seed in range(60)]
    with pytest.raises(grpc.RpcError) as failed:
        server.recommendations.Recommend(
            R.RecommendRequest(history=uploads), timeout=0.001, metadata=(("x-request-id", "too-late"),)
        )
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "too-late" not in {served.impression.request_id for served in impressions(server)}
