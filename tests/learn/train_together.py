"""One of several processes that train together: writes the weights and the figures it ends with."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from engine.learn.fit import network_of, training_rows
from engine.learn.network.processes import part, processes
from engine.learn.network.train import train
from engine.learn.network.trainer import Run
from tests.learn.test_fit import QUICK
from tests.learn.world import catalogue, walks

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, mine = Path(sys.argv[1]), processes()
    items = catalogue()
    settings = replace(QUICK, towers=None, training=replace(QUICK.training, epochs=2))
    rows = training_rows(walks(items), items, settings)
    table, network = rows.point_in_time.table, network_of(rows, settings)
    trained = train(rows.examples, table, network, settings.training, Run(folder=folder / "run"))
    weights = {name: value.tolist() for name, value in trained.model.state_dict().items()}
    said = {"of": mine.count, "first": mine.first, "history": trained.history, "weights": weights}
    (folder / f"{mine.rank}.json").write_text(json.dumps(said))
    part()
