"""Saved versions meet a release whose features and kinds of events are others, or in another order."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoders.spaces.space import PairCalibration, SpaceManifest
from encoders.types import Modality
from engine.config.settings import FuseSettings
from engine.core.deadline import Deadline
from engine.core.types import Event, EventKind, Query, VectorInput
from engine.encode.encoding import DirectEncoder
from engine.learn.network.distil import Student, export
from engine.models.errors import CheckpointError
from engine.query.resolve import resolve
from engine.rerank import features
from engine.rerank.features import FEATURES, PLAIN, Feature, feature_names
from engine.rerank.fields import FieldScales
from engine.rerank.model import CrossAttentionReranker, ModelConfig
from engine.rerank.names import EVENT_KINDS_BEFORE, features_before
from engine.rerank.served import LearnedModel
from engine.rerank.small import SmallNetwork
from engine.rerank.statistics import Sequences, count
from engine.rerank.table import KINDS
from engine.rerank.two_towers import SHAPE, TwoTowerConfig, TwoTowerModel, TwoTowers
from engine.rerank.two_towers import WEIGHTS as TOWERS
from engine.rerank.version import NETWORK, WEIGHTS, Utility, Version, load_version, save_version
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.learn.world import catalogue
from tests.tiny import concept_space

ITEMS = catalogue(24)
MODALITIES = tuple(ITEMS.vectors)
SCALES = FieldScales({"group": ("g0", "g1", "g2")}, {"price": (5.0, 2.0)})
PAIR = PairCalibration(mean=0.1, std=0.3, weight=1.0)
MANIFEST = SpaceManifest("f", 16, {m: {} for m in MODALITIES}, {(a, b): PAIR for a in MODALITIES for b in MODALITIES})
NOW = datetime(2026, 3, 1, tzinfo=UTC)
HISTORY = (
    Event(EventKind.CLICK, ITEMS.ids[3], time=NOW - timedelta(hours=5)),
    Event(EventKind.UPLOAD, content=VectorInput(Modality.IMAGE, ITEMS.vectors[Modality.IMAGE][4]), time=NOW),
    Event(EventKind.LIKE, ITEMS.ids[8], time=NOW - timedelta(hours=2)),
    Event(EventKind.DISLIKE, ITEMS.ids[5], time=NOW - timedelta(hours=1)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version with all of its parts, their weights drawn at random."""
    torch.manual_seed(0)
    names = feature_names(MODALITIES, SCALES)
    size, shape = len(ITEMS), tuple(m.value for m in MODALITIES)
    config = ModelConfig(
        shape, 16, size, len(names), width=8, history_layers=1, candidate_layers=1, dropout=0.0, id_dropout=0.0
    )
    network = CrossAttentionReranker(config).eval()
    towers = TwoTowers(TwoTowerConfig(shape, 16, size, embedding=4, width=8))
    for weights in (*network.parameters(), *towers.parameters()):
        torch.nn.init.normal_(weights, std=0.3)
    small = SmallNetwork(export(Student(torch.zeros(len(names)), torch.ones(len(names)), 8)), len(names))
    steps = Sequences((np.arange(size), np.arange(0, size, 3)), (np.arange(size) * 1.0, np.arange(0, size, 3) * 1.0))
    version = Version(
        network,
        count(steps, size),
        ITEMS.ids,
        np.ones(size, np.bool_),
        SCALES,
        Utility(1.0, -1.0, 0.0),
        ((1.0, 0.0), (1.0, 0.0)),
        frozenset({EventKind.CLICK, EventKind.LIKE}),
        {},
        names,
        TwoTowerModel(towers),
        small,
    )
    save_version(version, tmp_path)
    return tmp_path


def answers(folder: Path, *more: Event, fuse: FuseSettings = FuseSettings()) -> list[np.ndarray]:  # noqa: B008
    """What each tier of the version in a folder says of all items to somebody who did all of `HISTORY`, and more."""
    store = MemoryStore(fingerprint="f", dimension=16, modalities=MODALITIES)
    store.upsert(
        [
            Point(name, {m: ITEMS.vectors[m][row] for m in MODALITIES if ITEMS.present[m][row]}, ITEMS.payloads[row])
            for row, name in enumerate(ITEMS.ids)
        ]
    )
    query = Query(history=(*HISTORY, *more))
    nobody = DirectEncoder(concept_space())  # there is nothing to encode
    signals = resolve(query, nobody, MANIFEST, store, fuse, NOW, Deadline())
    model = LearnedModel(load_version(folder), "v", "f", store, clock=lambda: NOW)
    tiers = model.contribute(query, signals, ()).rerankers
    assert [one.tier for one in tiers] == ["full", "small"]
    return [one.rerank(query, signals, store.candidates(ITEMS.ids)).scores for one in tiers]


def said_otherwise(folder: Path, **said: object) -> None:
    """Change what a version says of itself; None takes it out."""
    path = folder / NETWORK
    about = {**json.loads(path.read_text()), **said}
    path.write_text(json.dumps({name: value for name, value in about.items() if value is not None}))


def with_kinds(folder: Path, kinds: list[str]) -> None:
    """Let a version know some kinds of events, in some order."""
    for name in (WEIGHTS, TOWERS):
        weights = load_file(folder / name)
        rows = weights["kind.weight"]
        known = [rows[KINDS.index(EventKind(kind))] if kind in KINDS else torch.ones_like(rows[0]) for kind in kinds]
        save_file({**weights, "kind.weight": torch.stack(known)}, folder / name)
    said_otherwise(folder, event_kinds=kinds)


def test_features_in_another_order_feed_the_same_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(folder)
    monkeypatch.setattr(features, "FEATURES", FEATURES[::-1])
    assert feature_names(MODALITIES, SCALES) != load_version(folder).features
    for told, expected in zip(answers(folder), before, strict=True):
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(told, expected, atol=1e-6)
    said_otherwise(folder, features=feature_names(MODALITIES, SCALES))
    assert all(np.abs(told - expected).max() > 0.01 for told, expected in zip(answers(folder), before, strict=True))


def test_a_feature_that_is_new_changes_no_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(folder)
    new = Feature("row", lambda _: ("row",), lambda one: one.candidates[None], (PLAIN,))
    monkeypatch.setattr(features, "FEATURES", (new, *FEATURES))
    for told, expected in zip(answers(folder), before, strict=True):
        np.testing.assert_allclose(told, expected, atol=1e-6)


def test_a_feature_that_is_gone_is_refused_with_both_lists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FEATURES", tuple(one for one in FEATURES if one.name != "gap"))
    with pytest.raises(CheckpointError) as told:
        load_version(folder)
    problem = f"model version {folder.name} reads features that are not there: gap. It reads transitions, .*, gap"
    assert told.match(f"{problem}; there are transitions, .*, length: train it anew")


def test_kinds_in_another_order_have_the_same_rows(folder: Path) -> None:
    before = answers(folder)
    with_kinds(folder, [kind.value for kind in reversed(KINDS)])
    for told, expected in zip(answers(folder), before, strict=True):
        np.testing.assert_allclose(told, expected, atol=1e-6)
    said_otherwise(folder, event_kinds=list(KINDS))
    assert np.abs(answers(folder)[0] - before[0]).max() > 1e-4


def test_a_kind_that_the_version_does_not_know_says_nothing(folder: Path) -> None:
    """The event stays in the history, with its content and its time."""
    before = answers(folder)
    with_kinds(folder, [kind.value for kind in KINDS if kind is not EventKind.UPLOAD])
    version = load_version(folder)
    assert version.towers is not None
    rows = torch.tensor([version.token_kinds.row(kind) for kind in KINDS])
    for network in (version.network, version.towers.network):
        assert (network.kind(rows).any(dim=1) == torch.tensor([kind is not EventKind.UPLOAD for kind in KINDS])).all()
    told = answers(folder)
    assert all(np.isfinite(one).all() for one in told)
    assert np.abs(told[0] - before[0]).max() > 1e-4
    again = folder / "again"
    again.mkdir()
    save_version(version, again)
    np.testing.assert_array_equal(answers(again)[0], told[0])


SHARE = Event("share", ITEMS.ids[11], time=NOW - timedelta(minutes=5))
DECLARED = FuseSettings(weights={"share": 1.5})


def test_a_kind_that_is_declared_later_is_a_token_of_every_version(folder: Path) -> None:
    before, told = answers(folder), answers(folder, SHARE, fuse=DECLARED)
    assert all(np.isfinite(one).all() for one in told)
    assert all(np.abs(one - other).max() > 1e-4 for one, other in zip(told, before, strict=True))
    version = load_version(folder)
    assert not version.favours(SHARE)  # it did not learn so
    assert not version.network.kind(torch.tensor([version.token_kinds.row("share")])).any()


def test_a_kind_that_is_no_longer_declared_changes_no_answer(folder: Path) -> None:
    """Its row stays, and no event of it comes."""
    before = answers(folder)
    with_kinds(folder, ["share", *KINDS])
    said_otherwise(folder, kinds=["click", "like", "share"], negative_kinds=["dislike", "skip"])
    for told, expected in zip(answers(folder, SHARE), before, strict=True):
        np.testing.assert_array_equal(told, expected)
    again, trained = folder / "again", answers(folder, SHARE, fuse=DECLARED)
    again.mkdir()
    save_version(load_version(folder), again)
    assert load_version(again).favours(SHARE)
    for told, expected in zip(answers(again, SHARE, fuse=DECLARED), trained, strict=True):
        np.testing.assert_array_equal(told, expected)
    assert np.abs(trained[0] - before[0]).max() > 1e-4


def test_what_speaks_against_an_item_is_what_the_version_learned(folder: Path) -> None:
    before = answers(folder)
    said_otherwise(folder, negative_kinds=["skip"])
    assert np.abs(answers(folder)[0] - before[0]).max() > 1e-4
    said_otherwise(folder, negative_kinds=None)  # as versions that were saved before
    np.testing.assert_array_equal(answers(folder)[0], before[0])


def test_a_version_without_names_has_those_of_the_release_before(folder: Path) -> None:
    version, names = load_version(folder), features_before(MODALITIES, SCALES.categories, SCALES.numbers)
    assert (len(names), names[0], names[13], names[14], names[-1]) == (
        len(version.features), "transitions", "attractiveness", "transitions_z", "gap",
    )  # fmt: skip
    save_version(replace(version, features=names), folder)
    with_kinds(folder, list(EVENT_KINDS_BEFORE))
    named = answers(folder)
    said_otherwise(folder, features=None, event_kinds=None)
    assert load_version(folder).features == names
    for told, expected in zip(answers(folder), named, strict=True):
        np.testing.assert_array_equal(told, expected)


def test_names_of_before_are_those_of_now(folder: Path) -> None:
    """A version that stores the names that features had, and weights of towers that were called otherwise."""
    before, version = answers(folder), load_version(folder)
    old = {
        "transitions": "follows", "transitions_last_z": "follows_last_z", "cooccurrences_share": "together_share",
        "attractiveness_rank": "attraction_rank", "two_tower": "taste", "two_tower_z": "taste_z",
    }  # fmt: skip
    assert old.keys() <= set(version.features)
    said_otherwise(folder, features=[old.get(name, name) for name in version.features])
    weights = load_file(folder / TOWERS)
    was = {"to_user_embedding": "to_taste", "to_item_embedding": "item_to_taste", "distance_bias": "far"}
    renamed = {".".join(was.get(step, step) for step in name.split(".")): value for name, value in weights.items()}
    assert {"to_taste.0.weight", "item_to_taste.0.weight", "layers.0.far"} <= renamed.keys()
    save_file(renamed, folder / TOWERS)
    shape = json.loads((folder / SHAPE).read_text())
    (folder / SHAPE).write_text(
        json.dumps({"taste" if name == "embedding" else name: value for name, value in shape.items()})
    )
    assert load_version(folder).features == version.features
    for told, expected in zip(answers(folder), before, strict=True):
        np.testing.assert_array_equal(told, expected)


def test_as_many_names_as_columns(folder: Path) -> None:
    said_otherwise(folder, features=feature_names(MODALITIES, SCALES)[1:])
    with pytest.raises(ValueError, match=r"the network reads \d+ features, and \d+ have names"):
        load_version(folder)
