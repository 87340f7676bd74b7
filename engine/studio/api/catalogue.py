"""`/studio/catalogue/…`: an item's vectors and neighbours, near-duplicates, dead letters, and the last indexing."""

from dataclasses import asdict

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from encoders.types import Modality
from engine.core.errors import InvalidQueryError, NotFoundError
from engine.core.types import ItemId
from engine.store.base import Point, VectorQuery
from engine.studio.duplicates import copies_above
from engine.studio.studio import Studio

MOST = 100


def routes(studio: Studio) -> list[Route]:
    """The endpoints."""

    def vectors(request: Request) -> Response:
        point = _point(studio, request)
        told = {
            str(modality): {"norm": float(np.linalg.norm(vector)), "dimension": len(vector)}
            for modality, vector in point.vectors.items()
        }
        return JSONResponse({"fingerprint": studio.store.fingerprint, "space": studio.manifest.name, "vectors": told})

    def neighbours(request: Request) -> Response:
        point, modality = _point(studio, request), _modality(studio, request)
        if modality not in point.vectors:
            raise NotFoundError(
                f"item {point.id!r} has no vector of {modality}", "choose one of the modalities it has"
            )
        limit = _number(request, "limit", 12, MOST)
        query = VectorQuery(point.vectors[modality], modality, limit, exclude=(point.id,))
        (hits,) = studio.store.query([query])
        pair = studio.manifest.calibration[modality, modality]
        z = pair.z(hits.scores)
        near = copies_above(pair, modality)
        told = [
            {"item_id": name, "cosine": float(cosine), "z": float(above), "copy": bool(cosine > near)}
            for name, cosine, above in zip(hits.ids, hits.scores, z, strict=True)
        ]
        return JSONResponse({"modality": str(modality), "neighbours": told})

    def duplicates(_: Request) -> Response:
        return JSONResponse(asdict(studio.duplicates.state))

    def search_duplicates(request: Request) -> Response:
        asked = request.query_params.get("above")
        above = None
        if asked is not None:
            try:
                above = float(asked)
            except ValueError:
                above = -1.0
            if not 0.5 <= above <= 1:
                raise InvalidQueryError(f"above is {asked[:20]!r}", "send a cosine from 0.5 to 1", field="above")
        studio.duplicates.start(_modality(studio, request), above)
        return JSONResponse(asdict(studio.duplicates.state), status_code=202)

    def dead_letters(request: Request) -> Response:
        offset, limit = _number(request, "offset", 0, 10**6), _number(request, "limit", 50, MOST)
        letters = studio.index.letters(offset, limit, request.query_params.get("error", ""))
        counts = [{"error": error, "count": count} for error, count in letters.errors]
        told = {"path": str(letters.path), "total": letters.total, "errors": counts, "rows": letters.rows}
        return JSONResponse(told)

    def indexing(_: Request) -> Response:
        return JSONResponse({"run": studio.index.run()})

    return [
        Route("/studio/catalogue/vectors", vectors),
        Route("/studio/catalogue/neighbours", neighbours),
        Route("/studio/catalogue/duplicates", duplicates),
        Route("/studio/catalogue/duplicates", search_duplicates, methods=["POST"]),
        Route("/studio/catalogue/dead-letters", dead_letters),
        Route("/studio/catalogue/indexing", indexing),
    ]


def _point(studio: Studio, request: Request) -> Point:
    item = request.query_params.get("item", "")
    if not item:
        raise InvalidQueryError("no item is named", "add ?item= and an item's id", field="item")
    (point,) = studio.store.retrieve([ItemId(item)], with_payload=False)
    if point is None:
        raise NotFoundError(f"there is no item {item[:200]!r}", "see GET /v1/items for those that there are")
    return point


def _modality(studio: Studio, request: Request) -> Modality:
    asked = request.query_params.get("modality", "")
    known = [str(one) for one in studio.store.modalities]
    if asked not in known:
        raise InvalidQueryError(f"modality is {asked[:20]!r}", f"choose one of {', '.join(known)}", field="modality")
    return Modality(asked)


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > 9 or int(text) > most:
        raise InvalidQueryError(f"{name} is {text[:20]!r}", f"send a number from 0 to {most}", field=name)
    return int(text)
