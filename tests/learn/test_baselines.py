"""Baselines: by hand on small logs, against plain formulas, and against published orders on real data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ml100k
from encoders.types import Modality
from engine.catalog.items import ItemTable
from engine.core.errors import PluginError
from engine.learn import splits
from engine.learn.evaluation.baselines.boosted import LambdaMart, earlier_steps
from engine.learn.evaluation.baselines.built_in import Baseline, BaselineOptions, baselines
from engine.learn.evaluation.baselines.combined import Scores, Sum, standardised
from engine.learn.evaluation.baselines.content import MeanVector, Tfidf, without, words_of
from engine.learn.evaluation.baselines.factors import Als, Bpr
from engine.learn.evaluation.baselines.linear import Ease, ItemKnn, UserKnn, nearest
from engine.learn.evaluation.baselines.matrix import Frame, seen_items
from engine.learn.evaluation.baselines.names import BASELINES, baseline_named
from engine.learn.evaluation.baselines.simple import Markov, Popularity
from engine.learn.evaluation.evaluate import evaluate
from engine.learn.evaluation.options import EvaluateOptions
from engine.learn.evaluation.stats import Draws
from engine.learn.log import event_log
from engine.learn.ranker import Cases, Ranker, Split
from engine.models.errors import TooLittleDataError, TrainingError
from engine.testing import RankerContract
from tests.distributions import add_distribution
from tests.learn.logs import clicks, crowd, event, table

CROWD = event_log(crowd())
TEXTS = [f"{'red' if row < 20 else 'blue'} thing number{row}" for row in range(40)]
ITEMS = table([f"i{row}" for row in range(40)], texts=TEXTS)
SPLIT = splits.leave_last_out(CROWD, ITEMS)
MAKERS: dict[str, Callable[[], Ranker]] = {
    "popularity": Popularity,
    "markov": Markov,
    "item-knn": ItemKnn,
    "user-knn": UserKnn,
    "tf-idf": Tfidf,
    "mean-vector": MeanVector,
    "als": lambda: Als(factors=8),
    "bpr": lambda: Bpr(factors=8, iterations=20),
    "ease": lambda: Ease(regularization=10),
    "ease-markov": lambda: Sum([Ease(regularization=10), Markov()], "ease-markov"),
    "lambdamart": lambda: LambdaMart([Markov(), Ease(regularization=10)], steps=3, rounds=10),
}


def test_every_baseline_has_a_test() -> None:
    assert tuple(MAKERS) == BASELINES


class TestOwn(RankerContract):
    @pytest.fixture(autouse=True, params=MAKERS)
    def named(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param

    def ranker(self) -> Ranker:
        made = MAKERS[self.name]()
        assert made.name == self.name
        return made

    def split(self) -> Split:
        return SPLIT

    def items(self) -> ItemTable:
        return ITEMS


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in {"popularity", "mean-vector", "bpr"}])
def test_who_learns_tastes_beats_popularity_where_there_are_some(name: str) -> None:
    done = evaluate(SPLIT, ITEMS, [MAKERS[name](), Popularity()])
    ours, popularity = (result.metrics["ndcg@10"].mean for result in done.results)
    assert ours > popularity


def test_markov_by_hand() -> None:
    log = event_log(clicks({"ann": "abc", "bob": "ab"}))
    items = splits.items_of(log)  # a, b, c
    ranker = Markov(lags=2, prior=0.5)
    ranker.fit(log, items)
    case = Cases(np.array([1]), np.array([0.0]), (np.flatnonzero(log.user == 1),), (np.array([2]),))
    follows = np.array([[0, 2, 0.5], [0, 0, 1], [0, 0, 0]])
    follows /= follows.sum(axis=1, keepdims=True) + 0.5
    np.testing.assert_allclose(ranker.score(case)[0], follows[1] + follows[0] / 2, rtol=1e-6)


def test_ease_solves_its_problem() -> None:
    """Its weights are the minimum of |X - XB|² + λ|B|² with a zero diagonal: the gradient is zero off it."""
    ranker = Ease(regularization=3)
    ranker.fit(SPLIT.train, ITEMS)
    x = Frame.of(SPLIT.train, ITEMS, splits.ALL_POSITIVES).matrix().toarray().astype(np.float64)
    items = np.arange(len(ITEMS))
    log = event_log(event(f"p{item}", f"i{item}", float(item)) for item in items)  # one person per item
    one = Cases(items, np.zeros(40), tuple(log.of_user()), (), log)
    weights = ranker.score(one)[[log.items.index(name) for name in ITEMS.ids]].astype(np.float64)
    gradient = -x.T @ (x - x @ weights) + 3 * weights
    assert np.abs(gradient - np.diag(np.diag(gradient))).max() < 1e-3
    assert np.abs(np.diag(weights)).max() == 0
    assert np.abs(weights).max() > 0.1


def test_knn_are_the_plain_cosines() -> None:
    x = Frame.of(SPLIT.train, ITEMS, splits.ALL_POSITIVES).matrix().toarray()
    item = x / np.maximum(np.linalg.norm(x, axis=0), 1e-9)
    user = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    among = item.T @ item * (1 - np.eye(len(ITEMS)))
    alike = user @ user.T * (1 - np.eye(len(x)))
    for ranker, plain in ((ItemKnn(1000), x @ among), (UserKnn(1000), alike @ x)):
        ranker.fit(SPLIT.train, ITEMS)
        np.testing.assert_allclose(ranker.score(SPLIT.cases), plain[SPLIT.cases.user], rtol=1e-4, atol=1e-5)


def test_nearest_keeps_the_largest() -> None:
    from scipy import sparse

    kept = nearest(sparse.csr_array(np.array([[1.0, 3, 3, 2], [0, 0, 0, 5]])), 2).toarray()
    assert kept.tolist() == [[0, 3, 3, 0], [0, 0, 0, 5]]


def test_the_mean_vector_needs_and_uses_vectors() -> None:
    ranker = MeanVector()
    ranker.fit(SPLIT.train, ITEMS)
    scores = ranker.score(SPLIT.cases)
    assert np.isneginf(scores[:, ~ITEMS.present[Modality.TEXT]]).all()
    with pytest.raises(TrainingError, match="no item has a vector"):
        ranker.fit(SPLIT.train, without(ITEMS, Modality.TEXT))


def test_words_of_a_payload() -> None:
    assert words_of({"title": "a b", "tags": ["c", ["d"]], "price": 3, "x": None}) == "a b c d"
    assert words_of({"title": "a b", "tags": ["c"]}, ("tags",)) == "c"
    with pytest.raises(TrainingError, match="no item has a text"):
        Tfidf().fit(SPLIT.train, table(ITEMS.ids))


def test_standardised_scores() -> None:
    told = standardised(np.array([[1, 3, -np.inf], [2, 2, 2], [-np.inf] * 3], np.float32))
    assert told.tolist() == [[-1, 1, -np.inf], [0, 0, 0], [-np.inf] * 3]


def test_labels_of_the_trees_are_in_nothing_that_the_rankers_learn_from() -> None:
    rest, cases = earlier_steps(CROWD, ITEMS, splits.ALL_POSITIVES, 3)
    rows = splits.table_rows(rest, ITEMS)
    assert cases.log is CROWD
    assert len(cases)
    for user, moment, known, targets in zip(cases.user, cases.time, cases.history, cases.targets, strict=True):
        mine = rest.user == user
        assert (rest.time[mine] < moment).all()
        assert not np.isin(rows[mine], targets).any()
        assert (CROWD.time[known] < moment).all()
        assert (CROWD.user[known] == user).all()
        assert not seen_items(cases, CROWD, ITEMS)[0, cases.targets[0]].any()


def test_cross_fitting_by_people_learns_from_others_only() -> None:
    class Watched(Popularity):
        def fit(self, log: splits.EventLog, items: splits.ItemTable) -> None:
            super().fit(log, items)
            self.users = set(log.user.tolist())

        def score(self, cases: Cases) -> np.ndarray:
            if cases.log is not None:
                assert not self.users & set(cases.user.tolist())
                checked.append(len(cases))
            return super().score(cases)

    checked: list[int] = []
    LambdaMart([Watched()], cross_fit="users", steps=2, rounds=2).fit(CROWD, ITEMS)
    assert sum(checked) > 60


def test_trees_read_another_table_without_growing_anew() -> None:
    ranker = LambdaMart([Markov(), MeanVector()], steps=3, rounds=10)
    ranker.fit(SPLIT.train, ITEMS)
    before, trees = ranker.score(SPLIT.cases), ranker._trees
    ranker.read(without(ITEMS, Modality.TEXT))
    blind = ranker.score(SPLIT.cases)
    ranker.read(ITEMS)
    assert ranker._trees is trees
    assert not np.array_equal(blind, before)
    np.testing.assert_array_equal(ranker.score(SPLIT.cases), before)


def test_trees_learn_from_declared_fields() -> None:
    """The next item is any of the same kind, which only the payload tells."""
    random = np.random.default_rng(0)
    kind = random.permutation(np.arange(600) % 60)
    names = [f"i{row}" for row in range(600)]
    events = [
        event(f"p{user}", f"i{row}", hour)
        for user in range(40)
        for hour, row in enumerate(random.permutation(np.flatnonzero(kind == user))[:8])
    ]
    items = replace(table(names), payloads=tuple({"kind": f"k{one}"} for one in kind), vectors={}, present={})
    split = splits.leave_last_out(event_log(events), items)
    with_kind, without_it = (
        LambdaMart([Popularity()], fields=fields, candidates=600, steps=4, rounds=30, columns=1.0)
        for fields in ({"kind": "category"}, {})
    )
    without_it.name = "without"
    done = evaluate(split, items, [with_kind, without_it])
    ours, theirs = (result.metrics["ndcg@10"].mean for result in done.results)
    assert ours > theirs + 0.2


def test_too_little_for_trees_is_said() -> None:
    log = event_log([event("ann", "i1", 0)])
    with pytest.raises(TooLittleDataError, match="lambdamart"):
        LambdaMart([Popularity()]).fit(log, ITEMS)


def test_scores_from_a_file(tmp_path: Path) -> None:
    users = np.array(SPLIT.train.users)
    wanted = np.random.default_rng(0).random((len(users), 39)).astype(np.float32)
    path = tmp_path / "sasrec.npz"
    np.savez(path, users=users, items=np.array(ITEMS.ids[:0:-1]), scores=wanted)
    ranker = Scores(path)
    ranker.fit(SPLIT.train, ITEMS)
    told = ranker.score(SPLIT.cases)
    assert ranker.name == "sasrec"
    assert np.isneginf(told[:, 0]).all()
    np.testing.assert_array_equal(told[:, 1:], wanted[SPLIT.cases.user, ::-1])
    np.savez(path, users=users[:1], items=np.array(ITEMS.ids[:2]), scores=np.ones((1, 2)))
    ranker.fit(SPLIT.train, ITEMS)
    with pytest.raises(TrainingError, match="no scores for person"):
        ranker.score(SPLIT.cases)
    for bad in ({"users": users, "items": users, "scores": np.ones(3)}, {"users": users}):
        np.savez(path, **bad)
        with pytest.raises(TrainingError, match=r"numpy\.savez"):
            ranker.fit(SPLIT.train, ITEMS)
    np.savez(path, users=np.array(["a", "a"]), items=np.array(["x"]), scores=np.ones((2, 1)))
    with pytest.raises(TrainingError, match="twice"):
        ranker.fit(SPLIT.train, ITEMS)
    with pytest.raises(TrainingError, match=r"gone\.npz"):
        Scores(tmp_path / "gone.npz").fit(SPLIT.train, ITEMS)


def test_names_have_no_blanks_and_the_old_ones_are_known() -> None:
    assert all(" " not in name and baseline_named(name) == name for name in BASELINES)
    assert [ranker.name for ranker in baselines(ITEMS, ["ease + markov", "mean vector"]).rankers] == [
        "mean-vector",
        "ease-markov",
    ]
    with pytest.raises(
        TrainingError, match=r"no baseline 'lamdamart': use popularity, .*; the nearest is lambdamart"
    ):
        baseline_named("lamdamart")


def test_what_cannot_run_is_left_out_with_its_reason_or_refused() -> None:
    bare = splits.items_of(CROWD)
    chosen = baselines(bare)
    assert dict(chosen.left_out) == {
        "tf-idf": "no item has a text in its payload",
        "mean-vector": "no item has a vector",
    }
    assert [ranker.name for ranker in baselines(ITEMS).rankers] == list(BASELINES)
    with pytest.raises(TrainingError, match="no item has a vector"):
        baselines(bare, ["mean-vector"])
    with pytest.raises(TrainingError, match="'sasrec'"):
        baselines(bare, ["sasrec"])


def popularity_of(options: BaselineOptions, items: ItemTable) -> Ranker:
    return Popularity(options.positives)


MINE = Baseline(popularity_of)
USELESS = Baseline(popularity_of, lambda items: f"there are {len(items)} items")


def test_baselines_of_other_distributions_are_named_like_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {
        name: f"{__name__}:{value}" for name, value in (("mine", "MINE"), ("no-use", "USELESS"), ("odd", "ITEMS"))
    }
    add_distribution(monkeypatch, tmp_path, "triveni.baselines", points)
    assert [type(one).__name__ for one in baselines(ITEMS, ["mine", "markov"]).rankers] == ["Markov", "Popularity"]
    with pytest.raises(TrainingError, match="'no-use' cannot run: there are 40 items"):
        baselines(ITEMS, ["no-use"])
    with pytest.raises(PluginError, match=r"'odd' is a ItemTable, which is no Baseline; .* distribution others 1\.2"):
        baselines(ITEMS, ["odd"])
    with pytest.raises(TrainingError, match=r"use popularity, .*, mine, no-use, odd; the nearest is no-use"):
        baseline_named("no-us")


def test_published_figures_on_movielens() -> None:
    folder = ml100k.data_folder()
    if folder is None:
        pytest.skip("MovieLens-100K is neither in ../shared/data nor where TRIVENI_DATA points")
    log, films = ml100k.read_ratings(folder), ml100k.read_films(folder)
    split = splits.leave_last_out(log, films)
    done = evaluate(
        split, films, baselines(films, ["popularity", "ease", "markov", "ease-markov"]).rankers,
        EvaluateOptions(reference="ease-markov", draws=Draws(samples=200)),
    )  # fmt: skip
    told = {result.name: result.metrics["ndcg@10"].mean for result in done.results}
    assert done.cases == 943
    wanted = {"popularity": 0.0450, "ease": 0.0737, "markov": 0.1109, "ease-markov": 0.1209}
    assert told == pytest.approx(wanted, abs=0.002)
