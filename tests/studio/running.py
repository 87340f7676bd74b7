"""Triveni Studio over a small catalogue: the real server, store and index, and a tiny but real space."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from encoders.decoding.limits import DecodeLimits
from engine.compose.page import open_studio
from engine.config.settings import Settings
from engine.core.filters import FieldKind
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.learn.jobs.trainings import Trainings
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.opening import event_limits, open_store
from engine.service.access.access import Access
from engine.service.metrics import Metrics
from engine.service.server import ServerOptions
from engine.store.base import VectorStore
from engine.studio.live import Live
from engine.studio.routes import routes_of
from engine.studio.settings import StudioSettings
from indexers.catalog import Catalog
from indexers.pipeline import index
from tests.learn.training_jobs import patient
from tests.models.versions import LOADERS
from tests.service.running import Running, open_events, running
from tests.tiny import CONCEPTS, concept_png, concept_space, concept_text, concept_wav

LIMITS = DecodeLimits(max_pixels=1 << 20, max_decoding_seconds=10)


@dataclass
class Opened:
    """A server with its page."""

    url: str
    root: Path
    """Of the catalogue's media."""
    cache: Path
    """Of thumbnails."""
    store: VectorStore
    run: Running
    registry: Registry
    live: Live


def write_catalogue(root: Path) -> Path:
    """Three items of each concept: a picture with a title, a sound with a title, a text."""
    rows = []
    for number, concept in enumerate(CONCEPTS):
        folder = root / concept
        folder.mkdir(parents=True)
        (folder / "seen.png").write_bytes(concept_png(concept, 1, size=512))
        (folder / "heard.wav").write_bytes(concept_wav(concept, 1, seconds=1.0))
        about = {"category": concept, "price": 10.5 * number, "made": f"20{10 + number}-05-01T00:00:00Z"}
        rows += [
            {"id": f"{concept}/seen", "text": f"A {concept} to see", "image": f"{concept}/seen.png", **about},
            {"id": f"{concept}/heard", "text": f"A {concept} to hear", "audio": f"{concept}/heard.wav", **about},
            {"id": f"{concept}/read", "text": concept_text(concept).text, "new": number % 2 == 0, **about},
        ]
    path = root / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@contextmanager
def opened(folder: Path, cache_mb: int = 8, *, told: bool = True, access: Access | None = None) -> Iterator[Opened]:
    """Index the catalogue, serve it with the page, told where its media are or not, and stop at the end."""
    space, root = concept_space(limits=LIMITS), folder / "media"
    settings = Settings(
        store={"path": folder / "store"},
        events={"kinds": {"add_to_cart": {"weight": 3.0, "sign": "positive"}}},
        models={"path": folder / "models"},
        studio=StudioSettings(media=root if told else None, cache=folder / "cache", cache_mb=cache_mb),
    )
    store = open_store(settings, space)
    fields = {"category": FieldKind.KEYWORD, "price": FieldKind.FLOAT, "made": FieldKind.DATETIME}
    report = index(Catalog(write_catalogue(root), fields=fields), store, space)
    assert (report.stored, report.errors) == (3 * len(CONCEPTS), 0)
    events = open_events(folder, store)
    registry = Registry(folder / "models")
    serving = Serving(registry, LOADERS, space.fingerprint)
    serving.start()
    trainings = Trainings(registry.path / ".trainings", partial(patient, registry.path), serving, keep=5)
    metrics = Metrics()
    live = Live(metrics.registry, every=0.2)
    page = open_studio(settings, space, store, LIMITS, lambda: run.address, events=events, live=live)
    routes = routes_of({"": page}, access)
    door = HttpServer(
        HttpSettings(address="127.0.0.1:0"), max_message_bytes=1 << 22, extra_routes=routes, access=access
    )
    options = ServerOptions(
        address="127.0.0.1:0", max_message_bytes=1 << 22, drain_seconds=5, event_limits=event_limits(settings)
    )
    with running(
        space,
        store,
        events,
        options,
        serving=serving,
        trainings=trainings,
        doors=[door],
        metrics=metrics,
        access=access,
        fuse_settings=settings.fuse,
    ) as run:
        yield Opened(f"http://127.0.0.1:{door.port}", root, folder / "cache", store, run, registry, live)
    live.close()
    trainings.close()
    serving.close()
    events.close()
    store.close()
