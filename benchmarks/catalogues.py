"""The catalogues of Tux Paint and openclipart as items with vectors, and an engine over them.

Encoding takes minutes, so vectors are kept below var/bench, by the fingerprint of the space.
"""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import ContentError
from encoders.fitting.sources import openclipart
from encoders.spaces.space import Space
from encoders.types import Audio, Content, Floats, Image, Modality, Prepared, Text
from engine.cli.demo.catalog import PACKAGE, STAMPS, rows
from engine.core.types import ItemId
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.store.base import Point
from engine.store.edge import EdgeStore

KEPT = Path("var/bench")


@dataclass(frozen=True)
class Catalogue:
    """n items in columns."""

    titles: Sequence[str]
    groups: npt.NDArray[np.str_]
    """(n,): the folder that each lies in."""
    files: dict[Modality, list[Path | None]]
    vectors: dict[Modality, Floats]
    """Per modality (n, d); zeros where `present` is False."""
    present: dict[Modality, npt.NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.titles)

    def engine(self, space: Space) -> Engine:
        """An engine over an embedded store of the items, named by their rows."""
        store = EdgeStore(
            Path(tempfile.mkdtemp()),
            fingerprint=space.fingerprint,
            dimension=space.dimension,
            modalities=space.modalities,
        )
        store.upsert(
            [
                Point(ItemId(str(row)), {m: self.vectors[m][row] for m in Modality if self.present[m][row]}, {})
                for row in range(len(self))
            ]
        )
        return Engine(DirectEncoder(space), space.manifest, store)


def encode(space: Space, contents: Sequence[Content | None]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Vectors (n, d), zeros for what is missing or cannot be read, and which could (n,)."""

    def prepare(content: Content | None) -> Prepared | None:
        try:
            return None if content is None else space.prepare(content)
        except ContentError:
            return None

    vectors = np.zeros((len(contents), space.dimension), np.float32)
    present = np.zeros(len(contents), np.bool_)
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(contents), 64):
            prepared = list(pool.map(prepare, contents[start : start + 64]))
            read = [place for place, one in enumerate(prepared) if one is not None]
            if read:
                vectors[start + np.array(read)] = space.forward([one for one in prepared if one is not None])
                present[start + np.array(read)] = True
    return vectors, present


def kept(name: str, space: Space, make: Callable[[], dict[str, npt.NDArray[np.generic]]]) -> dict[str, Floats]:
    """Arrays that are made once for each space."""
    path = KEPT / f"{name}-{space.fingerprint[:12]}.npz"
    if not path.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())  # type: ignore[arg-type]
    return dict(np.load(path))


def _catalogue(
    name: str, space: Space, titles: Sequence[str], groups: Sequence[str], files: dict[Modality, list[Path | None]]
) -> Catalogue:
    def make() -> dict[str, npt.NDArray[np.generic]]:
        contents: dict[Modality, list[Content | None]] = {
            Modality.TEXT: [Text(title) for title in titles],
            Modality.IMAGE: [path and Image(path) for path in files[Modality.IMAGE]],
            Modality.AUDIO: [path and Audio(path) for path in files[Modality.AUDIO]],
        }
        made: dict[str, npt.NDArray[np.generic]] = {}
        for modality, column in contents.items():
            made[modality], made[f"{modality}_present"] = encode(space, column)
        return made

    arrays = kept(name, space, make)
    vectors = {modality: arrays[modality] for modality in Modality}
    present = {modality: arrays[f"{modality}_present"].astype(bool) for modality in Modality}
    return Catalogue(titles, np.array(groups), files, vectors, present)


def tux_paint(space: Space, folder: Path) -> Catalogue:
    """The 950 stamps with titles; 134 have a sound.

    Args:
        space: encodes them.
        folder: the unpacked Debian package, or the one that it lies in.
    """
    root = next((path for path in (folder / STAMPS, folder / PACKAGE / STAMPS) if path.is_dir()), None)
    if root is None:
        raise SystemExit(f"no stamps below {folder}: `triveni demo` fetches them, or unpack {PACKAGE} there")
    stamps = list(rows(root))
    files: dict[Modality, list[Path | None]] = {
        modality: [root / row[modality] if modality in row else None for row in stamps]
        for modality in (Modality.IMAGE, Modality.AUDIO)
    }
    return _catalogue("tuxpaint", space, [row["text"] for row in stamps], [row["group"] for row in stamps], files)


def open_clip_art(space: Space, sources: Path) -> Catalogue:
    """The titled drawings of openclipart.

    Args:
        space: encodes them; the starter space was fitted on them.
        sources: the folder that `triveni space build starter` fills.
    """
    drawings = [drawing for drawing in openclipart(sources) if drawing.titled]
    files: dict[Modality, list[Path | None]] = {
        Modality.IMAGE: [drawing.path for drawing in drawings],
        Modality.AUDIO: [None] * len(drawings),
    }
    groups = [drawing.path.parent.as_posix().partition("/png/")[2] for drawing in drawings]
    return _catalogue("openclipart", space, [drawing.title for drawing in drawings], groups, files)
