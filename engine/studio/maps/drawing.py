"""The drawing of a map in a process of its own: serving does not suffer, and the memory is given back at its end."""

import json
import multiprocessing
import os
import threading
import traceback
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from encoders.errors import TriveniError
from encoders.types import Floats
from engine.catalog.items import load_items
from engine.studio.maps.file import BITS, Map, read, save
from engine.studio.maps.project import Tell, clusters, item_vectors, place, project

GROWN = 0.2
"""If more of the items are new than this share, all are moved; else the new ones are placed among the others."""
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no map."""

    problem: str
    remedy: str


def draw_apart(items: Path, target: Path, *, again: bool, tell: Tell) -> Failure | None:
    """Draw a map in a process of its own, and wait for its end.

    Args:
        items: the file that `save_items` wrote.
        target: where the map is written.
        again: whether all items are moved, where a map is there already.
        tell: is told how far it is, in this thread.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit gRPC's threads half alive
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, items, target, again), name="map", daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            said = json.loads(ours.recv_bytes())
            if "share" in said:
                tell(said["share"], said["stage"])
            else:
                return Failure(**said) if said else None
    except (EOFError, OSError):
        return Failure("the process that draws the map ended early", "see whether memory ran out, then try again")
    finally:
        ours.close()
        process.join(1)
        if process.is_alive():
            process.kill()


def draw(items: Path, target: Path, again: bool, tell: Tell) -> None:
    """Draw a map of the items of a file; see `draw_apart`."""
    tell(0.0, "reading the items")
    table = load_items(items)
    vectors, before = item_vectors(table), read(target)
    positions = _positions(table.ids, vectors, before, again, tell)
    tell(0.96, "finding clusters")
    has = sum(bit * table.present[modality] for modality, bit in BITS.items() if modality in table.present)
    save(Map(table.ids, positions, clusters(positions), np.asarray(has, np.uint8)), target)


def _positions(ids: tuple[str, ...], vectors: Floats, before: Map | None, again: bool, tell: Tell) -> Floats:
    if before is None:
        return project(vectors, None, tell)
    rows = np.fromiter((before.row_of.get(name, -1) for name in ids), np.intp, len(ids))
    old = rows >= 0
    if not old.any():
        return project(vectors, None, tell)
    positions = np.empty((len(ids), 2), np.float32)
    positions[old] = before.positions[rows[old]]
    positions[~old] = place(vectors[~old], vectors[old], positions[old])
    return project(vectors, positions, tell) if again or (~old).mean() > GROWN else positions


def _child(pipe: Connection, items: Path, target: Path, again: bool) -> None:
    os.nice(NICENESS)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait take the server's cores
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer: dict[str, str] = {}
    try:
        draw(items, target, again, partial(_tell, pipe))
    except TriveniError as error:
        answer = asdict(Failure(error.problem, error.remedy))
    except Exception as error:  # noqa: BLE001 (told to the one who asked for the map)
        traceback.print_exc()
        answer = asdict(
            Failure(f"the map cannot be drawn ({type(error).__name__}: {error})", "the log has the cause")
        )
    _send(pipe, answer)


def _tell(pipe: Connection, share: float, stage: str) -> None:
    _send(pipe, {"share": share, "stage": stage})


def _send(pipe: Connection, message: dict[str, object] | dict[str, str]) -> None:
    try:
        pipe.send_bytes(json.dumps(message).encode())
    except OSError:  # whoever wanted the map is gone
        os._exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
