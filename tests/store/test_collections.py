"""Collections of several spaces side by side, and the alias that says which one serves."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from encoders.errors import SpaceError
from engine.core.errors import NotFoundError, StoreError, StoreInUseError
from engine.core.types import ItemId
from engine.store.collections import (
    CollectionInfo,
    Collections,
    EdgeCollections,
    ServerCollections,
    collections,
    open_store,
)
from engine.store.layout import Layout
from engine.store.settings import StoreSettings
from engine.store.switching import Switched, switch
from tests.store.implementations import (
    DIMENSION,
    FINGERPRINT,
    MODALITIES,
    NO_SERVER,
    OTHER,
    QDRANT_API_KEY,
    QDRANT_URL,
    SESSION,
    collections_there,
    everything,
    point,
    remove,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")


ITEMS = f"{SESSION}items"
"""The alias; no other's on a live server."""


@pytest.fixture(params=["edge", "local", "server"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Collections]:
    if request.param == "server" and not QDRANT_URL:
        pytest.skip(NO_SERVER)
    elif request.param == "server":
        yield ServerCollections(QDRANT_URL, api_key=QDRANT_API_KEY, layout=Layout(shards=2, replicas=2))
        remove([name for name in collections_there() if name.startswith(ITEMS)])
    else:
        yield EdgeCollections(tmp_path) if request.param == "edge" else ServerCollections(":memory:")


def ours(held: Collections) -> list[CollectionInfo]:
    """Those of this session: a live server may have others."""
    return [one for one in held.all() if one.name.startswith(SESSION)]


def test_a_new_space_is_indexed_beside_the_old_one_and_switched(held: Collections) -> None:
    assert held.current(ITEMS) is None
    assert ours(held) == []
    old = open_store(held, ITEMS, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    old.upsert([point("a", 1)])
    assert held.current(ITEMS) == FINGERPRINT

    with pytest.raises(
        SpaceError, match=f"{ITEMS} serves space {FINGERPRINT[:12]}…, but space {OTHER[:12]}… is running"
    ) as caught:
        open_store(held, ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES)
    assert caught.value.status == "FAILED_PRECONDITION"
    new = open_store(held, ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES, beside=True)
    new.upsert([point("b", 2)])
    assert held.current(ITEMS) == FINGERPRINT
    assert ours(held) == [CollectionInfo(ITEMS, FINGERPRINT, True), CollectionInfo(ITEMS, OTHER, False)]

    held.switch(ITEMS, OTHER)
    assert ours(held) == [CollectionInfo(ITEMS, FINGERPRINT, False), CollectionInfo(ITEMS, OTHER, True)]
    assert list(everything(old)) == ["a"]
    old.close()
    new.close()
    again = open_store(held, ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES)
    assert list(everything(again)) == ["b"]
    again.close()
    with pytest.raises(NotFoundError, match=f"no collection {ITEMS}-777777777777: index the catalogue"):
        held.switch(ITEMS, "7" * 32)
    assert held.current(ITEMS) == OTHER
    held.close()


def switch_to(held: Collections, fingerprint: str) -> Switched:
    return switch(held, ITEMS, fingerprint=fingerprint, dimension=DIMENSION, modalities=MODALITIES)


def test_a_switch_counts_what_the_new_collection_has_not(held: Collections) -> None:
    with closing(open_store(held, ITEMS, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)) as old:
        old.upsert([point("a", 1), point("b", 2), point("c", 3)])
    with pytest.raises(NotFoundError, match="index the catalogue"):
        switch_to(held, OTHER)
    with closing(held.open(ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES)) as new:
        new.upsert([point("b", 2), point("d", 4)])
    done = switch_to(held, OTHER)
    assert (done.before, done.left, {*done.examples}) == (FINGERPRINT, 2, {"a", "c"})
    assert switch_to(held, OTHER) == Switched(OTHER)
    assert switch_to(held, FINGERPRINT) == Switched(OTHER, 1, (ItemId("d"),))
    held.close()


def test_a_collection_that_cannot_be_opened_can_be_switched_away_from(tmp_path: Path) -> None:
    with closing(EdgeCollections(tmp_path)) as edge:
        for fingerprint in (FINGERPRINT, OTHER):
            there = {"fingerprint": fingerprint, "dimension": DIMENSION, "modalities": MODALITIES}
            open_store(edge, ITEMS, **there, beside=fingerprint == OTHER).close()
        serving = edge.current(ITEMS)
        other = OTHER if serving == FINGERPRINT else FINGERPRINT
        (described,) = (path for path in tmp_path.rglob("store.json") if str(serving) in path.read_text())
        shard = described.parent / "shard-0"
        shutil.rmtree(shard)
        shard.write_text("no shard")
        assert switch_to(edge, other) == Switched(serving, None)
        assert edge.current(ITEMS) == other


@pytest.mark.parametrize("held", ["local", "server"], indirect=True)
def test_what_is_written_after_a_switch_is_not_acknowledged(held: Collections) -> None:
    old = open_store(held, ITEMS, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    old.upsert([point("a", 1)])
    new = open_store(held, ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES, beside=True)
    new.upsert([point("a", 1)])
    old.upsert([point("b", 2)])
    assert switch_to(held, OTHER).left == 1
    for write in (lambda: old.upsert([point("c", 3)]), lambda: old.delete([ItemId("a")])):
        with pytest.raises(SpaceError, match="serves no more") as caught:
            write()
        assert caught.value.remedy.startswith("restart the server")
    new.upsert([point("b", 2)])
    for store in (old, new):
        store.close()
    held.close()


def test_nobody_switches_while_a_server_writes_into_the_collection_that_serves(tmp_path: Path) -> None:
    held = EdgeCollections(tmp_path)
    held.open(ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES).close()
    with closing(open_store(held, ITEMS, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)) as old:
        with pytest.raises(StoreInUseError, match="not switched yet") as caught:
            switch_to(held, OTHER)
        assert "`triveni space switch`" in caught.value.remedy
        assert held.current(ITEMS) == FINGERPRINT
        old.upsert([point("late", 1)])
    assert switch_to(held, OTHER).left == 1


def test_the_collection_that_serves_opens_without_its_space(held: Collections) -> None:
    assert held.open_current(ITEMS) is None
    store = open_store(held, ITEMS, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    store.upsert([point("a", 1)])
    store.close()
    again = held.open_current(ITEMS)
    assert again is not None
    assert (again.fingerprint, again.dimension, set(again.modalities)) == (FINGERPRINT, DIMENSION, set(MODALITIES))
    assert list(everything(again)) == ["a"]
    again.close()
    held.close()


def test_names_do_not_mix(held: Collections) -> None:
    for name in (ITEMS, f"{ITEMS}-two"):
        store = open_store(held, name, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
        store.upsert([point(name, 1)])
        store.close()
    assert ours(held) == [CollectionInfo(ITEMS, FINGERPRINT, True), CollectionInfo(f"{ITEMS}-two", FINGERPRINT, True)]
    held.close()


def test_where_media_lie_is_told_of_the_collection_that_serves(held: Collections, tmp_path: Path) -> None:
    assert held.media_root(ITEMS) is None
    with closing(open_store(held, ITEMS, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)):
        assert held.media_root(ITEMS) is None
        for root in (tmp_path / "first", tmp_path / "ein Ordner"):
            held.note_media_root(ITEMS, FINGERPRINT, root)
        assert held.media_root(ITEMS) == tmp_path / "ein Ordner"
    with closing(open_store(held, ITEMS, fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES, beside=True)):
        held.note_media_root(ITEMS, OTHER, tmp_path / "other")
    assert held.media_root(ITEMS) == tmp_path / "ein Ordner"
    held.switch(ITEMS, OTHER)
    assert held.media_root(ITEMS) == tmp_path / "other"
    assert held.open_current(ITEMS) is not None, "the note has changed what the collection says of itself"
    held.note_media_root(ITEMS, OTHER, None)
    assert held.media_root(ITEMS) is None


def test_a_broken_alias_says_so(tmp_path: Path) -> None:
    (tmp_path / "items.alias.json").write_text("{")
    with pytest.raises(StoreError, match=r"items\.alias\.json cannot be read .*: remove it, and switch again"):
        collections(StoreSettings(path=tmp_path)).current("items")
