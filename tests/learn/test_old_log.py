"""A log that is older than the catalogue's index: no age of an item is known in training, so it says nothing."""

from dataclasses import replace

import numpy as np

from engine.learn.fit import network_of, training_rows
from engine.learn.network.train import logits_of, train
from engine.rerank.features import feature_names
from tests.learn.test_fit import QUICK
from tests.learn.world import catalogue, walks


def test_an_age_that_training_never_saw_does_not_move_the_order() -> None:
    items = catalogue(48)
    log = walks(items, users=40)
    late = replace(items, indexed_at=np.full(len(items), log.time.max() + 300 * 86400))
    made = replace(QUICK, towers=None, training=replace(QUICK.training, epochs=1))
    rows = training_rows(log, late, made)
    age = feature_names(list(items.vectors), rows.scales).index("age")
    assert not any(one.request.dense[:, age].any() for one in rows.examples)
    model = train(rows.examples, rows.point_in_time.table, network_of(rows, made), made.training).model

    one = rows.examples[-1]
    aged = np.array(one.request.dense)
    aged[:, age] = np.linspace(0, 7, len(aged))  # up to three years
    later = replace(one, request=replace(one.request, dense=aged))
    before, after = logits_of(model, [one, later], rows.point_in_time.table)
    assert np.ptp(before[:, 0]) > 0.01
    np.testing.assert_allclose(after, before, atol=1e-5)
