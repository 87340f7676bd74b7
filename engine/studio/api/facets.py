"""`GET /studio/facets`: the fields that can be filtered on, with the values met most often in a sample."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.studio.facets import Facet
from engine.studio.studio import Studio


def routes(studio: Studio) -> list[Route]:
    """The endpoint."""

    def facets(_: Request) -> Response:
        found, sample = studio.facets.read()
        return JSONResponse({"sample": sample, "facets": [_document(facet) for facet in found]})

    return [Route("/studio/facets", facets)]


def _document(facet: Facet) -> dict[str, object]:
    return {
        "field": facet.field,
        "kind": str(facet.kind),
        "items": facet.items,
        "distinct": facet.distinct,
        "values": [{"value": value, "count": count} for value, count in facet.values],
        "least": facet.least,
        "most": facet.most,
    }
