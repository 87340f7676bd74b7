"""Which reranker answers: the best one that the deadline leaves time for and that works; else retrieval order."""

import threading
from collections.abc import Sequence

import numpy as np
import structlog

from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError
from engine.core.types import ItemId, Query
from engine.query.models import Contribution, ServedModel
from engine.query.reranker import Reranker
from engine.query.resolve import QuerySignals
from engine.query.scored import Scored


class Tiers:
    """Takes rerankers in turn.

    Args:
        share: the part of the time left that a reranker's typical time may be; policy, reasons and the answer need
            the rest.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._log = structlog.get_logger("triveni.rerank")
        self._lock = threading.Lock()
        self._said: set[tuple[str, ...]] = set()

    def rerank(
        self, rerankers: Sequence[Reranker], query: Query, signals: QuerySignals, found: Scored, deadline: Deadline
    ) -> Scored:
        """Candidates with the scores of the first reranker that fits and works; as they were found if none does.

        One that fails is logged, once for each version and tier, and the next is taken.

        Raises:
            DeadlineError: if the time is up.
            CancelledError: if the caller went away.
        """
        for reranker in rerankers:
            if reranker.seconds > self._share * deadline.remaining():
                continue
            try:
                ranked = reranker.rerank(query, signals, found.pool)
                if not np.isfinite(ranked.scores).all():
                    raise ValueError("a score is not finite")
                return found.reranked(ranked, reranker.tier)
            except (DeadlineError, CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 (whatever it is, the next tier answers)
                self._report("reranker failed", error, version=reranker.version, tier=reranker.tier)
            deadline.check("the next reranker")
        return found

    def contribution(
        self, model: ServedModel | None, query: Query, signals: QuerySignals, exclude: Sequence[ItemId]
    ) -> Contribution:
        """What a model adds to a request; nothing if it fails, which is logged once for each version.

        Raises:
            DeadlineError: if the time is up.
            CancelledError: if the caller went away.
        """
        if model is None:
            return Contribution()
        try:
            return model.contribute(query, signals, exclude)
        except (DeadlineError, CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the retrieval answers)
            self._report("contribution failed", error, version=model.version)
            return Contribution()

    def _report(self, event: str, error: Exception, *, version: str, **about: str) -> None:
        key = event, version, *about.values()
        with self._lock:
            new = key not in self._said
            self._said.add(key)
        if new:
            self._log.error(event, version=version, **about, exc_info=error)
