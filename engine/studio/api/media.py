"""`GET /studio/media/image|audio|thumbnail?item=ID`: the files of items, and small copies of pictures."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from encoders.types import Modality
from engine.core.errors import InvalidQueryError
from engine.studio.studio import Studio
from engine.studio.thumbnails import SIDES, TYPE

_HEADERS = {
    # A drawing that is opened by itself is a document: it may neither run scripts nor load anything.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "private, max-age=60, stale-while-revalidate=86400",
}


def routes(studio: Studio) -> list[Route]:
    """The endpoints. Files come with `Accept-Ranges`, so that a player can jump."""

    def image(request: Request) -> Response:
        file = studio.media.file(_item(request), Modality.IMAGE)
        return FileResponse(file.path, headers=_HEADERS, media_type=file.type)

    def audio(request: Request) -> Response:
        file = studio.media.file(_item(request), Modality.AUDIO)
        return FileResponse(file.path, headers=_HEADERS, media_type=file.type)

    def thumbnail(request: Request) -> Response:
        file = studio.media.file(_item(request), Modality.IMAGE)
        name, raw = studio.thumbnails.read(file, _side(request))
        tag = f'"{name}"'
        headers = {**_HEADERS, "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(raw, headers=headers, media_type=TYPE)

    return [
        Route("/studio/media/image", image),
        Route("/studio/media/audio", audio),
        Route("/studio/media/thumbnail", thumbnail),
    ]


def _item(request: Request) -> str:
    item = request.query_params.get("item", "")
    if not item:
        raise InvalidQueryError("no item is named", "add ?item= and an item's id", field="item")
    return item


def _side(request: Request) -> int:
    asked = request.query_params.get("side", str(SIDES[0]))
    if asked not in {str(side) for side in SIDES}:
        raise InvalidQueryError(f"side is {asked[:20]!r}", f"ask for one of {SIDES}", field="side")
    return int(asked)
