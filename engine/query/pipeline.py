"""The way of a query through the engine. Read this file first.

    resolve   query parts and history events become vectors, each with a weight        engine/query/resolve.py
    fuse      the vectors become interests, and things to stay away from               engine/query/fuse.py
    retrieve  every interest is searched for, in one call of the store                 engine/query/retrieve.py
    judge     the candidates get exact scores                                          engine/query/score.py
    rerank    the person's model may give better ones                                  engine/rerank/
    policy    what is shown, in which order: slots, diversity, caps                    engine/policy/
    explain   which events and parts the score of each result rests on                 engine/query/explain.py

All scores are made of one formula, which is in engine/query/similarity.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from encoders.errors import SpaceError
from encoders.spaces.space import SpaceManifest
from engine.config.settings import FuseSettings, PolicySettings, RetrieveSettings
from engine.core.deadline import Deadline
from engine.core.errors import InvalidQueryError
from engine.core.types import Candidates, ItemId, Query, Reason, ReasonKind, Recommendations
from engine.core.validate import check_query
from engine.encode.encoding import ContentEncoder
from engine.query.answer import answer
from engine.query.cold import cold
from engine.query.explain import explain
from engine.query.fuse import Intent, fuse
from engine.query.models import Fixed, Models, ServedModel
from engine.query.policy.explore import explore
from engine.query.policy.seen import left_out
from engine.query.policy.select import Policy, Rows, select
from engine.query.reranker import Identity
from engine.query.resolve import QuerySignals, resolve
from engine.query.retrieve import passing, retrieve, with_modality
from engine.query.score import judge
from engine.query.search import DirectSearch, Search
from engine.query.similarity import Doubles, probe
from engine.query.tiers import Tiers
from engine.store.base import VectorStore


def _now() -> datetime:
    return datetime.now(UTC)


class Engine:
    """Answers queries; any number of threads may ask at once.

    Args:
        encoder: encodes the contents of queries and histories.
        manifest: of the encoder's space.
        store: the catalogue's vectors.
        fuse_settings: how a history becomes query vectors.
        retrieve_settings: how many candidates are fetched.
        policy_settings: what may be shown, where a query does not say.
        models: which model answers whom; none unless told.
        deadline_share: the part of the time left that a reranker may take.
        search: how the store is searched; each call for itself unless told.
        clock: tells the time, with a time zone.

    Raises:
        SpaceError: if the store holds vectors of another space.
    """

    def __init__(
        self,
        encoder: ContentEncoder,
        manifest: SpaceManifest,
        store: VectorStore,
        *,
        fuse_settings: FuseSettings | None = None,
        retrieve_settings: RetrieveSettings | None = None,
        policy_settings: PolicySettings | None = None,
        models: Models | None = None,
        deadline_share: float = 0.5,
        search: Search | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        if store.fingerprint != manifest.fingerprint:
            raise SpaceError(
                f"the store is of space {store.fingerprint}, the encoders are of {manifest.fingerprint} "
                f"({manifest.name})",
                "index the catalogue again with this space, or choose the space of the store",
            )
        self.manifest = manifest
        self._fingerprint = manifest.fingerprint
        self._encoder, self._store, self._clock = encoder, store, clock
        self.fuse_settings = self._fuse = fuse_settings or FuseSettings()
        self._retrieve = retrieve_settings or RetrieveSettings()
        self._policy = policy_settings or PolicySettings()
        self._models: Models = models or Fixed()
        self._tiers = Tiers(deadline_share)
        self._search: Search = search or DirectSearch(store)

    def recommend(self, query: Query, deadline: Deadline | None = None) -> Recommendations:
        """Answer a query; without parts and usable history, with what is popular or new.

        Raises:
            InvalidQueryError: if the query makes no sense, or only says what is not wanted.
            ContentError: if a query part cannot be read.
            NotFoundError: if a query part names an item that is not there.
            SpaceError: if a vector is of another space, or a modality is one that the space lacks.
            VectorError: if a vector has the wrong dimension or is not finite.
            DeadlineError: if the time is up.
            CancelledError: if the caller went away.
        """
        deadline = deadline or Deadline()
        check_query(query, self.manifest, self._retrieve.max_limit)
        with self._models.use(query.user) as lease:
            made = self._recommend(query, lease.model, deadline)
        return replace(made, compared=lease.compared) if lease.compared else made

    def _recommend(self, query: Query, model: ServedModel | None, deadline: Deadline) -> Recommendations:
        policy, exclude = Policy.of(query.policy, self._policy), left_out(query)
        calibration, correlation = self.manifest.calibration, self._fuse.correlation

        signals = resolve(query, self._encoder, self.manifest, self._store, self._fuse, self._clock(), deadline)
        modalities = query.modalities or tuple(self.manifest.encoders)
        intent = fuse(signals, probe(signals, calibration, modalities, correlation), self._fuse)
        if intent.empty:
            return self._cold(query, exclude, policy, signals, intent, model, deadline)

        reading = self._tiers.read(model, query, signals, exclude)
        candidates = retrieve(
            intent,
            query,
            exclude,
            self._store,
            self._search,
            self._retrieve,
            deadline,
            with_payload=bool(policy.max_per_value) or any(one.reads_payloads for one in reading.rerankers),
            reading=reading,
        )
        judgement = judge(intent, candidates)

        deadline.check("reranking")
        judged = replace(candidates, scores=judgement.scores)
        ranked, reranker = self._tiers.rerank(reading.rerankers, query, signals, judged, deadline)
        row_of = {name: row for row, name in enumerate(candidates.ids)}
        rows = np.array([row_of[name] for name in ranked.ids], np.intp)

        deadline.check("the policy")
        trained = reranker.tier != Identity.tier  # its scores weigh the interests already
        interest = np.zeros(len(rows), np.intp) if trained else judgement.interest[rows]
        shares = np.ones(1) if trained else intent.shares
        related = intent.related
        rules = policy
        if trained and policy.min_score is not None:  # it is about the evidence, whatever the model's scores are
            enough = np.flatnonzero(judgement.scores[rows] >= policy.min_score)
            ranked, rows, interest = ranked.take(enough), rows[enough], interest[enough]
            rules = replace(policy, min_score=None)
        chosen = select(ranked, interest, shares, query.limit, rules, calibration, correlation, related)
        chosen, chances = _explored(chosen, ranked, query, rules)
        results = ranked.take(chosen)
        reasons = explain(intent, signals, judgement, results, rows[chosen])
        if trained:  # it knows more than the evidence, which may say nothing of what it puts first
            speaks: list[bool] = (judgement.scores[rows[chosen]] >= related).tolist()
            learned = (Reason(ReasonKind.LEARNED),)
            reasons = [one if enough else learned for one, enough in zip(reasons, speaks, strict=True)]
        return self._answer(results, reasons, chances, signals, model, reranker.tier, deadline)

    def _cold(
        self,
        query: Query,
        exclude: Sequence[ItemId],
        policy: Policy,
        signals: QuerySignals,
        intent: Intent,
        model: ServedModel | None,
        deadline: Deadline,
    ) -> Recommendations:
        """Popular or fresh items, for a person of whom nothing is known that they like."""
        if query.parts and not query.history:
            raise InvalidQueryError(
                "no query part has a positive weight", "say what is wanted too", field="query.parts"
            )
        candidates, kinds = cold(
            query,
            exclude,
            self._store,
            self._retrieve,
            deadline,
            intent=intent,
            max_per_value=policy.max_per_value,
        )
        kind_of, tier = dict(zip(candidates.ids, kinds, strict=True)), "cold"
        reading = self._tiers.read(model, query, signals, exclude)
        if reading.rerankers:  # it knows what others like, and what this person does not
            wider = self._store.candidates(
                [*candidates.ids, *passing(query, set(candidates.ids), reading.items, self._store)],
                with_payload=bool(policy.max_per_value) or any(one.reads_payloads for one in reading.rerankers),
            )
            wider = with_modality(wider, query.modalities)
            ranked, reranker = self._tiers.rerank(reading.rerankers, query, signals, wider, deadline)
            if reranker.tier != Identity.tier:
                candidates, tier = ranked, reranker.tier
        one, correlation = np.zeros(len(candidates), np.intp), self._fuse.correlation
        rules = replace(policy, min_score=None)  # a cold score is no evidence
        chosen = select(candidates, one, np.ones(1), query.limit, rules, self.manifest.calibration, correlation)
        chosen, chances = _explored(chosen, candidates, query, rules)
        results = candidates.take(chosen)
        reasons = [(Reason(kind_of.get(name, ReasonKind.LEARNED)),) for name in results.ids]
        return self._answer(results, reasons, chances, signals, model, tier, deadline)

    def _answer(
        self,
        results: Candidates,
        reasons: Sequence[tuple[Reason, ...]],
        chances: Doubles,
        signals: QuerySignals,
        model: ServedModel | None,
        tier: str,
        deadline: Deadline,
    ) -> Recommendations:
        return answer(
            results,
            reasons,
            chances.tolist(),
            self._store,
            fingerprint=self._fingerprint,
            model=model.version if model else Identity.version,
            tier=tier,
            skipped=signals.skipped,
            deadline=deadline,
        )


def _explored(chosen: Rows, candidates: Candidates, query: Query, policy: Policy) -> tuple[Rows, Doubles]:
    """The list with exploration, and the probability of each place; who searches gets what they asked for."""
    if policy.explore <= 0 or query.parts or policy.max_per_value:
        return chosen, np.ones(len(chosen))
    lowest = -np.inf if policy.min_score is None else policy.min_score
    return explore(chosen, np.flatnonzero(candidates.scores >= lowest), policy.explore, np.random.default_rng())
