"""The view Live and its endpoint: points each second, bounded, and an end when the server stops."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from engine.core.errors import OverloadedError
from engine.studio import live
from engine.studio.live import Live, point_of, quantile, read
from tests.service.test_models import until
from tests.studio.browsing import Visit, expect
from tests.studio.running import Opened, opened
from triveni.v1 import content_pb2, recommendation_pb2


def search(studio: Opened) -> None:
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="a bird"))
    studio.run.recommendations.Search(recommendation_pb2.SearchRequest(parts=[part]), timeout=30)


def events(lines: Iterator[str]) -> Iterator[tuple[str, object]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_the_past_comes_first_and_then_each_point(studio: Opened, http: httpx.Client) -> None:
    with http.stream("GET", "/studio/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        coming = events(answer.iter_lines())
        name, past = next(coming)
        assert name == "past"
        search(studio)
        found = next(point for _, point in coming if point["calls"].get("RecommendationService/Search"))
    assert all(found["time"] > point["time"] for point in past)
    assert found["calls"]["RecommendationService/Search"].keys() == {"OK"}
    low, _, high = found["latency"]["RecommendationService/Search"]
    assert 0 < low <= high
    assert found["stages"]["total"] > 0
    assert (found["items"], found["versions"]) == (studio.store.count(), {"serving": "untrained"})
    with http.stream("GET", "/studio/live") as answer:
        _, past = next(events(answer.iter_lines()))
    assert any(point["time"] == found["time"] for point in past), "a reload forgets what was"


def test_listeners_are_bounded_and_leave(studio: Opened, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: studio.live.listeners == 0)
    monkeypatch.setattr(live, "LISTENERS", 1)
    with http.stream("GET", "/studio/live") as first:
        lines = first.iter_lines()  # kept: the answer is closed with them
        next(lines)
        refused = http.get("/studio/live")
        assert (refused.status_code, refused.json()["code"]) == (429, "RESOURCE_EXHAUSTED")
    until(lambda: studio.live.listeners == 0)


def test_a_page_that_listens_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Its answer ends as a whole answer does; one that is cut off raises in the client."""
    heard: list[object] = []
    begun = threading.Event()

    def listen(url: str) -> None:
        with httpx.stream("GET", f"{url}/studio/live", timeout=30) as answer:
            for name, _ in events(answer.iter_lines()):
                begun.set()
                heard.append(name)
        heard.append("whole")

    with opened(tmp_path) as studio:
        page = threading.Thread(target=listen, args=[studio.url])
        page.start()
        assert begun.wait(30)
    page.join(30)
    assert heard[-1] == "whole"


def test_only_so_many_points_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEPT", 3)
    looking = Live(CollectorRegistry(), every=3600)
    try:
        for _ in range(5):
            looking.look()
        points, count = looking.since(0)
        assert (len(points), count) == (3, 5)
        assert looking.since(4) == (points[2:], 5)
        assert looking.since(5) == ([], 5)
        for _ in range(live.LISTENERS):
            looking.enter()
        with pytest.raises(OverloadedError, match="close one"):
            looking.enter()
    finally:
        looking.close()


def test_a_point_is_what_happened_since_the_one_before() -> None:
    registry = CollectorRegistry()
    calls = Counter("triveni_calls", "Calls.", ["method", "code"], registry=registry)
    took = Histogram("triveni_call_seconds", "Time.", ["method"], buckets=[0.1, 0.2, 0.4], registry=registry)
    calls.labels("S/M", "OK").inc(5)
    before = read(registry)[""]
    calls.labels("S/M", "OK").inc(4)
    calls.labels("S/M", "INTERNAL").inc(2)
    for seconds in (0.05, 0.15, 0.15, 0.3):
        took.labels("S/M").observe(seconds)
    point = point_of(12.0, read(registry)[""], (10.0, before), (10.0, before))
    assert point["calls"] == {"S/M": {"OK": 2.0, "INTERNAL": 1.0}}
    assert point["latency"] == {"S/M": [0.15, 0.36, 0.392]}


def test_a_tenant_sees_what_is_its_own_and_what_is_of_all() -> None:
    registry = CollectorRegistry()
    calls = Counter("triveni_calls", "Calls.", ["method", "code", "tenant"], registry=registry)
    Gauge("triveni_queue_depth", "What waits.", ["queue"], registry=registry).labels("reads").set(3)
    looking = Live(registry, every=3600, clock=lambda: 0.0, tenants=["one", "other"])
    try:
        calls.labels("S/M", "OK", "one").inc(4)
        calls.labels("S/Other", "OK", "other").inc(2)
        calls.labels("S/Nobody", "PERMISSION_DENIED", "").inc()
        looking.look()
        for tenant, method in (("one", "S/M"), ("other", "S/Other")):
            (point,), count = looking.since(0, tenant)
            assert (list(point["calls"]), point["queues"], count) == ([method], {"reads": 3.0}, 1)
    finally:
        looking.close()


def test_quantiles_of_buckets() -> None:
    inf = float("inf")
    assert quantile([(1.0, 0.0), (2.0, 10.0), (inf, 10.0)], 0.5) == 1.5
    assert quantile([(1.0, 0.0), (2.0, 0.0), (inf, 10.0)], 0.5) == 2.0, "above all bounds"


def test_calls_show_within_a_second(visit: Visit, studio: Opened) -> None:
    visit.go("/live?span=1")
    search(studio)
    section = visit.page.get_by_role("region", name="RecommendationService/Search")
    expect(section.locator("canvas")).to_have_count(2)
    plot = section.get_by_role("img").nth(1)
    expect(plot).to_have_attribute("aria-label", re.compile(r"p50 [\d.]+"))
    assert visit.findings() == []
    visit.page.emulate_media(color_scheme="dark")
    assert visit.findings() == []


def test_it_can_be_held_still(visit: Visit, studio: Opened) -> None:
    visit.go("/live")
    visit.page.get_by_role("button", name="Hold").click()
    expect(visit.page.get_by_role("button", name="Go on")).to_be_visible()
    expect(visit.page.locator("header")).to_contain_text("held still")
