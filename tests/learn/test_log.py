"""What people did, in columns."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from encoders.types import Modality, Text
from engine.core.types import Event, EventKind, ItemId, UserId, VectorInput
from engine.events.types import UserEvent
from engine.learn.log import encode_texts, event_log
from tests.tiny import concept_space, concept_text, tiny_space

START = datetime(2026, 1, 1, tzinfo=UTC)


def searched(*contents: Text | VectorInput) -> list[UserEvent]:
    return [
        UserEvent(UserId("u"), Event(EventKind.SEARCH, content=content, time=START + timedelta(minutes=row)))
        for row, content in enumerate(contents)
    ]


def test_searches_become_vectors_and_what_cannot_is_left_out() -> None:
    """One blank search, or an upload from before the space was changed, must not end all trainings."""
    space, bird = concept_space(), concept_text("bird")
    ours, theirs = (
        VectorInput(Modality.IMAGE, np.ones(64, np.float32), one.fingerprint) for one in (space, tiny_space())
    )
    trusted = VectorInput(Modality.IMAGE, np.ones(64, np.float32))
    log = encode_texts(event_log(searched(bird, Text("  "), ours, theirs, bird, trusted)), space)
    assert len(log) == 6
    assert sorted(log.contents) == [0, 2, 4, 5]
    for row in (0, 4):
        found = log.contents[row]
        assert isinstance(found, VectorInput)
        assert (found.modality, found.fingerprint) == (Modality.TEXT, space.fingerprint)
        np.testing.assert_allclose(found.values, space.encode([bird])[0], atol=1e-6)
    assert log.contents[2] is ours


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5))
def test_of_each_person_the_newest_are_kept(users: list[int], most: int) -> None:
    events = [
        UserEvent(UserId(f"u{user}"), Event(EventKind.CLICK, ItemId(f"i{row}"), time=START + timedelta(minutes=row)))
        for row, user in enumerate(users)
    ]
    log = event_log(events).newest(most)
    kept = {row for user in set(users) for row in [at for at, one in enumerate(users) if one == user][-most:]}
    assert [log.items[item] for item in log.item] == [f"i{row}" for row in sorted(kept)]
    assert [log.users[user] for user in log.user] == [f"u{users[row]}" for row in sorted(kept)]
