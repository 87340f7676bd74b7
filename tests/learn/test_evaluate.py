"""The evaluation as a whole: figures, comparisons, groups, ablation, reports."""

import json
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from encoders.types import Floats, Modality
from engine.catalog.items import ItemTable
from engine.learn import splits
from engine.learn.evaluation.baselines.content import MeanVector
from engine.learn.evaluation.baselines.simple import Markov, Popularity
from engine.learn.evaluation.evaluate import evaluate
from engine.learn.evaluation.options import EvaluateOptions
from engine.learn.evaluation.report import as_document, as_tables, write_html
from engine.learn.evaluation.stats import Draws
from engine.learn.log import EventLog, event_log
from engine.learn.ranker import Cases
from engine.models.errors import TooLittleDataError, TrainingError
from tests.learn.logs import START, clicks, crowd, event, table

LOG = event_log(crowd(users=40))
ITEMS = table([f"i{row}" for row in range(40)])
SPLIT = splits.leave_last_out(LOG, ITEMS)


KEEP_SEEN = EvaluateOptions(leave_seen_out=False)


class Oracle:
    """Knows what is to be predicted."""

    name = "oracle"

    def fit(self, log: EventLog, items: ItemTable) -> None:
        self._size = len(items)

    def score(self, cases: Cases) -> Floats:
        scores = np.zeros((len(cases), self._size), np.float32)
        for case, targets in enumerate(cases.targets):
            scores[case, targets] = 1
        return scores


class Broken(Oracle):
    name = "broken"

    def __init__(self, scores: Floats) -> None:
        self._scores = scores

    def score(self, cases: Cases) -> Floats:
        return self._scores


def test_the_oracle_is_perfect_and_the_difference_is_said() -> None:
    done = evaluate(
        SPLIT, ITEMS, [Popularity(), Oracle(), Markov()], EvaluateOptions(ks=(1, 5), reference="popularity")
    )
    popular, oracle, markov = done.results
    for name in ("ndcg@1", "ndcg@5", "hr@1", "mrr@5", "map@5", "recall@5"):
        assert oracle.metrics[name].mean == pytest.approx(1), name
    assert oracle.metrics["precision@5"].mean == pytest.approx(0.2)
    assert not popular.against
    apart = markov.against["ndcg@5"]
    assert apart.mean == pytest.approx(markov.metrics["ndcg@5"].mean - popular.metrics["ndcg@5"].mean)
    assert apart.low > 0
    assert apart.p_value < 0.01
    assert 0 < popular.metrics["coverage@5"].mean < markov.metrics["coverage@5"].mean <= 1
    assert popular.metrics["novelty@5"].mean < markov.metrics["novelty@5"].mean
    assert (
        done.slice_sizes["all"]
        == done.cases
        == sum(done.slice_sizes[name] for name in ("new users", "short history", "long history"))
    )
    for group, values in markov.slices.items():
        assert values["ndcg@5"].count == done.slice_sizes[group]
    assert not popular.slices_against


def test_each_group_is_compared_with_the_reference() -> None:
    """New people, of whom the Markov chain knows nothing, fare worse with it than by popularity, others better."""
    walk = crowd(users=60)
    random = np.random.default_rng(1)
    new = [event(f"new{n}", f"i{30 + min(int(random.exponential(2)), 9)}", 280 + n / 100) for n in range(40)]
    hits = [event(f"old{n}", f"i{30 + min(int(random.exponential(2)), 9)}", n / 100) for n in range(300)]
    split = splits.by_time(event_log([*walk, *new, *hits]), ITEMS, START.timestamp() + 250 * 3600)
    done = evaluate(split, ITEMS, [Popularity(), Markov()], EvaluateOptions(ks=(5,), reference="popularity"))
    _, markov = done.results
    assert done.slice_sizes["new users"] == 40
    assert markov.slices_against["new users"].high < 0
    assert markov.slices_against["long history"].low > 0
    about = as_document(done)["rankers"][1]["slices_against_reference"]["new users"]  # type: ignore[index,call-overload]
    assert about["count"] == 40  # type: ignore[index,call-overload]
    shown = StringIO()
    for table_ in as_tables(done):
        Console(file=shown, width=80).print(table_)
    said = next(line for line in shown.getvalue().split("by group of cases")[1].splitlines() if "markov" in line)
    assert (said.count(" -"), said.count(" +")) == (1, 1)
    assert "lies above or below zero" in shown.getvalue()


def test_the_batch_changes_nothing() -> None:
    one = evaluate(SPLIT, ITEMS, [Markov()], EvaluateOptions(batch=7)).results[0]
    other = evaluate(SPLIT, ITEMS, [Markov()], EvaluateOptions(batch=1000)).results[0]
    assert one.metrics == other.metrics


def test_seen_items_are_left_out_or_not() -> None:
    log = event_log([*clicks({"ann": "aba", "bob": "abc"})])
    items = splits.items_of(log)
    split = splits.leave_last_out(log, items)
    left = evaluate(split, items, [Oracle()], EvaluateOptions(ks=(1,)))
    assert (left.cases, left.dropped) == (1, 1)  # ann had her target before
    kept = evaluate(split, items, [Oracle()], EvaluateOptions(ks=(1,), leave_seen_out=False))
    assert (kept.cases, kept.dropped) == (2, 0)
    only = splits.leave_last_out(event_log(clicks({"ann": "aba"})), items)
    with pytest.raises(TooLittleDataError, match="no case has a target"):
        evaluate(only, items, [Oracle()])


def test_a_ranker_that_breaks_the_contract_is_named() -> None:
    with pytest.raises(TrainingError, match="broken gave scores"):
        evaluate(SPLIT, ITEMS, [Broken(np.zeros((1, 1), np.float32))])
    with pytest.raises(TrainingError, match="broken: a score is NaN"):
        evaluate(SPLIT, ITEMS, [Broken(np.full((len(SPLIT.cases), 40), np.nan, np.float32))], KEEP_SEEN)


@pytest.mark.parametrize("options", [EvaluateOptions(reference="x"), EvaluateOptions(ks=(0,))])
def test_wrong_options_are_refused(options: EvaluateOptions) -> None:
    with pytest.raises(TrainingError, match=r"called 'x'|k is"):
        evaluate(SPLIT, ITEMS, [Popularity()], options)
    with pytest.raises(TrainingError, match="two rankers"):
        evaluate(SPLIT, ITEMS, [Popularity(), Popularity()])


def two_modalities() -> ItemTable:
    """Pictures say which taste an item is of; texts say nothing."""
    random = np.random.default_rng(0)
    taste = np.where(np.arange(40)[:, None] < 20, 1.0, -1.0) * np.eye(8)[0] + 0.3 * random.standard_normal((40, 8))
    noise = random.standard_normal((40, 8))
    vectors = {
        modality: (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
        for modality, matrix in ((Modality.TEXT, noise), (Modality.IMAGE, taste))
    }
    return ItemTable(ITEMS.ids, vectors, dict.fromkeys(vectors, np.ones(40, bool)), ITEMS.payloads, ITEMS.indexed_at)


@pytest.mark.parametrize("order", [(Popularity, Markov), (Markov, Popularity)])
def test_the_reference_is_the_best_of_those_it_is_chosen_among(order: tuple[type[Popularity], type[Markov]]) -> None:
    rankers = [Oracle(), *(make() for make in order)]
    done = evaluate(SPLIT, ITEMS, rankers, EvaluateOptions(among=("popularity", "markov", "ease")))
    figures = {one.name: one.metrics["ndcg@10"].mean for one in done.results}
    assert figures["markov"] > figures["popularity"]
    assert done.options.reference == "markov"
    assert [bool(one.against) for one in done.results] == [one.name != "markov" for one in done.results]
    assert evaluate(SPLIT, ITEMS, rankers, EvaluateOptions(among=("ease",))).options.reference == ""
    wanted = EvaluateOptions(reference="popularity", among=("markov",))
    assert evaluate(SPLIT, ITEMS, rankers, wanted).options.reference == "popularity"


def test_what_each_modality_gives_is_measured() -> None:
    done = evaluate(SPLIT, two_modalities(), [MeanVector()], EvaluateOptions(ks=(20,)), ablate=True)
    assert done.cases + done.dropped == len(SPLIT.cases)
    lost = {one.modality: one.difference["ndcg@20"] for one in done.results[0].ablations}
    assert lost[Modality.IMAGE].high < 0
    assert lost[Modality.IMAGE].mean < lost[Modality.TEXT].mean
    assert done.results[0].metrics["diversity@20"].count == done.cases


def test_a_modality_is_left_out_without_learning_anew() -> None:
    class Watched(MeanVector):
        fits = 0

        def fit(self, log: EventLog, items: ItemTable) -> None:
            self.fits += 1
            super().fit(log, items)

    ranker, items = Watched(), two_modalities()
    evaluate(SPLIT, items, [ranker], ablate=True)
    assert ranker.fits == 1
    scores = ranker.score(SPLIT.cases)  # it reads all of it again
    fresh = MeanVector()
    fresh.fit(SPLIT.train, items)
    np.testing.assert_array_equal(scores, fresh.score(SPLIT.cases))


def test_reports(tmp_path: Path) -> None:
    markup = "<script>alert(1)</script>"
    oracle = Oracle()
    oracle.name = markup
    done = evaluate(
        SPLIT, two_modalities(), [oracle, Markov(), MeanVector()],
        EvaluateOptions(ks=(1, 10), reference="markov", draws=Draws(samples=100)),
        ablate=True, left_out=(("als", "implicit is not installed"),), notes={"markov": "it has seen it all"},
    )  # fmt: skip
    document = json.loads(json.dumps(as_document(done), allow_nan=False))
    assert document["rankers"][1]["metrics"]["ndcg@10"]["mean"] == done.results[1].metrics["ndcg@10"].mean
    assert set(document["rankers"][2]["without"]) == {"text", "image"}
    assert [one["note"] for one in document["rankers"]] == [None, "it has seen it all", None]
    assert document["left_out"] == {"als": "implicit is not installed"}
    console = Console(width=200, record=True, file=StringIO())
    for shown in as_tables(done):
        console.print(shown)
    write_html(tmp_path / "deep" / "report.html", done)
    page = (tmp_path / "deep" / "report.html").read_text()
    for text in (console.export_text(), page):
        assert "implicit is not installed" in text
        assert "it has seen it all" in " ".join(text.split())
        assert f"{done.results[1].metrics['ndcg@10'].mean:.4f}" in text
    assert markup not in page
    for outside in ("<script", "http://", "https://", "src=", "@import"):
        assert outside not in page
    assert page.count("<svg") >= 4


def test_the_name_of_a_version_is_whole_in_the_page(tmp_path: Path) -> None:
    version, long = Oracle(), Oracle()
    version.name, long.name = "20261128-185607-feffc1", "scores of somebody else, made long ago.npz"
    done = evaluate(SPLIT, ITEMS, [version, long, Markov()], EvaluateOptions(draws=Draws(samples=10)))
    write_html(tmp_path / "report.html", done)
    page = (tmp_path / "report.html").read_text()
    assert page.count(f">{version.name}<title>") >= 4
    assert f"<title>{long.name}</title>" in page
    (left,) = {int(number) for number in re.findall(r'<rect class="bar" x="(\d+)"', page)}
    assert left > 6.5 * len(version.name)  # it stands before the bars, in letters of 12 pixels


def test_a_group_without_cases_is_left_out() -> None:
    log = event_log([*clicks({"ann": "ab", "bob": "ab"}), event("cy", "a", 50)])
    items = splits.items_of(log)
    done = evaluate(splits.leave_last_out(log, items), items, [Popularity()])
    assert set(done.results[0].slices) == {"short history", "new items"}
