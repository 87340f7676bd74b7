"""The table of event kinds, and how the settings declare more."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import InvalidQueryError, SettingsError
from engine.core.kinds import KIND_NAME, STANDARD, STANDARD_KINDS, EventKinds, KindTraits, Sign
from engine.core.types import EventKind
from engine.events.settings import KindSettings, all_kinds
from engine.learn.evaluation.off_policy import rate_kinds
from engine.learn.splits import Positives
from engine.query.settings import FuseSettings
from engine.rerank.table import KINDS, STANDARD_TOKENS, TokenKinds

CART = KindSettings(weight=1.5, sign=Sign.POSITIVE)
NAMES = st.from_regex(KIND_NAME, fullmatch=True)


def test_the_standard_kinds_say_what_they_always_said() -> None:
    """Versions were trained, and figures measured, with these."""
    assert STANDARD_KINDS.names == tuple(EventKind) == (
        "impression", "view", "click", "like", "purchase", "rate", "skip", "dislike", "search", "upload",
    )  # fmt: skip
    assert list(STANDARD_KINDS.weights.values()) == [0.0, 0.3, 1.0, 2.0, 3.0, 1.0, -0.3, -2.0, 1.0, 1.5]
    assert STANDARD_KINDS.weights == FuseSettings().weights
    assert STANDARD_KINDS.positive == Positives().kinds == {"view", "click", "like", "purchase", "rate"}
    assert STANDARD_KINDS.negative == STANDARD_TOKENS.negative == {"skip", "dislike"}
    assert STANDARD_KINDS.explicit == {"like", "rate", "dislike", "search", "upload", "purchase"}
    assert TokenKinds.of(STANDARD_KINDS) == STANDARD_TOKENS
    assert STANDARD_TOKENS.names == KINDS == STANDARD_KINDS.names[1:]
    assert rate_kinds(STANDARD_KINDS) == {
        "click-through rate": {"click", "like", "purchase"}, "conversion": {"purchase"}, "dislikes": {"dislike"},
    }  # fmt: skip
    assert all_kinds({}, FuseSettings().weights) == all_kinds({}, {}) == STANDARD_KINDS


def test_what_a_deployment_declares_comes_behind_by_name() -> None:
    kinds = all_kinds(
        {"watch_95": CART, "add_to_cart": CART, "report": KindSettings(weight=-3, sign=Sign.NEGATIVE, explicit=True)},
        {},
    )
    assert kinds.names == (*EventKind, "add_to_cart", "report", "watch_95")
    assert kinds.table["add_to_cart"] == KindTraits(1.5, Sign.POSITIVE)
    assert kinds.positive == STANDARD_KINDS.positive | {"add_to_cart", "watch_95"}
    assert kinds.negative == STANDARD_KINDS.negative | {"report"}
    tokens = TokenKinds.of(kinds)
    assert [tokens.row(kind) for kind in KINDS] == list(range(len(KINDS)))
    assert (tokens.row("add_to_cart"), tokens.row("watch_95"), tokens.row("share")) == (9, 11, 12)
    counted = rate_kinds(kinds)
    assert counted["click-through rate"] == {"click", "like", "purchase", "add_to_cart", "watch_95"}
    assert (counted["conversion"], counted["dislikes"]) == ({"purchase"}, {"dislike", "report"})


@pytest.mark.parametrize(
    ("declared", "weights", "told"),
    [
        ({}, {"click": 7.0}, {"click": 7.0}),
        ({"click": KindSettings(weight=7)}, {}, {"click": 7.0}),
        ({"click": KindSettings(weight=7)}, {"click": 1.0}, {"click": 7.0}),  # as a copy of the example has it
        ({"click": KindSettings(weight=7)}, {"click": 7.0, "like": 0.0}, {"click": 7.0, "like": 0.0}),
        ({}, {"skip": 0.2}, {"skip": 0.2}),  # turned round, as settings files of before may have it
        ({"share": CART}, {}, {"share": 1.5}),
        ({"share": CART}, {"share": 1.5}, {"share": 1.5}),
        ({"share": KindSettings(sign=Sign.POSITIVE)}, {"share": 4}, {"share": 4}),
        ({"share": KindSettings(weight=0)}, {}, {"share": 0}),
    ],
)
def test_a_weight_is_said_in_either_place(
    declared: dict[str, KindSettings], weights: dict[str, float], told: dict[str, float]
) -> None:
    kinds = all_kinds(declared, weights)
    assert kinds.weights == {**STANDARD_KINDS.weights, **told}
    assert all_kinds(declared, kinds.weights) == kinds


@pytest.mark.parametrize(
    ("declared", "weights", "said"),
    [
        ({"share": CART}, {"share": 2.0}, "events.kinds.share.weight is 1.5, fuse.weights.share is 2.0: say it once"),
        (
            {"click": KindSettings(weight=7)},
            {"click": 2.0},
            "events.kinds.click.weight is 7.0, fuse.weights.click is",
        ),
        (
            {"click": KindSettings(weight=1)},
            {"click": 2.0},
            "events.kinds.click.weight is 1.0, fuse.weights.click is",
        ),
        ({"dislike": KindSettings(weight=2)}, {}, "events.kinds.dislike is negative, and its weight is 2.0"),
        ({}, {"clik": 2.0}, "event kind 'clik' is unknown: use one of .*; the nearest is click; or declare it in"),
        ({"share": CART}, {"shar": 2.0}, "the nearest is share"),
        ({"share": KindSettings()}, {}, "events.kinds.share has no weight: set events.kinds.share.weight"),
        ({"like": KindSettings(sign=Sign.NEUTRAL)}, {}, "events.kinds.like is standard, only its weight"),
        ({"like": KindSettings(explicit=False)}, {}, "events.kinds.like is standard, only its weight"),
        (
            {"share": KindSettings(weight=-1, sign=Sign.POSITIVE)},
            {},
            "events.kinds.share is positive, and its weight",
        ),
        ({"share": KindSettings(weight=1, sign=Sign.NEGATIVE)}, {}, "events.kinds.share is negative, and its weight"),
    ],
)
def test_what_contradicts_itself_is_refused(
    declared: dict[str, KindSettings], weights: dict[str, float], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as refusal:
        all_kinds(declared, weights)
    assert refusal.value.remedy


@given(st.sets(NAMES, max_size=5), st.data())
def test_every_name_is_parsed_in_upper_and_lower_case(names: set[str], data: st.DataObject) -> None:
    kinds = all_kinds(dict.fromkeys(names - STANDARD.keys(), CART), {})
    assert set(kinds.names) == names | set(EventKind)
    name = data.draw(st.sampled_from(kinds.names))
    for written in (name, name.upper(), name.title()):
        assert kinds.parse(written) == name
    assert name in kinds
    assert isinstance(kinds.parse(name), EventKind) == (name in STANDARD)


@given(st.text())
def test_other_names_are_refused_with_the_value_and_a_remedy(name: str) -> None:
    if name.lower() in STANDARD:
        return
    assert name not in STANDARD_KINDS
    with pytest.raises(InvalidQueryError, match=r"event kind .* is unknown: use one of impression, view") as told:
        STANDARD_KINDS.parse(name)
    assert told.value.field == "kind"
    assert told.value.remedy.endswith("; or declare it in the settings as [events.kinds.NAME]")


@pytest.mark.parametrize("thing", [None, 5, ["click"], b"click"])
def test_what_is_no_text_is_no_kind(thing: object) -> None:
    assert thing not in EventKinds()
    assert repr(thing)[:10] in str(EventKinds().unknown(thing))


def test_the_names_that_a_kind_may_have() -> None:
    good = ("a", "add_to_cart", "watch_95", "a" * 64)
    bad = ("", "A", "9a", "_a", "a-b", "a b", "ä", "a" * 65, "a\n")
    assert all(re.fullmatch(KIND_NAME, name) for name in good)
    assert not any(re.fullmatch(KIND_NAME, name) for name in bad)
