"""Whether what was indexed is as the settings say now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from engine.cli.doctor.finding import Finding, Patient, ok, warning

if TYPE_CHECKING:
    from engine.config.settings import Settings
    from engine.core.filters import Schema

_AGAIN = "`triveni index CATALOG` brings it up to date, while no server has the store open"


def indexed(patient: Patient) -> Iterator[Finding]:
    """Whether words, fields and search graphs are those of the settings; nothing is opened that a server has open."""
    from engine import opening
    from engine.store.collections import EdgeCollections
    from engine.store.words import FORM

    settings = patient.settings
    name = settings.store.collection
    with closing(opening.store_collections(settings)) as held:
        if isinstance(held, EdgeCollections):
            about = held.about(name)
            if about is None:
                return
            words = about.words if about.word_form == FORM else ()
            found = [*_words(settings, words), *_fields(settings, about.schema)]
            if about.graphed and about.quantization != settings.store.quantization and held.building(name) is None:
                said = f"the search graphs are of vectors with quantization {about.quantization}"
                remedy = "restart the server, which converts them" if patient.holder else "`triveni optimize`"
                found.append(warning(f"{said}, store.quantization is {settings.store.quantization}", remedy))
        else:
            opened = held.open_current(name)
            if opened is None:
                return
            with closing(opened):
                found = [*_words(settings, opened.words), *_fields(settings, opened.schema)]
    yield from found or [ok("words, fields and search graphs are as the settings say")]


def _words(settings: Settings, words: Sequence[str]) -> Iterator[Finding]:
    wanted = tuple(dict.fromkeys(settings.index.words))
    if settings.fuse.words and wanted != tuple(words):
        said = f"items are found by the words of {', '.join(words) or 'no field'}"
        yield warning(f"{said}, index.words is {', '.join(wanted) or 'empty'}", _AGAIN)


def _fields(settings: Settings, schema: Schema) -> Iterator[Finding]:
    for field, kind in settings.index.fields.items():
        if field not in schema:
            yield warning(f"field {field} cannot be filtered on yet, index.fields names it", _AGAIN)
        elif schema[field] != kind:
            yield warning(
                f"field {field} is indexed as {schema[field]}, index.fields says {kind}",
                "set what it is indexed as, or index into another collection: store.collection",
            )
