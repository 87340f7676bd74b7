"""`/studio/map…`: the state of the map, its points as one binary answer, what they are called, and its drawing."""

import json
from dataclasses import asdict

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.core.errors import InvalidQueryError, NotFoundError
from engine.studio.maps.file import Map
from engine.studio.maps.names import MODALITY, colour, named, titles_of
from engine.studio.studio import Studio

MOST = 500
"""Items of one answer."""


def routes(studio: Studio) -> list[Route]:
    """The endpoints."""

    def state(_: Request) -> Response:
        return JSONResponse(asdict(studio.maps.state()))

    def draw(request: Request) -> Response:
        studio.maps.draw(again=request.query_params.get("again") == "true")
        return JSONResponse(asdict(studio.maps.state()), status_code=202)

    def points(request: Request) -> Response:
        made, version = _drawn(studio)
        words = studio.naming.words(made, version)
        by = request.query_params.get("by", MODALITY)
        if by not in {MODALITY, *words.fields}:
            fields = ", ".join([MODALITY, *words.fields])
            raise InvalidQueryError(
                f"the map cannot be coloured by {by[:80]!r}", f"choose one of {fields}", field="by"
            )
        colouring = colour(made, words, by)
        head = {
            "version": version,
            "items": len(made.ids),
            "by": by,
            "fields": list(words.fields),
            "legend": [{"value": value, "count": count} for value, count in colouring.legend],
            "clusters": [
                {"name": name, "x": x, "y": y, "radius": reach, "items": n}
                for name, x, y, reach, n in named(made, words)
            ],
        }
        body = _packed(head, made, colouring.categories)
        return Response(body, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    def items(request: Request) -> Response:
        made, _ = _drawn(studio)
        rows = [_row(text, len(made.ids)) for text in request.query_params.getlist("row")]
        _bounded(rows)
        told = titles_of(studio.store, made, rows)
        return JSONResponse({"items": [{"row": row, "id": name, "title": title} for row, name, title in told]})

    def rows(request: Request) -> Response:
        made, _ = _drawn(studio)
        ids = request.query_params.getlist("item")
        _bounded(ids)
        found = [(name, made.row_of[name]) for name in ids if name in made.row_of]
        return JSONResponse({"items": [{"row": row, "id": name} for name, row in found]})

    return [
        Route("/studio/map", state),
        Route("/studio/map", draw, methods=["POST"]),
        Route("/studio/map/points", points),
        Route("/studio/map/items", items),
        Route("/studio/map/rows", rows),
    ]


def _packed(head: dict[str, object], made: Map, categories: np.ndarray) -> bytes:
    """Little-endian: the head's bytes (uint32), the head as JSON padded to 4, x and y (float32), category (uint8)."""
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 4)
    positions = np.ascontiguousarray(made.positions, "<f4")
    return len(text).to_bytes(4, "little") + text + positions.tobytes() + categories.tobytes()


def _drawn(studio: Studio) -> tuple[Map, int]:
    made, version = studio.maps.current()
    if made is None:
        raise NotFoundError("there is no map yet", "ask for one: POST /studio/map")
    return made, version


def _row(text: str, items: int) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) >= items:
        raise InvalidQueryError(f"row is {text[:20]!r}", f"send a number from 0 to {items - 1}", field="row")
    return int(text)


def _bounded(asked: list[int] | list[str]) -> None:
    if len(asked) > MOST:
        raise InvalidQueryError(f"{len(asked)} items are asked for", f"ask for {MOST} at a time", field="item")
