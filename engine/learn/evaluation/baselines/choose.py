"""All baselines by name, put together from one another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from engine.catalog.items import ItemTable
from engine.learn.evaluation.baselines.boosted import LambdaMart
from engine.learn.evaluation.baselines.combined import Sum
from engine.learn.evaluation.baselines.content import MeanVector, Tfidf, words_of
from engine.learn.evaluation.baselines.factors import Als, Bpr
from engine.learn.evaluation.baselines.linear import Ease, ItemKnn, UserKnn
from engine.learn.evaluation.baselines.names import BASELINES, baseline_named
from engine.learn.evaluation.baselines.simple import Markov, Popularity
from engine.learn.ranker import Ranker
from engine.learn.rows.dataset import CrossFit
from engine.learn.splits import ALL_POSITIVES, Positives
from engine.models.errors import TrainingError
from engine.rerank.fields import FieldUse

MAX_DENSE = 20_000
"""With more items than this, EASE (m² memory, m³ steps) and what is made of it are left out."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rankers, and those that cannot run here."""

    rankers: tuple[Ranker, ...]
    left_out: tuple[tuple[str, str], ...]
    """Name and reason."""


def baselines(
    items: ItemTable,
    names: Sequence[str] | None = None,
    *,
    positives: Positives = ALL_POSITIVES,
    leave_seen_out: bool = True,
    regularization: float = 500.0,
    fields: Mapping[str, FieldUse] | None = None,
    cross_fit: CrossFit = "time",
    seed: int = 0,
) -> Chosen:
    """The baselines, unfitted.

    Args:
        items: the catalogue: what it lacks (texts, vectors) says which baselines have nothing to go by.
        names: of `BASELINES`; None takes all that can run, and says which cannot.
        positives: the events that count.
        leave_seen_out: whether items that were seen are left out of the ranking.
        regularization: the penalty of EASE.
        fields: payload fields that are features of LambdaMART; as in training.
        cross_fit: how LambdaMART is; "people" only where the split knows other people's later events too, as
            leave-last-out does.
        seed: of those that draw lots.

    Raises:
        TrainingError: if a name is unknown, or names one that cannot run.
    """
    reasons = _unable(items)
    names = None if names is None else [baseline_named(name) for name in names]
    for name in names or ():
        if name in reasons:
            raise TrainingError(f"baseline {name!r} cannot run: {reasons[name]}", "leave it out")
    wanted = [name for name in BASELINES if (name not in reasons if names is None else name in names)]
    makers: dict[str, Callable[[], Ranker]] = {
        "popularity": partial(Popularity, positives),
        "markov": partial(Markov, positives=positives),
        "item-knn": partial(ItemKnn, positives=positives),
        "user-knn": partial(UserKnn, positives=positives),
        "tf-idf": partial(Tfidf, positives=positives),
        "mean-vector": partial(MeanVector, positives),
        "als": partial(Als, seed=seed, positives=positives),
        "bpr": partial(Bpr, seed=seed, positives=positives),
        "ease": partial(Ease, regularization, positives),
    }
    makers["ease-markov"] = lambda: Sum([makers["ease"](), makers["markov"]()], "ease-markov")
    makers["markov-far"] = partial(Markov, 20, positives=positives)
    makers["lambdamart"] = lambda: LambdaMart(
        [makers[name]() for name in BOOSTED if name not in reasons],
        fields=fields,
        cross_fit=cross_fit,
        seed=seed,
        positives=positives,
        leave_seen_out=leave_seen_out,
    )
    left_out = tuple((name, reason) for name, reason in reasons.items() if names is None)
    return Chosen(tuple(makers[name]() for name in wanted), left_out)


BOOSTED = (
    "popularity",
    "markov",
    "markov-far",
    "item-knn",
    "user-knn",
    "tf-idf",
    "mean-vector",
    "als",
    "bpr",
    "ease",
)
"""What LambdaMART hears, besides the counts and likenesses that it takes itself."""


def _unable(items: ItemTable) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if not any(words_of(payload) for payload in items.payloads):
        reasons["tf-idf"] = "no item has a text in its payload"
    if not any(mask.any() for mask in items.present.values()):
        reasons["mean-vector"] = "no item has a vector"
    if len(items) > MAX_DENSE:
        for name in ("ease", "ease-markov"):
            reasons[name] = f"there are {len(items)} items, its limit is {MAX_DENSE}"
    for name, library in (("als", "implicit"), ("bpr", "implicit"), ("lambdamart", "lightgbm")):
        if find_spec(library) is None:
            reasons[name] = f"{library} is not installed: pip install 'triveni[evaluate]'"
    return reasons
