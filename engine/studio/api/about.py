"""`GET /studio/about`: what is running."""

from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.core.kinds import STANDARD
from engine.core.types import NOTABLE
from engine.studio.studio import Studio


def routes(studio: Studio) -> list[Route]:
    """The endpoint."""

    def about(_: Request) -> Response:
        return JSONResponse(
            {
                "version": version("triveni"),
                "items": studio.store.count(),
                "space": studio.manifest.name,
                "fingerprint": studio.manifest.fingerprint,
                "modalities": [str(modality) for modality in studio.present.read()],
                "media": studio.media.root is not None,
                "address": studio.address(),
                "max_bytes": studio.max_bytes,
                "notable": NOTABLE,
                "kinds": [
                    {"name": name, "weight": traits.weight}
                    for name, traits in studio.kinds.table.items()
                    if name not in STANDARD
                ],
            }
        )

    return [Route("/studio/about", about)]
