"""`triveni encode`: the vectors of a catalogue as a file, for an evaluation of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.common import console, settings_of, stderr

CHUNK = 256
"""Rows that are decoded and encoded together."""


def encode(
    ctx: typer.Context,
    catalog: Annotated[Path, typer.Argument(help="A .jsonl, .csv, .tsv or .parquet file, or a folder of files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.", dir_okay=False)],
    root: Annotated[
        Path | None, typer.Option(help="Where the catalogue's paths begin; its own folder if not given.")
    ] = None,
    max_errors: Annotated[int, typer.Option(help="Fail when more rows than this are bad.", min=0)] = 0,
) -> None:
    """Encode a catalogue, and write ids and vectors to an .npz file.

    The file holds `ids` (n,), `fingerprint`, and for each modality that occurs `<modality>` (n, d), float32 unit
    vectors, and `<modality>_present` (n,): rows without that modality are zeros and not to be read.
    """
    import numpy as np

    from encoders.errors import TriveniError
    from encoders.types import Floats, Modality, Prepared
    from engine import compose
    from indexers.readers import Row, default_root, open_catalog
    from indexers.rows import load

    settings = settings_of(ctx)
    space = compose.open_space(settings)
    base = (root or default_root(catalog)).resolve()
    ids: list[str] = []
    places: dict[Modality, list[int]] = {}
    blocks: dict[Modality, list[Floats]] = {}
    waiting: list[tuple[int, Prepared]] = []
    bad = 0

    def forward() -> None:
        vectors = space.forward([prepared for _, prepared in waiting])
        for (row, prepared), vector in zip(waiting, vectors, strict=True):
            places.setdefault(prepared.modality, []).append(row)
            blocks.setdefault(prepared.modality, []).append(vector[None])
        waiting.clear()

    for row in open_catalog(catalog, root=root).rows():
        try:
            if not isinstance(row, Row):
                raise row.error
            item = load(row, base, {}, frozenset(), settings.limits.max_bytes).item
            prepared = [space.prepare(content) for content in item.contents]
        except TriveniError as error:
            bad += 1
            stderr.print(f"line {row.line}: {error}", highlight=False, soft_wrap=True)
            continue
        waiting += [(len(ids), each) for each in prepared]
        ids.append(item.id)
        if len(waiting) >= CHUNK:
            forward()
    if waiting:
        forward()

    columns: dict[str, np.ndarray] = {"ids": np.array(ids, np.str_), "fingerprint": np.array(space.fingerprint)}
    for modality, rows in places.items():
        matrix = np.zeros((len(ids), space.dimension), np.float32)
        matrix[rows] = np.concatenate(blocks[modality])
        columns[str(modality)] = matrix
        columns[f"{modality}_present"] = np.isin(np.arange(len(ids)), rows)
    part = output.with_name(output.name + ".part")
    with part.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
    part.replace(output)
    counts = ", ".join(f"{len(rows)} of {modality}" for modality, rows in places.items())
    console.print(
        f"{output}: {len(ids)} items ({counts}), {space.dimension} dimensions, {bad} bad rows", highlight=False
    )
    if bad > max_errors:
        raise typer.Exit(1)
