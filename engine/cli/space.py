"""`triveni space`: show, check, build and switch the shared space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli.common import console, settings_of, stderr

if TYPE_CHECKING:
    from encoders.build import Example
    from engine.config import Settings

app = typer.Typer(help="The shared space: show it, check it, build one, switch to one.", no_args_is_help=True)

STARTER = "starter"
OPENCLIP = "openclip:"


@app.command()
def show(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
) -> None:
    """Show the encoders, the licences of their weights, and how scores are calibrated."""
    from encoders.catalog import CATALOG
    from engine import compose

    space = compose.open_space(settings_of(ctx))
    if as_json:
        print(space.manifest.to_json())
        return
    console.print(f"space {space.manifest.name}, {space.dimension} dimensions, fingerprint {space.fingerprint}")
    licences = {spec.name: spec.licence for spec in CATALOG.values()}
    for modality, identity in space.manifest.encoders.items():
        facts = Table(title=f"{modality} encoder", title_justify="left", show_header=False, box=None)
        for key, value in identity.items():
            facts.add_row(f"  {key}", value)
        if identity.get("name") in licences:
            facts.add_row("  licence", licences[identity["name"]])
        console.print(facts)
    pairs = Table(title="Calibration: cosines of unrelated content, and d′ of related content", title_justify="left")
    for heading in ("query", "item", "mean", "std", "d′"):
        pairs.add_column(heading, justify="left" if heading in ("query", "item") else "right")
    for (query, item), pair in sorted(space.calibration.items()):
        pairs.add_row(query, item, f"{pair.mean:.3f}", f"{pair.std:.3f}", f"{pair.weight:.2f}")
    console.print(pairs)


@app.command()
def verify(ctx: typer.Context) -> None:
    """Compare the weights with their checksums, and encode one content of each modality."""
    from encoders.samples import sample
    from engine import compose

    space = compose.open_space(settings_of(ctx))
    for modality in space.modalities:
        vector = space.encode([sample(modality)])[0]
        console.print(f"{modality}: a vector of {len(vector)} dimensions and length {(vector @ vector) ** 0.5:.6f}")
    console.print(f"space {space.manifest.name} is in order, fingerprint {space.fingerprint}")


@app.command()
def build(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="starter, or openclip:<model>/<pretrained>.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write; for starter its own place if not given."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="For openclip: a catalogue whose texts caption its pictures and sounds.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where the catalogue's paths begin.")] = None,
    sources: Annotated[
        Path, typer.Option(help="For starter: where the pictures and sounds to fit on are, or are downloaded to.")
    ] = Path("var/sources"),
    seed: Annotated[int, typer.Option(help="Decides what is held out.")] = 0,
) -> None:
    """Fit the heads of a space and its calibration, and write them with a card of data, licences and metrics.

    `starter` is fitted on openclipart and emoji, which are downloaded (Debian, npm). An OpenCLIP space is fitted on a
    captioned catalogue of your own: long texts and sounds join it with text as the pivot.

    Example: triveni space build openclip:ViT-B-32/laion2b_s34b_b79k --catalog items.jsonl --root media -o spaces/mine
    """
    settings = settings_of(ctx)
    if name == STARTER:
        _build_starter(settings, output, sources, seed)
    elif name.startswith(OPENCLIP):
        if catalog is None or output is None:
            raise typer.BadParameter("an openclip space needs --catalog and --output")
        _build_openclip(settings, name.removeprefix(OPENCLIP), output, catalog, root, seed)
    else:
        raise typer.BadParameter(f"{name!r} is neither starter nor openclip:<model>/<pretrained>")


@app.command()
def switch(ctx: typer.Context) -> None:
    """Let the collection that was indexed with the space of the settings serve from now on.

    `triveni index CATALOG --switch` does it at the end of indexing; this command goes back, or forth again.
    """
    from engine import compose

    settings = settings_of(ctx)
    space = compose.open_space(settings)
    held = compose.store_collections(settings)
    try:
        before = held.current(settings.store.collection)
        held.switch(settings.store.collection, space.fingerprint)
    finally:
        held.close()
    console.print(f"{settings.store.collection} served space {before}, and now serves {space.fingerprint}")


def _build_starter(settings: Settings, output: Path | None, sources: Path, seed: int) -> None:
    from encoders.sources import fetch_sources
    from encoders.starter import HEADS
    from encoders.starter_build import build_starter
    from engine import compose

    fetch_sources(sources)
    build_starter(
        sources,
        output or HEADS,
        cache=settings.space.cache,
        seed=seed,
        limits=compose.decode_limits(settings),
        threads=settings.space.threads or None,
        report=lambda line: stderr.print(line, highlight=False),
    )
    console.print("indexed collections are of the old space now: index them again")


def _build_openclip(
    settings: Settings, model: str, output: Path, catalog: Path, root: Path | None, seed: int
) -> None:
    from encoders.build import build_space
    from encoders.folder import AUDIO, LONG_TEXT
    from encoders.openclip import load_openclip
    from engine import compose

    clip = load_openclip(model, device=compose.torch_device(settings), limits=compose.decode_limits(settings))
    extractors = compose.pivot_extractors(settings)
    examples = list(_examples(settings, catalog, root))
    has_audio = any(example.audio is not None for example in examples)
    with stderr.status("encoding") as status:
        space = build_space(
            f"{OPENCLIP}{model}",
            clip,
            examples,
            output,
            long_text=extractors[LONG_TEXT](),
            audio=extractors[AUDIO]() if has_audio else None,
            card={"data": str(catalog)},
            seed=seed,
            progress=lambda done: status.update(f"encoding: {done} of {len(examples)}"),
        )
    console.print(f"wrote {output}: {', '.join(space.modalities)}, fingerprint {space.fingerprint}")
    console.print(f'to use it, set name = "{output}" in [space], then index your catalogue with --switch')


def _examples(settings: Settings, catalog: Path, root: Path | None) -> Iterator[Example]:
    """The rows of a catalogue that have a text and a picture or a sound; bad rows are passed over."""
    from encoders.build import Example
    from encoders.errors import TriveniError
    from encoders.types import Audio, Image, Text
    from indexers.readers import Row, default_root, open_catalog
    from indexers.rows import load

    base = (root or default_root(catalog)).resolve()
    for row in open_catalog(catalog, root=root).rows():
        if not isinstance(row, Row):
            continue
        try:
            item = load(row, base, {}, frozenset(), settings.limits.max_bytes).item
        except TriveniError:
            continue
        found = {type(content): content for content in item.contents}
        text, image, audio = found.get(Text), found.get(Image), found.get(Audio)
        if isinstance(text, Text) and (image or audio):
            yield Example(
                text.text,
                image if isinstance(image, Image) else None,
                audio if isinstance(audio, Audio) else None,
            )
