"""SASRec by the library RecTools, on the events of a split; its scores are read by `--scores`.

RecTools 0.19 needs numpy < 2, so it runs in an environment of its own, and imports nothing of Triveni:

    python3.11 -m venv var/rectools && var/rectools/bin/pip install 'rectools[torch]==0.19.0'
    python -m benchmarks.ml100k --write-train var/ml100k/train.csv
    var/rectools/bin/python benchmarks/sasrec.py var/ml100k/train.csv var/ml100k/sasrec.npz
    python -m benchmarks.ml100k --scores var/ml100k/sasrec.npz

With your own events: `triveni evaluate EVENTS --write-train train.csv`, the third line, and
`triveni evaluate EVENTS --scores sasrec.npz`, with the same split.

Kang & McAuley, Self-attentive sequential recommendation, ICDM 2018; softmax over all items instead of its loss, which
is what RecTools does unless told otherwise. Sizes: 64 dimensions, 2 blocks, 90 epochs took 15 minutes on two cores.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pytorch_lightning import seed_everything
from rectools.dataset import Dataset
from rectools.models import SASRecModel


def main() -> int:
    """Train, score all items for everybody, write the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="a .csv with user_id, item_id, oldest first")
    parser.add_argument("scores", type=Path, help="the .npz to write")
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--length", type=int, default=100, help="of a history, in events")
    parser.add_argument("--loss", default="softmax", choices=("softmax", "BCE", "gBCE"))
    parser.add_argument("--negatives", type=int, default=128, help="for BCE and gBCE")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    seed_everything(arguments.seed, workers=True)
    frame = pd.read_csv(arguments.train, usecols=["user_id", "item_id"], dtype=str).dropna()
    # The file's order is the order of the events; of two at one time, too.
    frame = frame.assign(weight=1.0, datetime=pd.to_datetime(np.arange(len(frame)), unit="s"))
    dataset = Dataset.construct(frame)
    model = SASRecModel(
        n_blocks=arguments.blocks,
        n_heads=arguments.heads,
        n_factors=arguments.factors,
        session_max_len=arguments.length,
        loss=arguments.loss,
        n_negatives=arguments.negatives,
        epochs=arguments.epochs,
        deterministic=True,
    )
    began = time.perf_counter()
    model.fit(dataset)
    fitted = time.perf_counter() - began
    users, items = (np.sort(frame[name].unique()) for name in ("user_id", "item_id"))
    found = model.recommend(users, dataset, k=len(items), filter_viewed=False)
    scores = np.full((len(users), len(items)), -np.inf, np.float32)
    scores[np.searchsorted(users, found["user_id"]), np.searchsorted(items, found["item_id"])] = found["score"]
    np.savez(arguments.scores, users=users.astype(str), items=items.astype(str), scores=scores)
    print(f"{len(users)} people, {len(items)} items, {fitted:.0f} s of training: {arguments.scores}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
