"""Training of the user embedding on a small world: it learns, repeats, goes on, and reads no more than it may."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.learn.network.train_towers import TwoTowerSettings, measure_towers, train_towers
from engine.learn.network.trainer import Progress, Run, Stop
from engine.learn.network.user_sequences import Step, figures_of_ranks, ranks_of, steps_of
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.splits import ALL_POSITIVES
from engine.models.errors import TooLittleDataError
from engine.rerank.fields import fit_scales
from engine.rerank.two_towers import TwoTowerConfig, TwoTowerModel
from tests.learn.world import catalogue, older_steps, walks

ITEMS = catalogue()
CONFIG = TwoTowerConfig(("text", "image"), 16, items=len(ITEMS), embedding=16, width=16, layers=1, dropout=0.0)
QUICK = TwoTowerSettings(epochs=4, batch=16, learning_rate=1e-2, held_out=20)


def figures(scores: np.ndarray, steps: list[Step]) -> dict[str, float]:
    return figures_of_ranks(ranks_of(scores, steps))


def over(log: object, known: np.ndarray | None = None) -> PointInTimeFeatures:
    everything = np.ones(len(ITEMS), np.bool_) if known is None else known
    return PointInTimeFeatures(log, ITEMS, fit_scales(ITEMS.payloads, {}), everything, ALL_POSITIVES)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def point_in_time() -> PointInTimeFeatures:
    return over(walks(ITEMS, users=120, steps=12))


def weights(model: TwoTowerModel) -> dict[str, torch.Tensor]:
    return model.network.state_dict()


def same(one: TwoTowerModel, other: TwoTowerModel) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


@pytest.mark.parametrize(
    ("change", "least"),
    [({}, 0.5), ({"negatives": 48}, 0.4)],
)
def test_it_learns_what_follows(point_in_time: PointInTimeFeatures, change: dict[str, object], least: float) -> None:
    """An item's follower is sure at 4 of 5; by chance the figure is .05."""
    settings = replace(QUICK, **{"epochs": 8, "patience": 12, **change})  # type: ignore[arg-type]
    trained = train_towers(point_in_time, CONFIG, settings)
    fresh = over(walks(ITEMS, users=60, steps=12, seed=9))
    steps = steps_of(fresh, np.array([rows[-1] for rows in fresh.of_user]))
    assert measure_towers(trained.model, fresh, steps)["ndcg_at_10"] > least
    assert max(one["ndcg_at_10"] for one in trained.history) > least


def test_items_without_an_id_are_found_by_their_contents() -> None:
    hidden = np.arange(len(ITEMS)) % 7 == 0
    log = walks(ITEMS, users=120, steps=12)
    learned = over(log.take(np.flatnonzero(~hidden[log.item])), ~hidden)
    config = replace(CONFIG, items=int((~hidden).sum()), id_dropout=0.5)
    trained = train_towers(learned, config, replace(QUICK, epochs=8))
    world = over(log, ~hidden)
    steps = steps_of(world, np.flatnonzero(hidden[log.item])[:200])
    found = measure_towers(trained.model, world, steps)
    random = figures(np.random.default_rng(0).random((len(steps), len(ITEMS)), np.float32), steps)
    assert found["ndcg_at_10"] > 3 * random["ndcg_at_10"]


def test_the_same_seed_gives_the_same_weights(point_in_time: PointInTimeFeatures) -> None:
    settings = replace(QUICK, epochs=1)
    first = train_towers(point_in_time, CONFIG, settings)
    torch.rand(3)
    assert same(first.model, train_towers(point_in_time, CONFIG, settings).model)
    assert not same(first.model, train_towers(point_in_time, CONFIG, replace(settings, seed=1)).model)


def test_steps_that_are_not_allowed_leave_no_trace(point_in_time: PointInTimeFeatures) -> None:
    """Other newest items give the same weights: what is trained above the vector may use those steps as labels."""
    allowed = older_steps(point_in_time, 4)
    log = point_in_time.log
    other = np.where(point_in_time.positive & ~allowed, (log.item + 13) % len(log.items), log.item)
    settings = replace(QUICK, epochs=1)
    first = train_towers(point_in_time, CONFIG, settings, targets=allowed)
    assert same(first.model, train_towers(over(replace(log, item=other)), CONFIG, settings, targets=allowed).model)
    assert not same(first.model, train_towers(point_in_time, CONFIG, settings).model)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    point_in_time: PointInTimeFeatures, tmp_path: Path
) -> None:
    settings = replace(QUICK, epochs=3)
    whole = train_towers(point_in_time, CONFIG, settings)
    told: list[Progress] = []

    def stopped() -> bool:
        return len([one for one in told if "ndcg_at_10" in one.figures]) == 2

    with pytest.raises(Stop):
        train_towers(point_in_time, CONFIG, settings, Run("cpu", tmp_path, told.append, stopped))
    told.clear()
    rest = train_towers(point_in_time, CONFIG, settings, Run("cpu", tmp_path, told.append))
    assert told[0].stage == "epoch 3 of 3"
    assert rest.history == whole.history
    assert same(rest.model, whole.model)


def test_without_held_out_steps_all_epochs_are_trained_and_the_last_is_kept(
    point_in_time: PointInTimeFeatures,
) -> None:
    settings = replace(QUICK, epochs=3, patience=1, held_out=0)
    trained = train_towers(point_in_time, CONFIG, settings)
    assert len(trained.history) == 3
    assert all(one["ndcg_at_10"] == 0 for one in trained.history)
    steps = steps_of(point_in_time, np.array([rows[-1] for rows in point_in_time.of_user]))
    losses = [one["loss"] for one in trained.history]
    assert losses == sorted(losses, reverse=True)
    untrained = train_towers(point_in_time, CONFIG, replace(settings, epochs=1, learning_rate=0.0))
    better, worse = (measure_towers(one.model, point_in_time, steps)["ndcg_at_10"] for one in (trained, untrained))
    assert better > 2 * worse


def test_too_little_to_learn_from_makes_no_model() -> None:
    few = over(walks(ITEMS, users=5, steps=8))
    with pytest.raises(TooLittleDataError, match="35 positive events"):
        train_towers(few, CONFIG, QUICK)


def test_figures_leave_out_what_was_seen_and_rank_equals_by_their_place(point_in_time: PointInTimeFeatures) -> None:
    step = steps_of(point_in_time, point_in_time.of_user[0][-1:])[0]
    scores = np.zeros((1, len(ITEMS)), np.float32)
    scores[0, step.seen] = 9
    scores[0, step.item] = 1
    assert figures(scores, [step])["ndcg_at_10"] == 1.0
    equal = replace(step, item=12, seen=np.array([0, 3]))
    rank = 10  # of 12 items before it, two were seen
    assert figures(np.zeros_like(scores), [equal]) == {
        "ndcg_at_10": 0.0,
        "recall_at_50": 1.0,
        "recall_at_100": 1.0,
    }
    nearer = figures(np.zeros_like(scores), [replace(equal, item=11)])["ndcg_at_10"]
    assert nearer == pytest.approx(1 / np.log2(rank - 1 + 2))
    assert figures(np.zeros((0, len(ITEMS)), np.float32), [])["ndcg_at_10"] == 0.0
