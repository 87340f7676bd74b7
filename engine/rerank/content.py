"""The engine's own opinion of candidates, by what they are: a feature of the reranker.

In serving it comes with the candidates: it is the score that they were retrieved with. Training makes it here, by the
same functions, of the newest `MAX_TOKENS` events: of more, as serving takes, it would be too slow for each row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from encoders.spaces.space import Calibration
from encoders.types import Floats, Rows
from engine.core.types import Candidates, Event, ItemId, ReasonKind
from engine.query.fuse import fuse
from engine.query.resolve import QuerySignals, event_weight
from engine.query.score import score
from engine.query.settings import FuseSettings
from engine.query.similarity import calibrate_signals
from engine.rerank.table import Table, Tokens


@dataclass(frozen=True, slots=True)
class ContentScorer:
    """Scores rows of a table as the untrained engine would, without a query."""

    calibration: Calibration
    fuse: FuseSettings

    def scores(self, tokens: Tokens, kinds: Sequence[str], candidates: Rows, table: Table) -> Floats:
        """(c,) float32, `engine.query.score.score`; zeros for a person of whom nothing speaks.

        Args:
            tokens: what the person did, oldest first.
            kinds: (h,), of which kind each was.
            candidates: (c,), rows of the table.
            table: the vectors.
        """
        now = datetime.now(UTC)
        weights = np.array([self._weight(tokens, kind, position, now) for position, kind in enumerate(kinds)])
        used = np.flatnonzero(weights)[::-1]  # the newest first
        if not len(used):
            return np.zeros(len(candidates), np.float32)
        rows = tokens.rows[used]
        signals = QuerySignals(
            (ReasonKind.EVENT,) * len(used),
            used.astype(np.intp),
            weights[used],
            {modality: vectors[rows] for modality, vectors in table.vectors.items()},
            {modality: there[rows] for modality, there in table.present.items()},
            (),
        )
        calibrated = calibrate_signals(signals, self.calibration, tuple(table.vectors), self.fuse.correlation)
        intent = fuse(signals, calibrated, self.fuse)
        if intent.empty:
            return np.zeros(len(candidates), np.float32)
        items = Candidates(
            (ItemId(""),) * len(candidates),
            np.zeros(len(candidates), np.float32),
            {modality: vectors[candidates] for modality, vectors in table.vectors.items()},
            {modality: there[candidates] for modality, there in table.present.items()},
            (),
        )
        return score(intent, items).total

    def _weight(self, tokens: Tokens, kind: str, position: int, now: datetime) -> float:
        value = float(tokens.values[position])
        event = Event(kind, value=None if np.isnan(value) else value)
        age = max(float(tokens.gaps[position]), 0.0) / 86400
        return event_weight(event, now, self.fuse) * float(0.5 ** (age / self.fuse.half_life_days))
