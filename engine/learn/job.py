"""A training from beginning to end: read what people did, train, judge, put the version into the registry."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from encoders.errors import TriveniError
from encoders.space import Space, SpaceManifest
from encoders.types import Floats, Text
from engine.compose import open_events, open_space, registry, torch_device
from engine.config import Settings
from engine.encoding import DirectEncoder
from engine.errors import CancelledError
from engine.events.types import Impression
from engine.items import ItemTable, load_items
from engine.learn import metrics
from engine.learn.baselines.matrix import seen_items
from engine.learn.card import CardDraft, ModelCard, git_commit
from engine.learn.dataset import RowSettings, Situations, encode_texts
from engine.learn.errors import CheckpointError
from engine.learn.fit import FitSettings, fit
from engine.learn.gate import judge_candidate
from engine.learn.learned import VersionRanker
from engine.learn.log import EventLog, event_log
from engine.learn.pointer import UNTRAINED
from engine.learn.ranker import Cases, Ranker
from engine.learn.replay import replayed_ndcg, shown_lists
from engine.learn.splits import Positives, by_time
from engine.learn.stats import bootstrap
from engine.learn.train import Progress, Stop, TrainSettings
from engine.learn.untrained import UntrainedRanker
from engine.learn.worker import Window
from engine.rerank.content import ContentScorer
from engine.rerank.statistics import count
from engine.rerank.version import KIND, Utility, Version, load_version, save_version
from engine.types import EventKind

KS = (10,)
REPLAYED = "replayed_ndcg"
"""Over served lists: was what people chose put higher?"""
METRICS = (REPLAYED, "ndcg_at_10", "hr_at_10", "recall_at_10")


def fit_settings(settings: Settings, manifest: SpaceManifest, seed: int) -> FitSettings:
    """What the settings say of training."""
    learn = settings.learn
    least = {EventKind.RATE: learn.min_rating} if learn.min_rating > 0 else {}
    return FitSettings(
        fields=learn.fields,
        positives=Positives(least=least),
        rows=RowSettings(steps=learn.steps, seed=seed),
        training=TrainSettings(epochs=learn.epochs, seed=seed),
        width=learn.width,
        content=ContentScorer(manifest.calibration, settings.fuse),
        utility=Utility(learn.positive_worth, learn.negative_worth, learn.new_lift),
    )


def train_version(
    settings: Settings,
    items_file: Path,
    progress: Callable[[float, str], None],
    cancelled: Callable[[], bool],
    window: Window,
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
    progress(0.0, "loading the encoders")
    space, items = open_space(settings), load_items(items_file)
    progress(0.02, "reading events")
    log, impressions = _read(settings, window)
    log = encode_texts(log, lambda texts: _encoded(space, texts))
    made = fit_settings(settings, space.manifest, seed)
    split = by_time(log, items, share=settings.learn.held_out, positives=made.positives)
    until = float(split.cases.time.min())

    def report(one: Progress) -> None:
        progress(0.05 + 0.8 * one.share, one.stage)

    try:
        fitted = fit(
            split.train,
            items,
            made,
            impressions=[one for one in impressions if one.time.timestamp() < until],
            device=torch_device(settings),
            report=report,
            stopped=cancelled,
        )
    except Stop:
        raise CancelledError("the training was cancelled", "start it again") from None

    progress(0.87, "judging it on the youngest events")
    candidate = VersionRanker(fitted.version, made.positives, made.content)
    serving = _serving(settings, space, made)
    values = {ranker.name: _values(ranker, split.train, items, split.cases) for ranker in (candidate, serving)}
    ours, theirs = values[candidate.name], values[serving.name]
    people, metric = split.cases.user, "ndcg_at_10"
    later = [one for one in impressions if one.time.timestamp() >= until]
    lists, worth = shown_lists(log, split.train, items, later, made.positives)
    if len(lists):  # what was not shown could not be chosen: only what was shown is judged
        people, metric = lists.user, REPLAYED
        for ranker, figures in ((candidate, ours), (serving, theirs)):
            figures[REPLAYED] = replayed_ndcg(ranker, lists, worth)
    verdict = judge_candidate(
        ours[metric],
        theirs[metric],
        metric=metric,
        people=people,
        confidence=settings.models.confidence,
        min_cases=settings.models.min_cases,
        seed=seed,
    )

    progress(0.95, "writing the version")
    whole = Situations(log, items, fitted.version.scales, fitted.version.known, made.positives)
    version = _with_counts(fitted.version, whole)
    whose = {name: people if name == REPLAYED else split.cases.user for name in ours if name in METRICS}
    intervals = {name: bootstrap(ours[name], whose[name], seed=seed) for name in whose}
    draft = CardDraft(
        kind=KIND,
        fingerprint=space.fingerprint,
        data_from=_time(log, 0),
        data_until=_time(log, -1),
        counts={
            "events": len(log),
            "people": len(log.users),
            "items": len(items),
            "rows": fitted.rows,
            "served_lists": len(impressions),
            "cases": len(split.cases),
            "judged_lists": len(lists),
        },
        metrics={name: float(ours[name].mean()) for name in whose},
        baseline_metrics={name: float(theirs[name].mean()) for name in whose},
        intervals={name: (one.low, one.high) for name, one in intervals.items()},
        seed=seed,
        git_commit=git_commit(Path(__file__).parent),
        settings={"learn": settings.learn.model_dump(mode="json"), "held_against": serving.name},
        gate=verdict,
    )
    return registry(settings).create(draft, lambda folder: save_version(version, folder))


def _read(settings: Settings, window: Window) -> tuple[EventLog, list[Impression]]:
    events = open_events(settings)
    try:
        log = event_log(events.export(since=window.start, until=window.end))
        served = [one.impression for one in events.impressions(since=window.start, until=window.end)]
    finally:
        events.close()
    return log, served


def _encoded(space: Space, texts: Sequence[Text]) -> list[Floats]:
    vectors: list[Floats] = []
    for found in space.encode(list(texts)):
        if isinstance(found, TriveniError):
            raise found
        vectors.append(found)
    return vectors


def _serving(settings: Settings, space: Space, made: FitSettings) -> Ranker:
    """What serves now, or the untrained engine."""
    versions = registry(settings)
    name = versions.pointer().serving
    if name != UNTRAINED:
        with suppress(CheckpointError):  # what cannot be loaded does not serve either
            folder, _ = versions.verified(name, space.fingerprint)
            return VersionRanker(load_version(folder), made.positives, made.content, name=name)
    return UntrainedRanker(
        space.manifest,
        DirectEncoder(space),
        fuse=settings.fuse,
        retrieve=settings.retrieve,
        policy=settings.policy,
    )


def _values(ranker: Ranker, log: EventLog, items: ItemTable, cases: Cases) -> dict[str, np.ndarray]:
    """Per metric (b,): its value in each case, over all items but the seen."""
    ranker.fit(log, items)
    found: list[dict[str, np.ndarray]] = []
    for start in range(0, len(cases), 256):
        some = cases.take(np.arange(start, min(start + 256, len(cases)), dtype=np.intp))
        best = metrics.top(ranker.score(some), max(KS), seen_items(some, log, items))
        found.append(metrics.per_case(best, some.targets, KS))
    return {name.replace("@", "_at_"): np.concatenate([part[name] for part in found]) for name in found[0]}


def _with_counts(version: Version, situations: Situations) -> Version:
    return replace(version, statistics=count(situations.sequences(), situations.size))


def _time(log: EventLog, row: int) -> datetime:
    return datetime.fromtimestamp(float(log.time[row]), UTC)
