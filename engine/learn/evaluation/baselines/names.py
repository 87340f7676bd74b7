"""The names of the baselines. Nothing heavy is imported here: a slip in one is told before anything is loaded."""

from difflib import get_close_matches
from typing import Any

from engine.core.plugins import Plugins
from engine.models.errors import TrainingError

BASELINES = (
    "popularity",
    "markov",
    "item-knn",
    "user-knn",
    "tf-idf",
    "mean-vector",
    "als",
    "bpr",
    "ease",
    "ease-markov",
    "lambdamart",
)

SIMPLE = tuple(name for name in BASELINES if name != "lambdamart")
"""Those that count, compare or factorise. LambdaMART learns from what they say."""

OLD = {"mean vector": "mean-vector", "ease + markov": "ease-markov"}
"""What releases before called them."""


ADDED: Plugins[Any] = Plugins("triveni.baselines", "baseline")
"""The baselines of other distributions: each entry point names a `Baseline` (`choose`)."""


def baseline_named(name: str) -> str:
    """The baseline of that name, or of that name in an earlier release; another distribution may add it.

    Raises:
        TrainingError: if there is none, naming the nearest.
    """
    known = OLD.get(name, name)
    added = () if known in BASELINES else ADDED.added()
    if known not in (*BASELINES, *added):
        near = "".join(f"; the nearest is {one}" for one in get_close_matches(name.lower(), (*BASELINES, *added), 1))
        raise TrainingError(f"there is no baseline {name!r}", f"use {', '.join((*BASELINES, *added))}{near}")
    return known
