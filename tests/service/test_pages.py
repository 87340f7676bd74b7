"""Pages of Recommend and Search over the wire."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import InvalidQueryError
from engine.core.types import ItemId, Query, Recommendation, Recommendations, UserId
from engine.service.paging import sealed
from engine.service.result_pages import page_of
from engine.store.edge import EdgeStore
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.service.test_models import until
from tests.tiny import concept_space, concept_text
from triveni.v1 import content_pb2, event_pb2, item_pb2, recommendation_pb2

R = recommendation_pb2
Answer = R.RecommendResponse | R.SearchResponse


def catalogue() -> list[item_pb2.Item]:
    return [
        item(f"{concept}/{number}", text=concept_text(concept, number).text, category=concept)
        for concept in ("bird", "piano", "car")
        for number in range(12)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStore]:
    opened = open_edge(Path(tmp_path_factory.mktemp("pages")) / "items", concept_space())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def servers(store: EdgeStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Running]]:
    """Two servers over one catalogue and one event database."""
    folder = Path(tmp_path_factory.mktemp("events"))
    events = [open_events(folder) for _ in range(2)]
    with running(concept_space(), store, events[0]) as one, running(concept_space(), store, events[1]) as other:
        one.upsert(catalogue())
        yield one, other
    for opened in events:
        opened.close()


def ids(answer: Answer) -> list[str]:
    return [result.item_id for result in answer.results]


def search(words: str = "", token: str = "", limit: int = 7, **more: object) -> R.SearchRequest:
    text = content_pb2.Content(text=words or concept_text("bird", 50).text)
    return R.SearchRequest(parts=[R.QueryPart(content=text)], page_token=token, limit=limit, **more)  # type: ignore[arg-type]


def test_a_list_is_read_to_its_end_from_either_of_two_servers(servers: tuple[Running, Running]) -> None:
    policy = R.PolicyOptions(diversity=0.0)
    whole = servers[0].recommendations.Search(search(limit=100, policy=policy))
    assert whole.next_page_token == ""
    read: list[R.Recommendation] = []
    token, turn = "", 0
    while True:
        page = servers[turn % 2].recommendations.Search(search(token=token, limit=5 + turn, policy=policy))
        read += page.results
        token, turn = page.next_page_token, turn + 1
        if not token:
            break
    assert [result.item_id for result in read] == ids(whole)
    assert [result.rank for result in read] == list(range(1, 37))
    assert turn > 3


def test_a_page_is_logged_with_its_true_positions_and_needs_no_event(servers: tuple[Running, Running]) -> None:
    ask = servers[0].recommendations.Recommend
    first = ask(R.RecommendRequest(user_id="ann", limit=4))
    second = ask(R.RecommendRequest(user_id="ann", limit=4, page_token=first.next_page_token))
    assert not set(ids(first)) & set(ids(second))
    until(lambda: len(servers[0].event_store.lists(UserId("ann")).lists) == 2)
    lists = {one.request_id: one for one in servers[0].event_store.lists(UserId("ann")).lists}
    assert lists[second.request_id].positions == (5, 6, 7, 8)
    assert list(lists[second.request_id].items) == ids(second)
    assert servers[0].event_store.history(UserId("ann")).events == ()


def test_what_was_done_since_the_first_page_does_not_change_the_list(servers: tuple[Running, Running]) -> None:
    run = servers[0]
    long_ago = datetime.now(UTC) - timedelta(hours=1)

    def did(item_id: str, time: datetime) -> None:
        event = event_pb2.Event(kind="EVENT_KIND_LIKE", item_id=item_id)
        event.time.FromDatetime(time)
        request = event_pb2.RecordEventsRequest(events=[event_pb2.UserEvent(user_id="bob", event=event)])
        assert run.events.RecordEvents(request).recorded_count == 1

    did("bird/0", long_ago)
    policy = R.PolicyOptions(diversity=0.0)
    whole = run.recommendations.Recommend(R.RecommendRequest(user_id="bob", limit=30, policy=policy))
    first = run.recommendations.Recommend(R.RecommendRequest(user_id="bob", limit=6, policy=policy))
    did("car/3", datetime.now(UTC))
    second = run.recommendations.Recommend(
        R.RecommendRequest(user_id="bob", limit=6, policy=policy, page_token=first.next_page_token)
    )
    assert ids(first) + ids(second) == ids(whole)[:12]
    again = run.recommendations.Recommend(R.RecommendRequest(user_id="bob", limit=6, policy=policy))
    assert any(name.startswith("car/") for name in ids(again))


def test_a_token_of_another_list_is_refused_with_a_remedy(servers: tuple[Running, Running]) -> None:
    stub = servers[0].recommendations
    token = stub.Recommend(R.RecommendRequest(user_id="ann", limit=4)).next_page_token
    assert stub.Recommend(R.RecommendRequest(user_id="ann", limit=9, trace=True, page_token=token)).results
    foreign = [
        lambda: stub.Recommend(R.RecommendRequest(user_id="bob", page_token=token)),
        lambda: stub.Recommend(R.RecommendRequest(user_id="ann", page_token=token, model="untrained")),
        lambda: stub.Recommend(R.RecommendRequest(user_id="ann", page_token=token[:-4] + "AAAA")),
        lambda: stub.Search(search(token=token)),
    ]
    for call in foreign:
        failed = failure(call)
        assert failed.code == "INVALID_ARGUMENT"
        assert "is of another list, or cut off: send next_page_token of the last response" in failed.message
        assert failed.message.count("page_token") == 2, "the field, and next_page_token"
        assert "page_token" in failed.fields
    garbled = failure(lambda: stub.Recommend(R.RecommendRequest(user_id="ann", page_token="né")))
    assert garbled.message.startswith("page_token: 'né' is no token: send next_page_token as it came")


def test_a_token_is_of_one_tenant_and_one_space() -> None:
    request, now = R.RecommendRequest(user_id="ann"), datetime.now(UTC)
    result = Recommendation(ItemId("a"), 1.0, 1, {}, ())
    answer = Recommendations((result,), "r", "f", "untrained", "cold", full=True)
    token = page_of(request, now, tenant="shop", fingerprint="f").next_token(answer, 1000)
    request.page_token = token
    page = page_of(request, now + timedelta(minutes=5), tenant="shop", fingerprint="f")
    assert page.before == now
    assert len(page.shown) == 1
    for tenant, fingerprint in (("other", "f"), ("shop", "g")):
        with pytest.raises(InvalidQueryError, match="is of another list, or cut off"):
            page_of(request, now, tenant=tenant, fingerprint=fingerprint)


def test_the_last_page_of_a_long_list_is_shorter_and_names_no_next() -> None:
    request, now = R.RecommendRequest(), datetime.now(UTC)
    results = tuple(Recommendation(ItemId(str(rank)), 1.0, rank, {}, ()) for rank in range(1, 9))
    answer = Recommendations(results, "r", "f", "untrained", "cold", full=True)
    first = page_of(request, now, tenant="", fingerprint="f")
    assert first.next_token(answer, 8) == ""
    request.page_token = first.next_token(answer, 10)
    query = page_of(request, now, tenant="", fingerprint="f").query(Query(limit=20), 10)
    assert (query.limit, query.depth) == (2, 10)


whole = st.builds(
    lambda began, marks: struct.pack(">BQ", 1, began) + b"".join(marks),
    st.integers(0, 2**52) | st.integers(0, 2**64 - 1),
    st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=5, unique=True),
)


@given(whole | st.binary(max_size=60))
def test_whatever_a_token_holds_it_is_a_page_or_refused(raw: bytes) -> None:
    """Its checksum is no secret: somebody may make one up."""
    request, now = R.RecommendRequest(), datetime.now(UTC)
    request.page_token = sealed(raw, page_of(request, now, tenant="", fingerprint="f").of_list)
    try:
        page = page_of(request, now, tenant="", fingerprint="f")
    except InvalidQueryError as error:
        assert error.field == "page_token"
        return
    assert page.shown
    assert page.before is not None
    assert page.query(Query(), 1000).depth == len(page.shown) + 20
