"""Answers as tables and as JSON."""

import io
import json

import pytest
from rich.console import Console

from engine.cli import answer as answers
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2

IDS = ("animals/birds/owl", "ce2e7e8b-5a58-4cf0-a0d2-8a0e0e0e0e0e", "7", "hobbies/music/string/violin")
TITLE = "A violin and its bow, which somebody made in Cremona around 1712"


def answer() -> recommendation_pb2.RecommendResponse:
    """Results as they come: with and without a title, with long ids, with a reason of two parts."""
    message = recommendation_pb2.RecommendResponse()
    for rank, item_id in enumerate(IDS, 1):
        result = message.results.add(item_id=item_id, score=100 / rank, rank=rank)
        if item_id != "7":
            result.payload.update({"title": TITLE, "category": "instruments"})
        for kind in (recommendation_pb2.REASON_KIND_QUERY, recommendation_pb2.REASON_KIND_EVENT):
            result.reasons.add(kind=kind, index=0, share=0.5, modality_shares=[0.5, 0.5, 0])
    return message


def printed(width: int, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    parts = [recommendation_pb2.QueryPart(content=content_pb2.Content(text="a red bird that sings at night"))]
    history = [event_pb2.Event(kind=event_pb2.EVENT_KIND_LIKE, item_id="animals/birds/robin")]
    console = Console(file=file, width=width, markup=False, emoji=False)
    console.print(answers.table("Found", answer(), parts, history))
    file.flush()
    return file.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [80, 200])
def test_a_table_shows_whole_ids_and_fits(width: int, encoding: str) -> None:
    lines = printed(width, encoding)
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).replace("|", " ").split())
    assert [item_id for item_id in IDS if item_id in words] == list(IDS)
    assert words.count("50% by its text and picture; like robin 50% by its text and picture") == len(IDS)


def test_a_table_fits_a_narrow_terminal() -> None:
    assert max(map(len, printed(40))) <= 40


def test_words_are_named_in_place_of_modalities() -> None:
    query = recommendation_pb2.REASON_KIND_QUERY
    reason = recommendation_pb2.Reason(kind=query, share=1, modality_shares=[1, 0, 0], words=["concerto", "violin"])
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="violin concerto"))
    assert answers.why([reason], [part], []) == "query “violin concerto” 100% by its words: concerto, violin"


def test_json_has_results_also_without_any() -> None:
    assert json.loads(answers.as_json(recommendation_pb2.RecommendResponse())) == {"results": []}
    assert [one["item_id"] for one in json.loads(answers.as_json(answer()))["results"]] == list(IDS)
