"""Private training: what is spent is accounted for, one person moves it little, and nothing else of them is in it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus.accountants import RDPAccountant
from torch import nn

from engine.core.errors import SettingsError
from engine.learn.fit import FitSettings, Fitted, fit, fit_rows, random_rows, training_rows
from engine.learn.learned import VersionRanker
from engine.learn.network import private as private_module
from engine.learn.network.losses import PositionBias
from engine.learn.network.private import PrivateSettings
from engine.learn.network.train import TrainSettings, loss_of
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.rows.dataset import RowSettings
from engine.learn.splits import leave_last_out
from engine.models.errors import TrainingError
from engine.rerank.version import load_version, save_version
from tests.learn.world import catalogue, walks

ITEMS = catalogue()
LOG = walks(ITEMS, users=60, steps=6)
PRIVATE = PrivateSettings(epsilon=4.0, delta=1e-3, people=12, epochs=2, rows=4)
QUICK = FitSettings(
    rows=RowSettings(steps=6, folds=2),
    training=TrainSettings(candidates=24),
    width=8,
    counted=False,
    private=PRIVATE,
)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(LOG, ITEMS, QUICK)


def test_what_was_spent_is_what_the_steps_cost(fitted: Fitted) -> None:
    said = fitted.privacy
    assert said is not None
    assert (said.unit, said.people, said.sample_rate, said.steps) == ("person", 60, 0.2, 10)
    assert 0.9 * PRIVATE.epsilon < said.epsilon <= PRIVATE.epsilon
    again = RDPAccountant()
    for _ in range(said.steps):
        again.step(noise_multiplier=said.noise_multiplier, sample_rate=said.sample_rate)
    assert again.get_epsilon(PRIVATE.delta) <= said.epsilon <= 1.1 * again.get_epsilon(PRIVATE.delta)


def test_less_is_spent_with_more_noise(fitted: Fitted) -> None:
    assert fitted.privacy is not None
    noise = private_module._noise_multiplier(replace(PRIVATE, epsilon=1.0), 60, 0.2, 10)
    assert noise > 1.5 * fitted.privacy.noise_multiplier


def test_nothing_of_the_people_is_in_it_but_the_network(fitted: Fitted) -> None:
    version = fitted.version
    assert not version.known.any(), "which items have an id tells what somebody acted on"
    other = fit(walks(ITEMS, users=50, steps=6, seed=9), ITEMS, QUICK).version
    assert [str(column) for column in vars_of(version.statistics)] == [
        str(column) for column in vars_of(other.statistics)
    ]
    assert version.calibration == other.calibration
    for name in ("dense_mean", "dense_scale"):
        assert torch.equal(getattr(version.network, name), getattr(other.network, name))
    assert (version.towers, version.small, version.reference) == (None, None, None)


def vars_of(counts: object) -> list[object]:
    found = [getattr(counts, name) for name in counts.__slots__]  # type: ignore[attr-defined]
    return [one.toarray().tolist() if hasattr(one, "toarray") else np.asarray(one).tolist() for one in found]


def test_a_row_is_the_same_whatever_others_did() -> None:
    alone = LOG.take(np.flatnonzero(LOG.user == 7).astype(np.intp))
    settings = replace(QUICK, rows=replace(QUICK.rows, again=0.0))
    expected, mine = (
        [one for one in training_rows(log, ITEMS, settings).examples if one.user == 7] for log in (LOG, alone)
    )
    assert len(expected) == len(mine) > 3
    for one, other in zip(expected, mine, strict=True):
        assert np.array_equal(one.request.candidates, other.request.candidates)
        assert np.array_equal(one.request.dense, other.request.dense, equal_nan=True)
        assert not one.request.ids.any()


def test_a_person_moves_a_step_by_no_more_than_the_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their gradients are cut together, however many rows they have and however large these are."""
    from opacus.optimizers import DPOptimizer

    sums: list[tuple[float, int]] = []
    plain = DPOptimizer.clip_and_accumulate

    def looked_at(self: DPOptimizer) -> None:
        plain(self)
        people = self.params[0].grad_sample.shape[0]
        norm = torch.sqrt(sum((one.summed_grad**2).sum() for one in self.params))
        sums.append((float(norm), people))

    monkeypatch.setattr(DPOptimizer, "clip_and_accumulate", looked_at)
    fit(LOG, ITEMS, replace(QUICK, private=replace(PRIVATE, max_grad_norm=0.01)))
    assert len(sums) == 10
    assert all(norm <= 0.01 * people * 1.0001 for norm, people in sums)
    assert any(norm > 0.002 * people for norm, people in sums)


def test_each_person_is_one_however_many_rows_they_have() -> None:
    rows = training_rows(LOG, ITEMS, QUICK).examples
    of_people = private_module._by_people(rows)
    assert sum(map(len, of_people)) == len(rows)
    assert Counter(len({rows[row].user for row in own}) for own in of_people) == {1: len({one.user for one in rows})}


def test_neither_the_noise_nor_the_people_of_a_step_come_from_the_seed() -> None:
    first, second = (fit(LOG, ITEMS, QUICK).version.network.wide.weight for _ in range(2))
    assert not torch.equal(first, second)


def test_it_learns_where_little_noise_is_needed() -> None:
    rows = training_rows(LOG, ITEMS, QUICK)

    def loss(rate: float, epochs: int) -> float:
        private = replace(PRIVATE, epsilon=500.0, people=15, epochs=epochs)
        one = replace(QUICK, private=private, training=replace(QUICK.training, learning_rate=rate))
        network = fit_rows(rows, ITEMS, one).version.network
        both = nn.ModuleDict({"model": network, "position": PositionBias()})
        with torch.no_grad():
            return float(loss_of(both, rows.examples, rows.point_in_time.table, "cpu", 0.1))

    assert loss(2e-2, 4) < 0.8 * loss(1e-9, 1)


def test_it_is_stored_loaded_and_ranks(fitted: Fitted, tmp_path: Path) -> None:
    save_version(fitted.version, tmp_path)
    loaded = load_version(tmp_path)
    split = leave_last_out(LOG, ITEMS)
    scores = []
    for version in (fitted.version, loaded):
        ranker = VersionRanker(version, QUICK.positives)
        ranker.fit(split.train, ITEMS)
        scores.append(ranker.score(split.cases.take(np.arange(4, dtype=np.intp))))
    assert np.array_equal(*scores)
    assert np.isfinite(scores[0]).sum(axis=1).min() > 10


def test_made_up_rows_tell_of_nobody() -> None:
    assert len(random_rows(ITEMS, QUICK)) > 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"delta": 0.05},
            "learn.private_delta is 0.05, there are 60 people: it protects nobody: lower it below 1.7e-02",
        ),
        ({"epsilon": 1e-7}, "no noise keeps 60 people to an epsilon of 1e-07 for 10 steps"),
    ],
)
def test_what_cannot_be_private_is_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        fit(LOG, ITEMS, replace(QUICK, private=replace(PRIVATE, **change)))


def test_counts_and_towers_are_refused() -> None:
    for settings in (replace(QUICK, counted=True), replace(QUICK, towers=TwoTowerSettings(epochs=1))):
        with pytest.raises(SettingsError, match="a private version counts nothing over people"):
            fit(LOG, ITEMS, settings)
