"""Training rows of lists that were served: what was shown, where, and what the person did about it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from encoders.types import Doubles
from engine.events.types import Impression
from engine.learn.rows.dataset import Example, RowSettings, TowersOf, blocks, nothing_known
from engine.learn.rows.point_in_time import PointInTimeFeatures


def shown_rows(
    point_in_time: PointInTimeFeatures,
    impressions: Sequence[Impression],
    settings: RowSettings,
    towers_of: TowersOf = nothing_known,
    progress: Callable[[float], None] = lambda _: None,
) -> Iterator[Example]:
    """A row for each served list after which the person did something about it: positive, negative or both.

    Its candidates are what was shown and what the sources find, so that features mean what they mean in serving; only
    what was shown is judged. A list that nobody reacted to says little: perhaps nobody looked.

    Args:
        point_in_time: the log; its events name the requests that they answer.
        impressions: the served lists of people in the log.
        settings: how counts are cross-fitted.
        towers_of: what the learned query vector says, as in `blocks`.
        progress: is told the share that is done.
    """
    log, answers = point_in_time.log, _answers(point_in_time)
    user_of = {user: number for number, user in enumerate(log.users)}
    request_of = {request: number for number, request in enumerate(log.requests)}
    lists = sorted(
        (one for one in impressions if one.user in user_of and request_of.get(one.request_id, -1) in answers),
        key=lambda one: one.time,
    )
    users = np.array([user_of[one.user] for one in lists], np.int64)
    times = np.array([one.time.timestamp() for one in lists], np.float64)
    row_of = {name: row for row, name in enumerate(point_in_time.ids)}
    done = 0
    for known, block in blocks(point_in_time, settings, users, times, towers_of):
        moments = [float(times[number]) for number in block.tolist()]
        before = [point_in_time.until(int(users[number]), float(times[number])) for number in block.tolist()]
        vectors = point_in_time.user_embeddings(known, before, moments)
        for number, history, now, vector in zip(block.tolist(), before, moments, vectors, strict=True):
            done += 1
            one, user = lists[number], int(users[number])
            shown = [(row_of[name], at) for name, at in zip(one.items, one.positions, strict=True) if name in row_of]
            if not shown:
                continue
            rows, shown_at = (np.array(column, np.intp) for column in zip(*shown, strict=True))
            followed = [row for row in answers[request_of[one.request_id]] if log.user[row] == user]
            request = point_in_time.ranking_input(known, history, now, embedding=vector, shown=rows)
            positions = np.zeros(len(request.candidates), np.intp)
            positions[np.searchsorted(request.candidates, rows)] = shown_at
            liked, disliked = (
                np.isin(request.candidates, point_in_time.item[[row for row in followed if kept[row]]])
                & (positions > 0)
                for kept in (point_in_time.positive, point_in_time.negative)
            )
            if liked.any() or disliked.any():
                yield Example(request, liked, disliked, positions, user, now, known.until)
            if done % 256 == 0:
                progress(done / len(lists))


def silent_positions(point_in_time: PointInTimeFeatures, impressions: Sequence[Impression]) -> Doubles:
    """(n,): of the positions of lists that nobody reacted to, when each was shown, seconds since 1970.

    They are no rows, but they tell how probable an answer is.
    """
    log, answers = point_in_time.log, _answers(point_in_time)
    answered = {log.requests[number] for number in answers}
    users, items = set(log.users), set(point_in_time.ids)
    times = [
        one.time.timestamp()
        for one in impressions
        if one.user in users and one.request_id not in answered
        for name in one.items
        if name in items
    ]
    return np.array(times, np.float64)


def _answers(point_in_time: PointInTimeFeatures) -> dict[int, list[int]]:
    """Per request, an index of the log's `requests`, the rows of the log that answer it."""
    log, found = point_in_time.log, dict[int, list[int]]()
    for row in np.flatnonzero((log.request >= 0) & (point_in_time.positive | point_in_time.negative)).tolist():
        found.setdefault(int(log.request[row]), []).append(row)
    return found
