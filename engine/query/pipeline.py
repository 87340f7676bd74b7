"""The way of a query through the engine. Read this file first.

    stage     in the trace  what it does                                                     engine/query/
    resolve   history       parts and events become signals: vectors, each with a weight     resolve.py
    fuse      interests     the signals become interests, and things to stay away from       fuse.py
    (model)   model         what the user's model would search for and consider besides      models.py
    (sources) source NAME   what the sources of candidates name besides                      sources.py
    retrieve  retrieve      every interest is searched for in one call of the store          retrieve.py
    score     score         candidates get their exact similarity                            score.py
    popular   popular       or, where nothing is known to be liked, what is popular or new   popular.py
    rerank    rerank TIER   the user's model may give better scores                          tiers.py
    (rules)   rules         the threshold, and what a deployment leaves out or moves         policy/
    select    policy        what is shown, in which order: slots, diversity, caps, chance    policy/
    (page)                  of the list so far, what earlier pages did not show              policy/
    explain   explain       which events and parts the score of each result rests on         explain.py
    (answer)  payloads      what is shown gets its payload, and the answer says who made it  answer.py

All but those in brackets are functions of `Stages` (engine/query/stages.py) and can be replaced there; those in
brackets hold whatever the others do. Similarity is one formula, which is in engine/query/similarity.py; what scores
mean goes with them (engine/query/scored.py). A `Trace` (engine/query/trace.py) notes each stage as it ends, by names
that clients know: they stay as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from encoders.errors import SpaceError
from encoders.spaces.space import SpaceManifest
from engine.core.caching import Uses, caches_of
from engine.core.deadline import Deadline
from engine.core.times import now_utc
from engine.core.types import UNTRAINED, Query, ReasonKind, Recommendations
from engine.core.validate import check_query
from engine.encode.encoding import ContentEncoder
from engine.query.answer import answer
from engine.query.interests import interests
from engine.query.models import Fixed, Models, ServedModel
from engine.query.policy.rules import PolicyRule, apply_rules
from engine.query.policy.seen import left_out, page_rows
from engine.query.policy.select import Policy
from engine.query.relevance import Background
from engine.query.search import DirectSearch, Search
from engine.query.settings import FuseSettings, PolicySettings, RetrieveSettings
from engine.query.sources import CandidateSource, Sources
from engine.query.stages import Request, Stages, Tools
from engine.query.tiers import Tiers
from engine.query.trace import UNTRACED, Trace
from engine.store.base import VectorStore


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
        stages: what is done; the engine's own unless told.
        sources: by name what names candidates besides the searches.
        rules: by name what is applied to the scored candidates, in this order.

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
        clock: Callable[[], datetime] = now_utc,
        stages: Stages | None = None,
        sources: Mapping[str, CandidateSource] | None = None,
        rules: Mapping[str, PolicyRule] | None = None,
    ) -> None:
        if store.fingerprint != manifest.fingerprint:
            raise SpaceError(
                f"the store is of space {store.fingerprint}, the encoders are of {manifest.fingerprint} "
                f"({manifest.name})",
                "index the catalogue again with this space, or choose the space of the store",
            )
        self.manifest, self._store, self._clock = manifest, store, clock
        self.fuse_settings = fuse_settings or FuseSettings()
        self._retrieve = retrieve_settings or RetrieveSettings()
        self._policy = policy_settings or PolicySettings()
        self._models: Models = models or Fixed()
        self._stages = stages or Stages()
        self._tools = Tools(
            encoder,
            manifest,
            store,
            search or DirectSearch(store),
            self.fuse_settings,
            self._retrieve,
            Sources(sources or {}),
            rules or {},
            Tiers(deadline_share),
            Background(store, manifest.calibration, self.fuse_settings.correlation),
        )

    @property
    def max_depth(self) -> int:
        """How many positions a list has at most, over all its pages."""
        return self._retrieve.max_limit

    def caches(self) -> Mapping[str, Uses]:
        """Those of the encoder; see `Caching`."""
        return caches_of(self._tools.encoder)

    def recommend(self, query: Query, deadline: Deadline | None = None, trace: Trace = UNTRACED) -> Recommendations:
        """Answer a query; without parts and usable history, with what is popular or new.

        Args:
            query: the query.
            deadline: when the answer has to be there.
            trace: notes what the query goes through; the answer tells it.

        Raises:
            InvalidQueryError: if the query makes no sense, or only says what is not wanted.
            ContentError: if a query part cannot be read.
            NotFoundError: if a query part names an item that is not there, or there is no model version as asked for.
            ModelError: if the version that is asked for cannot be loaded.
            SpaceError: if a vector is of another space, or a modality is one that the space lacks.
            VectorError: if a vector has the wrong dimension or is not finite.
            DeadlineError: if the time is up.
            CancelledError: if the caller went away.
        """
        deadline = deadline or Deadline()
        query = replace(query, modalities=tuple(dict.fromkeys(query.modalities)))  # work grows with each
        check_query(query, self.manifest, self._retrieve.max_limit)
        with self._models.use(query.user, query.model) as lease:
            if query.model:
                trace.passed("version", int(lease.model is not None))
            made = self._recommend(query, lease.model, deadline, trace)
        if lease.compared_model:
            made = replace(made, compared_model=lease.compared_model)
        stages = trace.ended(len(made.results))
        return replace(made, stages=stages, interests=trace.interests) if stages else made

    def _recommend(
        self, query: Query, model: ServedModel | None, deadline: Deadline, trace: Trace
    ) -> Recommendations:
        stages, tools, page = self._stages, self._tools, query
        query = replace(page, limit=page.depth)  # the whole list: slots and caps hold over all its pages
        exclude, policy = left_out(query), Policy.of(query.policy, self._policy)
        signals = stages.resolve(query, self._clock(), deadline, tools)
        trace.passed("history", signals.kinds.count(ReasonKind.EVENT))
        intent = stages.fuse(query, signals, tools)
        trace.passed("interests", len(intent.interests))
        contribution = tools.tiers.contribution(model, query, signals, exclude)
        if model is not None:
            trace.passed("model", len(contribution.items))
        sourced = tools.sources.candidates(query, signals, exclude, tools.store, deadline, trace)
        request = Request(query, exclude, policy, signals, intent, contribution, sourced, deadline)
        if intent.empty:
            found = stages.popular(request, tools)
            trace.passed("popular", len(found.candidates))
        else:
            candidates = stages.retrieve(request, tools)
            trace.passed("retrieve", len(candidates))
            found = stages.score(request, candidates, tools)
            if trace.wants_interests:
                trace.interests = interests(intent, signals, candidates)
            trace.passed("score", len(found.candidates))
        deadline.check("reranking")
        scored = stages.rerank(request, found, tools)
        if contribution.rerankers:
            trace.passed(f"rerank {scored.tier}", len(scored.candidates))
        deadline.check("the policy")
        fitting = scored.fitting(policy.max_false_positive_rate)
        allowed = apply_rules(tools.rules, query, fitting.above(policy.min_score))
        trace.passed("rules", len(allowed.candidates))
        chosen, propensities = stages.select(request, allowed, tools)
        if page.shown:
            rows = page_rows(chosen.candidates.ids, page.shown, page.limit)
            chosen, propensities = chosen.take(rows), propensities[rows]
        trace.passed("policy", len(chosen.candidates))
        reasons = stages.explain(request, chosen, tools)
        trace.passed("explain", len(reasons))
        made = answer(
            chosen.candidates,
            reasons,
            propensities.tolist(),
            self._store,
            fingerprint=self.manifest.fingerprint,
            model=model.version if model else UNTRAINED,
            tier=chosen.tier,
            skipped=signals.skipped,
            query=page,
            deadline=deadline,
            relevance=chosen.relevance_of_each(),
            no_match=bool(len(scored.candidates)) and not len(fitting.candidates),
        )
        trace.passed("payloads", len(made.results))
        return made
