"""The demo's parts: the catalogue of stamps, the questions, the page."""

import re

from engine.cli.answer import table, why
from engine.cli.demo import questions, report
from engine.cli.demo.catalog import rows
from tests.tiny import make_png, make_wav
from triveni.v1 import content_pb2, event_pb2, item_pb2, recommendation_pb2


def stamps(folder):
    """A folder in the manner of the Tux Paint stamps."""
    birds = folder / "animals" / "birds"
    birds.mkdir(parents=True)
    make_png(birds / "owl.png")
    make_wav(birds / "owl.wav")
    make_wav(birds / "owl_desc.wav")
    (birds / "owl.txt").write_text("An owl.\nde.utf8=Eine Eule.\n")
    make_png(birds / "untitled.png")
    (birds / "unpictured.txt").write_text("A ghost.\n")
    food = folder / "food"
    food.mkdir()
    make_png(food / "apple.png")
    (food / "apple.txt").write_text("An apple.\n")
    return folder


def test_catalogue_lists_titled_pictures_with_their_own_sounds(tmp_path):
    owl, apple = rows(stamps(tmp_path))
    assert owl == {
        "id": "animals/birds/owl",
        "text": "An owl.",
        "image": "animals/birds/owl.png",
        "audio": "animals/birds/owl.wav",
        "title": "An owl.",
        "category": "animals",
        "group": "animals/birds",
    }
    assert apple["id"] == "food/apple"
    assert "audio" not in apple


def stored(row):
    item = item_pb2.StoredItem(
        id=row["id"], text=row["text"], image_path=row["image"], audio_path=row.get("audio", "")
    )
    item.payload.update({"title": row["title"], "category": row["category"]})
    return item


def test_questions_of_any_catalogue_ask_by_text_picture_sound_history_and_filter(tmp_path):
    items = {row["id"]: stored(row) for row in rows(stamps(tmp_path))}
    asked = questions.questions(questions.picks_of(list(items.values())), items, tmp_path)
    parts = [question.request.parts[0].content.WhichOneof("content") for question in asked if question.request.parts]
    assert parts == ["text", "image", "audio"]
    mixed, filtered = asked[-2:]
    kinds = {event_pb2.EventKind.Name(event.kind) for event in mixed.request.history}
    assert {"EVENT_KIND_SEARCH", "EVENT_KIND_CLICK", "EVENT_KIND_LIKE", "EVENT_KIND_DISLIKE"} <= kinds
    media = {event.content.WhichOneof("content") for event in mixed.request.history if event.HasField("content")}
    assert media == {"text", "image", "audio"}
    assert filtered.request.history == mixed.request.history
    assert filtered.request.filter.match.field == "category"


def test_catalogue_without_sounds_or_categories_leaves_those_questions_out(tmp_path):
    item = item_pb2.StoredItem(id="a", text="only words")
    asked = questions.questions(questions.picks_of([item]), {"a": item}, tmp_path)
    assert [bool(question.request.parts) for question in asked] == [True, False]


def answer():
    message = recommendation_pb2.RecommendResponse(tier="retrieval")
    result = message.results.add(item_id="animals/birds/owl", score=2.5, rank=1)
    result.payload.update({"title": "An <owl>", "category": "animals"})
    result.image_path, result.audio_path = "animals/birds/owl.png", "animals/birds/owl.wav"
    result.reasons.add(
        kind=recommendation_pb2.REASON_KIND_QUERY, index=0, modality=content_pb2.MODALITY_IMAGE, share=1.0
    )
    return message


def test_page_holds_thumbnail_player_and_reason_and_escapes_titles(tmp_path):
    items = {row["id"]: stored(row) for row in rows(stamps(tmp_path))}
    question = questions.questions(questions.picks_of(list(items.values())), items, tmp_path)[0]
    page = tmp_path / "out" / "report.html"
    report.write(page, [(question, answer(), 12.3)], items, tmp_path, {"items": "2"})
    html = page.read_text()
    assert "data:image/jpeg;base64," in html
    assert "data:audio/wav;base64," in html
    assert "An &lt;owl&gt;" in html
    assert "100% by its picture" in html
    assert not re.search(r'(src|href)="(?!data:)', html), "the page must need nothing outside itself"


def test_reason_names_the_modalities_that_gave_a_good_part_of_it():
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="a bird"))
    both = answer()
    both.results[0].reasons[0].modality_shares.extend([0.3, 0.6, 0.1])
    assert why(both.results[0].reasons, [part], []) == "query “a bird” 100% by its picture and text"


def test_reason_says_what_answered():
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="a bird"))
    assert why(answer().results[0].reasons, [part], []) == "query “a bird” 100% by its picture"
    assert table("Found", answer(), [part]).row_count == 1
