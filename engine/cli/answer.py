"""Answers of the service as a table, or as JSON lines."""

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from engine.cli.common import can_print_unicode
from engine.cli.named import NO_NAMES, SHOWN_REASONS, Names, title
from engine.core.types import NOTABLE
from triveni.client.events import kind_of
from triveni.client.reading import item_part
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2

Answer = recommendation_pb2.RecommendResponse | recommendation_pb2.SearchResponse

_OF_THE_ITEM = {
    recommendation_pb2.REASON_KIND_POPULAR: "many like it",
    recommendation_pb2.REASON_KIND_FRESH: "it is new",
    recommendation_pb2.REASON_KIND_LEARNED: "learned from what others did",
}
_WORDS = {"text": "text", "image": "picture", "audio": "sound"}


def part_label(part: recommendation_pb2.QueryPart, names: Names = NO_NAMES) -> str:
    """A short name of a query part."""
    source = part.WhichOneof("source")
    if source == "content":
        return f"query {_content_label(part.content)}"
    return f"query {_item_label(part.item_id, names)}" if source == "item_id" else "query vector"


def event_label(event: event_pb2.Event, names: Names = NO_NAMES) -> str:
    """A short name of an event."""
    kind = kind_of(event)
    if event.WhichOneof("target") == "content":
        return f"{kind} {_content_label(event.content)}"
    return f"{kind} {_item_label(event.item_id, names)}"


def _item_label(item_id: str, names: Names) -> str:
    """An item's title; the end of its id where that is not known."""
    return f"“{names.titles[item_id]}”" if item_id in names.titles else item_id.rsplit("/", 1)[-1]


def _earlier_label(event_id: str, names: Names) -> str:
    """A short name of an event that was recorded before."""
    if event_id in names.events:
        return f"earlier {event_label(names.events[event_id], names)}"
    return f"earlier event {event_id[:13]}"


def _content_label(content: content_pb2.Content) -> str:
    kind = content.WhichOneof("content")
    if kind == "text":
        words = content.text if len(content.text) <= 40 else content.text[:39] + "…"
        return f"“{words}”"
    return f"({_WORDS.get(kind or '', 'nothing')})"


def why(
    reasons: Sequence[recommendation_pb2.Reason],
    parts: Sequence[recommendation_pb2.QueryPart],
    history: Sequence[event_pb2.Event],
    names: Names = NO_NAMES,
) -> str:
    """The first reasons in words, such as `like “A robin” 62% by its picture`."""
    said = []
    for reason in reasons[:SHOWN_REASONS]:
        if reason.kind in _OF_THE_ITEM:
            said.append(_OF_THE_ITEM[reason.kind])
            continue
        if reason.event_id:
            label = _earlier_label(reason.event_id, names)
        elif reason.kind == recommendation_pb2.REASON_KIND_QUERY:
            label = part_label(parts[reason.index], names)
        else:
            label = event_label(history[reason.index], names)
        said.append(f"{label} {reason.share:.0%}{_by(reason)}")
    return "; ".join(said)


def _by(reason: recommendation_pb2.Reason) -> str:
    """The words that gave a reason a good part of its weight; else the item's modalities, the strongest first."""
    if reason.words:
        return f" by its words: {', '.join(reason.words)}"
    shares = list(reason.modality_shares)
    strong = sorted((n for n, share in enumerate(shares) if share >= NOTABLE), key=lambda n: -shares[n])
    numbers = [n + 1 for n in strong] or [reason.modality]
    names = [content_pb2.Modality.Name(number).removeprefix("MODALITY_").lower() for number in numbers]
    words = [_WORDS[name] for name in names if name in _WORDS]
    if words and reason.HasField("part") and numbers[0] == reason.modality:
        words[0] = item_part(reason.part).name(words[0])
    return f" by its {' and '.join(words)}" if words else ""


def left_out(skipped: recommendation_pb2.SkippedEvent, names: Names = NO_NAMES) -> str:
    """Which event of the history was not used, and why."""
    if skipped.event_id:
        return f"{_earlier_label(skipped.event_id, names)} was left out: {skipped.reason}"
    return (
        skipped.reason
        if skipped.index < 0
        else f"event {skipped.index} of the history was left out: {skipped.reason}"
    )


def way(stages: Sequence[recommendation_pb2.Stage]) -> str:
    """What a request went through, in one line, such as `history 3 (1.2 ms) → interests 2 (0.4 ms) → …`."""
    return " → ".join(f"{one.name} {one.count:,} ({one.duration.ToNanoseconds() / 1e6:.1f} ms)" for one in stages)


def title_of(result: recommendation_pb2.Recommendation) -> str:
    """What a result is called."""
    return title(result.payload, result.text, result.item_id)


def table(
    caption: str,
    answer: Answer,
    parts: Sequence[recommendation_pb2.QueryPart] = (),
    history: Sequence[event_pb2.Event] = (),
    names: Names = NO_NAMES,
) -> Table:
    """The results of an answer, with the reason of each."""
    categories = any("category" in result.payload.fields for result in answer.results)
    grid = Table(
        title=caption, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False
    )
    grid.add_column("#", justify="right", style="dim")
    grid.add_column("item", overflow="fold")
    if categories:
        grid.add_column("category", style="cyan", overflow="fold")
    grid.add_column("score", justify="right", no_wrap=True)
    told = any(result.HasField("relevance") for result in answer.results)
    if told:
        grid.add_column("relevance", justify="right", no_wrap=True)
    for result in answer.results:
        row: list[str | Text] = [str(result.rank), _item(result, why(result.reasons, parts, history, names))]
        if categories:
            row.append(result.payload.fields["category"].string_value if "category" in result.payload.fields else "")
        relevance = [f"{result.relevance:.2f}"] if told else []
        grid.add_row(*row, f"{result.score:.2f}", *relevance)
    return grid


def _item(result: recommendation_pb2.Recommendation, reason: str) -> Text:
    """An item's title, its id, and why it is shown, each on a line of its own: an id is whole if it fits."""
    name = title_of(result)
    lines = [Text(name)] if name == result.item_id else [Text(name), Text(result.item_id, "cyan")]
    return Text("\n").join([*lines, Text(reason, "dim")] if reason else lines)


def as_json(answer: Answer) -> str:
    """The whole answer as one line of JSON, its keys as in the .proto files; `results` is there without any too."""
    document: dict[str, Any] = MessageToDict(answer, preserving_proto_field_name=True)
    return json.dumps({"results": [], **document}, ensure_ascii=not can_print_unicode())
