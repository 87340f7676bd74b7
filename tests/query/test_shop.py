"""What people type in a shop: codes, parts of codes, codes among other words, brands. In the starter spaces."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import shop
from encoders.decoding.limits import DecodeLimits
from encoders.spaces.starter import MULTILINGUAL, load_starter
from encoders.types import Modality, Text
from engine.core.types import ItemId, PolicyOptions, Query, QueryPart, Recommendation
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.store.base import Point
from engine.store.edge import EdgeStore
from tests.encoders.conftest import CACHE

ASKED = shop.asked()
BRANDS = ("brand", "brand and kind")
NOBODYS = "nobody's code"


@pytest.fixture(scope="module", params=["starter", MULTILINGUAL])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    space = load_starter(CACHE, DecodeLimits(), "cpu", 2, name=request.param)
    with tempfile.TemporaryDirectory() as folder:
        store = EdgeStore(
            Path(folder), fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities
        )
        store.index_words(("_text", "brand", "code"))
        items = shop.articles()
        titles = sorted({item.title for item in items})
        vectors = dict(zip(titles, space.encode([*map(Text, titles)]), strict=True))
        store.upsert(
            [
                Point(
                    ItemId(str(row)),
                    {Modality.TEXT: vectors[item.title]},
                    {"_text": item.title, "brand": item.brand, "code": item.code},
                )
                for row, item in enumerate(items)
            ]
        )
        yield Engine(DirectEncoder(space), space.manifest, store)
        store.close()


def ask(engine: Engine, text: str, limit: int, rate: float = 1.0) -> tuple[Recommendation, ...]:
    policy = PolicyOptions(diversity=0.0, max_false_positive_rate=rate)
    return engine.recommend(Query((QueryPart(Text(text)),), limit=limit, policy=policy)).results


@pytest.mark.parametrize("typed", [typed for typed in ASKED if typed not in {*BRANDS, NOBODYS}])
def test_a_code_is_found_first_and_surely_whole_or_in_part_and_among_other_words(engine: Engine, typed: str) -> None:
    for text, right in ASKED[typed][::4]:
        found = ask(engine, text, len(right), rate=0.5)
        assert {int(one.item) for one in found} == {*right}, text


@pytest.mark.parametrize("typed", BRANDS)
def test_a_brand_of_many_items_finds_them(engine: Engine, typed: str) -> None:
    for text, right in ASKED[typed]:
        found = [int(one.item) for one in ask(engine, text, 40)]
        assert shop.share_of_right(found, right) >= 0.8, text


def test_the_code_of_no_item_finds_nothing(engine: Engine) -> None:
    assert not any(ask(engine, text, 1, rate=0.5) for text, _ in ASKED[NOBODYS][::4])
