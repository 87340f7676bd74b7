"""Metrics: against trec_eval and scikit-learn on random input, and by hand."""

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, ndcg_score

from engine.learn.evaluation import metrics


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, int]:
    """Scores with ties, targets, a mask of seen items, k."""
    cases, items = draw(st.integers(1, 6)), draw(st.integers(2, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = random.integers(0, draw(st.integers(2, 50)), (cases, items)).astype(np.float32)
    scores[random.random((cases, items)) < 0.1] = -np.inf
    seen = random.random((cases, items)) < 0.3
    targets = [random.choice(items, random.integers(1, items), replace=False) for _ in range(cases)]
    return scores, targets, seen, draw(st.integers(1, 35))


@given(rankings())
def test_top_is_the_plain_sort(ranking: tuple[np.ndarray, list[np.ndarray], np.ndarray, int]) -> None:
    scores, _, seen, k = ranking
    best = metrics.top(scores, k, seen)
    for case in range(len(scores)):
        shown = [row for row in range(scores.shape[1]) if not seen[case, row] and scores[case, row] > -np.inf]
        plain = sorted(shown, key=lambda row: (-scores[case, row], row))[:k]
        assert best[case].tolist() == plain + [-1] * (k - len(plain))


@given(rankings())
def test_metrics_are_those_of_trec_eval(ranking: tuple[np.ndarray, list[np.ndarray], np.ndarray, int]) -> None:
    scores, targets, seen, k = ranking
    best = metrics.top(scores, k, seen)
    ours = metrics.per_case(best, targets, [k])
    relevant = {str(case): {f"{row}": 1 for row in rows} for case, rows in enumerate(targets)}
    run = {
        str(case): {f"{row}": float(k - position) for position, row in enumerate(rows) if row >= 0} or {"none": 0.0}
        for case, rows in enumerate(best.tolist())
    }
    names = {"precision": "P", "recall": "recall", "hr": "success", "ndcg": "ndcg_cut", "map": "map_cut"}
    told = pytrec_eval.RelevanceEvaluator(relevant, {f"{name}.{k}" for name in names.values()} | {"recip_rank"})
    theirs = told.evaluate(run)
    for case in range(len(targets)):
        for name, trec in names.items():
            assert ours[f"{name}@{k}"][case] == pytest.approx(theirs[str(case)][f"{trec}_{k}"], abs=1e-6), name
        assert ours[f"mrr@{k}"][case] == pytest.approx(theirs[str(case)]["recip_rank"], abs=1e-6)


@given(rankings())
def test_f1_and_ndcg_are_those_of_scikit_learn(ranking: tuple[np.ndarray, list[np.ndarray], np.ndarray, int]) -> None:
    scores, targets, _, k = ranking
    scores = np.argsort(np.argsort(scores, axis=1), axis=1).astype(np.float32)  # no ties: scikit-learn averages them
    k = min(k, scores.shape[1])
    best = metrics.top(scores, k)
    ours = metrics.per_case(best, targets, [k])
    for case, rows in enumerate(targets):
        truth, shown = np.zeros((2, scores.shape[1]), int)
        truth[rows] = 1
        shown[best[case]] = 1
        assert ours[f"f1@{k}"][case] == pytest.approx(f1_score(truth, shown, zero_division=0))
        assert ours[f"ndcg@{k}"][case] == pytest.approx(ndcg_score(truth[None], scores[case][None], k=k))


def test_by_hand() -> None:
    best = np.array([[4, 2, 0], [1, -1, -1]])
    found = metrics.per_case(best, [np.array([2, 3]), np.array([0])], [1, 3])
    assert found["ndcg@3"][0] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert found["map@3"].tolist() == [0.25, 0.0]
    assert found["mrr@3"].tolist() == [0.5, 0.0]
    assert found["hr@1"].tolist() == [0.0, 0.0]
    assert found["f1@3"][0] == pytest.approx(0.4)


def test_an_empty_place_never_hits() -> None:
    assert not metrics.hits(np.array([[-1, -1]]), [np.array([0, 9])]).any()
    both = metrics.hits(np.array([[0, -1], [-1, 5]]), [np.array([5]), np.array([5])])
    assert both.tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize(
    ("scores", "k", "seen"),
    [
        (np.array([[np.nan, 1.0]]), 1, None),
        (np.ones((1, 2)), 0, None),
        (np.ones((1, 2)), 1, np.zeros((2, 2), bool)),
    ],
)
def test_top_refuses_what_makes_no_sense(scores: np.ndarray, k: int, seen: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match=r"NaN|k is 0|must be the same"):
        metrics.top(scores, k, seen)


def test_lists_too_short_and_cases_without_target_are_refused() -> None:
    with pytest.raises(ValueError, match="longer lists"):
        metrics.per_case(np.array([[0]]), [np.array([0])], [2])
    with pytest.raises(ValueError, match="case 1 has no target"):
        metrics.per_case(np.array([[0], [0]]), [np.array([0]), np.array([], int)], [1])


def test_coverage_and_novelty_by_hand() -> None:
    best = np.array([[0, 1], [0, -1], [-1, -1]])
    assert metrics.coverage(best, 4) == 0.5
    told = metrics.novelty(best, np.array([8, 2, 0, 0]), 8)
    assert told[:2].tolist() == [1.0, 0.0]
    assert math.isnan(told[2])
    assert metrics.novelty(np.array([[2]]), np.array([8, 2, 0, 0]), 8).tolist() == [3.0]


@given(st.integers(0, 1000))
def test_diversity_is_the_plain_mean_over_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((12, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    present = random.random(12) < 0.7
    best = np.stack([random.permutation(12)[:4] for _ in range(5)])
    best[0, 2:] = -1
    for case, told in enumerate(metrics.diversity(best, vectors, present)):
        rows = [row for row in best[case] if row >= 0 and present[row]]
        cosines = [vectors[a] @ vectors[b] for a in rows for b in rows if a != b]
        assert math.isnan(told) if len(rows) < 2 else told == pytest.approx(1 - np.mean(cosines), abs=1e-5)


@given(st.integers(0, 1000), st.integers(1, 20))
def test_calibration_is_the_weighted_gap_of_scikit_learns_curve(seed: int, bins: int) -> None:
    random = np.random.default_rng(seed)
    told = random.random(200)
    happened = random.random(200) < told**2
    happened[:2] = True, False
    true, predicted = calibration_curve(happened, told, n_bins=bins)
    sizes = np.histogram(told, np.linspace(0, 1, bins + 1))[0]
    plain = np.sum(np.abs(true - predicted) * sizes[sizes > 0]) / 200
    assert metrics.calibration_error(told, happened, bins) == pytest.approx(plain)


def test_calibration_refuses_scores_that_are_no_probabilities() -> None:
    with pytest.raises(ValueError, match="probabilities"):
        metrics.calibration_error(np.array([1.2]), np.array([True]))
