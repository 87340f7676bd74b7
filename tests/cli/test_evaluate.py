"""`triveni evaluate`, as it is typed; only the space is the tiny one."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from encoders.errors import TriveniError
from engine import opening
from engine.catalog.ingest import digest, point_of
from engine.catalog.items import read_items
from engine.cli import app
from engine.cli.evaluate_versions import lists_before, served_lists
from engine.config.settings import load_settings
from engine.core.types import Event, EventKind, Item, ItemId, UserId
from engine.events.files import export_events, read_events
from engine.events.rows import Line
from engine.events.types import ASKED, MODEL, Impression, UserEvent
from engine.learn.fit import FitSettings, fit
from engine.learn.log import event_log, user_events
from engine.learn.network.train import TrainSettings
from engine.learn.rows.dataset import RowSettings
from engine.learn.splits import by_time, items_of, leave_last_out
from engine.learn.training_data import read_training_data
from engine.learn.window import TimeWindow
from engine.models.card import CardDraft
from engine.rerank.version import KIND, save_version
from tests.learn.logs import START, crowd, event
from tests.tiny import CONCEPTS, concept_space, concept_text

FAST = ("--ranker", "popularity", "--ranker", "markov")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda settings: concept_space())
    return tmp_path


def write(name: str, events: list[UserEvent]) -> str:
    export_events(Path(name), events)
    return name


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *arguments])


def document(*arguments: str) -> dict[str, object]:
    done = run(*arguments, "--json", "-")
    assert done.exit_code == 0, (done.output, done.exception)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_a_file_is_evaluated_and_reported(folder: Path) -> None:
    file = write("events.parquet", crowd())
    done = run(file, *FAST, "--k", "5", "--k", "10", "--report", "out.html", "--json", "out.json")
    assert done.exit_code == 0, (done.output, done.exception)
    told = json.loads((folder / "out.json").read_text())
    assert [one["name"] for one in told["rankers"]] == ["popularity", "markov"]
    assert told["reference"] == "markov"
    assert told["ks"] == [5, 10]
    assert "<svg" in (folder / "out.html").read_text()
    assert "markov" in done.output
    assert "out.html" in done.output


def test_every_split(folder: Path) -> None:
    events = sorted(crowd(), key=lambda one: one.event.time or START)
    file = write("events.csv", events)
    assert document(file, *FAST, "--split", "time", "--at", "2026-01-08")["split"] == "time"
    assert document(file, *FAST, "--split", "hidden-items", "--share", "0.2")["slices"]["new items"] > 10  # type: ignore[index]
    train, valid = write("train.jsonl", events[:500]), write("valid.jsonl", events[500:600])
    test = write("test.jsonl", events[600:])
    told = document(train, *FAST, "--split", "ready", "--valid", valid, "--test", test)
    assert (told["split"], told["events"]) == ("ready-made", 600)


def test_the_stores_events_and_the_catalogues_items_are_used(folder: Path) -> None:
    index(CONCEPTS)
    settings = load_settings()
    events = opening.open_events(settings)
    events.record([event(f"p{one}", CONCEPTS[(one + step) % 12], step) for one in range(12) for step in range(4)])
    events.log_impressions(
        [Impression("r1", UserId("p1"), (ItemId("bird"), ItemId("car")), (1, 2), (1.0, 1.0), "m", "full", START)]
    )
    click = Event(EventKind.CLICK, ItemId("car"), time=datetime(2026, 2, 1, tzinfo=UTC), request_id="r1")
    events.record([UserEvent(UserId("p1"), click)])
    events.close()
    told = document("--ranker", "mean-vector", "--ranker", "tf-idf", "--ablate")
    assert told["items"] == 12
    assert told["shown"]["click-through rate"]["mean"] == 0.5  # type: ignore[index]
    assert document(*FAST, "--no-catalog")["items"] == 12
    stranger = write("other.csv", [event("ann", "x", 0), event("ann", "y", 1)])
    assert "--no-catalog" in str(run(stranger, *FAST).exception)


def test_bad_lines_are_told_and_left_out(folder: Path) -> None:
    file = write("events.jsonl", crowd())
    with Path(file).open("a") as lines:
        lines.write("no event\n")
    done = run(file, *FAST)
    assert done.exit_code == 0
    assert "line 721" in done.output
    assert "1 lines are no events" in done.output


def index(names: Sequence[str]) -> None:
    """Put items of these names into the catalogue."""
    settings, space = load_settings(), concept_space()
    items = [Item(ItemId(name), (concept_text(name),), {"title": name}) for name in names]
    vectors = space.encode([one.contents[0] for one in items])
    with closing(opening.open_store(settings, space)) as store:
        store.upsert(
            [
                point_of(one, {one.contents[0].modality: vector}, digest_=digest(one))
                for one, vector in zip(items, vectors, strict=True)
            ]
        )


def record(*, users: int = 60) -> None:
    """People who walk through the concepts; then each is served two lists by one of two versions."""
    lot = np.random.default_rng(0)
    with closing(opening.open_events(load_settings())) as events:
        events.record(
            [event(f"p{one}", CONCEPTS[(one + step) % 12], step) for one in range(users) for step in range(4)]
        )
        for one in range(users):
            for number in range(2):
                request, time = f"r{one}-{number}", START + timedelta(days=9, minutes=one + number)
                items = tuple(ItemId(CONCEPTS[row]) for row in lot.permutation(12)[:3])
                model = ("new", "old")[one % 2]
                shown = Impression(request, UserId(f"p{one}"), items, (1, 2, 3), (1 / 12,) * 3, model, "full", time)
                events.log_impressions([shown])
                if lot.random() < (0.9, 0.2)[one % 2]:
                    click = Event(EventKind.CLICK, items[0], time=time + timedelta(minutes=1), request_id=request)
                    events.record([UserEvent(UserId(f"p{one}"), click)])


def train(until: datetime) -> str:
    """A version that learned until a time is put into the registry."""
    settings, space = load_settings(), concept_space()
    with closing(opening.open_store(settings, space)) as store:
        items = read_items(store)
    with closing(opening.open_events(settings)) as events:
        log = event_log(events.export(until=until))
    training = TrainSettings(epochs=1, batch=32)
    fitted = fit(log, items, FitSettings(rows=RowSettings(steps=4), training=training, towers=None, width=16))
    draft = CardDraft(kind=KIND, fingerprint=space.fingerprint, data_until=datetime.fromtimestamp(log.time[-1], UTC))
    return opening.registry(settings).create(draft, lambda folder: save_version(fitted.version, folder)).version


def test_a_version_and_the_pipeline_beside_the_baselines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EPOCHS": "1", "TOWER_EPOCHS": "1", "WIDTH": "16", "STEPS": "3"}.items():
        monkeypatch.setenv(f"TRIVENI_LEARN__{name}", value)
    index(CONCEPTS)
    record()
    until = START + timedelta(days=8)
    version = train(until)
    opening.registry(load_settings()).change(lambda pointer: pointer.promoted(version))
    later = ("--split", "time", "--at", until.isoformat())
    done = run(*FAST, *later, "--version", "serving", "--ablate", "--report", "out.html", "--json", "out.json")
    assert done.exit_code == 0, (done.output, done.exception)
    told = json.loads((folder / "out.json").read_text())
    assert [(one["name"], one["note"]) for one in told["rankers"]] == [
        ("popularity", None), ("markov", None), (version, None)
    ]  # fmt: skip
    assert set(told["rankers"][2]["without"]) == {"text"}
    (served,) = told["served"]
    assert (served["version"], served["lists"], served["left_out"]) == (version, 120, 0)
    assert set(served["estimates"]["click-through rate"]) == {"ips", "snips", "dr", "effective"}
    assert served["observed"]["click-through rate"]["mean"] == told["shown"]["click-through rate"]["mean"]
    page = (folder / "out.html").read_text()
    for text in (page, done.output):
        assert "SNIPS" in text
        assert "calibration error" in text

    seen = run(*FAST, "--version", version, "--learned", "--json", "out.json")
    assert seen.exit_code == 0, (seen.output, seen.exception)
    told = json.loads((folder / "out.json").read_text())
    assert [one["name"] for one in told["rankers"]] == ["popularity", "markov", version, "learned"]
    assert "it has seen what it is to predict" in told["rankers"][2]["note"]
    assert "warning" in seen.output
    with pytest.raises(TriveniError, match="no model version 'x'"):
        raise run(*FAST, "--version", "x").exception or AssertionError
    with pytest.raises(TriveniError, match="there is none"):
        raise run(*FAST, "--no-catalog", "--version", version).exception or AssertionError


def test_two_versions_are_compared_by_what_followed(folder: Path) -> None:
    record()
    for versions in ((), ("--version", "new", "--version", "old")):
        done = run("--ab", *versions, "--report", "ab.html", "--json", "ab.json")
        assert done.exit_code == 0, (done.output, done.exception)
        told = json.loads((folder / "ab.json").read_text())
        assert {told["ours"]["version"], told["theirs"]["version"]} == {"new", "old"}
        assert told["apart"]["click-through rate"]["p_value"] < 0.01
        for text in (done.output, (folder / "ab.html").read_text()):
            assert "click-through rate" in text
    assert told["apart"]["click-through rate"]["low"] > 0
    assert run("--ab", "--version", "new").exit_code == 2
    assert run("x.csv", "--ab").exit_code == 2
    with pytest.raises(TriveniError, match="no list of other"):
        raise run("--ab", "--version", "other", "--version", "old").exception or AssertionError


def test_what_may_be_learned_from_is_written_for_scores_made_elsewhere(folder: Path) -> None:
    file = write("events.csv", crowd())
    done = run(file, "--write-train", "train.csv")
    assert done.exit_code == 0, (done.output, done.exception)
    log = event_log(line.event for line in read_events(Path("train.csv")) if isinstance(line, Line))
    kept = leave_last_out(event_log(crowd()), items_of(event_log(crowd()))).train
    assert list(user_events(log)) == list(user_events(kept))


@pytest.mark.parametrize(
    "arguments",
    [
        ("x.csv", "--split", "ready"),
        ("x.csv", "--test", "y.csv"),
        ("x.csv", "--at", "2026-01-01"),
        ("x.csv", "--share", "2"),
        ("x.csv", "--k", "0"),
    ],
)
def test_wrong_calls_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.csv",), "no file of events at gone.csv"),
        (("few.csv",), "nobody has a positive event"),
        (("many.csv", "--ranker", "sasrec"), "there is no baseline 'sasrec'"),
        (("many.csv", "--ranker", "mean-vector"), "no item has a vector"),
        (("many.csv", "--catalog"), "there is no catalogue"),
        (("many.csv", "--ranker", "popularity", "--reference", "x"), "no ranker is called 'x'"),
        ((), "there are no events in the event store"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], said: str) -> None:
    write("few.csv", [event("ann", "a", 0)])
    write("many.csv", crowd(users=6))
    done = run(*arguments)
    assert isinstance(done.exception, TriveniError)
    assert said in str(done.exception)


def test_an_unknown_ranker_is_refused_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open_space", "store_collections", "open_events"):
        monkeypatch.setattr(opening, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    done = run("gone.csv", "--ranker", "popularity", "--ranker", "ease-markow")
    assert isinstance(done.exception, TriveniError)
    assert "there is no baseline 'ease-markow': use popularity, markov" in str(done.exception)
    assert "the nearest is ease-markov" in str(done.exception)


def test_names_of_earlier_releases(folder: Path) -> None:
    file = write("events.csv", crowd(users=30))
    told = document(file, "--ranker", "ease + markov", "--ranker", "popularity", "--reference", "ease + markov")
    assert [one["name"] for one in told["rankers"]] == ["popularity", "ease-markov"]  # type: ignore[attr-defined]
    assert told["reference"] == "ease-markov"


def test_since_leaves_out_what_happened_before(folder: Path) -> None:
    events = crowd()
    file, middle = write("events.csv", events), sorted(one.event.time or START for one in events)[len(events) // 2]
    younger = sum((one.event.time or START) >= middle for one in events)
    split = ("--split", "time", "--share", "0.2")
    told = document(file, *FAST, *split, "--since", middle.isoformat())
    assert told["events"] == younger - int(younger * 0.2)  # all that is left is learned from, or predicted
    assert document(file, *FAST, *split, "--since", "2026-01-01")["events"] == document(file, *FAST, *split)["events"]
    assert document(file, *FAST, *split, "--since", "5000d")["events"] == document(file, *FAST, *split)["events"]
    late = run(file, *FAST, "--since", "2100-01-01")
    assert "there are no events in events.csv from 2100-01-01 00:00 UTC on" in str(late.exception)
    assert run(file, *FAST, "--since", "lately").exit_code == 2
    record()
    served = START + timedelta(days=9, minutes=30)
    lists = []
    for begin in ((), ("--since", served.isoformat())):
        assert run("--ab", *begin, "--json", "ab.json").exit_code == 0
        told = json.loads((folder / "ab.json").read_text())
        lists.append(told["ours"]["lists"])
    assert lists == [59, 30]
    assert datetime.fromisoformat(told["since"]) >= served  # type: ignore[arg-type]


def test_versions_get_the_lists_since_then_that_were_served_before_the_split(folder: Path) -> None:
    index(CONCEPTS)
    record()
    settings, begin = load_settings(), START + timedelta(days=9, minutes=20)
    asked = Impression(
        "asked", UserId("p1"), (ItemId(CONCEPTS[0]),), (1,), (1.0,), "m", "full", begin, {ASKED: "query"}
    )
    named = replace(asked, request_id="named", context={MODEL: "m"})
    with closing(opening.open_events(settings)) as events:
        events.log_impressions([asked, named])
        log = event_log(events.export())
    with closing(opening.open_store(settings, concept_space())) as store:
        items = read_items(store)
    parted = by_time(log, items, (begin + timedelta(minutes=20)).timestamp())
    every, some = (lists_before(settings, parted, since) for since in (None, begin))
    assert [one for one in every if one.time >= begin] == some
    assert 0 < len(some) < len(every) < 120
    assert max(one.time.timestamp() for one in every) < parted.cases.time.min()
    assert not {"asked", "named"} & {one.request_id for one in every}
    counted = {one.impression.request_id for one in served_lists(settings)}
    assert "asked" in counted and "named" not in counted
    window = TimeWindow(None, START + timedelta(days=99))
    learned = {one.request_id for one in read_training_data(settings, concept_space(), items, window).impressions}
    assert learned and not {"asked", "named"} & learned


def test_only_good_ratings_count() -> None:
    rows = [
        event(one.user, one.event.item or "", hour, EventKind.RATE, 1 + hour % 5) for hour, one in enumerate(crowd())
    ]
    file = write("rated.csv", rows)
    every, good = document(file, *FAST), document(file, *FAST, "--kind", "rate", "--min-value", "4")
    assert every["events"] != good["events"]


def test_a_kind_of_the_settings_counts(folder: Path) -> None:
    """Of the same events under another name, all figures are the same; where nobody declares it, it is left out."""
    (folder / "triveni.toml").write_text('[events.kinds.add_to_cart]\nweight = 1.5\nsign = "positive"\n')
    clicked = sorted(crowd(), key=lambda one: str(one.event.time))  # as the store orders them
    carts = [replace(one, event=replace(one.event, kind="add_to_cart")) for one in clicked]
    of_carts, of_clicks = write("carts.csv", carts), write("clicks.csv", clicked)
    expected = figures(of_clicks)
    assert figures(of_carts) == figures(of_carts, "--kind", "add_to_cart") == expected  # it is positive: it counts
    with closing(opening.open_events(load_settings())) as events:
        events.record(carts)
    assert figures() == expected
    (folder / "triveni.toml").unlink()
    done = run("--kind", "add_to_cart")
    assert done.exit_code == 2
    assert "event kind 'add_to_cart' is unknown" in " ".join(done.output.split())
    left = run(*FAST)
    assert (left.exit_code, str(left.exception)[:31]) == (1, "there are no events in the even")
    assert (
        f"{len(carts):,} events of kinds that are not declared in events.kinds: add_to_cart: left out" in left.output
    )


def figures(*arguments: str) -> list[object]:
    return [one["metrics"] for one in document(*arguments, *FAST)["rankers"]]  # type: ignore[attr-defined]
