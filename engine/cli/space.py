"""`triveni space`: show, check, build and switch the shared space."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli.common import common_settings, console, settings_of, stderr
from engine.encode.spaces import STARTERS

if TYPE_CHECKING:
    from encoders.fitting.build_openclip import Example
    from engine.config.settings import Settings

app = typer.Typer(help="The shared space: show it, check it, build one, switch to one.", no_args_is_help=True)

OPENCLIP = "openclip:"


@app.command()
def show(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
) -> None:
    """Show the encoders, the licences of their weights, and how scores are calibrated."""
    from encoders.spaces.tail import TYPICAL
    from engine import opening

    space = opening.open_space(common_settings(ctx))
    if as_json:
        print(space.manifest.to_json())
        return
    console.print(f"space {space.manifest.name}, {space.dimension} dimensions, fingerprint {space.fingerprint}")
    for modality, identity in space.manifest.encoders.items():
        facts = Table(title=f"{modality} encoder", title_justify="left", show_header=False, box=None)
        for key, value in identity.items():
            facts.add_row(f"  {key}", value)
        console.print(facts)
    pairs = Table(title="Calibration: cosines of unrelated content, and d′ of related content", title_justify="left")
    rates = (0.1, 0.01, 0.001)
    for heading in ("query", "item", "mean", "std", "d′", *(f"{rate:g}" for rate in rates)):
        pairs.add_column(heading, justify="left" if heading in ("query", "item") else "right")
    for (query, item), pair in sorted(space.calibration.items()):
        cutoffs = [f"{pair.mean + TYPICAL.cutoff(rate) * pair.std:.3f}" for rate in rates]
        pairs.add_row(query, item, f"{pair.mean:.3f}", f"{pair.std:.3f}", f"{pair.weight:.2f}", *cutoffs)
    console.print(pairs)
    console.print(
        "0.1, 0.01, 0.001: the cosine that such a share of unrelated contents reaches. `max_false_positive_rate` "
        "goes by what unrelated items of the catalogue score, and by its size."
    )


@app.command()
def verify(ctx: typer.Context) -> None:
    """Compare the weights with their checksums, and encode one content of each modality."""
    from encoders.networks.samples import sample
    from engine import opening

    space = opening.open_space(common_settings(ctx))
    for modality in space.modalities:
        vector = space.encode([sample(modality)])[0]
        console.print(f"{modality}: a vector of {len(vector)} dimensions and length {(vector @ vector) ** 0.5:.6f}")
    console.print(f"space {space.manifest.name} is in order, fingerprint {space.fingerprint}")


@app.command()
def build(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="starter, starter-multilingual, or openclip:<model>/<pretrained>.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write; for starter spaces their own place if not given."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="For openclip: a catalogue whose texts caption its pictures and sounds.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where the catalogue's paths begin.")] = None,
    sources: Annotated[
        Path,
        typer.Option(help="For starter spaces: where pictures and sounds to fit on are, or are downloaded to."),
    ] = Path("var/sources"),
    seed: Annotated[int, typer.Option(help="Decides what is held out.")] = 0,
) -> None:
    """Fit the heads of a space and its calibration, and write them with a card of data, licences and metrics.

    The starter spaces are fitted on openclipart and emoji, which are downloaded (Debian, npm). An OpenCLIP space is
    fitted on a captioned catalogue of your own: long texts and sounds join it with text as the pivot.

    Example: triveni space build openclip:ViT-B-32/laion2b_s34b_b79k --catalog items.jsonl --root media -o spaces/mine
    """
    settings = common_settings(ctx)
    if name in STARTERS:
        _build_starter(settings, name, output, sources, seed)
    elif name.startswith(OPENCLIP):
        if catalog is None or output is None:
            raise typer.BadParameter("an openclip space needs --catalog and --output")
        _build_openclip(settings, name.removeprefix(OPENCLIP), output, catalog, root, seed)
    else:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(STARTERS)}, openclip:<model>/<pretrained>")


@app.command()
def switch(ctx: typer.Context) -> None:
    """Let the collection that was indexed with the space of the settings serve from now on.

    `triveni index CATALOG --switch` does it at the end of indexing; this command goes back, or forth again. A server
    that has the collection open which serves now is stopped first, and started again after it.
    """
    from engine import opening
    from engine.cli.switching import switch_to

    settings = settings_of(ctx)
    switch_to(settings, opening.open_space(settings))


def _build_starter(settings: Settings, name: str, output: Path | None, sources: Path, seed: int) -> None:
    from encoders.fitting.build_starter import build_starter
    from encoders.fitting.sources import fetch_sources
    from engine import opening

    fetch_sources(sources)
    build_starter(
        sources,
        output,
        name=name,
        cache=settings.space.cache,
        seed=seed,
        limits=opening.decode_limits(settings),
        threads=settings.space.threads or None,
        report=lambda line: stderr.print(line, highlight=False),
    )
    console.print("indexed collections are of the old space now: index them again")


def _build_openclip(
    settings: Settings, model: str, output: Path, catalog: Path, root: Path | None, seed: int
) -> None:
    from encoders.fitting.build_openclip import build_space
    from encoders.spaces.folder import AUDIO, LONG_TEXT, read_card
    from encoders.spaces.openclip import load_openclip
    from engine import opening

    captioned = CaptionedExamples(catalog, root, settings.limits.max_bytes)
    with stderr.status("reading the catalogue"):
        found = captioned.count()
    limits = opening.decode_limits(settings)
    clip = load_openclip(model, device=opening.torch_device(settings), limits=limits)
    extractors = opening.pivot_extractors(settings, limits)
    with stderr.status("encoding") as status:
        space = build_space(
            f"{OPENCLIP}{model}",
            clip,
            captioned.examples(),
            output,
            long_text=extractors[LONG_TEXT](),
            audio=extractors[AUDIO]() if found.sounds else None,
            card={"data": str(catalog)},
            seed=seed,
            progress=lambda done: status.update(f"encoding: {done} of {found.examples}"),
        )
    undecoded = int(read_card(output)["card"]["skipped"])
    if found.bad or found.uncaptioned or undecoded:
        stderr.print(
            f"left out {found.bad} bad rows, {found.uncaptioned} without a text and a picture or sound, "
            f"and {undecoded} that cannot be decoded",
            highlight=False,
        )
    console.print(f"wrote {output}: {', '.join(space.modalities)}, fingerprint {space.fingerprint}")
    console.print(f'to use it, set name = "{output}" in [space], then index your catalogue with --switch')


@dataclass(frozen=True, slots=True)
class Counts:
    """What a catalogue holds."""

    examples: int
    """Rows with a text and a picture or a sound."""
    sounds: int
    """Examples with a sound."""
    bad: int
    uncaptioned: int


@dataclass(frozen=True, slots=True)
class CaptionedExamples:
    """The rows of a catalogue that have a text and a picture or a sound; read anew each time, a row at a time.

    Args:
        catalog: the file or folder.
        root: where its paths begin, None for its own folder.
        max_bytes: the largest file that is read.
    """

    catalog: Path
    root: Path | None
    max_bytes: int

    def count(self) -> Counts:
        """Count what is there; files are read, but not decoded."""
        examples = sounds = bad = uncaptioned = 0
        for row in self._rows():
            if row is None:
                bad += 1
            elif row.image is None and row.audio is None:
                uncaptioned += 1
            else:
                examples += 1
                sounds += row.audio is not None
        return Counts(examples, sounds, bad, uncaptioned)

    def examples(self) -> Iterator[Example]:
        """The examples. What lies in a file is named, not held: it is read when it is decoded."""
        for row in self._rows():
            if row is not None and (row.image is not None or row.audio is not None):
                yield row

    def _rows(self) -> Iterator[Example | None]:
        """Every row; None for a bad one, and neither picture nor sound for one that captions nothing."""
        from encoders.fitting.build_openclip import Example
        from encoders.types import Audio, Image, Modality, Text
        from indexers.catalog import Catalog
        from indexers.readers import default_root
        from indexers.rows import DeadLetter
        from indexers.seen import IdSet

        base = (self.root or default_root(self.catalog)).resolve()
        source = Catalog(self.catalog, self.root, max_bytes=self.max_bytes)
        with ThreadPoolExecutor(2) as pool, IdSet() as seen:
            for entry in source.entries(seen, pool):
                if isinstance(entry, DeadLetter) or entry.missing:
                    yield None
                    continue
                found = {content.modality: content for content in reversed(entry.item.contents)}  # the first of each
                text, image, audio = (found.get(each) for each in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO))
                if not isinstance(text, Text):
                    yield Example("")
                    continue
                firsts = {
                    modality: path if isinstance(path, str) else path[0] for modality, path in entry.media.items()
                }
                paths = {modality: base / path for modality, path in firsts.items() if path}
                yield Example(
                    text.text,
                    Image(paths.get(Modality.IMAGE, image.source)) if isinstance(image, Image) else None,
                    Audio(paths.get(Modality.AUDIO, audio.source)) if isinstance(audio, Audio) else None,
                )
