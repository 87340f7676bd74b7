"""How far a long run is, and how long it will still take."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.learn.pace import Pace


class Clock:
    """Tells what it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_the_rest_at_the_pace_so_far() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert (pace.share, pace.left) == (0.0, None)
    for step in range(1, 9):
        clock.now = 10.0 * step
        pace.update(step / 10)
    assert pace.left == pytest.approx(20)
    clock.now = 90.0  # nothing is told, and time goes on
    assert pace.left == pytest.approx(0.2 * (90 - 30) / (0.8 - 0.3))
    pace.update(1.0)
    assert pace.left == 0.0


def test_what_is_loaded_first_is_no_pace() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now = 100.0
    pace.update(0.04)
    assert pace.left is None
    clock.now = 110.0
    pace.update(0.14)
    assert pace.left == pytest.approx(86)


def test_what_an_interrupted_run_had_done_is_soon_no_pace() -> None:
    """It goes on at half, at one part in a hundred every ten seconds."""
    clock = Clock()
    pace = Pace(clock)
    for step in range(41):
        clock.now = 10.0 * step
        pace.update(0.5 + step / 100)
    assert pace.left == pytest.approx(100, rel=0.1)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 2))))
def test_the_share_never_falls(told: list[tuple[float, float]]) -> None:
    clock = Clock()
    pace = Pace(clock)
    shares, lefts = [0.0], []
    for now, (_, share) in zip(accumulate(seconds for seconds, _ in told), told, strict=True):
        clock.now = now
        pace.update(share)
        shares.append(pace.share)
        lefts.append(pace.left)
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert all(left is None or left >= 0 for left in lefts)
