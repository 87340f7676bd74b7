"""The part of `triveni evaluate` that is about trained versions, and about lists that were served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from engine.cli.common import tell
from engine.cli.evaluate_inputs import Catalogue, SplitKind, stored
from engine.core.errors import NotFoundError

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.events.types import Impression, Served
    from engine.learn.evaluation.served_lists import ServedFigures
    from engine.learn.evaluation.stats import Interval
    from engine.learn.evaluation.trial import Trial
    from engine.learn.learned import LearnedRanker, VersionRanker
    from engine.learn.log import EventLog
    from engine.learn.ranker import Split
    from engine.models.card import ModelCard

SERVING = "serving"
"""Stands for the version that serves."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A version of the registry, as a ranker."""

    card: ModelCard
    as_served: VersionRanker
    """With its own counts."""
    ranker: VersionRanker
    """The same, but for a split by time with the counts of its moment."""

    def note(self, split: Split) -> str:
        """What has to be known to read its figures on a split; "" if it saw nothing of what is predicted."""
        from engine.learn.jobs.job import LEARNED_UNTIL

        until, learned = self.card.data_until or self.card.created, self.card.settings.get(LEARNED_UNTIL)
        seen = int((split.cases.time <= until.timestamp()).sum())
        if self.ranker is not self.as_served and isinstance(learned, str):  # its own counts are not asked
            until = datetime.fromisoformat(learned)
            seen = int((split.cases.time < until.timestamp()).sum())
        if not seen:
            return ""
        return (
            f"it learned from events until {_day(until)}, and {seen:,} of {len(split.cases):,} cases are from "
            "before: it has seen what it is to predict, so its figures are too good"
        )


def versions(
    settings: Settings,
    catalogue: Catalogue,
    kind: SplitKind,
    names: Sequence[str],
    before: Sequence[Impression],
) -> list[Trained]:
    """Versions of the registry as rankers, by name; "serving" is the one that serves.

    `before` are the lists that were served before a split by time.

    Raises:
        NotFoundError: if there is no such version.
        CheckpointError: if it is corrupt, or of another space.
    """
    from engine import opening
    from engine.learn.learned import VersionRanker
    from engine.learn.splits import Positives
    from engine.models.errors import CheckpointError
    from engine.rerank.content import ContentScorer
    from engine.rerank.version import KIND, load_version

    registry = opening.registry(settings)
    content = ContentScorer(catalogue.space.manifest.calibration, settings.fuse)
    found = []
    for name in dict.fromkeys(_named(settings, name) for name in names):
        folder, card = registry.verified(name, catalogue.space.fingerprint)
        if card.kind != KIND:
            raise CheckpointError(f"model version {name} is of kind {card.kind!r}", f"name one of kind {KIND!r}")
        version = load_version(folder)
        positives = Positives(version.positive_kinds, version.min_values)
        ranker = as_served = VersionRanker(version, positives, content, name=name)
        if kind is SplitKind.TIME:
            ranker = VersionRanker(version, positives, content, name=name, recount=before)
        found.append(Trained(card, as_served, ranker))
    return found


def learned(
    settings: Settings,
    catalogue: Catalogue,
    kind: SplitKind,
    before: Sequence[Impression],
    seed: int,
    on_step: Callable[[str], None],
) -> LearnedRanker:
    """The pipeline, to be trained on the split; with the lists that were served before it, if it is one by time."""
    from engine.learn.jobs.job import fit_settings
    from engine.learn.learned import LearnedRanker

    return LearnedRanker(
        fit_settings(settings, catalogue.space.manifest, seed),
        cross_fit=kind.cross_fit,
        name="learned",
        impressions=before,
        report=lambda one: on_step(f"learned: {one.stage}, {one.share:.0%}"),
    )


def encoded(catalogue: Catalogue, log: EventLog) -> EventLog:
    """The log with its searched texts as vectors."""
    from engine.learn.log import encode_texts

    return encode_texts(log, catalogue.space)


def with_vectors(catalogue: Catalogue, split: Split) -> Split:
    """The split with searched texts as vectors, which versions read."""
    return replace(split, train=encoded(catalogue, split.train))


def judged(
    settings: Settings, catalogue: Catalogue, trained: Sequence[Trained], begin: datetime | None, seed: int
) -> list[ServedFigures]:
    """What the lists that were served since a version learned say of it; one with too few lists is told and left
    out."""
    from engine import opening
    from engine.learn.evaluation.served_lists import judge_served
    from engine.learn.evaluation.stats import Draws
    from engine.learn.log import event_log
    from engine.models.errors import TooLittleDataError

    served = list(served_lists(settings, begin))
    if not served:
        return []
    log, kinds = encoded(catalogue, event_log(stored(settings, begin))), opening.event_kinds(settings)
    found = []
    for one in trained:
        try:
            since = one.card.data_until or one.card.created
            found.append(judge_served(one.as_served, log, catalogue.items, served, since, Draws(seed=seed), kinds))
        except TooLittleDataError as error:
            tell("no off-policy estimates", "yellow", f"{one.card.version}: {error}")
    return found


def trial(settings: Settings, names: Sequence[str], begin: datetime | None, seed: int) -> Trial:
    """Two versions compared by their served lists: those named, those of the present trial, or the last two.

    Raises:
        TooLittleDataError: if there are not two that served at the same time.
    """
    from engine import opening
    from engine.core.types import UNTRAINED
    from engine.learn.evaluation.stats import Draws
    from engine.learn.evaluation.trial import compare, latest_pair

    if names and len(names) != 2:
        raise typer.BadParameter(f"--ab compares two versions, --version names {len(names)}: name two, or none")
    served = list(served_lists(settings, begin))
    pointer = opening.registry(settings).pointer()
    if names:
        ours, theirs = (one if one == UNTRAINED else _named(settings, one) for one in names)
    elif pointer.candidate:
        ours, theirs = pointer.candidate, pointer.serving or UNTRAINED
    else:
        ours, theirs = latest_pair(served)
    return compare(served, ours, theirs, Draws(seed=seed), opening.event_kinds(settings))


def served_lists(settings: Settings, since: datetime | None = None) -> Iterator[Served]:
    """All lists that were served, or those from a time on, with what followed; without those of a version that the
    request named."""
    from engine import opening

    with closing(opening.open_events(settings)) as store:
        yield from (one for one in store.impressions(since=since) if one.impression.of_the_policy)


def lists_before(settings: Settings, split: Split, since: datetime | None = None) -> list[Impression]:
    """The lists that were served before a split by time, from a time on, but those that answered a query."""
    until = float(split.cases.time.min())
    lists = (one.impression for one in served_lists(settings, since))
    return [one for one in lists if one.time.timestamp() < until and one.to_learn_from]


def shown(settings: Settings, since: datetime | None = None) -> dict[str, Interval]:
    """What followed all lists that were served, or those from a time on, per position."""
    from engine import opening
    from engine.learn.evaluation.off_policy import logged_positions, rate, rate_kinds

    served = list(served_lists(settings, since))
    counted = rate_kinds(opening.event_kinds(settings)) if served else {}
    return {name: rate(logged_positions(served, kinds)) for name, kinds in counted.items()}


def _named(settings: Settings, name: str) -> str:
    from engine import opening

    if name != SERVING:
        return name
    found = opening.registry(settings).pointer().serving
    if not found:
        raise NotFoundError("no model version serves", "name one of `triveni model list`, or train one")
    return found


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
