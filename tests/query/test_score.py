"""What is taken from the score of items that are like something not wanted."""

import numpy as np
import pytest

from encoders.spaces.space import PairCalibration
from encoders.types import Floats
from engine.core.types import Candidates, ItemId, ReasonKind
from engine.query.fuse import Intent, fuse
from engine.query.resolve import QuerySignals
from engine.query.score import score
from engine.query.settings import FuseSettings
from engine.query.similarity import calibrate_signals
from tests.query.scene import T

CALIBRATION = {(T, T): PairCalibration(0.0, 0.2, 2.0)}


def at(*degrees: float) -> Floats:
    """Unit vectors in a plane: the nearer their angles, the more alike."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def intent(*given: tuple[float, float, ReasonKind]) -> Intent:
    degrees, weights, kinds = zip(*given, strict=True)
    there = {T: np.ones(len(given), bool)}
    signals = QuerySignals(kinds, np.arange(len(given)), np.array(weights, float), {T: at(*degrees)}, there, ())
    settings = FuseSettings()
    return fuse(signals, calibrate_signals(signals, CALIBRATION, (T,), settings.correlation), settings)


def scores(asked: Intent, *degrees: float) -> list[float]:
    size = len(degrees)
    names = tuple(ItemId(str(n)) for n in range(size))
    items = Candidates(names, np.zeros(size, np.float32), {T: at(*degrees)}, {T: np.ones(size, bool)}, ())
    found: list[float] = score(asked, items).total.tolist()
    return found


LIKE = (0.0, 1.0, ReasonKind.EVENT)
DISLIKE = (40.0, -1.0, ReasonKind.EVENT)


def test_a_dislike_of_a_neighbour_leaves_what_is_liked():
    """Like a dog, dislike a cat: another dog stays before a wig, and another cat falls behind it."""
    dog, cat, wig = scores(intent(LIKE, DISLIKE), 5, 38, -65)
    assert dog > wig > cat
    alone = scores(intent(LIKE), 5, 38, -65)
    assert dog > 0.9 * alone[0]
    assert wig == pytest.approx(alone[2])


def test_the_nearer_the_disliked_the_more_is_taken():
    taken = np.subtract(scores(intent(LIKE), 0, 10, 20, 30, 40), scores(intent(LIKE, DISLIKE), 0, 10, 20, 30, 40))
    assert np.all(np.diff(taken) >= 0)
    assert taken[0] == 0 < taken[-1]


def test_a_weak_dislike_takes_less():
    weak, strong = (scores(intent(LIKE, (40.0, weight, ReasonKind.EVENT)), 38)[0] for weight in (-0.1, -1))
    assert strong < weak < scores(intent(LIKE), 38)[0]


def test_a_negative_part_takes_from_what_answers_the_query_too():
    query = (0.0, 1.0, ReasonKind.QUERY)
    without = (40.0, -1.0, ReasonKind.QUERY)
    plain, cartoon = scores(intent(query, without), -30, 20)
    assert scores(intent(query), 20)[0] > scores(intent(query), -30)[0]
    assert plain > cartoon
