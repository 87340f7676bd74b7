"""A part of the positions goes to items that nobody had acted on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.rerank.learned import promote_new

LISTS = st.lists(st.tuples(st.integers(-50, 50), st.booleans()), min_size=1, max_size=40)


@given(LISTS, st.floats(0.01, 1))
def test_every_beginning_of_a_list_has_its_share_and_the_order_within_stays(
    items: list[tuple[int, bool]], share: float
) -> None:
    scores = np.array([score / 100 for score, _ in items], np.float32)
    new = np.array([is_new for _, is_new in items])
    before, found = np.argsort(-scores, kind="stable"), promote_new(scores, new, share)
    after = np.argsort(-found, kind="stable")
    shown = np.cumsum(new[after])
    wanted = np.minimum(np.floor(np.arange(1, len(items) + 1) * share + 0.5), new.sum())
    assert (shown >= wanted).all()
    for group in (new, ~new):
        assert after[group[after]].tolist() == before[group[before]].tolist()
    natural = np.cumsum(new[before])
    assert (shown >= natural).all()  # nobody new stands behind its own position
    np.testing.assert_array_equal(promote_new(scores, new, 0.0), scores)
