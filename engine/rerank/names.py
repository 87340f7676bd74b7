"""Versions of the model are bound by name to the features that they read.

So a release may add features, and move them, and a version that was written before answers as it did. One that reads
what is no longer there is refused.
"""

from collections.abc import Collection, Sequence

from engine.models.errors import CheckpointError

EVENT_KINDS_BEFORE = ("view", "click", "like", "purchase", "rate", "skip", "dislike", "search", "upload")
"""The kinds of events of versions that store no names, in their order."""
_COUNTS_BEFORE = (
    "transitions",
    "transitions_last",
    "transitions_share",
    "transitions_lift",
    "transitions_far",
    "linear",
    "linear_recent",
    "cooccurrences",
    "cooccurrences_share",
    "popularity",
    "popularity_1d",
    "popularity_7d",
    "popularity_30d",
    "attractiveness",
)
_RENAMED = {
    "follows": "transitions",
    "follows_last": "transitions_last",
    "follows_share": "transitions_share",
    "follows_lift": "transitions_lift",
    "follows_far": "transitions_far",
    "together": "cooccurrences",
    "together_share": "cooccurrences_share",
    "attraction": "attractiveness",
    "taste": "two_tower",
}
"""Features that had another name in versions written before."""


def names_of_now(written: Sequence[str]) -> tuple[str, ...]:
    """The names of features that a version stores, as this release calls them."""
    renamed = {old + way: new + way for old, new in _RENAMED.items() for way in ("", "_z", "_rank")}
    return tuple(renamed.get(name, name) for name in written)


def features_before(
    modalities: Sequence[str], categories: Collection[str], numbers: Collection[str]
) -> tuple[str, ...]:
    """The features of versions that store no names, in their order.

    Args:
        modalities: of the version.
        categories: the payload fields that it reads as categories.
        numbers: the payload fields that it reads as numbers.
    """
    relations = (
        *(f"{name}_{part}" for name in modalities for part in ("recent", "last", "nearest", "disliked")),
        *(f"{name}_{part}" for name in categories for part in ("recent", "last")),
        "content",
        "two_tower",
    )
    compared = (*_COUNTS_BEFORE, *relations)
    return (
        *_COUNTS_BEFORE,
        *(f"{name}_z" for name in compared),
        *(f"{name}_rank" for name in compared),
        *relations,
        *(f"{name}_{part}" for name in numbers for part in ("value", "distance")),
        "age",
        "unknown",
        "length",
        "gap",
    )


def check_names(version: str, read: Sequence[str], there: Collection[str]) -> None:
    """Refuse a version that reads a feature which is not there.

    Args:
        version: its name; "" where it is not known.
        read: the names that the version knows.
        there: the names that this release knows.

    Raises:
        CheckpointError: with both lists.
    """
    missing = [name for name in read if name not in there]
    if missing:
        raise CheckpointError(
            f"model version {version} reads features that are not there: {', '.join(missing)}. "
            f"It reads {', '.join(read)}; there are {', '.join(there)}",
            "train it anew, or serve it with the release and settings that trained it",
        )
