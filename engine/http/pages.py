"""The OpenAPI document, and a page to read and try it, which asks nothing of other machines."""

import json
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from engine.http.bindings import Binding
from engine.http.openapi import document

STATIC = Path(__file__).parent / "static"


def page_routes(all_bindings: Sequence[Binding]) -> list[BaseRoute]:
    """/openapi.json, /docs, and / which leads there."""
    said = json.dumps(document(all_bindings), ensure_ascii=False).encode()

    def openapi(request: Request) -> Response:
        return Response(said, media_type="application/json")

    def docs(request: Request) -> Response:
        return FileResponse(STATIC / "docs.html")

    def begin(request: Request) -> Response:
        return RedirectResponse("/docs")

    return [
        Route("/openapi.json", openapi),
        Route("/docs", docs),
        Mount("/docs/static", StaticFiles(directory=STATIC)),
        Route("/", begin),
    ]
