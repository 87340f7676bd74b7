"""By target the modules in plain Python whose branches lead the search: atheris instruments them at their import.

Codecs are native, and the server answers in threads of its own: there inputs are mutated without being led.
"""

from collections.abc import Mapping

_READERS = ("indexers.readers", "indexers.rows", "indexers.schema", "engine.core.rows", "engine.core.payload")
_EVENTS = ("engine.events.rows", "engine.events.files", "engine.events.formats", "engine.core.rows")

LED: Mapping[str, tuple[str, ...]] = {
    "svg": ("encoders.decoding.svg", "encoders.decoding.svg_cost"),
    "audio": ("encoders.decoding.pcm", "encoders.decoding.mpeg"),
    "jsonl": _READERS,
    "csv": _READERS,
    "tsv": _READERS,
    "arrow": ("engine.core.arrow_sizes", "engine.core.arrow", *_READERS),
    "tar": (*_READERS, "tarfile"),
    "dataset": ("engine.core.arrow_sizes", *_READERS),
    "guess": ("indexers.guess", *_READERS),
    "events.jsonl": _EVENTS,
    "events.csv": _EVENTS,
    "settings": ("tomllib._parser", "engine.config"),
    "json": ("engine.http.messages", "google.protobuf.json_format"),
}
