"""What a server counts and measures, over real gRPC, and how it is shown to Prometheus."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.core.errors import SettingsError
from engine.encode.text_cache import TextEmbeddingCache
from engine.service.metrics import Metrics
from engine.service.metrics_door import MetricsDoor
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import concept_space, concept_text
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2

R = recommendation_pb2
ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\b(?:triveni|process)_[a-z_]+")
Values = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def door() -> MetricsDoor:
    return MetricsDoor("127.0.0.1:0", Metrics())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, door: MetricsDoor) -> Iterator[Running]:
    folder, space = Path(tmp_path_factory.mktemp("metrics")), concept_space()
    store = open_edge(folder / "items", space)
    events = open_events(folder, store)
    with running(space, store, events, doors=[door], metrics=door.metrics, wrap=TextEmbeddingCache) as run:
        run.upsert([item(f"{concept}/1", text=concept_text(concept, 1).text) for concept in ("bird", "car", "cat")])
        yield run
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{door.port}/metrics", timeout=5)
    events.close()
    store.close()


def shown(door: MetricsDoor) -> dict[str, Values]:
    """What Prometheus would read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{door.port}/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain")
        text = answer.read().decode()
    found: dict[str, Values] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()) if value)  # no tenants: theirs is ""
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def grown(before: dict[str, Values], after: dict[str, Values], name: str) -> Values:
    then = before.get(name, {})
    changes = {labels: value - then.get(labels, 0.0) for labels, value in after[name].items()}
    return {labels: change for labels, change in changes.items() if change}


def search(run: Running, text: str = "a bird") -> R.SearchResponse:
    part = R.QueryPart(content=content_pb2.Content(text=text))
    return run.recommendations.Search(R.SearchRequest(parts=[part]), timeout=30)


def test_calls_are_counted_by_method_and_status_and_their_stages_measured(served: Running, door: MetricsDoor) -> None:
    before = shown(door)
    for _ in range(3):
        assert not search(served).stages, "stages were not asked for"
    assert failure(lambda: served.recommendations.Search(R.SearchRequest(), timeout=30)).code == "INVALID_ARGUMENT"
    end = time.monotonic() + 20
    after = shown(door)  # a call is counted when its answer has left
    while grown(before, after, "triveni_calls_total").get(("INVALID_ARGUMENT", "RecommendationService/Search")) != 1:
        assert time.monotonic() < end
        after = shown(door)
    calls = grown(before, after, "triveni_calls_total")  # of others, one that had its answer may be counted just now
    assert calls[("OK", "RecommendationService/Search")] == 3
    assert calls[("INVALID_ARGUMENT", "RecommendationService/Search")] == 1
    assert grown(before, after, "triveni_call_seconds_count")[("RecommendationService/Search",)] == 4
    assert grown(before, after, "triveni_admission_total") == {("reads", "admitted"): 4}
    assert grown(before, after, "triveni_queue_wait_seconds_count") == {("reads",): 4}
    stages = grown(before, after, "triveni_stage_seconds_count")
    assert stages[("total",)] == 3
    assert {("interests",), ("retrieve",), ("policy",)} <= stages.keys()
    seconds = grown(before, after, "triveni_stage_seconds_sum")
    assert sum(seconds.values()) - seconds[("total",)] <= seconds[("total",)], "stages overlap"
    assert seconds[("total",)] <= grown(before, after, "triveni_call_seconds_sum")[("RecommendationService/Search",)]
    assert grown(before, after, "triveni_answers_total") == {("retrieval",): 3}


def test_events_are_counted_by_what_became_of_them(served: Running, door: MetricsDoor) -> None:
    before = shown(door)
    like = event_pb2.Event(id="one", kind=event_pb2.EVENT_KIND_LIKE, item_id="bird/1")
    like.time.GetCurrentTime()
    bad = event_pb2.Event(kind=event_pb2.EVENT_KIND_LIKE, item_id="nowhere")
    for event in (like, like, bad):
        rows = [event_pb2.UserEvent(user_id="ann", event=event)]
        served.events.RecordEvents(event_pb2.RecordEventsRequest(events=rows), timeout=30)
    assert grown(before, shown(door), "triveni_events_total") == {
        ("recorded",): 1, ("duplicate",): 1, ("rejected",): 1,
    }  # fmt: skip


def test_the_state_of_the_server_is_read_when_it_is_asked_for(served: Running, door: MetricsDoor) -> None:
    found = shown(door)
    assert found["triveni_items"] == {(): 3}
    assert found["triveni_model_info"] == {("serving", "untrained"): 1}
    assert {("reads",), ("writes",), ("events",), ("encoding",), ("admin",), ("impressions",)} <= found[
        "triveni_queue_depth"
    ].keys()
    assert found["triveni_impressions_dropped_total"] == {(): 0}
    assert found["process_resident_memory_bytes"][()] > 1 << 20
    served.upsert([item("drum/1", text=concept_text("drum", 1).text)])
    assert shown(door)["triveni_items"] == {(): 4}
    served.store.delete(["drum/1"])


def test_caches_count_what_they_had(served: Running, door: MetricsDoor) -> None:
    before = shown(door)
    event = event_pb2.Event(id="cached", kind=event_pb2.EVENT_KIND_LIKE, item_id="bird/1")
    event.time.GetCurrentTime()
    part = R.QueryPart(content=content_pb2.Content(text="a bird that nobody asked for"))
    for _ in range(3):
        served.recommendations.Recommend(R.RecommendRequest(parts=[part], history=[event]), timeout=30)
    counts = grown(before, shown(door), "triveni_cache_total")
    told = {cache: (counts[(cache, "hit")], counts[(cache, "miss")]) for cache in ("texts", "events")}
    assert told == {"texts": (2, 1), "events": (2, 1)}
    assert counts[("payloads", "hit")] > counts.get(("payloads", "miss"), 0)


def test_a_value_that_cannot_be_read_takes_no_other_with_it() -> None:
    metrics = Metrics()

    def fails() -> Values:
        raise SettingsError("the store is away", "wait")

    metrics.watch("triveni_items", "Items.", fails)
    metrics.of("").answered("full")
    assert metrics.registry.get_sample_value("triveni_items") is None
    assert metrics.registry.get_sample_value("triveni_answers_total", {"tier": "full", "tenant": ""}) == 1


async def _open(door: MetricsDoor) -> None:
    await door.open("", lambda _: 0.0)


def test_hosts_that_may_be_pointed_here_are_not_answered(served: Running) -> None:
    named = MetricsDoor("127.0.0.1:0", Metrics(), allowed_hosts=["Triveni.internal"])
    served.do(lambda: _open(named))

    def asked(host: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{named.port}/metrics", headers={"host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            assert b"triveni_" not in (said := error.read()) and b"metrics.allowed_hosts" in said
            return error.code

    try:
        hosts = (
            "localhost:9464",
            "10.0.0.7",
            "[::1]:9464",
            "triveni.internal:9464",
            "evil.example",
            "localhost.evil.example",
        )
        assert [asked(host) for host in hosts] == [200, 200, 200, 200, 421, 421]
    finally:
        served.do(lambda: named.close(1))


def test_an_address_that_is_none_is_refused_with_a_remedy(door: MetricsDoor, served: Running) -> None:
    for address in (f"127.0.0.1:{door.port}", "nowhere", "127.0.0.1:99999999"):
        with pytest.raises(SettingsError, match=re.escape(address)) as refused:
            served.do(lambda address=address: _open(MetricsDoor(address, Metrics())))
        assert "metrics.address" in refused.value.remedy


def test_the_documented_metrics_are_those_that_there_are(served: Running, door: MetricsDoor) -> None:
    text = (ROOT / "docs" / "operations.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    told = {}
    for line in re.findall(r"^\| `triveni_.*$", text, re.MULTILINE):
        _, name, labels, _, _ = line.split("|")
        told[name.strip(" `")] = tuple(sorted(re.findall(r"`(\w+)`", labels)))
    search(served)
    there = {
        family.name + "_total" * (family.type == "counter"): family
        for family in door.metrics.registry.collect()
        if family.name.startswith("triveni_")
    }
    assert told.keys() == there.keys()
    for name, family in there.items():
        assert {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples} <= {told[name]}, name
    assert set(NAME.findall(text)) <= exposed(door) | told.keys()


def exposed(door: MetricsDoor) -> set[str]:
    """The names of all samples, also of those metrics that have none yet."""
    parts = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
    return {
        family.name + part for family in door.metrics.registry.collect() for part in parts.get(family.type, ("",))
    }


def test_the_dashboard_and_the_alerts_read_what_there_is(served: Running, door: MetricsDoor) -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "triveni.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    assert len(shown) >= 12
    assert len(rules) >= 7
    asked = {name for text in [*shown, *(rule["expr"] for rule in rules)] for name in NAME.findall(text)}
    there = exposed(door)
    assert asked - there == set()
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in asked}
    left = {re.sub("_(bucket|count|sum)$", "", name) for name in there if name.startswith("triveni_")} - families
    assert left == set(), "the dashboard shows all"
    assert all(rule["annotations"].keys() == {"summary", "remedy"} for rule in rules)
