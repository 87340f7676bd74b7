"""The names of the baselines. Nothing else is imported here: a slip in one is told before anything is loaded."""

from difflib import get_close_matches

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


def baseline_named(name: str) -> str:
    """The baseline of that name, or of that name in an earlier release.

    Raises:
        TrainingError: if there is none, naming the nearest.
    """
    known = OLD.get(name, name)
    if known not in BASELINES:
        near = "".join(f"; the nearest is {one}" for one in get_close_matches(name.lower(), BASELINES, 1))
        raise TrainingError(f"there is no baseline {name!r}", f"use {', '.join(BASELINES)}{near}")
    return known
