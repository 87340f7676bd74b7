"""Ridge heads and calibration, on data whose answer is known."""

import numpy as np
import pytest

from encoders.errors import SpaceError, VectorError
from encoders.spaces.calibration import RidgeHead, checksum_of, fit_ridge, measure_calibration, retrieval_metrics
from encoders.spaces.space import LOWEST_WEIGHT, unit
from encoders.types import Floats, Modality


def pairs(n: int, noise: float, seed: int = 0, f: int = 40, d: int = 16) -> tuple[Floats, Floats, np.ndarray]:
    """Features that are a linear image of their targets plus noise, and a mask that holds out a quarter."""
    generator = np.random.default_rng(seed)
    targets = unit(generator.standard_normal((n, d)).astype(np.float32) + 0.5)
    mixed = targets @ generator.standard_normal((d, f)) + 3 + noise * generator.standard_normal((n, f))
    return mixed.astype(np.float32), targets, np.arange(n) % 4 == 0


def test_a_linear_relation_is_found() -> None:
    features, targets, held_out = pairs(400, noise=0.01)
    fit = fit_ridge(features, targets, held_out)
    assert fit.metrics["recall_at_1"] == 1
    assert fit.metrics["cosine"] > 0.99
    assert fit.metrics["pairs"] == 400
    assert fit.metrics["held_out"] == 100
    wanted = unit(targets - targets.mean(axis=0))
    assert np.sum(fit.head(features) * wanted, axis=1).min() > 0.95


def test_noise_asks_for_a_stronger_penalty_and_nothing_is_learned_from_nothing() -> None:
    clean = fit_ridge(*pairs(200, noise=0.01, f=150)).metrics
    noisy = fit_ridge(*pairs(200, noise=3.0, f=150)).metrics
    assert noisy["lambda"] > clean["lambda"]
    features, targets, held_out = pairs(400, noise=0.0)
    shuffled = fit_ridge(features, targets[np.random.default_rng(5).permutation(400)], held_out).metrics
    assert shuffled["recall_at_1"] < 0.1
    assert abs(shuffled["cosine"]) < 0.15


def test_ridge_is_scikit_learns() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, targets, held_out = pairs(120, noise=1.0)
    fit = fit_ridge(features, targets, held_out)
    centred = features - features.mean(axis=0)
    variance = np.linalg.eigvalsh(centred.T @ centred / len(features)).mean()
    plain = linear_model.Ridge(alpha=fit.metrics["lambda"] * variance * len(features)).fit(features, targets)
    np.testing.assert_allclose(fit.head.weight, plain.coef_.T, atol=1e-4)


def test_more_features_than_pairs() -> None:
    features, targets, held_out = pairs(60, noise=0.1, f=300)
    assert fit_ridge(features, targets, held_out).head.weight.shape == (300, 16)


@pytest.mark.parametrize("held_out", [np.zeros(30, bool), np.ones(30, bool)])
def test_both_sides_need_pairs(held_out: np.ndarray) -> None:
    features, targets, _ = pairs(30, noise=0.1)
    with pytest.raises(SpaceError, match="a head needs 20 pairs, some held out"):
        fit_ridge(features, targets, held_out)
    with pytest.raises(SpaceError, match="19 pairs"):
        fit_ridge(features[:19], targets[:19], np.arange(19) % 2 == 0)


def test_a_head_gives_unit_vectors_and_refuses_what_is_not_finite() -> None:
    head = RidgeHead(np.zeros(3, np.float32), np.eye(3, 2, dtype=np.float32))
    np.testing.assert_allclose(head(np.array([[3, 4, 9]], np.float32)), [[0.6, 0.8]], atol=1e-6)
    with pytest.raises(VectorError):
        head(np.array([[np.nan, 1, 1]], np.float32))
    assert head.checksum == checksum_of(head.offset, head.weight) != checksum_of(head.weight, head.offset)


def test_retrieval_by_hand() -> None:
    queries = np.eye(3, dtype=np.float32)
    items = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 0.4]], np.float32)
    scores = retrieval_metrics(queries, items)
    assert scores == {"mrr": 1.0, "recall_at_1": 1.0, "recall_at_10": 1.0}
    items[2] = [0.5, 2, -0.1]  # the second is now outranked, the third last
    scores = retrieval_metrics(queries, items)
    assert scores["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    constant = np.ones((21, 4), np.float32)
    assert retrieval_metrics(constant, constant)["mrr"] == pytest.approx(1 / 11)


def clouds(gap: float, n: int = 400, d: int = 64) -> tuple[dict[Modality, Floats], dict[Modality, np.ndarray]]:
    """Three modalities of the same n examples, in cones apart from each other, sounds the noisiest."""
    generator = np.random.default_rng(2)
    shared = generator.standard_normal((n, d))
    vectors, rows = {}, {}
    for modality, noise in ((Modality.TEXT, 0.3), (Modality.IMAGE, 0.7), (Modality.AUDIO, 2.0)):
        cone = gap * generator.standard_normal(d)
        vectors[modality] = unit((shared + noise * generator.standard_normal((n, d)) + cone).astype(np.float32))
        rows[modality] = np.arange(n)
    return vectors, rows


@pytest.mark.parametrize("gap", [0.0, 1.0, 3.0])
def test_calibration_reads_cosines_alike_whatever_the_gap(gap: float) -> None:
    vectors, rows = clouds(gap)
    calibration = measure_calibration(vectors, rows)
    assert len(calibration) == 9
    apart = ~np.eye(400, dtype=bool)
    for (query, item), pair in calibration.items():
        z = pair.z(vectors[query] @ vectors[item].T)
        assert abs(z[apart].mean()) < 0.05
        assert abs(z[apart].std() - 1) < 0.1
    text = Modality.TEXT
    assert calibration[text, Modality.IMAGE].weight > calibration[text, Modality.AUDIO].weight > 1


def test_a_mixed_pool_is_not_one_modality_first() -> None:
    """Raw cosines put every text before every picture; z does not."""
    vectors, rows = clouds(gap=2.0)
    calibration = measure_calibration(vectors, rows)
    queries = vectors[Modality.TEXT][:100]
    raw, read = [], []
    for item in (Modality.TEXT, Modality.IMAGE):
        cosines = queries @ vectors[item][100:].T
        raw.append(cosines)
        read.append(calibration[Modality.TEXT, item].z(cosines))

    def share_of_pictures(scores: list[np.ndarray]) -> float:
        top = np.argsort(-np.concatenate(scores, axis=1), axis=1)[:, :20]
        return float(np.mean(top >= 300))

    assert share_of_pictures(raw) < 0.05
    assert 0.3 < share_of_pictures(read) < 0.7


def test_calibration_matches_examples_by_their_number() -> None:
    vectors, rows = clouds(gap=1.0)
    whole = measure_calibration(vectors, rows)
    order = np.random.default_rng(0).permutation(400)
    mixed = measure_calibration(
        {m: v[order] if m is Modality.IMAGE else v for m, v in vectors.items()},
        {m: r[order] if m is Modality.IMAGE else r for m, r in rows.items()},
    )
    for key, pair in whole.items():
        assert mixed[key].mean == pytest.approx(pair.mean, abs=1e-5)
        assert mixed[key].weight == pytest.approx(pair.weight, abs=1e-3)


def test_modalities_that_know_nothing_of_each_other_get_the_lowest_weight() -> None:
    vectors, rows = clouds(gap=0.0)
    vectors[Modality.AUDIO] = unit(-vectors[Modality.TEXT])
    assert measure_calibration(vectors, rows)[Modality.TEXT, Modality.AUDIO].weight == LOWEST_WEIGHT
    with pytest.raises(SpaceError, match="calibration of text with audio needs 20 held-out examples, 5 have both"):
        rows[Modality.AUDIO] = np.arange(395, 795)
        measure_calibration(vectors, rows)


def test_one_modality_alone() -> None:
    vectors, rows = clouds(gap=1.0)
    text = Modality.TEXT
    alone = measure_calibration({text: vectors[text]}, {text: rows[text]})
    assert alone[text, text].weight > 1
