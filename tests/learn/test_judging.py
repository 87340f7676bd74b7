"""Both are judged alike: the same weights get the same figures, whatever each side's counts have seen."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from engine.core.types import Event, EventKind
from engine.events.types import Impression, UserEvent
from engine.learn.fit import FitSettings, fit
from engine.learn.judging import NDCG, NEW, REPLAYED, HeldOut, judge_versions
from engine.learn.learned import VersionRanker
from engine.learn.log import KIND_OF, EventLog, event_log, user_events
from engine.learn.network.train import TrainSettings
from engine.learn.rows.dataset import RowSettings
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.splits import ALL_POSITIVES, Positives, by_time
from engine.rerank.version import Version
from tests.learn.world import START, catalogue, walks

ITEMS = catalogue()
QUICK = FitSettings(rows=RowSettings(steps=6, folds=4), training=TrainSettings(epochs=1, batch=32), width=16)


def visits(days: float = 14, users: int = 90, seed: int = 2) -> EventLog:
    """Walks whose steps lie three days apart, of people who come within so many days."""
    random = np.random.default_rng(seed)
    events = list(user_events(walks(ITEMS, users=users)))
    came = {one.user: timedelta(days=float(random.uniform(0, days))) for one in events}
    done: dict[str, int] = {}
    for number, one in enumerate(events):
        step = done[one.user] = done.get(one.user, -1) + 1
        time = START + came[one.user] + timedelta(days=3 * step)
        events[number] = replace(one, event=replace(one.event, time=time))
    return event_log(events)


def served(log: EventLog) -> tuple[EventLog, list[Impression]]:
    """Every second step answers a list, in which it stands between others drawn at random."""
    random, lists = np.random.default_rng(4), []
    events = list(user_events(log))
    for number in range(0, len(events), 2):
        one = events[number]
        assert one.event.item is not None and one.event.time is not None
        others = [ITEMS.ids[row] for row in random.permutation(len(ITEMS))[:5].tolist()]
        shown = tuple(dict.fromkeys([*others[:2], one.event.item, *others[2:]]))
        positions = tuple(range(1, len(shown) + 1))
        time = one.event.time - timedelta(seconds=1)
        lists.append(Impression(f"r{number}", one.user, shown, positions, (1.0,) * len(shown), "m", "full", time))
        events[number] = replace(one, event=replace(one.event, request_id=f"r{number}"))
    return event_log(events), lists


def held_of(
    log: EventLog, lists: list[Impression], share: float = 0.3, moment: datetime | None = None
) -> tuple[HeldOut, list[Impression]]:
    """What is held out of a log, and the lists that were served before."""
    split = by_time(log, ITEMS, moment.timestamp() if moment else None, share)
    until = float(split.cases.time.min())
    before = [one for one in lists if one.time.timestamp() < until]
    later = [one for one in lists if one.time.timestamp() >= until]
    examination = np.concatenate([[0.0], 1 / np.arange(1, 8)])
    return HeldOut(log, split, ITEMS, later, examination, ALL_POSITIVES), before


def brought_up_to_date(version: Version, held: HeldOut, lists: list[Impression]) -> Version:
    """As it is stored: its counts know all events."""
    whole = PointInTimeFeatures(held.log, ITEMS, version.scales, version.known, ALL_POSITIVES, impressions=lists)
    return replace(version, statistics=whole.counts())


@pytest.mark.parametrize("with_lists", [False, True], ids=["all items", "served lists"])
def test_the_same_weights_are_as_good_as_what_serves_and_as_a_challenger(with_lists: bool) -> None:
    log, lists = served(visits()) if with_lists else (visits(), [])
    held, before = held_of(log, lists)
    version = fit(held.split.train, ITEMS, QUICK, impressions=before).version
    stored = brought_up_to_date(version, held, lists)
    sides = [VersionRanker(one, ALL_POSITIVES, recount=before) for one in (version, stored)]
    judged = judge_versions(*sides, held, confidence=0.95, min_cases=15, seed=0)
    assert judged.verdict.metric == (REPLAYED if with_lists else NDCG)
    assert (judged.verdict.difference, judged.verdict.low, judged.verdict.high) == (0.0, 0.0, 0.0)
    assert {name: one.mean for name, one in judged.challenger.items()} == judged.serving
    leaked = judge_versions(
        sides[0], VersionRanker(stored, ALL_POSITIVES), held, confidence=0.95, min_cases=15, seed=0
    )
    assert leaked.verdict.difference < 0  # with its own counts it knows what is to be predicted


def test_a_version_is_counted_anew_by_what_it_takes_for_favourable() -> None:
    """Its own kinds of events, which are not those of the settings by now."""
    log = walks(ITEMS)
    log = replace(log, kind=np.where(np.arange(len(log)) % 3 == 0, KIND_OF[EventKind.PURCHASE], log.kind))
    version = fit(log, ITEMS, QUICK).version
    bought = Positives(frozenset({EventKind.PURCHASE}))
    ranker = VersionRanker(version, bought, recount=())
    ranker.fit(log, ITEMS)
    assert ranker._counts.popularity.sum() == bought.of(log).sum()
    assert (version.statistics.popularity.sum(), ranker.version) == (len(log), version)


def test_how_people_fare_of_whom_nothing_is_known_is_judged_too() -> None:
    """About half of the people come after the held-out moment."""
    log, lists = served(visits(60))
    held, before = held_of(log, lists, share=0.6)
    version = fit(held.split.train, ITEMS, QUICK, impressions=before).version
    ranker = VersionRanker(version, ALL_POSITIVES, recount=before)
    judged = judge_versions(ranker, ranker, replace(held, impressions=[]), confidence=0.95, min_cases=10, seed=0)
    new = judged.challenger[NDCG + NEW]
    known = sum(len(history) > 0 for history in held.split.cases.history)
    assert (new.count, judged.challenger[NDCG].count) == (len(held.split.cases) - known, len(held.split.cases))
    assert new.count > 30
    assert set(judged.challenger) == set(judged.serving) == set(judged.popularity)
    assert f"{new.count} new users: " in judged.verdict.reason or "harms new users" in judged.verdict.reason
    assert "against popularity" in judged.verdict.reason
    replayed = judge_versions(ranker, ranker, held, confidence=0.95, min_cases=1, seed=0)
    assert replayed.verdict.metric == REPLAYED
    came = {held.log.users[user] for user in held.split.cases.user[new_of(held)]}
    first = {one.user for one in held.impressions if one.user in came}
    assert 0 < replayed.challenger[REPLAYED + NEW].count <= len(first)  # of each only what came before the first step


def test_what_was_only_shown_to_people_leaves_them_new() -> None:
    log, lists = served(visits(60))
    shown = [
        UserEvent(one.user, Event(EventKind.IMPRESSION, item, time=one.time, request_id=one.request_id))
        for one in lists
        for item in one.items
    ]
    counts = []
    for events in (log, event_log([*user_events(log), *shown])):
        held, before = held_of(events, lists, moment=START + timedelta(days=30))
        ranker = VersionRanker(fit(held.split.train, ITEMS, QUICK, impressions=before).version, ALL_POSITIVES)
        judged = judge_versions(ranker, ranker, held, confidence=0.95, min_cases=1, seed=0)
        counts.append({name: judged.challenger[name].count for name in (REPLAYED + NEW, NDCG + NEW)})
    assert counts[0] == counts[1]
    assert min(counts[0].values()) > 0


def test_where_too_few_new_people_chose_of_a_list_what_they_did_is_judged_on() -> None:
    log, lists = served(visits(60))
    held, before = held_of(log, lists, share=0.6)
    came = {held.log.users[user] for user in held.split.cases.user[new_of(held)]}
    held = replace(held, impressions=[one for one in held.impressions if one.user not in came])
    ranker = VersionRanker(fit(held.split.train, ITEMS, QUICK, impressions=before).version, ALL_POSITIVES)
    judged = judge_versions(ranker, ranker, held, confidence=0.95, min_cases=1, seed=0)
    assert judged.verdict.metric == REPLAYED
    assert REPLAYED + NEW not in judged.challenger
    assert f"{judged.challenger[NDCG + NEW].count} new users" in judged.verdict.reason


def new_of(held: HeldOut) -> np.ndarray:
    """The cases of people of whom nothing is known."""
    return np.array([not len(history) for history in held.split.cases.history], np.bool_)
