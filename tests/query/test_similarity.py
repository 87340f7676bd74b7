"""The formula of similarity, by hand and against a plain loop."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.spaces.space import LOWEST_WEIGHT, PairCalibration, unit
from encoders.types import Floats, Modality
from engine.query.similarity import EXACT, NEAREST, SURPRISE, calibrate_signals, nearness, recognition, spread
from tests.query.scene import A, I, T


@dataclass
class Things:
    vectors: dict[Modality, Floats]
    present: dict[Modality, npt.NDArray[np.bool_]]


def things(random: np.random.Generator, size: int, dimension: int = 16) -> Things:
    present = {m: random.random(size) < 0.6 for m in Modality}
    present[T] |= ~(present[I] | present[A])
    vectors = {m: unit(random.standard_normal((size, dimension)).astype(np.float32)) for m in Modality}
    return Things({m: vectors[m] * present[m][:, None] for m in Modality}, present)


def calibration(random: np.random.Generator) -> dict[tuple[Modality, Modality], PairCalibration]:
    return {
        pair: PairCalibration(random.uniform(-0.1, 0.5), random.uniform(0.05, 0.2), random.uniform(0.5, 5))
        for pair in product(Modality, Modality)
    }


def plain(signals: Things, items: Things, calibrated, modalities, correlation) -> Floats:
    """The formula as it is written in the module's docstring."""
    size, count = len(signals.present[T]), len(items.present[T])
    matrix = np.zeros((size, count))
    for n, k in product(range(size), range(count)):
        total, weights = 0.0, []
        for a, m in product(Modality, modalities):
            if signals.present[a][n] and items.present[m][k]:
                pair = calibrated[a, m]
                z = (float(signals.vectors[a][n] @ items.vectors[m][k]) - pair.mean) / pair.std
                total += pair.weight * z
                weights.append(pair.weight)
        if weights:
            squares = sum(w * w for w in weights)
            matrix[n, k] = total / math.sqrt((1 - correlation) * squares + correlation * sum(weights) ** 2)
        for m in modalities:
            if signals.present[m][n] and items.present[m][k]:
                near = nearness(calibrated[m, m], m)
                cosine = float(signals.vectors[m][n] @ items.vectors[m][k])
                matrix[n, k] += SURPRISE * max(math.log((1 - near + EXACT) / (1 - cosine + EXACT)), 0)
    return matrix


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([(T, I, A), (I,), (A, T)]))
def test_fast_is_plain(seed, correlation, modalities):
    random = np.random.default_rng(seed)
    signals, items, calibrated = things(random, 5), things(random, 7), calibration(random)
    fast = calibrate_signals(signals, calibrated, modalities, correlation).similarity(items)
    assert fast == pytest.approx(plain(signals, items, calibrated, modalities, correlation), abs=1e-3)


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.5, 1.0]))
def test_search_vectors_are_exact_for_items_of_one_modality(seed, correlation):
    random = np.random.default_rng(seed)
    signals, calibrated = things(random, 6), calibration(random)
    prepared = calibrate_signals(signals, calibrated, (T, I, A), correlation)
    weights = random.standard_normal((3, 6)).astype(np.float32)
    for modality, (vectors, offsets) in prepared.search_vectors(weights).items():
        items = things(random, 8)
        for other in Modality:
            items.present[other] = np.full(8, other is modality)
        items.vectors[modality] = unit(random.standard_normal((8, 16)).astype(np.float32))
        estimate = vectors @ items.vectors[modality].T - offsets[:, None]
        assert estimate == pytest.approx(weights @ prepared.relatedness(items), abs=1e-3)


def test_by_hand():
    calibrated = {(T, T): PairCalibration(0.2, 0.1, 3.0), (T, I): PairCalibration(0.0, 0.05, 4.0)}
    source = Things({T: np.array([[1, 0]], np.float32)}, {T: np.array([True])})
    items = Things(
        {T: np.array([[0.6, 0.8], [0.6, 0.8]], np.float32), I: np.array([[0, 0], [0.1, 0.995]], np.float32)},
        {T: np.array([True, True]), I: np.array([False, True])},
    )
    # text: z = (0.6 - 0.2) / 0.1 = 4; image: z = 0.1 / 0.05 = 2; together (3·4 + 4·2) / sqrt(9 + 16) = 4
    alone = calibrate_signals(source, calibrated, (T, I), 0.0).similarity(items)[0]
    assert alone == pytest.approx([4.0, 4.0], abs=1e-4)
    # as repetitions they are averaged: 20 / 7
    repeated = calibrate_signals(source, calibrated, (T, I), 1.0).similarity(items)[0]
    assert repeated == pytest.approx([4.0, 20 / 7], abs=1e-4)


def test_unrelated_items_have_unit_variance_whatever_they_have():
    random = np.random.default_rng(5)
    size = 40_000
    noise = {m: random.standard_normal((size, 4)).astype(np.float32) for m in Modality}
    calibrated = {pair: PairCalibration(0.0, 1.0, random.uniform(1, 4)) for pair in product(Modality, Modality)}
    source = Things({T: np.array([[1, 0, 0, 0]], np.float32)}, {T: np.array([True])})
    for has in ((T,), (T, I), (T, I, A)):
        items = Things(noise, {m: np.full(size, m in has) for m in Modality})
        similarity = calibrate_signals(source, calibrated, (T, I, A), 0.0).relatedness(items)
        assert similarity.std() == pytest.approx(1.0, abs=0.02)


def test_a_pair_of_no_use_can_still_be_searched():
    calibrated = {pair: PairCalibration(0.0, 0.1, -0.3) for pair in product(Modality, Modality)}
    prepared = calibrate_signals(things(np.random.default_rng(0), 2), calibrated, (T,), 0.5)
    vectors, _ = prepared.search_vectors(np.ones((1, 2), np.float32))[T]
    assert np.linalg.norm(vectors) > 0
    assert prepared.weights.min() >= np.float32(LOWEST_WEIGHT)


def test_nothing_in_common_is_no_similarity():
    random = np.random.default_rng(1)
    signals, items = things(random, 3), things(random, 4)
    for modality in Modality:
        items.present[modality] = np.zeros(4, bool)
        items.vectors[modality] = np.zeros((4, 16), np.float32)
    assert not calibrate_signals(signals, calibration(random), (T, I, A), 0.5).similarity(items).any()


def test_spread_between_independent_and_repeated():
    weights = np.array([3.0, 4.0])
    assert spread(weights, 0.0) == pytest.approx(5.0)
    assert spread(weights, 1.0) == pytest.approx(7.0)
    assert spread(weights, 0.5) == pytest.approx(math.sqrt(37))


def test_recognition_begins_at_near_and_grows_to_the_same_content():
    cosines = np.array([-1, 0, 0.6, 0.7, 0.9, 0.99, 0.999, 1, 1 + 1e-6], np.float32)
    found = recognition(cosines, 0.7)
    assert found[:4] == pytest.approx(0, abs=1e-4)
    assert np.all(np.diff(found[3:-1]) > 1)
    assert found[-2:] == pytest.approx(SURPRISE * math.log((0.3 + EXACT) / EXACT), abs=0.05)


def test_a_copy_is_nearer_than_what_is_related():
    pair = PairCalibration(0.1, 0.2, 2.0)
    assert nearness(pair, I) == pytest.approx(0.7)
    assert nearness(pair, T) == NEAREST
    assert nearness(PairCalibration(0.5, 0.2, 6.0), A) == NEAREST


def test_the_same_content_in_one_modality_outweighs_middling_likeness_in_two_others():
    """A drake's own sound put a glass, a bottle and a cylinder first, by their pictures and titles."""
    calibrated = {pair: PairCalibration(0.05, 0.2, 2.0) for pair in product(Modality, Modality)}
    calibrated[A, A] = PairCalibration(0.1, 0.3, 1.1)
    sound = unit(np.array([[1, 0.2, 0, 0]], np.float32))
    source = Things({A: sound}, {A: np.array([True])})
    towards, away = unit(np.array([[1, 0.2, 0, 1], [-0.2, 1, 0, 0]], np.float32))
    items = Things(
        {T: np.stack([away, towards]), I: np.stack([away, towards]), A: np.stack([sound[0], away])},
        {m: np.array([True, True]) for m in Modality},
    )
    prepared = calibrate_signals(source, calibrated, (T, I, A), 0.5)
    own, other = prepared.similarity(items)[0]
    assert own > other + 5
    own, other = prepared.relatedness(items)[0]
    assert own < other
