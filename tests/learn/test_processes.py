"""Training in several processes, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from engine.learn.network.processes import processes


def test_without_torchrun_there_is_one() -> None:
    mine = processes()
    assert (mine.count, mine.first, mine.agreed("so")) == (1, True, "so")


def test_several_processes_end_with_one_network(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [*torchrun, "-m", "tests.learn.train_together", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert (first["of"], first["first"], second["of"], second["first"]) == (2, True, 2, False)
    assert first["weights"] == second["weights"]
    judged = [[epoch["ndcg_at_10"] for epoch in one["history"]] for one in (first, second)]
    assert judged[0] == judged[1]
    assert first["history"][-1]["loss"] < first["history"][0]["loss"]
    assert (tmp_path / "run" / "state.safetensors").is_file()
