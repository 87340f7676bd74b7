"""A real version with both of its networks, served: which one answers, and a small one that is broken."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from encoders.spaces.space import SpaceManifest
from encoders.types import Floats
from engine.core.deadline import Deadline
from engine.core.types import Event, EventKind, PolicyOptions, Query, QueryPart, ReasonKind
from engine.encode.encoding import DirectEncoder
from engine.learn.fit import FitSettings, fit
from engine.learn.network.distil import DistilSettings
from engine.learn.network.train import TrainSettings
from engine.learn.rows.dataset import RowSettings
from engine.models.errors import CheckpointError
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.query.models import Fixed
from engine.query.pipeline import Engine
from engine.query.settings import FuseSettings
from engine.rerank.served import LearnedModel, load_model
from engine.rerank.small import SMALL
from engine.rerank.table import RankingInput, Table
from engine.rerank.version import KIND, Version, save_version
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.learn.test_same_features import calibration
from tests.learn.world import START, catalogue, walks
from tests.models.versions import draft
from tests.tiny import concept_space

ITEMS = catalogue()
MANIFEST = SpaceManifest("walks", 16, {m: {"name": str(m)} for m in ITEMS.vectors}, calibration())
ABOUT = draft(kind=KIND, fingerprint=MANIFEST.fingerprint)
NOW = START + timedelta(days=40)
QUERY = Query(
    history=tuple(Event(EventKind.CLICK, ITEMS.ids[row], time=NOW - timedelta(hours=9 - row)) for row in (0, 6)),
    limit=5,
    policy=PolicyOptions(diversity=0.0),
)


@pytest.fixture(scope="module")
def version() -> Version:
    settings = FitSettings(
        rows=RowSettings("time", steps=6, folds=4),
        training=TrainSettings(epochs=1, batch=32),
        towers=None,
        width=16,
        small=DistilSettings(width=16, epochs=2),
    )
    return fit(walks(ITEMS), ITEMS, settings).version


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    made = MemoryStore(fingerprint=MANIFEST.fingerprint, dimension=16, modalities=tuple(ITEMS.vectors))
    made.upsert(
        [
            Point(name, {m: ITEMS.vectors[m][row] for m in ITEMS.vectors if ITEMS.present[m][row]}, {})
            for row, name in enumerate(ITEMS.ids)
        ]
    )
    return made


def clock() -> datetime:
    return NOW


def engine_of(models: object, store: MemoryStore) -> Engine:
    encoder = DirectEncoder(concept_space())  # there is nothing to encode: the history is of items
    return Engine(encoder, MANIFEST, store, models=models, clock=clock)  # type: ignore[arg-type]


def test_the_tier_that_the_deadline_leaves_time_for(version: Version, store: MemoryStore) -> None:
    model = LearnedModel(version, "v1", MANIFEST.fingerprint, store, clock=clock)
    assert [tier.name for tier in model.tiers] == ["full", "small"]
    engine, full, small = engine_of(Fixed(model), store), *model.tiers
    assert engine.recommend(QUERY, Deadline(60)).tier == "full"
    full.took(1e6)
    full.took(1e6)
    hurried = engine.recommend(QUERY, Deadline(60))
    assert (hurried.model, hurried.tier) == ("v1", "small")
    assert engine.recommend(QUERY).tier == "full"
    small.took(1e6)
    small.took(1e6)
    assert engine.recommend(QUERY, Deadline(60)).tier == "retrieval"


def test_the_small_tier_scores_with_the_small_network(version: Version, store: MemoryStore) -> None:
    model = LearnedModel(version, "v1", MANIFEST.fingerprint, store, clock=clock)
    network, asked = version.small, list[RankingInput]()
    assert network is not None
    full, small = model.tiers
    scored = small.logits

    def kept(request: RankingInput, table: Table) -> Floats:
        asked.append(request)
        return scored(request, table)

    small.logits = kept
    full.took(1e6)
    full.took(1e6)
    answer = engine_of(Fixed(model), store).recommend(QUERY, Deadline(60))
    (request,) = asked
    logits = network.logits(request.dense)
    slope, intercept = np.array(version.calibration).T
    likely = 1 / (1 + np.exp(-(logits * slope + intercept)))
    worth = likely @ np.array([version.utility.positive, version.utility.negative])
    found = [result.score for result in answer.results]
    assert len(found) == 5
    np.testing.assert_allclose(found, np.sort(worth)[::-1][:5], atol=1e-5)


def test_what_was_asked_for_comes_first(version: Version, store: MemoryStore) -> None:
    """Training knows no queries: a network decides between items that answer one alike."""
    model = LearnedModel(version, "v1", MANIFEST.fingerprint, store, clock=clock)
    policy = PolicyOptions(diversity=0.0)
    asked = Query((QueryPart(ITEMS.ids[7]),), history=QUERY.history, limit=96, policy=policy)
    plain, found = (engine_of(models, store).recommend(asked) for models in (Fixed(None), Fixed(model)))
    before = {result.item: result.score for result in plain.results}
    moves = np.array([result.score - before[result.item] for result in found.results if result.item in before])
    assert found.tier == "full" and len(moves) > 60
    assert np.abs(moves.mean()) < 0.2 and 0.3 < moves.std() < 0.6  # MODEL_WEIGHT_WITH_QUERY
    assert {ITEMS.ids.index(result.item) % 6 for result in found.results[:8]} == {1}  # the group of item 7


def test_a_reason_that_the_similarity_does_not_bear_is_not_given(version: Version, store: MemoryStore) -> None:
    model = LearnedModel(version, "v1", MANIFEST.fingerprint, store, clock=clock)
    plain, found = (
        engine_of(models, store).recommend(replace(QUERY, limit=96)) for models in (Fixed(None), Fixed(model))
    )
    similarity = {result.item: result.score for result in plain.results}
    said: dict[ReasonKind, list[float]] = {kind: [] for kind in ReasonKind}
    for result in found.results:
        said[result.reasons[0].kind].append(similarity.get(result.item, -np.inf))
    assert min(said[ReasonKind.EVENT]) >= FuseSettings().related > max(said[ReasonKind.LEARNED])
    assert len(said[ReasonKind.EVENT]) + len(said[ReasonKind.LEARNED]) == len(found.results)


def test_a_full_network_that_fails_leaves_it_to_the_small_one(version: Version, store: MemoryStore) -> None:
    model = LearnedModel(version, "v1", MANIFEST.fingerprint, store, clock=clock)

    def broken(request: RankingInput, table: Table) -> Floats:
        raise RuntimeError("out of memory")

    model.tiers[0].logits = broken
    with capture_logs() as logs:
        assert engine_of(Fixed(model), store).recommend(QUERY).tier == "small"
    assert [(line["event"], line["tier"]) for line in logs] == [("reranker failed", "full")]


@pytest.fixture
def serving(tmp_path: Path, store: MemoryStore) -> Iterator[Serving]:
    loaders = {KIND: lambda folder, card: load_model(folder, card, store)}
    made = Serving(Registry(tmp_path / "models"), loaders, MANIFEST.fingerprint, standby=False)
    made.start()
    yield made
    made.close()


def test_a_broken_small_network_is_refused_by_name_and_what_serves_goes_on(
    version: Version, store: MemoryStore, serving: Serving
) -> None:
    def put(name: str, after: Callable[[Path], None] = lambda folder: None) -> Path:
        def write(folder: Path) -> None:
            save_version(version, folder)
            after(folder)

        serving.registry.create(ABOUT, write, version=name)
        return serving.registry.path / name / SMALL

    put("good")
    cut = put("cut")
    cut.write_bytes(cut.read_bytes()[:-1])
    put("other", lambda folder: (folder / SMALL).write_bytes(b"no network"))  # its checksum is right
    put("gone").unlink()
    serving.promote("good")
    for name, message in (
        ("cut", f"{SMALL} of model version cut is corrupt"),
        ("other", f"version other cannot be loaded .*{SMALL}"),
        ("gone", f"model version gone holds .* its card names .*{SMALL}"),
    ):
        with pytest.raises(CheckpointError, match=message):
            serving.promote(name)
        assert engine_of(serving, store).recommend(QUERY).model == "good"


def test_a_version_of_before_serves_with_one_tier(version: Version, store: MemoryStore, serving: Serving) -> None:
    before = replace(version, small=None)
    serving.registry.create(ABOUT, lambda folder: save_version(before, folder), version="old")
    serving.promote("old")
    answer = engine_of(serving, store).recommend(QUERY)
    assert (answer.model, answer.tier) == ("old", "full")
