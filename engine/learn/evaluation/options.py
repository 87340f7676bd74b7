"""What an evaluation is asked, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from encoders.types import Doubles, Modality
from engine.learn.evaluation.stats import DRAWS, Difference, Draws, Interval
from engine.learn.splits import ALL_POSITIVES, Positives


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What is measured."""

    ks: tuple[int, ...] = (10,)
    """Numbers of positions that count; the largest is the length of the lists."""
    leave_seen_out: bool = True
    """Whether items of the history are not ranked. A target that was seen then is no target."""
    reference: str = ""
    """The name of the ranker that all others are compared with; "" compares with the best of `among`."""
    among: tuple[str, ...] = ()
    """Names of rankers; where none of them runs, and no reference is given, nothing is compared."""
    positives: Positives = ALL_POSITIVES
    """The events that an item's popularity counts (for novelty)."""
    batch: int = 256
    """Cases that are scored at once."""
    draws: Draws = DRAWS
    """For intervals and tests."""

    @property
    def main(self) -> str:
        """The metric that rankers are ordered and plotted by: NDCG at the largest k."""
        return f"ndcg@{max(self.ks)}"


@dataclass(frozen=True, slots=True)
class Ablation:
    """What a ranker loses without the vectors of one modality, when it scores; it learned with them."""

    modality: Modality
    metrics: Mapping[str, Interval]
    difference: Mapping[str, Difference]
    """Without it less with it: below 0 where the modality helps."""


@dataclass(frozen=True, slots=True)
class Result:
    """How good a ranker is."""

    name: str
    metrics: Mapping[str, Interval]
    """Per metric and k, such as `ndcg@10`."""
    values: Mapping[str, Doubles]
    """The same per case, (b,)."""
    against: Mapping[str, Difference]
    """Its difference from the reference; empty where there is none, and for the reference itself."""
    slices: Mapping[str, Mapping[str, Interval]]
    """Per group of cases; groups without cases are left out."""
    slices_against: Mapping[str, Difference]
    """Per group its difference from the reference, of the NDCG at the largest k; empty like `against`."""
    fit_seconds: float
    score_seconds: float
    ablations: tuple[Ablation, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rankers, compared on one split."""

    split: str
    options: EvaluateOptions
    events: int
    """Those that were learned from."""
    users: int
    items: int
    cases: int
    dropped: int
    """Cases without a target that could be ranked."""
    results: tuple[Result, ...]
    slice_sizes: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    """Rankers that could not run, and why."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By ranker, what has to be known to read its figures, such as that it learned from what is predicted."""
