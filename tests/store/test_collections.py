"""Collections of several spaces side by side, and the alias that says which one serves."""

from pathlib import Path

import pytest

from encoders.errors import SpaceError
from engine.errors import NotFoundError, StoreError
from engine.store.collections import (
    CollectionInfo,
    Collections,
    EdgeCollections,
    ServerCollections,
    collections,
    open_store,
)
from tests.store.implementations import DIMENSION, FINGERPRINT, MODALITIES, OTHER, everything, point

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")


@pytest.fixture(params=["edge", "local"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Collections:
    return EdgeCollections(tmp_path) if request.param == "edge" else ServerCollections(":memory:")


def test_a_new_space_is_indexed_beside_the_old_one_and_switched(held: Collections) -> None:
    assert held.current("items") is None
    assert held.all() == []
    old = open_store(held, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    old.upsert([point("a", 1)])
    assert held.current("items") == FINGERPRINT

    with pytest.raises(SpaceError, match=f"items serves space {FINGERPRINT}, but space {OTHER} is running") as caught:
        open_store(held, "items", fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES)
    assert caught.value.status == "FAILED_PRECONDITION"
    new = open_store(held, "items", fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES, beside=True)
    new.upsert([point("b", 2)])
    assert held.current("items") == FINGERPRINT
    assert held.all() == [CollectionInfo("items", FINGERPRINT, True), CollectionInfo("items", OTHER, False)]

    held.switch("items", OTHER)
    assert held.all() == [CollectionInfo("items", FINGERPRINT, False), CollectionInfo("items", OTHER, True)]
    assert list(everything(old)) == ["a"]
    old.close()
    new.close()
    again = open_store(held, "items", fingerprint=OTHER, dimension=DIMENSION, modalities=MODALITIES)
    assert list(everything(again)) == ["b"]
    again.close()
    with pytest.raises(NotFoundError, match="no collection items-777777777777: index the catalogue"):
        held.switch("items", "7" * 32)
    assert held.current("items") == OTHER
    held.close()


def test_the_collection_that_serves_opens_without_its_space(held: Collections) -> None:
    assert held.open_current("items") is None
    store = open_store(held, "items", fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
    store.upsert([point("a", 1)])
    store.close()
    again = held.open_current("items")
    assert again is not None
    assert (again.fingerprint, again.dimension, set(again.modalities)) == (FINGERPRINT, DIMENSION, set(MODALITIES))
    assert list(everything(again)) == ["a"]
    again.close()
    held.close()


def test_names_do_not_mix(held: Collections) -> None:
    for name in ("items", "items-two"):
        store = open_store(held, name, fingerprint=FINGERPRINT, dimension=DIMENSION, modalities=MODALITIES)
        store.upsert([point(name, 1)])
        store.close()
    assert held.all() == [CollectionInfo("items", FINGERPRINT, True), CollectionInfo("items-two", FINGERPRINT, True)]
    held.close()


def test_a_broken_alias_says_so(tmp_path: Path) -> None:
    (tmp_path / "items.alias.json").write_text("{")
    with pytest.raises(StoreError, match=r"items\.alias\.json cannot be read .*: remove it, and switch again"):
        collections("edge", path=tmp_path).current("items")
