"""Kinds of events that a deployment declares, in every event store, and when it declares them no longer."""

from pathlib import Path

import pytest

from engine.core.deadline import Deadline
from engine.core.kinds import Sign
from engine.core.types import Event, ItemId, Query
from engine.events.check import EventLimits
from engine.events.files import RowReader, export_events, import_events, read_events
from engine.events.history import StoredHistory
from engine.events.report import check_events
from engine.events.settings import KindSettings, all_kinds
from engine.events.types import OutcomeKind, UserEvent
from tests.events.stores import ANN, NOW, ago, click, kinds, open_store, plain, whole_history

KINDS = all_kinds({"add_to_cart": KindSettings(weight=1.5, sign=Sign.POSITIVE)}, {})
LIMITS = EventLimits(kinds=KINDS)


def cart(name: str, hours: float = 1, kind: str = "add_to_cart") -> UserEvent:
    return UserEvent(ANN, Event(kind, ItemId("bird"), time=ago(hours=hours), id=name, value=2.0, request_id="r"))


def test_a_declared_kind_is_kept_like_any_other(url: str, tmp_path: Path) -> None:
    store = open_store(url, limits=LIMITS)
    sent = [cart("c1"), click(name="1", time=ago(hours=2)), cart("c2", 3)]
    assert kinds(store.record(sent)) == [OutcomeKind.RECORDED] * 3
    assert kinds(store.record(sent)) == [OutcomeKind.DUPLICATE] * 3
    assert [plain(one) for one in whole_history(store)] == [plain(one.event) for one in sent]
    assert [one.id for one in store.history(ANN, kinds=["add_to_cart"]).events] == ["c1", "c2"]
    assert store.stats().kinds == {"click": 1, "add_to_cart": 2}
    assert (store.recent_kinds(), store.recent_kinds(1)) == ({"click", "add_to_cart"}, {"add_to_cart"})
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert export_events(tmp_path / name, store.export()) == 3
        lines = read_events(tmp_path / name, RowReader(declared=KINDS))
        assert import_events(store, lines, lambda line: pytest.fail(str(line.error))).duplicates == 3
    store.close()


def test_a_kind_that_is_declared_no_longer_is_kept_and_left_out(url: str) -> None:
    before = open_store(url, limits=LIMITS)
    before.record([cart("c1"), click(name="1", time=ago(hours=2), request_id="r")])
    before.close()
    store = open_store(url)
    assert [one.kind for one in whole_history(store)] == ["add_to_cart", "click"]
    assert {one.event.kind for one in store.export()} == {"add_to_cart", "click"}
    assert (store.stats().kinds, store.recent_kinds()) == ({"add_to_cart": 1, "click": 1}, {"add_to_cart", "click"})
    for known, ids in ((KINDS, ["1", "c1"]), (EventLimits().kinds, ["1"])):
        joined = StoredHistory(store, known.weights, 200).join(Query(user=ANN), Deadline())
        assert ([one.id for one in joined.query.history], joined.unread) == (ids, "")
    (refused,) = store.record([cart("c3")])
    assert refused.error is not None
    assert refused.error.field == "kind"
    assert "event kind 'add_to_cart' is unknown: use one of impression, view" in str(refused.error)
    assert "declare it in the settings as [events.kinds.NAME]" in refused.error.remedy
    (found,) = check_events(store.export(), now=NOW).findings
    assert (found.code, found.count) == ("invalid.kind", 1)
    assert check_events(store.export(), now=NOW, limits=LIMITS).findings == ()
    store.close()


def test_a_file_names_a_declared_kind_in_its_own_words(tmp_path: Path) -> None:
    rows = "".join(f"ann,{kind},bird,{ago(hours=1).isoformat()}\n" for kind in ("cart", "ADD_TO_CART", "like"))
    (tmp_path / "a.csv").write_text(f"user_id,kind,item_id,time\n{rows}")
    read = list(read_events(tmp_path / "a.csv", RowReader(kinds={"Cart": "add_to_cart"}, declared=KINDS)))
    assert [line.event.event.kind for line in read] == ["add_to_cart", "add_to_cart", "like"]  # type: ignore[union-attr]
    here = [line.error for line in read_events(tmp_path / "a.csv") if hasattr(line, "error")]
    assert [error.field for error in here] == ["kind", "kind"]


@pytest.mark.parametrize("kind", ["ADD_TO_CART", "add to cart", "", "x" * 1000])
def test_a_store_keeps_no_other_name(url: str, kind: str) -> None:
    store = open_store(url, limits=LIMITS)
    (refused,) = store.record([cart("c", kind=kind)])
    assert refused.kind is OutcomeKind.REJECTED
    assert len(str(refused.error)) < 400
    store.close()
