"""All baselines by name, put together from one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.catalog.items import ItemTable
from engine.core.extras import missing
from engine.learn.evaluation.baselines.combined import Sum
from engine.learn.evaluation.baselines.content import MeanVector, Tfidf, words_of
from engine.learn.evaluation.baselines.factors import Als, Bpr
from engine.learn.evaluation.baselines.linear import Ease, ItemKnn, UserKnn
from engine.learn.evaluation.baselines.names import ADDED, BASELINES, baseline_named
from engine.learn.evaluation.baselines.simple import Markov, Popularity
from engine.learn.ranker import Ranker
from engine.learn.splits import ALL_POSITIVES, Positives
from engine.models.errors import TrainingError
from engine.rerank.fields import FieldUse
from engine.rerank.table import STANDARD_TOKENS, TokenKinds

if TYPE_CHECKING:
    from engine.learn.rows.dataset import CrossFit

MAX_DENSE = 20_000
"""With more items than this, EASE (m² memory, m³ steps) and what is made of it are left out."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rankers, and those that cannot run here."""

    rankers: tuple[Ranker, ...]
    left_out: tuple[tuple[str, str], ...]
    """Name and reason."""


@dataclass(frozen=True, slots=True)
class BaselineOptions:
    """How baselines are made."""

    positives: Positives = ALL_POSITIVES
    """The events that count."""
    leave_seen_out: bool = True
    """Whether items that were seen are left out of the ranking."""
    regularization: float = 500.0
    """The penalty of EASE."""
    fields: Mapping[str, FieldUse] = field(default_factory=dict)
    """Payload fields that are features of LambdaMART; as in training."""
    cross_fit: CrossFit = "time"
    """How LambdaMART is; "users" only where the split knows other people's later events too, as leave-last-out
    does."""
    seed: int = 0
    """Of those that are random."""
    kinds: TokenKinds = STANDARD_TOKENS
    """The kinds of events that LambdaMART's features read."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A ranker to beat."""

    make: Callable[[BaselineOptions, ItemTable], Ranker]
    """An unfitted one, for a catalogue."""
    unable: Callable[[ItemTable], str] = lambda items: ""
    """Why it cannot run on a catalogue: what the items lack, or a library that is not installed. "" if it can."""


def _too_many(items: ItemTable) -> str:
    return f"there are {len(items)} items, its limit is {MAX_DENSE}" if len(items) > MAX_DENSE else ""


def _no_texts(items: ItemTable) -> str:
    return "" if any(words_of(payload) for payload in items.payloads) else "no item has a text in its payload"


def _no_vectors(items: ItemTable) -> str:
    return "" if any(mask.any() for mask in items.present.values()) else "no item has a vector"


def _lambdamart(options: BaselineOptions, items: ItemTable) -> Ranker:
    from engine.learn.evaluation.baselines.boosted import LambdaMart  # it loads PyTorch

    return LambdaMart(
        [one.make(options, items) for one in BOOSTED if not one.unable(items)],
        fields=options.fields,
        cross_fit=options.cross_fit,
        seed=options.seed,
        positives=options.positives,
        leave_seen_out=options.leave_seen_out,
        kinds=options.kinds,
    )


BUILT_IN: Mapping[str, Baseline] = {
    "popularity": Baseline(lambda options, _: Popularity(options.positives)),
    "markov": Baseline(lambda options, _: Markov(positives=options.positives)),
    "item-knn": Baseline(lambda options, _: ItemKnn(positives=options.positives)),
    "user-knn": Baseline(lambda options, _: UserKnn(positives=options.positives)),
    "tf-idf": Baseline(lambda options, _: Tfidf(positives=options.positives), _no_texts),
    "mean-vector": Baseline(lambda options, _: MeanVector(options.positives), _no_vectors),
    "als": Baseline(
        lambda options, _: Als(seed=options.seed, positives=options.positives), lambda _: missing("implicit")
    ),
    "bpr": Baseline(
        lambda options, _: Bpr(seed=options.seed, positives=options.positives), lambda _: missing("implicit")
    ),
    "ease": Baseline(lambda options, _: Ease(options.regularization, options.positives), _too_many),
    "ease-markov": Baseline(
        lambda options, _: Sum(
            [Ease(options.regularization, options.positives), Markov(positives=options.positives)], "ease-markov"
        ),
        _too_many,
    ),
    "lambdamart": Baseline(_lambdamart, lambda _: missing("lightgbm")),
}
"""Triveni's own baselines."""

BOOSTED = (
    BUILT_IN["popularity"],
    BUILT_IN["markov"],
    Baseline(lambda options, _: Markov(20, positives=options.positives)),
    *(BUILT_IN[name] for name in ("item-knn", "user-knn", "tf-idf", "mean-vector", "als", "bpr", "ease")),
)
"""What LambdaMART hears, besides the counts and likenesses that it takes itself."""


def baselines(items: ItemTable, names: Sequence[str] | None = None, options: BaselineOptions | None = None) -> Chosen:
    """The baselines, unfitted.

    Args:
        items: the catalogue: what it lacks (texts, vectors) says which baselines have nothing to go by.
        names: of `BASELINES`, or of other distributions; None takes all of Triveni's own that can run, and says which
            cannot.
        options: how they are made.

    Raises:
        TrainingError: if a name is unknown, or names one that cannot run.
        PluginError: if the distribution that adds one is broken.
    """
    options = options or BaselineOptions()
    if names is None:
        reasons = {name: one.unable(items) for name, one in BUILT_IN.items()}
        able = [BUILT_IN[name] for name, reason in reasons.items() if not reason]
        left_out = tuple((name, reason) for name, reason in reasons.items() if reason)
        return Chosen(tuple(one.make(options, items) for one in able), left_out)
    wanted = {baseline_named(name) for name in names}
    chosen = {name: BUILT_IN[name] for name in BASELINES if name in wanted}
    chosen |= {name: _added(name) for name in sorted(wanted - BUILT_IN.keys())}
    for name, one in chosen.items():
        if reason := one.unable(items):
            raise TrainingError(f"baseline {name!r} cannot run: {reason}", "leave it out")
    return Chosen(tuple(one.make(options, items) for one in chosen.values()), ())


def _added(name: str) -> Baseline:
    found = ADDED.load(name)
    if not isinstance(found, Baseline):
        raise ADDED.broken(name, f"is a {type(found).__name__}, which is no Baseline")
    return found
