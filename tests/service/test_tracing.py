"""Spans of calls and stages, sent to a real collector; and what log lines say of people."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from engine.service.logs import UserNames
from engine.service.tracing import OtlpTracing
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import concept_space, concept_text
from triveni.v1 import content_pb2, recommendation_pb2

R = recommendation_pb2
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""Ids of the example in the W3C recommendation."""
SECRET = "a bird that nobody may read of"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it gets."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._changed = threading.Condition()

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, context: object) -> object:  # noqa: N802
        with self._changed:
            for resource in request.resource_spans:
                named = {one.key: one.value.string_value for one in resource.resource.attributes}
                assert named["service.name"] == "triveni"
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._changed.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, str]]:
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(found, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def search(run: Running, text: str, *, trace: str = "") -> R.SearchResponse:
    part = R.QueryPart(content=content_pb2.Content(text=text))
    metadata = (("traceparent", trace),) if trace else ()
    return run.recommendations.Search(R.SearchRequest(parts=[part]), timeout=30, metadata=metadata)


@pytest.fixture(scope="module")
def spans(collector: tuple[Collector, str], tmp_path_factory: pytest.TempPathFactory) -> list[Span]:
    """Those of a few calls, of which all were sent by the time that the server has stopped."""
    folder, space = Path(tmp_path_factory.mktemp("tracing")), concept_space()
    store = open_edge(folder / "items", space)
    events = open_events(folder, store)
    with running(space, store, events, tracing=OtlpTracing(collector[1], share=0.0)) as run:
        run.upsert([item(f"{concept}/1", text=concept_text(concept, 1).text) for concept in ("bird", "car")])
        search(run, SECRET, trace=f"00-{TRACE}-{PARENT}-01")
        search(run, SECRET, trace=f"00-{TRACE}-{PARENT}-00")
        search(run, SECRET)
        empty = R.SearchRequest()
        metadata = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
        assert failure(lambda: run.recommendations.Search(empty, timeout=30, metadata=metadata)).code
    events.close()
    store.close()
    return collector[0].spans


def test_a_call_is_a_span_in_the_trace_of_its_caller(spans: list[Span]) -> None:
    calls = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert [span.name for span in calls] == ["triveni.v1.RecommendationService/Search"] * 2, "two of four are sampled"
    for span in calls:
        assert span.trace_id.hex() == TRACE
        assert span.parent_span_id.hex() == PARENT
        assert span.start_time_unix_nano < span.end_time_unix_nano
    said = [{one.key: one.value.string_value for one in span.attributes} for span in calls]
    assert [one["triveni.code"] for one in said] == ["OK", "INVALID_ARGUMENT"]
    assert said[0]["triveni.tier"] == "retrieval"
    assert said[1]["triveni.reason"] == "INVALID_QUERY"


def test_stages_are_spans_of_the_call_one_after_the_other(spans: list[Span]) -> None:
    call = next(span for span in spans if span.kind == Span.SPAN_KIND_SERVER)
    stages = [span for span in spans if span.parent_span_id == call.span_id]
    assert {"history", "interests", "retrieve", "score", "policy"} <= {span.name for span in stages}
    assert "total" not in {span.name for span in stages}
    for before, after in pairwise(stages):
        assert before.end_time_unix_nano == after.start_time_unix_nano
    slack = 5_000_000  # clocks of two kinds
    assert call.start_time_unix_nano - slack <= stages[0].start_time_unix_nano
    assert stages[-1].end_time_unix_nano <= call.end_time_unix_nano + slack


def test_no_span_says_what_was_asked_for(spans: list[Span]) -> None:
    assert spans
    assert not [span for span in spans if SECRET.encode() in span.SerializeToString()]


def test_log_lines_name_people_by_a_keyed_hash_and_say_no_contents(tmp_path: Path) -> None:
    space, names = concept_space(), UserNames("a key")
    store = open_edge(tmp_path / "items", space)
    events = open_events(tmp_path, store)
    with structlog.testing.capture_logs() as lines, running(space, store, events, names=names) as run:
        run.upsert([item("bird/1", text=concept_text("bird", 1).text)])
        part = R.QueryPart(content=content_pb2.Content(text=SECRET))
        asked = R.RecommendRequest(user_id="ann@example.org", parts=[part])
        run.recommendations.Recommend(asked, timeout=30)
        bad = R.RecommendRequest(user_id="ann@example.org", parts=[R.QueryPart(item_id=SECRET)])
        assert failure(lambda: run.recommendations.Recommend(bad, timeout=30)).code == "NOT_FOUND"
    calls = [line for line in lines if line["event"] == "call" and line["method"].endswith("/Recommend")]
    assert [line["user"] for line in calls] == [UserNames("a key")("ann@example.org")] * 2
    assert [line.get("reason") for line in calls] == [None, "NOT_FOUND"]
    said = str(lines)
    assert "ann@example.org" not in said
    assert SECRET not in said
    assert names("ann@example.org") != UserNames()("ann@example.org"), "without a key, one is drawn"
    events.close()
    store.close()
