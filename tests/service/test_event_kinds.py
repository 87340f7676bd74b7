"""Kinds of events that the settings declare, over the wire."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import opening
from engine.config.settings import Settings
from engine.events.settings import EventSettings, KindSettings
from engine.events.sql import SqlEventStore
from engine.service.server import ServerOptions
from tests.service.running import Running, failure, item, open_edge, running
from tests.service.test_events import at, history, record, somebody
from tests.tiny import concept_space, concept_text
from triveni.client import Client
from triveni.v1 import event_pb2, recommendation_pb2

E, R = event_pb2, recommendation_pb2
DECLARED = Settings(
    events=EventSettings(
        kinds={
            "add_to_cart": KindSettings(weight=1.5, sign="positive"),
            "report": KindSettings(weight=-3, sign="negative", explicit=True),
        }
    )
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@contextmanager
def serving(folder: Path, settings: Settings) -> Iterator[Running]:
    """A server with these settings over the stores of a folder."""
    space, limits = concept_space(), opening.event_limits(settings)
    store = open_edge(folder / "items", space)
    events = SqlEventStore(f"sqlite:///{folder / 'events.db'}", limits=limits)
    options = ServerOptions(address="127.0.0.1:0", event_limits=limits)
    with running(space, store, events, options, fuse_settings=settings.fuse) as run:
        run.upsert(
            [
                item(f"{concept}/{number}", text=f"{concept_text(concept).text} {number}")
                for concept in ("bird", "piano", "car")
                for number in range(3)
            ]
        )
        yield run
    events.close()
    store.close()


@pytest.fixture
def server(folder: Path) -> Iterator[Running]:
    with serving(folder, DECLARED) as run:
        yield run


def named(name: str, about: str, minutes: float = 5, **fields: object) -> E.Event:
    return E.Event(kind_name=name, item_id=about, time=at(minutes), **fields)  # type: ignore[arg-type]


def recommended(server: Running, **request: object) -> R.RecommendResponse:
    return server.recommendations.Recommend(R.RecommendRequest(limit=2, **request), timeout=20)  # type: ignore[arg-type]


def concepts(answer: R.RecommendResponse) -> list[str]:
    return [result.item_id.split("/")[0] for result in answer.results]


def test_recorded_given_back_and_weighed(server: Running) -> None:
    user = somebody()
    assert recommended(server, user_id=user).tier == "cold"
    done = record(server, user, [named("add_to_cart", "car/0", id="c1"), named("Like", "bird/0", 600_000, id="l1")])
    assert (done.recorded_count, list(done.rejected)) == (2, [])
    cart, like = history(server, user)
    assert (cart.kind, cart.kind_name, cart.item_id) == (E.EVENT_KIND_UNSPECIFIED, "add_to_cart", "car/0")
    assert (like.kind, like.kind_name) == (E.EVENT_KIND_LIKE, "")  # a standard one by its number, however it came
    answer = recommended(server, user_id=user)
    assert (answer.tier, concepts(answer)) == ("retrieval", ["car", "car"])
    assert {reason.event_id for result in answer.results for reason in result.reasons} == {"c1"}
    assert record(server, user, [cart, like]).duplicate_count == 2  # what was given back can be sent


def test_the_client_has_them_by_their_names(server: Running) -> None:
    with Client(server.address) as client:
        client.record(user="eve", kind="add_to_cart", item="car/0")
        assert [(one.kind, one.item) for one in client.history("eve")] == [("add_to_cart", "car/0")]
        assert client.recommend("eve")[0].id.startswith("car")


def test_a_requests_own_history_has_them_and_their_sign(server: Running) -> None:
    asked = [named("add_to_cart", "car/0"), named("click", "bird/0", 100_000)]
    assert concepts(recommended(server, history=asked)) == ["car", "car"]
    turned = [named("report", "car/0"), named("click", "bird/0", 100_000)]
    assert concepts(recommended(server, history=turned)) == ["bird", "bird"]


@pytest.mark.parametrize(
    ("event", "field", "said"),
    [
        (named("ad_to_cart", "car/0"), "kind_name", "'ad_to_cart' is unknown: .*; the nearest is add_to_cart"),
        (named("share", "car/0"), "kind_name", r"or declare it in the settings as \[events.kinds.NAME\]"),
        (
            named("add_to_cart", "car/0", kind=E.EVENT_KIND_LIKE),
            "kind_name",
            "kind is EVENT_KIND_LIKE, kind_name is 'add_to_cart': set one of them",
        ),
        (E.Event(item_id="car/0"), "kind", "event kind 0 is unspecified or unknown: .*or set kind_name"),
        (named("like", "car/0", kind=77), "kind", "event kind 77 is unspecified or unknown"),
    ],
)  # fmt: skip
def test_what_is_not_declared_is_refused_where_it_stands(
    server: Running, event: E.Event, field: str, said: str
) -> None:
    good = named("like", "car/1", kind=E.EVENT_KIND_LIKE)
    done = record(server, somebody(), [good, event])
    (refused,) = done.rejected
    assert (done.recorded_count, refused.index, refused.problem.field) == (1, 1, f"events[1].event.{field}")
    told = failure(lambda: recommended(server, history=[good, event]))
    assert (told.code, list(told.fields)) == ("INVALID_ARGUMENT", [f"history[1].{field}"])
    for words in (f"{refused.problem.message}: {refused.problem.remedy}", told.message):
        assert re.search(said, words)


def test_a_server_that_declares_them_no_longer_goes_on(folder: Path) -> None:
    user = somebody()
    with serving(folder, DECLARED) as server:
        record(server, user, [named("add_to_cart", "car/0", id="c1")])
    with serving(folder, Settings()) as server:
        (kept,) = history(server, user)
        assert kept.kind_name == "add_to_cart"
        answer = recommended(server, user_id=user)
        assert (answer.tier, list(answer.skipped)) == ("cold", [])
        record(server, user, [named("like", "bird/0", id="l1")])
        assert concepts(recommended(server, user_id=user)) == ["bird", "bird"]
