"""`GET /studio/media/image|audio|thumbnail?item=ID`: the files of items, and small copies of pictures."""

from starlette.requests import Request
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from encoders.types import Modality
from engine.core.errors import InvalidQueryError
from engine.http.errors import HttpError, MalformedHeaderError, RangeError
from engine.http.problems import of_error
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
        return _File(file.path, headers=_HEADERS, media_type=file.type)

    def audio(request: Request) -> Response:
        file = studio.media.file(_item(request), Modality.AUDIO)
        return _File(file.path, headers=_HEADERS, media_type=file.type)

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


class _File(FileResponse):
    """A file, or a part of it. What Starlette answers with plain text is a problem here, as everywhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except HttpError as error:
            whole = {"content-range": f"bytes */{error.size}"} if isinstance(error, RangeError) else {}
            await of_error(error, headers=whole).response()(scope, receive, send)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            raise MalformedHeaderError(
                f"range is {http_range[:40]!r}", "ask for bytes, such as bytes=0-99", field="range"
            ) from None
        except RangeNotSatisfiable:
            raise RangeError(file_size) from None


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
