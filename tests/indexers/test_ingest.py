"""Items to points and back, and the digest."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import ContentError
from encoders.types import Audio, Image, Modality, Text
from engine.catalog.ingest import Digest, digest, item_of, point_of
from engine.core.errors import InvalidItemError
from engine.core.payload import check_payload
from engine.core.types import Item, ItemId, Json
from engine.store.base import Point

ITEM = Item(ItemId("1"), (Text("owl"), Image(b"png"), Audio(b"wav")), {"price": 2, "tags": ["a"]})
MEDIA = {Modality.IMAGE: "a/owl.png", Modality.AUDIO: "a/owl.wav"}


def test_point_and_back() -> None:
    vectors = {modality: np.full(4, 0.5, np.float32) for modality in Modality}
    time = datetime(2024, 5, 1, 12, 30, 15, 250_000, UTC)
    point = point_of(ITEM, vectors, media=MEDIA, indexed_at=time)
    assert point.payload == {
        "price": 2,
        "tags": ["a"],
        "_text": "owl",
        "_image": "a/owl.png",
        "_audio": "a/owl.wav",
        "_digest": str(digest(ITEM, MEDIA)),
        "_indexed_at": "2024-05-01T12:30:15.250Z",
    }
    stored = item_of(point)
    assert (stored.id, stored.payload, stored.text, stored.media) == ("1", ITEM.payload, "owl", MEDIA)
    assert set(stored.modalities) == set(Modality)
    assert stored.digest == digest(ITEM, MEDIA)
    assert stored.indexed_at == time


def test_point_of_another_hand_has_no_digest() -> None:
    stored = item_of(Point(ItemId("1"), {}, {"_digest": "x", "_text": 7, "title": "t"}))
    assert (stored.digest, stored.text, stored.indexed_at, stored.payload) == (None, "", None, {"title": "t"})


def test_path_and_bytes_have_one_digest(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"png" * 1_000_000)
    by_path = Item(ItemId("1"), (Image(path),))
    assert digest(by_path) == digest(Item(ItemId("1"), (Image(b"png" * 1_000_000),)))
    with pytest.raises(ContentError, match=r"nothing\.png cannot be read"):
        digest(Item(ItemId("1"), (Image(tmp_path / "nothing.png"),)))


def test_order_of_contents_and_keys_does_not_matter() -> None:
    other = Item(ItemId("2"), ITEM.contents[::-1], {"tags": ["a"], "price": 2})
    assert digest(other) == digest(ITEM)


@pytest.mark.parametrize(
    ("item", "contents", "payload"),
    [
        (Item(ItemId("1"), (Text("owl"), Image(b"png"), Audio(b"wav")), {"price": 3, "tags": ["a"]}), True, False),
        (Item(ItemId("1"), (Text("owl"), Image(b"png"), Audio(b"wav")), {"price": "2", "tags": ["a"]}), True, False),
        (Item(ItemId("1"), (Text("owl"), Image(b"wav"), Audio(b"png")), ITEM.payload), False, True),
        (Item(ItemId("1"), (Text("owl"), Image(b"pngwav")), ITEM.payload), False, True),
        (Item(ItemId("1"), (Text("png"), Image(b"owl"), Audio(b"wav")), ITEM.payload), False, True),
    ],
    ids=["price", "type", "swapped", "joined", "crossed"],
)
def test_difference_shows_in_the_right_part(item: Item, contents: bool, payload: bool) -> None:
    have, want = digest(item), digest(ITEM)
    assert (have.contents == want.contents, have.payload == want.payload) == (contents, payload)


def test_path_is_part_of_the_payload() -> None:
    assert digest(ITEM, MEDIA).contents == digest(ITEM).contents
    assert digest(ITEM, MEDIA).payload != digest(ITEM).payload


def test_digest_is_the_same_in_every_process() -> None:
    code = (
        "from engine.catalog.ingest import digest; from engine.core.types import Item;"
        "from encoders.types import Text;"
        "print(digest(Item('1', (Text('owl'),), {'b': 'ü', 'a': {'y': 1.5, 'x': None}})))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = digest(Item(ItemId("1"), (Text("owl"),), {"a": {"x": None, "y": 1.5}, "b": "ü"}))
    assert out.stdout.strip() == str(here)
    assert Digest.of_payload({"_digest": str(here)}) == here


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(payload=st.dictionaries(st.text("abc", min_size=1), _JSON, max_size=4))
def test_plain_payloads_pass(payload: dict[str, Json]) -> None:
    assert check_payload(payload) is payload
    point = point_of(Item(ItemId("1"), (Text("t"),), payload), {})
    assert item_of(point).payload == payload


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "payload field a.b is nan: send finite numbers or null"),
        (2**63, "send 64-bit integers"),
        (-(2**63) - 1, "send 64-bit integers"),
        ("\ud800", "lone surrogate"),
        (b"bytes", "payload field a.b is a bytes: send plain JSON values"),
        ({1: "x"}, "has a name that is not text"),
        ({"": "x"}, "has a name that is not text"),
        (np.float32(1), "is a float32"),
        ((1, 2), "is a tuple"),
        ({"a": [[object()]]}, "payload field a.b.a is a object"),
    ],
)
def test_other_payloads_are_refused(value: object, message: str) -> None:
    with pytest.raises(InvalidItemError, match=message):
        check_payload({"a": {"b": value}})  # type: ignore[dict-item]
