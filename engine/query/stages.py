"""The stages of a request, as functions that can be replaced, and what they are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import numpy as np

from encoders.spaces.space import SpaceManifest
from encoders.types import Doubles
from engine.core.deadline import Deadline
from engine.core.types import Candidates, ItemId, Query, Reason, ReasonKind, Tier
from engine.encode.encoding import ContentEncoder
from engine.query import fuse, popular, resolve
from engine.query.explain import explain
from engine.query.fuse import Intent
from engine.query.models import Contribution
from engine.query.policy.explore import explore
from engine.query.policy.rules import PolicyRule
from engine.query.policy.seen import page_rows
from engine.query.policy.select import Policy, select
from engine.query.relevance import Background
from engine.query.resolve import QuerySignals
from engine.query.retrieve import retrieve
from engine.query.score import score
from engine.query.scored import Meaning, Scored
from engine.query.search import Search
from engine.query.settings import FuseSettings, RetrieveSettings
from engine.query.similarity import calibrate_signals
from engine.query.sources import Sources
from engine.query.tiers import Tiers
from engine.query.words import FoundWords, ask_words, texts_asked, word_similarity
from engine.store.base import VectorStore


@dataclass(frozen=True, slots=True)
class Tools:
    """What the stages of all requests use."""

    encoder: ContentEncoder
    manifest: SpaceManifest
    store: VectorStore
    search: Search
    fuse_settings: FuseSettings
    retrieve_settings: RetrieveSettings
    sources: Sources
    """What names candidates besides the searches."""
    rules: Mapping[str, PolicyRule]
    """By name what is applied to the scored candidates, in this order."""
    tiers: Tiers
    """Takes the rerankers of the user's model in turn."""
    background: Background
    """Knows what unrelated items score."""

    @property
    def reads_payloads(self) -> bool:
        """Whether a rule needs the payloads of all candidates."""
        return any(rule.reads_payloads for rule in self.rules.values())


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as far as it is understood."""

    query: Query
    exclude: tuple[ItemId, ...]
    """Items that must not be shown."""
    policy: Policy
    signals: QuerySignals
    intent: Intent
    contribution: Contribution
    """What the user's model adds to it."""
    sourced: Mapping[ItemId, ReasonKind]
    """What the sources name, without the excluded, and the reason of each."""
    deadline: Deadline
    words: dict[int, FoundWords] = field(default_factory=dict)
    """By signal what the search by its words found; `retrieve` notes it for `score`."""

    def needs_payloads(self, tools: Tools) -> bool:
        """Whether the candidates' payloads are needed; without, only those of the results are fetched."""
        return bool(self.policy.max_per_value) or tools.reads_payloads


def resolve_signals(query: Query, now: datetime, deadline: Deadline, tools: Tools) -> QuerySignals:
    """Vectors and weights of what the request says; see `resolve`."""
    settings = tools.fuse_settings
    if query.half_life_days is not None:
        settings = settings.model_copy(update={"half_life_days": query.half_life_days})
    signals = resolve.resolve(query, tools.encoder, tools.manifest, tools.store, settings, now, deadline)
    texts = texts_asked(query, signals) if settings.words and tools.store.words else {}
    words = ask_words([*texts.values()], tools.background.size, tools.search, deadline) if texts else []
    return replace(signals, words={row: asked for row, asked in zip(texts, words, strict=True) if asked})


def fuse_signals(query: Query, signals: QuerySignals, tools: Tools) -> Intent:
    """What is wanted; see `fuse`."""
    modalities = query.modalities or tuple(tools.manifest.encoders)
    calibrated = calibrate_signals(signals, tools.manifest.calibration, modalities, tools.fuse_settings.correlation)
    return fuse.fuse(signals, calibrated, tools.fuse_settings)


def retrieve_candidates(request: Request, tools: Tools) -> Candidates:
    """Candidates by what the request says, and those that the model and the sources name; see `retrieve`."""
    return retrieve(
        request.intent,
        request.query,
        request.exclude,
        tools.store,
        tools.search,
        tools.retrieve_settings,
        request.deadline,
        with_payload=request.needs_payloads(tools),
        per_item=tools.background.per_item(request.intent.calibrated.modalities),
        contribution=request.contribution,
        sourced=request.sourced,
        signals=request.signals,
        words=request.words,
    )


def score_candidates(request: Request, candidates: Candidates, tools: Tools) -> Scored:
    """Candidates with their exact similarity; see `score`."""
    words = None
    if request.signals.words:
        words = word_similarity(request.signals, candidates.ids, request.words, tools.search, request.deadline)
    scores, intent = score(request.intent, candidates, words), request.intent
    relevance = None
    if len(intent.parts):
        searched = intent.calibrated.modalities
        relevance = tools.background.relevance(request.signals, intent.parts, searched, scores.query)
    return Scored.of(
        candidates.scored(scores.total),
        Meaning.SIMILARITY,
        Tier.RETRIEVAL,
        partial(explain, intent, request.signals, scores),
        interest=scores.interest,
        shares=intent.shares,
        similarity=scores.total,
        related=intent.related,
        unwanted=scores.penalty > 0,
        relevance=relevance,
    )


def popular_items(request: Request, tools: Tools) -> Scored:
    """Candidates for a user of whom nothing is known that they like; see `popular`."""
    return popular.popular(
        request.query,
        request.exclude,
        tools.store,
        tools.retrieve_settings,
        request.deadline,
        intent=request.intent,
        max_per_value=request.policy.max_per_value,
        contribution=request.contribution,
        with_payload=request.needs_payloads(tools),
        sourced=request.sourced,
        at_least=tools.retrieve_settings.candidates if tools.rules else 0,
    )


def rerank_by_model(request: Request, scored: Scored, tools: Tools) -> Scored:
    """The scores of the user's model, where it has a reranker that answers in time; see `Tiers`."""
    rerankers = request.contribution.rerankers
    return tools.tiers.rerank(rerankers, request.query, request.signals, scored, request.deadline)


def select_items(request: Request, scored: Scored, tools: Tools) -> tuple[Scored, Doubles]:
    """What is shown, in this order, and how probable each position's item was; see `policy`.

    What is like something disliked is shown by its score only, not at random. Chance is for the positions of the page
    that is asked for: what earlier ones would show by chance would all come first on it.
    """
    policy, query, ids = request.policy, request.query, scored.candidates.ids
    fresh = page_rows(ids, query.shown, len(ids))
    rows = select(
        scored.candidates,
        scored.interest,
        scored.shares,
        query.limit,
        policy,
        tools.manifest.calibration,
        tools.fuse_settings.correlation,
        scored.related,
        shown=np.setdiff1d(np.arange(len(ids)), fresh),
    )
    propensities = np.ones(len(rows))
    if policy.explore > 0 and not query.parts and not policy.max_per_value:  # who searches gets what they asked for
        page = page_rows([ids[row] for row in rows], query.shown, query.limit - len(query.shown))
        allowed = fresh[~scored.unwanted[scored.rows[fresh]]]
        rows[page], propensities[page] = explore(rows[page], allowed, policy.explore, np.random.default_rng())
    return scored.take(rows), propensities


def explain_results(request: Request, chosen: Scored, tools: Tools) -> Sequence[tuple[Reason, ...]]:
    """Why each result is shown, by who found and scored it; see `Scored.reasons`."""
    return chosen.reasons()


@dataclass(frozen=True, slots=True)
class Stages:
    """What is done with a request, in this order; replace one to do it another way.

    Between them the pipeline does what holds whatever they do: it asks the model and the sources, and leaves out what
    is below the threshold or refused by a policy rule.
    """

    resolve: Callable[[Query, datetime, Deadline, Tools], QuerySignals] = resolve_signals
    fuse: Callable[[Query, QuerySignals, Tools], Intent] = fuse_signals
    retrieve: Callable[[Request, Tools], Candidates] = retrieve_candidates
    score: Callable[[Request, Candidates, Tools], Scored] = score_candidates
    popular: Callable[[Request, Tools], Scored] = popular_items
    """Instead of the two before, where nothing is known that the user likes."""
    rerank: Callable[[Request, Scored, Tools], Scored] = rerank_by_model
    select: Callable[[Request, Scored, Tools], tuple[Scored, Doubles]] = select_items
    explain: Callable[[Request, Scored, Tools], Sequence[tuple[Reason, ...]]] = explain_results
