"""What the demo asks the server."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.cli import request
from triveni.client.events import kind_of
from triveni.v1 import content_pb2, event_pb2, filter_pb2, item_pb2, recommendation_pb2


@dataclass(frozen=True, slots=True)
class Picks:
    """The items that the questions are about, by their ids; "" where the catalogue has none such."""

    words: str
    """What is searched for in words."""
    pictured: str
    """Its picture is searched with."""
    heard: str
    """Its sound is searched with."""
    searched: str
    """A search text in the person's history."""
    clicked: str
    liked: str
    uploaded_picture: str
    uploaded_sound: str
    disliked: str
    filter_field: str
    filter_value: str


TUX_PAINT = Picks(
    words="a bird that sings",
    pictured="animals/birds/owl",
    heard="animals/birds/rooster",
    searched="musical instruments",
    clicked="hobbies/music/string/violin",
    liked="animals/birds/blackbird",
    uploaded_picture="food/fruit/apple_red",
    uploaded_sound="animals/mammals/bovines/ram",
    disliked="vehicles/auto/sportscar",
    filter_field="category",
    filter_value="animals",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and how it is shown to a reader."""

    caption: str
    request: recommendation_pb2.RecommendRequest
    shown: tuple[tuple[str, content_pb2.Content | str], ...] = field(default=())
    """Label and content, or item id, of everything that was sent."""


def picks_of(items: Sequence[item_pb2.StoredItem]) -> Picks:
    """Choose items of any catalogue: the first of each kind, far from each other in the listing."""

    def nth(found: list[item_pb2.StoredItem], at: int) -> item_pb2.StoredItem:
        return found[at * len(found) // 8] if found else item_pb2.StoredItem()

    texts = [item for item in items if item.text]
    pictures = [item for item in items if item.image_path]
    sounds = [item for item in items if item.audio_path]
    keyword = next(
        (
            (name, value.string_value)
            for item in items
            for name, value in item.payload.fields.items()
            if name == "category" and value.string_value
        ),
        ("", ""),
    )
    return Picks(
        words=nth(texts, 0).text,
        pictured=nth(pictures, 1).id,
        heard=nth(sounds, 1).id,
        searched=nth(texts, 3).text,
        clicked=nth(list(items), 4).id,
        liked=nth(list(items), 5).id,
        uploaded_picture=nth(pictures, 6).id,
        uploaded_sound=nth(sounds, 6).id,
        disliked=nth(list(items), 7).id,
        filter_field=keyword[0],
        filter_value=keyword[1],
    )


def questions(picks: Picks, items: dict[str, item_pb2.StoredItem], root: Path, limit: int = 8) -> list[Question]:
    """The questions that these picks allow, in the order in which they are asked."""

    def picture(item_id: str) -> content_pb2.Content | None:
        path = items[item_id].image_path if item_id in items else ""
        return request.picture(root / path) if path else None

    def sound(item_id: str) -> content_pb2.Content | None:
        path = items[item_id].audio_path if item_id in items else ""
        return request.sound(root / path) if path else None

    asked = []
    for caption, label, content, own in (
        (f"Text search: “{picks.words}”", "the words", request.text(picks.words) if picks.words else None, ""),
        (
            f"Picture search, with the picture of {picks.pictured}",
            "the picture",
            picture(picks.pictured),
            picks.pictured,
        ),
        (f"Sound search, with the sound of {picks.heard}", "the sound", sound(picks.heard), picks.heard),
    ):
        if content is not None:
            policy = recommendation_pb2.PolicyOptions(exclude_item_ids=[own] if own else [])
            asked.append(
                Question(
                    caption,
                    recommendation_pb2.RecommendRequest(parts=[request.part(content)], limit=limit, policy=policy),
                    ((label, content),),
                )
            )
    history = _history(picks, items, picture(picks.uploaded_picture), sound(picks.uploaded_sound))
    shown = tuple((_kind(event), event.content if event.HasField("content") else event.item_id) for event in history)
    # What was uploaded is in the catalogue, too: to find it again would be no feat.
    uploads = [item_id for item_id in (picks.uploaded_picture, picks.uploaded_sound) if item_id]
    policy = recommendation_pb2.PolicyOptions(exclude_item_ids=uploads)
    asked.append(
        Question(
            "Recommended, from a history of " + ", ".join(label for label, _ in shown),
            recommendation_pb2.RecommendRequest(history=history, limit=limit + 4, policy=policy),
            shown,
        )
    )
    if picks.filter_field:
        only = filter_pb2.Match(field=picks.filter_field, value=filter_pb2.Scalar(string_value=picks.filter_value))
        asked.append(
            Question(
                f"The same history, only {picks.filter_field} = {picks.filter_value}",
                recommendation_pb2.RecommendRequest(
                    history=history, limit=limit, policy=policy, filter=filter_pb2.Filter(match=only)
                ),
                shown,
            )
        )
    return asked


def _history(
    picks: Picks,
    items: dict[str, item_pb2.StoredItem],
    picture: content_pb2.Content | None,
    sound: content_pb2.Content | None,
) -> list[event_pb2.Event]:
    history = [request.event("search", request.text(picks.searched))] if picks.searched else []
    for kind, item_id in (("click", picks.clicked), ("like", picks.liked)):
        if item_id in items:
            history.append(request.event(kind, item_id))
    history += [request.event("upload", content) for content in (picture, sound) if content is not None]
    if picks.disliked in items:
        history.append(request.event("dislike", picks.disliked))
    return history


def _kind(event: event_pb2.Event) -> str:
    kind = kind_of(event)
    if not event.HasField("content"):
        return f"a {kind}"
    word = {"image": " of a picture", "audio": " of a sound"}.get(event.content.WhichOneof("content") or "", "")
    return f"{'an' if kind[0] in 'aiou' else 'a'} {kind}{word}"
