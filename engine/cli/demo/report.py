"""The demo's page: questions, answers, thumbnails and audio players, in one file that needs no server."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader

from encoders.decoding.decode import decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError
from encoders.types import Image
from engine.cli.answer import title_of, why
from engine.cli.demo import learning
from engine.cli.demo.learning import Learned
from engine.cli.demo.questions import Question
from triveni.v1 import content_pb2, item_pb2, recommendation_pb2

THUMBNAIL = 144
"""The longer side of a thumbnail, in pixels."""

_SOUND_TYPES = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac"}


@dataclass(frozen=True, slots=True)
class Card:
    """What the page shows of an item or a content."""

    title: str
    picture: str = ""
    """A data URI, "" if there is none."""
    sound: str = ""
    badge: str = ""
    detail: str = ""


def write(
    path: Path,
    answers: Sequence[tuple[Question, recommendation_pb2.RecommendResponse, float]],
    items: dict[str, item_pb2.StoredItem],
    root: Path,
    about: dict[str, str],
    learned: Learned | None = None,
) -> None:
    """Write the page, atomically.

    Args:
        path: the page.
        answers: each question with its answer and the milliseconds that it took.
        items: the catalogue by id, to show what was sent.
        root: the folder of the catalogue's media.
        about: what the page's head says of the run: name and value.
        learned: what training changed; None leaves that section out.
    """
    media = _Media(root)
    sections = [
        {
            "caption": question.caption,
            "milliseconds": f"{milliseconds:.0f}",
            "tier": answer.tier,
            "sent": [media.sent(label, target, items) for label, target in question.shown],
            "results": [media.result(result, question.request) for result in answer.results],
        }
        for question, answer, milliseconds in answers
    ]
    template = Environment(loader=PackageLoader("engine.cli.demo", ""), autoescape=True).get_template(
        "report.html.jinja"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(
        template.render(sections=sections, about=about, learned=learned, learning=learning), encoding="utf-8"
    )
    part.replace(path)


class _Media:
    """Data URIs of a catalogue's files, each made once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pictures: dict[str, str] = {}

    def result(self, result: recommendation_pb2.Recommendation, request: recommendation_pb2.RecommendRequest) -> Card:
        category = result.payload.fields["category"].string_value if "category" in result.payload.fields else ""
        return Card(
            title_of(result),
            self._picture(result.image_path),
            self._sound(result.audio_path),
            badge=category,
            detail=f"{result.score:.2f} · {why(result.reasons, request.parts, request.history)}",
        )

    def sent(self, label: str, target: content_pb2.Content | str, items: dict[str, item_pb2.StoredItem]) -> Card:
        if isinstance(target, str):
            item = items[target]
            return Card(item.text or item.id, self._picture(item.image_path), badge=label)
        match target.WhichOneof("content"):
            case "text":
                return Card(f"“{target.text}”", badge=label)
            case "image":
                return Card("", _thumbnail(Image(target.image)), badge=label)
            case _:
                return Card("", sound=_uri("audio/ogg", target.audio), badge=label)

    def _picture(self, relative: str) -> str:
        if relative and relative not in self._pictures:
            self._pictures[relative] = _thumbnail(Image(self._root / relative))
        return self._pictures.get(relative, "")

    def _sound(self, relative: str) -> str:
        if not relative:
            return ""
        path = self._root / relative
        return _uri(_SOUND_TYPES.get(path.suffix.lower(), "audio/ogg"), path.read_bytes())


def _thumbnail(image: Image) -> str:
    try:
        picture = decode_image(image, DecodeLimits(), size=THUMBNAIL)
    except ContentError:
        return ""
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return _uri("image/jpeg", file.getvalue())


def _uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
