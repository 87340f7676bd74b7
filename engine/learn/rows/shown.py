"""Training rows of lists that were served: what was shown, where, and what the person did about it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from engine.events.types import Impression
from engine.learn.log import Doubles
from engine.learn.rows.dataset import Example, RowSettings, Tastes, blocks, nothing_known
from engine.learn.rows.situations import Situations


def shown_rows(
    situations: Situations,
    impressions: Sequence[Impression],
    settings: RowSettings,
    tastes: Tastes = nothing_known,
    progress: Callable[[float], None] = lambda _: None,
) -> Iterator[Example]:
    """A row for each served list after which the person did something about it: positive, negative or both.

    Its candidates are what was shown and what the sources find, so that features mean what they mean in serving; only
    what was shown is judged. A list that nobody reacted to says little: perhaps nobody looked.

    Args:
        situations: the log; its events name the requests that they answer.
        impressions: the served lists of people in the log.
        settings: how counts are cross-fitted.
        tastes: what the learned query vector says, as in `blocks`.
        progress: is told the share that is done.
    """
    log, answers = situations.log, _answers(situations)
    user_of = {user: number for number, user in enumerate(log.users)}
    request_of = {request: number for number, request in enumerate(log.requests)}
    lists = sorted(
        (one for one in impressions if one.user in user_of and request_of.get(one.request_id, -1) in answers),
        key=lambda one: one.time,
    )
    people = np.array([user_of[one.user] for one in lists], np.int64)
    times = np.array([one.time.timestamp() for one in lists], np.float64)
    row_of = {name: row for row, name in enumerate(situations.ids)}
    done = 0
    for known, block in blocks(situations, settings, people, times, tastes):
        moments = [float(times[place]) for place in block.tolist()]
        before = [situations.until(int(people[place]), float(times[place])) for place in block.tolist()]
        vectors = situations.people(known, before, moments)
        for place, history, now, vector in zip(block.tolist(), before, moments, vectors, strict=True):
            done += 1
            one, person = lists[place], int(people[place])
            shown = [(row_of[name], at) for name, at in zip(one.items, one.positions, strict=True) if name in row_of]
            if not shown:
                continue
            rows, places = (np.array(column, np.intp) for column in zip(*shown, strict=True))
            followed = [row for row in answers[request_of[one.request_id]] if log.user[row] == person]
            request = situations.request(known, history, now, person=vector, shown=rows)
            positions = np.zeros(len(request.candidates), np.intp)
            positions[np.searchsorted(request.candidates, rows)] = places
            liked, disliked = (
                np.isin(request.candidates, situations.item[[row for row in followed if kept[row]]]) & (positions > 0)
                for kept in (situations.positive, situations.negative)
            )
            if liked.any() or disliked.any():
                yield Example(request, liked, disliked, positions, person, now, known.until)
            if done % 256 == 0:
                progress(done / len(lists))


def silent_places(situations: Situations, impressions: Sequence[Impression]) -> Doubles:
    """(n,): of the places of lists that nobody reacted to, when each was shown, seconds since 1970.

    They are no rows, but they tell how probable an answer is.
    """
    log, answers = situations.log, _answers(situations)
    answered = {log.requests[number] for number in answers}
    people, items = set(log.users), set(situations.ids)
    times = [
        one.time.timestamp()
        for one in impressions
        if one.user in people and one.request_id not in answered
        for name in one.items
        if name in items
    ]
    return np.array(times, np.float64)


def _answers(situations: Situations) -> dict[int, list[int]]:
    """Per request, an index of the log's `requests`, the rows of the log that answer it."""
    log, found = situations.log, dict[int, list[int]]()
    for row in np.flatnonzero((log.request >= 0) & (situations.positive | situations.negative)).tolist():
        found.setdefault(int(log.request[row]), []).append(row)
    return found
