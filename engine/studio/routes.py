"""All that the page needs beside `/v1/…`, as routes of the HTTP server."""

from starlette.routing import BaseRoute

from engine.studio.api import about, catalogue, facets, learning, live, map, media, page
from engine.studio.studio import Studio

SUBJECTS = (about, media, facets, map, catalogue, learning, live, page)
"""The modules of `api/`, each with a function `routes(studio)`."""


def routes_of(studio: Studio) -> list[BaseRoute]:
    """The routes of the page and of `/studio/…`."""
    return [route for subject in SUBJECTS for route in subject.routes(studio)]
