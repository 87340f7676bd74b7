"""The two towers: what a person's vector may depend on, and what it may not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.types import Modality
from engine.core.types import EventKind
from engine.learn.network.user_sequences import examples, sequences_of, windows_of
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.splits import ALL_POSITIVES
from engine.rerank.fields import fit_scales
from engine.rerank.table import KINDS, MAX_TOKENS, Table, Tokens
from engine.rerank.tower_collate import gather, histories
from engine.rerank.two_towers import TowerScores, TwoTowerConfig, TwoTowerModel, TwoTowers
from tests.learn.world import catalogue, older_steps, walks

CONFIG = TwoTowerConfig(("text", "image"), 16, items=96, embedding=8, width=16)
CLICK = KINDS.index(EventKind.CLICK)


@pytest.fixture(scope="module")
def point_in_time() -> PointInTimeFeatures:
    """People with histories longer and shorter than a window."""
    items = catalogue()
    log = walks(items, users=12, steps=130)
    short = np.flatnonzero((log.user % 3 > 0) | (np.arange(len(log)) % 9 == 0))
    known = np.arange(len(items)) % 8 != 0  # every eighth is new
    return PointInTimeFeatures(log.take(short), items, fit_scales(items.payloads, {}), known, ALL_POSITIVES)


@pytest.fixture(scope="module")
def model(point_in_time: PointInTimeFeatures) -> TwoTowerModel:
    torch.manual_seed(0)
    network = TwoTowers(CONFIG)
    for parameter in network.parameters():  # away from zeros, so that nothing hides behind them
        torch.nn.init.normal_(parameter, std=0.3)
    for tower in (network.contents, network.item_contents):
        tower.fit(*gather(point_in_time.table, np.arange(point_in_time.size)))
    return TwoTowerModel(network)


def did(rows: list[int], values: float = float("nan"), gaps: list[float] | None = None) -> Tokens:
    size = len(rows)
    seconds = np.array(gaps or range(size, 0, -1), np.float64) * 60
    return Tokens(np.array(rows, np.intp), np.full(size, CLICK), np.full(size, values, np.float32), seconds)


def test_vectors_have_unit_length_and_do_not_depend_on_company(
    point_in_time: PointInTimeFeatures, model: TwoTowerModel
) -> None:
    users = [did([3]), did(list(range(40))), did([]), did([5, 9, 5])]
    together = model.user_embeddings(users, point_in_time.table)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for one, vector in zip(users, together, strict=True):
        assert np.allclose(model.user_embedding(one, point_in_time.table), vector, atol=1e-5)
    items = model.item_embeddings(point_in_time.table)
    assert items.shape == (96, 8) and np.allclose(np.linalg.norm(items, axis=1), 1, atol=1e-5)
    assert np.allclose(
        model.item_embeddings(point_in_time.table, np.array([7, 3]), batch=1), items[[7, 3]], atol=1e-5
    )
    assert model.user_embeddings([], point_in_time.table).shape == (0, 8)


def test_a_moment_knows_nothing_of_what_follows(point_in_time: PointInTimeFeatures, model: TwoTowerModel) -> None:
    with torch.inference_mode():
        first, other = (
            model.network.user_embeddings(histories([did([1, 2, 3, end])], point_in_time.table)) for end in (4, 50)
        )
    assert torch.allclose(first[0, :4], other[0, :4], atol=1e-6)
    assert not torch.allclose(first[0, 4], other[0, 4], atol=1e-2)


def test_order_kind_value_and_time_count(point_in_time: PointInTimeFeatures, model: TwoTowerModel) -> None:
    table, plain = point_in_time.table, did([1, 2, 3])
    changed = {
        "order": did([2, 1, 3]),
        "value": did([1, 2, 3], 4.0),
        "time until the request": did([1, 2, 3], gaps=[900, 890, 880]),
        "kind": replace(plain, kinds=np.full(3, KINDS.index(EventKind.SKIP))),
    }
    vector = model.user_embedding(plain, table)
    for what, tokens in changed.items():
        assert not np.allclose(model.user_embedding(tokens, table), vector, atol=1e-3), what


def test_a_missing_modality_is_left_out_whatever_its_row_holds(
    point_in_time: PointInTimeFeatures, model: TwoTowerModel
) -> None:
    table = point_in_time.table
    vectors = {modality: matrix.copy() for modality, matrix in table.vectors.items()}
    vectors[Modality.IMAGE][~table.present[Modality.IMAGE]] = np.nan
    spoilt = replace(table, vectors=vectors)
    tokens = did([0, 1, 3])  # 0 and 3 have no picture
    assert np.array_equal(model.user_embedding(tokens, table), model.user_embedding(tokens, spoilt))
    assert np.array_equal(model.item_embeddings(table), model.item_embeddings(spoilt))
    nothing = replace(table, present={name: np.zeros_like(mask) for name, mask in table.present.items()})
    assert np.isfinite(model.item_embeddings(nothing)).all()


def test_a_new_item_is_placed_by_its_contents(point_in_time: PointInTimeFeatures, model: TwoTowerModel) -> None:
    table = point_in_time.table
    assert table.identity[8] == 0 and table.identity[9] > 0
    vectors = {modality: matrix.copy() for modality, matrix in table.vectors.items()}
    for matrix in vectors.values():
        matrix[[9, 16]] = matrix[8]
    present = {modality: mask.copy() for modality, mask in table.present.items()}
    for mask in present.values():
        mask[[9, 16]] = mask[8]
    new, known, other_new = model.item_embeddings(replace(table, vectors=vectors, present=present))[[8, 9, 16]]
    assert np.allclose(new, other_new, atol=1e-6)
    assert not np.allclose(new, known, atol=1e-3)
    assert np.allclose(
        model.item_embeddings(table, np.array([8]), new=True), model.item_embeddings(table, np.array([8])), atol=1e-6
    )
    same = replace(table, vectors=vectors, present=present)
    assert np.allclose(model.item_embeddings(same, np.array([9]), new=True)[0], new, atol=1e-6)


def test_uploads_are_tokens(point_in_time: PointInTimeFeatures, model: TwoTowerModel) -> None:
    table: Table = point_in_time.table
    behind = len(table.identity)
    more = replace(
        table,
        vectors={name: np.concatenate([matrix, matrix[5:6]]) for name, matrix in table.vectors.items()},
        present={name: np.append(mask, name is Modality.IMAGE) for name, mask in table.present.items()},
        identity=np.append(table.identity, 0),
    )
    upload = Tokens(
        np.array([1, behind]),
        np.array([CLICK, KINDS.index(EventKind.UPLOAD)]),
        np.full(2, np.nan),
        np.array([60.0, 0]),
    )
    vector = model.user_embedding(upload, more)
    assert np.isfinite(vector).all()
    assert not np.allclose(vector, model.user_embedding(did([1]), more), atol=1e-3)


def known_of(point_in_time: PointInTimeFeatures) -> np.ndarray:
    return point_in_time.table.identity[: point_in_time.size] > 0


def test_scores_are_dot_products_over_the_temperature(
    point_in_time: PointInTimeFeatures, model: TwoTowerModel
) -> None:
    size, tokens = point_in_time.size, did([4, 10])
    user, towers = (
        model.user_embedding(tokens, point_in_time.table),
        TowerScores(model, point_in_time.table, known_of(point_in_time)),
    )
    rows = np.arange(size)
    known = model.item_embeddings(point_in_time.table, rows) @ user / model.temperature
    known[~known_of(point_in_time)] = 0
    assert np.allclose(towers.scores(user), known, atol=1e-5)
    found = towers.scores(user, np.array([3, 8]))
    assert (found[[3, 8]] == 0).all()
    assert np.allclose(np.delete(found, [3, 8]), np.delete(known, [3, 8]), atol=1e-5)


def test_files_give_the_same_model(point_in_time: PointInTimeFeatures, model: TwoTowerModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = TwoTowerModel.load(tmp_path)
    assert again.network.config == CONFIG
    assert np.array_equal(again.item_embeddings(point_in_time.table), model.item_embeddings(point_in_time.table))
    assert np.array_equal(
        again.user_embedding(did([1, 2]), point_in_time.table), model.user_embedding(did([1, 2]), point_in_time.table)
    )


@pytest.mark.parametrize("seed", range(5))
def test_windows_hold_every_position_once_with_enough_before_it(
    point_in_time: PointInTimeFeatures, seed: int
) -> None:
    users = sequences_of(point_in_time, point_in_time.positive)
    covered: dict[int, list[int]] = {number: [] for number in range(len(users))}
    for window in windows_of(users, np.random.default_rng(seed)):
        positions = range(window.first, window.end)
        covered[window.user] += positions
        assert len(positions) > 0 and window.end - 1 - window.start <= MAX_TOKENS
        assert window.start == 0 or window.first - window.start >= MAX_TOKENS // 2
    assert all(found == list(range(len(users[number].rows))) for number, found in covered.items())


def test_every_label_is_allowed_and_younger_than_what_is_known(point_in_time: PointInTimeFeatures) -> None:
    allowed = older_steps(point_in_time, 4)
    assert all(allowed[rows].sum() == len(rows) - 4 for rows in point_in_time.of_user)
    users = sequences_of(point_in_time, allowed)
    windows = windows_of(users, np.random.default_rng(0))
    tokens, which, position, wanted = examples(point_in_time, users, windows)
    assert len(wanted) == sum(len(user.rows) for user in users)
    for number, known, item in zip(which.tolist(), position.tolist(), wanted.tolist(), strict=True):
        user, start = users[windows[number].user], windows[number].start
        following = user.rows[start + known :]
        assert item == point_in_time.item[following[allowed[following]][0]]
        assert np.array_equal(point_in_time.item[user.rows[start : start + known]], tokens[number].rows[:known])


def test_training_sees_each_moment_as_serving_does(point_in_time: PointInTimeFeatures, model: TwoTowerModel) -> None:
    """The vector at a position of a window is that of a request at the moment of the event behind it."""
    users = sequences_of(point_in_time, point_in_time.positive)
    windows = windows_of(users, np.random.default_rng(3))
    tokens, which, position, _ = examples(point_in_time, users, windows)
    with torch.inference_mode():
        trained = model.network.user_embeddings(histories(tokens, point_in_time.table)).numpy()
    for number in range(0, len(which), 37):
        row, known = int(which[number]), int(position[number])
        user, start = users[windows[row].user], windows[row].start
        now = float(point_in_time.log.time[user.rows[start + known]])
        served = point_in_time.tokens(user.rows[start : start + known], now)
        assert np.allclose(model.user_embedding(served, point_in_time.table), trained[row, known], atol=1e-5)
