"""What the counts say: the short ways give what the plain ones give."""

import numpy as np
import pytest
from scipy import sparse

from engine.rerank.candidates import COUNTED, count_candidates
from engine.rerank.counts import NAMES, History, RecentPopularity, count_scores, mixed
from engine.rerank.statistics import DAY, Sequences, count


@pytest.mark.parametrize("rows", [[], [3], [4, 0, 4, 2]])
def test_rows_are_mixed_as_a_product_mixes_them(rows: list[int]) -> None:
    random = np.random.default_rng(0)
    matrix = sparse.random(6, 9, density=0.4, format="csr", dtype=np.float32, random_state=random)
    weights = random.random(len(rows)).astype(np.float32)
    expected = matrix.toarray()[rows].T @ weights
    np.testing.assert_allclose(mixed(matrix, np.array(rows, np.intp), weights), expected, rtol=1e-6)


def test_the_linear_model_counts_each_item_once_and_leaves_out_what_it_does_not_know() -> None:
    items = (np.array([1, 2, 4]), np.array([1, 4]), np.array([2, 4]))
    statistics = count(Sequences(items, tuple(np.arange(len(one), dtype=float) for one in items)), 6)
    assert statistics.linear_items.tolist() == [1, 2, 4]
    rows = np.array([3, 4, 1, 4, 5, 0])
    expected = np.zeros(6, np.float32)
    expected[[1, 2, 4]] = statistics.linear[0] + statistics.linear[2]
    np.testing.assert_allclose(History(statistics, rows).linear(rows), expected, rtol=1e-6)
    assert not History(statistics, rows).linear(np.array([0, 3, 5])).any()


def test_counts_that_all_share_are_those_of_the_moment() -> None:
    statistics = count(Sequences((np.array([0, 1]),), (np.array([0.0, 5 * DAY]),)), 3)
    recent = RecentPopularity(statistics)
    for now in (1.0, 5 * DAY + 1, 6 * DAY + 1, 1.0):
        found = count_scores(statistics, np.array([0]), now, recent)
        np.testing.assert_array_equal(found, count_scores(statistics, np.array([0]), now))
        assert found[NAMES.index("popularity_1d")].tolist() == [now == 1, now == 5 * DAY + 1, 0]


def test_each_count_names_its_highest_above_zero_but_what_is_hidden() -> None:
    by_counts = np.zeros((len(NAMES), 100), np.float32)
    most = COUNTED["popularity"]
    by_counts[NAMES.index("popularity")] = np.arange(100)
    assert count_candidates(by_counts, np.array([99, 98])).tolist() == list(range(98 - most, 98))
    by_counts[NAMES.index("popularity"), 3:] = 0
    assert count_candidates(by_counts, np.array([2])).tolist() == [1]
    assert not len(count_candidates(np.zeros_like(by_counts), np.zeros(0, np.intp)))
