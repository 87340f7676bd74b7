"""A training from beginning to end: read what people did, train, judge, put the version into the registry."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from encoders.spaces.space import Space, SpaceManifest
from engine import opening
from engine.catalog.items import ItemTable, load_items
from engine.core.errors import CancelledError
from engine.core.extras import missing
from engine.core.types import EventKind
from engine.encode.encoding import DirectEncoder
from engine.events.types import Impression
from engine.learn.fit import FitSettings, Fitted, fit
from engine.learn.judging import HeldOut, Judgement, judge_versions
from engine.learn.learned import VersionRanker
from engine.learn.log import EventLog
from engine.learn.network.distil import DistilSettings
from engine.learn.network.private import PrivateSettings
from engine.learn.network.processes import processes
from engine.learn.network.train import TrainSettings
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.network.trainer import Run, Stop, heard_by
from engine.learn.pace import Tell, within
from engine.learn.ranker import Ranker, Split
from engine.learn.rows.attractiveness import examination_probabilities
from engine.learn.rows.dataset import RowSettings
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.settings import LearnSettings
from engine.learn.splits import Positives, by_time
from engine.learn.training_data import TrainingData, read_training_data
from engine.learn.untrained import UntrainedRanker
from engine.learn.watched import Watched
from engine.learn.window import TimeWindow
from engine.models.card import CardDraft, ModelCard, git_commit
from engine.models.errors import CheckpointError, TrainingError
from engine.models.pointer import NO_VERSION
from engine.opening import OpeningSettings
from engine.query.settings import PolicySettings
from engine.rerank.compiled import compile_network
from engine.rerank.content import ContentScorer
from engine.rerank.table import TokenKinds
from engine.rerank.version import KIND, Utility, load_version, save_version

_DAY = 86400.0
_LOADED, _READ, _FITTED, _JUDGED = 0.02, 0.04, 0.85, 0.99
"""The shares of a training's time after which each of its parts ends, as measured with 10,000 events."""
EPOCHS = "epochs"
"""In a card's settings: the loss and the held-out figures of each epoch."""
LEARNED_UNTIL = "learned_until"
"""In a card's settings: the moment from which on nothing was learned, but only counted; RFC 3339."""


class JobSettings(OpeningSettings, Protocol):
    """The settings of a training, and of what it opens."""

    @property
    def learn(self) -> LearnSettings:
        """Of training."""

    @property
    def policy(self) -> PolicySettings:
        """Of what is shown, for judging the untrained engine."""


def fit_settings(settings: JobSettings, manifest: SpaceManifest, seed: int) -> FitSettings:
    """What the settings say of training."""
    learn = settings.learn
    kinds = opening.event_kinds(settings)
    least: dict[str, float] = {EventKind.RATE: learn.min_rating} if learn.min_rating > 0 else {}
    return FitSettings(
        fields=learn.fields,
        positives=Positives(kinds.positive, least),
        kinds=TokenKinds.of(kinds),
        rows=RowSettings(steps=learn.steps, first_steps=learn.first_steps, seed=seed),
        training=TrainSettings(epochs=learn.epochs, batch=learn.batch, learning_rate=learn.learning_rate, seed=seed),
        width=learn.width,
        dropout=learn.dropout,
        id_dropout=learn.id_dropout,
        towers=TwoTowerSettings(epochs=learn.tower_epochs, seed=seed) if learn.tower_epochs else None,
        content=ContentScorer(manifest.calibration, settings.fuse),
        utility=Utility(learn.positive_utility, learn.negative_utility, learn.new_share),
        small=None if learn.private else DistilSettings(),
        counted=not learn.private,
        private=_private(learn),
    )


def _private(learn: LearnSettings) -> PrivateSettings | None:
    if not learn.private:
        return None
    if wanting := missing("opacus"):
        raise TrainingError(f"learn.private: {wanting}", "install it, or set learn.private = false")
    return PrivateSettings(
        learn.private_epsilon, learn.private_delta, learn.private_norm, learn.private_people, learn.private_epochs
    )


def train_version(
    settings: JobSettings,
    items_file: Path,
    progress: Tell,
    cancelled: Callable[[], bool],
    window: TimeWindow,
    seed: int,
) -> ModelCard:
    """Train a version and put it into the registry.

    It learns from the older events, and is judged on the youngest, against what serves now. Then its counts, not its
    weights, are brought up to date with all events.

    Args:
        settings: all settings.
        items_file: the catalogue, as `save_items` wrote it.
        progress: is told the part that is done, 0 to 1, and what is being done.
        cancelled: says whether to stop.
        window: the events to learn from.
        seed: makes it repeatable.

    Raises:
        TooLittleDataError: if there is not enough to learn from.
        CancelledError: if it stopped because it was told to.
        SpaceError: if the catalogue is of another space.
    """
    done = fitted_on(settings, items_file, progress, cancelled, window, seed)
    space, items, data, made, split, fitted = (
        done.space, done.items, done.data, done.settings, done.split, done.fitted,
    )  # fmt: skip
    log, until = data.log, done.until

    tell = _judging(progress, 2 * (len(split.cases) + len(data.since(until))))
    before = data.before(until)
    challenger = Watched(
        VersionRanker(fitted.version, made.positives, made.content, recount=None if made.private else before), tell
    )
    parent = opening.registry(settings).pointer().serving
    serving = Watched(_serving(settings, space, made, parent, before), tell)
    made_of = fitted.version.scales, fitted.version.known, made.positives
    whole = PointInTimeFeatures(log, items, *made_of, impressions=data.impressions)
    held = HeldOut(log, split, items, data.since(until), examination_probabilities(whole.exposures), made.positives)
    judged = judge_versions(
        challenger,
        serving,
        held,
        confidence=settings.models.confidence,
        min_cases=settings.models.min_cases,
        seed=seed,
    )

    progress(_JUDGED, "writing the version")
    version = fitted.version if made.private else replace(fitted.version, statistics=whole.counts())
    if settings.learn.compiled:
        version = replace(version, compiled=compile_network(version.network))
    draft = _draft(settings, done, judged, parent, serving.name, seed)
    return opening.registry(settings).create(draft, lambda folder: save_version(version, folder))


@dataclass(frozen=True, slots=True)
class FittedOn:
    """A version that is not judged yet, and what it was made of."""

    space: Space
    items: ItemTable
    data: TrainingData
    settings: FitSettings
    split: Split
    until: float
    """It learned from what happened before, seconds since 1970."""
    fitted: Fitted


def fitted_on(
    settings: JobSettings,
    items_file: Path,
    progress: Tell,
    cancelled: Callable[[], bool],
    window: TimeWindow,
    seed: int,
) -> FittedOn:
    """The first part of `train_version`: all that several processes do together."""
    progress(0.0, "loading the encoders")
    space, items = opening.open_space(settings), load_items(items_file)
    reading = within(progress, _LOADED, _READ)
    mine = processes()  # an event may come or go meanwhile: all learn from what the first has read
    data = mine.agreed(read_training_data(settings, space, items, window, reading) if mine.first else None)
    assert data is not None
    made = fit_settings(settings, space.manifest, seed)

    try:
        with data.told(made.positives):
            split = by_time(data.log, items, share=settings.learn.held_out, positives=made.positives)
            until = float(split.cases.time.min())
            before = data.before(until)
            folder = _run_folder(settings, seed, split.train, items, len(before))
            report = heard_by(within(progress, _READ, _FITTED))
            run = Run(opening.torch_device(settings), folder, report, cancelled)
            fitted = fit(split.train, items, made, run, impressions=before)
    except Stop:
        raise CancelledError("the training was cancelled", "start it again") from None
    return FittedOn(space, items, data, made, split, until, fitted)


def _draft(
    settings: JobSettings, done: FittedOn, judged: Judgement, parent: str, held_against: str, seed: int
) -> CardDraft:
    """The card of a version that was trained and judged."""
    log, fitted = done.data.log, done.fitted
    return CardDraft(
        kind=KIND,
        fingerprint=done.space.fingerprint,
        data_from=_time(log, 0),
        data_until=_time(log, -1),
        read_from=done.data.window.start,
        read_until=done.data.window.end,
        read_at=done.data.read_at,
        counts={
            "events": len(log),
            "users": len(log.users),
            "items": len(done.items),
            "rows": fitted.rows,
            "served_lists": len(done.data.impressions),
            "cases": len(done.split.cases),
            "judged_lists": judged.lists,
            **({"undeclared_events": done.data.undeclared} if done.data.undeclared else {}),
        },
        metrics={name: one.mean for name, one in judged.challenger.items()},
        baseline_metrics=judged.serving,
        intervals={name: (one.low, one.high) for name, one in judged.challenger.items()},
        seed=seed,
        git_commit=git_commit(Path(__file__).parent),
        settings={
            "learn": settings.learn.model_dump(mode="json"),
            LEARNED_UNTIL: datetime.fromtimestamp(done.until, UTC).isoformat(),
            "held_against": held_against,
            "popularity": dict(judged.popularity),
            EPOCHS: [dict(figures) for figures in fitted.epochs],
            "small": asdict(fitted.small) if fitted.small else None,
        },
        parent=parent,
        privacy=fitted.privacy,
        gate=judged.verdict,
    )


def _judging(progress: Tell, most: int) -> Callable[[int], None]:
    """Counts the cases that were judged, of at most so many."""
    part, done = within(progress, _FITTED, _JUDGED), 0

    def scored(more: int) -> None:
        nonlocal done
        done += more
        part(min(done / max(most, 1), 1.0), "judging it on the youngest events")

    scored(0)
    return scored


def _run_folder(settings: JobSettings, seed: int, log: EventLog, items: ItemTable, lists: int) -> Path:
    """Where a training keeps its state and its logs for TensorBoard.

    The same training goes on there after a kill. One of other events, items or settings, or by other code, has
    another folder; what is a day old is removed.
    """
    code = git_commit(Path(__file__).parent)
    said = [
        settings.learn.model_dump_json(),
        str(opening.event_kinds(settings)),
        str(seed),
        str(lists),
        code,
        *items.ids,
    ]
    digest = hashlib.blake2b("\0".join(said).encode(), digest_size=8)
    for column in (log.user, log.item, log.kind, log.time, log.value):
        digest.update(np.ascontiguousarray(column).tobytes())
    runs = settings.models.path / ".runs"
    for other in runs.glob("*"):
        if time.time() - other.stat().st_mtime > _DAY:
            shutil.rmtree(other, ignore_errors=True)
    return runs / digest.hexdigest()


def _serving(
    settings: JobSettings, space: Space, made: FitSettings, name: str, before: Sequence[Impression]
) -> Ranker:
    """The version of that name, counted anew as a challenger is; or the untrained engine."""
    versions = opening.registry(settings)
    if name != NO_VERSION:
        with suppress(CheckpointError):  # what cannot be loaded does not serve either
            folder, card = versions.verified(name, space.fingerprint)
            version = load_version(folder)
            positives = Positives(version.positive_kinds, version.min_values)
            return VersionRanker(
                version, positives, made.content, name=name, recount=None if card.privacy else before
            )
    return UntrainedRanker(
        space.manifest,
        DirectEncoder(space),
        fuse=settings.fuse,
        retrieve=settings.retrieve,
        policy=settings.policy,
    )


def _time(log: EventLog, row: int) -> datetime:
    return datetime.fromtimestamp(float(log.time[row]), UTC)
