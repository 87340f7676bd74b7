"""The service's small parts alone: statuses, page tokens, payloads, the stream buffer."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import grpc
import pytest
import structlog
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

import encoders.errors
import engine.core.errors
from encoders.errors import LimitError, TriveniError
from encoders.types import Modality
from engine.core.errors import InvalidQueryError, StoreError
from engine.core.types import ItemId, Recommendation, Recommendations
from engine.service import status
from engine.service.convert import recommend_response
from engine.service.convert.events import EventReader
from engine.service.convert.fields import time_of, timestamp
from engine.service.convert.payload import fill_struct, payload_of
from engine.service.logs import configure_logs
from engine.service.paging import cursor_of, page_token
from engine.service.status import grpc_status, reason_of, shorten
from engine.service.stream_buffer import StreamBuffer
from triveni.v1 import event_pb2

ERRORS = [
    kind
    for module in (encoders.errors, engine.core.errors, status)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, TriveniError) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_a_status(kind: type[TriveniError]) -> None:
    assert kind.status in grpc.StatusCode.__members__
    assert kind.status != "UNKNOWN"
    if kind.status == "INTERNAL":
        assert kind in (TriveniError, status.UnexpectedError)
        return
    found = grpc_status(kind("a problem", "a remedy", field="a.field"), "id")
    assert found.code is grpc.StatusCode[kind.status]
    assert found.details == "a.field: a problem: a remedy"


def test_reason_is_the_class_in_capitals() -> None:
    assert reason_of(LimitError("x")) == "LIMIT"
    assert reason_of(InvalidQueryError("x")) == "INVALID_QUERY"
    assert reason_of(StoreError("x")) == "STORE"


@given(st.text(st.characters(), max_size=2000), st.integers(8, 700))
def test_shortened_text_is_valid_and_short(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short.encode()) <= limit
    if len(text.encode("utf-8", "replace")) <= limit:
        assert short == text.encode("utf-8", "replace").decode()


@given(st.text(st.characters(), max_size=5000))
def test_any_error_fits_the_headers(text: str) -> None:
    found = grpc_status(InvalidQueryError(text, text, field=text), "i" * 128)
    size = sum(len(key) + len(value) * 4 / 3 for key, value in found.trailing_metadata)
    assert size + 3 * len((found.details or "").encode()) < 8_000


@given(st.text(min_size=1), st.binary(), st.binary())
def test_page_tokens(cursor: str, of_list: bytes, of_other: bytes) -> None:
    cursor = cursor.encode("utf-8", "replace").decode()
    token = page_token(cursor, of_list)
    assert cursor_of(token, of_list) == cursor
    if of_list != of_other:
        with pytest.raises(InvalidQueryError, match="page_token"):
            cursor_of(token, of_other)


@given(st.text(min_size=1))
def test_no_text_is_a_page_token(token: str) -> None:
    with pytest.raises(InvalidQueryError, match="begin again"):
        cursor_of(token, b"list")


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53) + 1, (1 << 53) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT.filter(lambda key: not key.startswith("_")), _JSON, max_size=5))
def test_payload_there_and_back(payload: dict[str, object]) -> None:
    message = Struct()
    fill_struct(message, payload)  # type: ignore[arg-type]
    again = Struct.FromString(message.SerializeToString())
    assert payload_of(again) == payload
    reference = Struct()
    reference.update(payload)
    assert again == reference


def test_the_engines_keys_stay_inside() -> None:
    message = Struct()
    fill_struct(message, {"title": "x", "_image": "a.png"})
    assert payload_of(message) == {"title": "x"}


def test_paths_of_a_results_files_reach_the_client() -> None:
    found = Recommendation(ItemId("a"), 1.0, 1, {}, (), {Modality.IMAGE: "a.png"})
    (result,) = recommend_response(Recommendations((found,), "id", "space", "untrained", "retrieval")).results
    assert (result.image_path, result.audio_path) == ("a.png", "")


@given(st.datetimes(timezones=st.timezones()))
def test_time_there_and_back(time: datetime) -> None:
    assert time_of(timestamp(time), "time") == time.astimezone(UTC)


def test_only_small_events_are_remembered() -> None:
    """Thousands of those with a long context would fill the memory."""
    read = EventReader(size=8)
    small, large = (
        event_pb2.Event(kind=event_pb2.EVENT_KIND_LIKE, item_id="a", context={"page": "x" * size})
        for size in (10, 10_000)
    )
    assert read(small) is read(event_pb2.Event.FromString(small.SerializeToString()))
    assert read(large) == read(large)
    assert read(large) is not read(large)


@pytest.mark.parametrize("json_lines", [True, False])
def test_tracebacks_keep_the_values_of_variables_to_themselves(
    json_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What people did stays out of the log, and so do megabytes of numbers."""
    configure_logs("info", json_lines=json_lines)
    try:
        history = ["what somebody did"]
        try:
            raise ZeroDivisionError(f"{len(history)} event")
        except ZeroDivisionError as error:
            structlog.get_logger().error("reranker failed", exc_info=error)
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "test_parts.py" in said
    assert "what somebody did" not in said


class _BrokenError(Exception):
    pass


def test_buffer_hands_on_in_order_and_within_bounds() -> None:
    async def run(count: int, most: int, most_bytes: int, broken: bool) -> tuple[list[int], int]:
        buffer: StreamBuffer[int] = StreamBuffer(most, most_bytes)
        read = taken = waiting = 0

        async def stream() -> AsyncIterator[tuple[int, int]]:
            nonlocal read, waiting
            for message in range(count):
                read += 1
                waiting = max(waiting, read - taken)
                yield message, 10
            if broken:
                raise _BrokenError

        filling = asyncio.create_task(buffer.fill(stream()))
        got: list[int] = []
        while batch := await buffer.take():
            assert len(batch) <= min(most, -(-most_bytes // 10))
            got += batch
            taken = len(got)
            await asyncio.sleep(0)
        if broken:
            with pytest.raises(_BrokenError):
                await filling
        else:
            await filling
        return got, waiting

    for count, most, most_bytes, broken in _cases():
        got, waiting = asyncio.run(run(count, most, most_bytes, broken))
        assert got == list(range(count))
        assert waiting <= 2 * min(most, -(-most_bytes // 10)) + 1


def _cases() -> Iterator[tuple[int, int, int, bool]]:
    for count in (0, 1, 7, 50):
        for most in (1, 3, 100):
            for most_bytes in (1, 25, 10_000):
                for broken in (False, True):
                    yield count, most, most_bytes, broken


def test_buffer_that_is_given_up_does_not_hang() -> None:
    async def run() -> None:
        async def endless() -> AsyncIterator[tuple[int, int]]:
            while True:
                yield 1, 1

        buffer: StreamBuffer[int] = StreamBuffer(2, 100)
        filling = asyncio.create_task(buffer.fill(endless()))
        assert await buffer.take()
        await asyncio.sleep(0)
        filling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(filling, 5)

    asyncio.run(run())
