"""The page itself: its files, and for every view's address the one document.

Files are served below `/studio/static/VERSION/`, where the version is a digest of all of them: so a browser may keep
them for good, and asks for others as soon as one has changed. Imports between them are relative, and keep it.
"""

import base64
import re
from functools import lru_cache
from hashlib import blake2b, sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from engine.core.errors import NotFoundError
from engine.studio.studio import STATIC

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

_HERE = "/studio/static/"
_PRELOADS = "<!-- modulepreload -->"
_VIEW = re.compile(r"\bpath: '(/[a-z]*)'")
_INLINE = re.compile(r"<script[^>]*>([^<]+)</script>")


def content_security_policy(document: str) -> str:
    """A policy that lets the page load and ask its own origin only; scripts in the document are named by digest."""
    digests = (base64.b64encode(sha256(text.encode()).digest()).decode() for text in _INLINE.findall(document))
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def routes() -> list[BaseRoute]:
    """The endpoints."""

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        path = STATIC / name
        inside = path.resolve() == path and path.is_relative_to(STATIC)
        if path.suffix not in TYPES or not inside or not path.is_file():
            raise NotFoundError(f"the page has no file {name!r}", "load the page again")
        content = path.read_bytes()
        current = request.path_params["version"] == version_of(STATIC)
        keep = {"Cache-Control": "public, max-age=31536000, immutable" if current else "no-store"}
        return Response(content, headers=keep, media_type=TYPES[path.suffix])

    async def view(_: Request) -> Response:
        text = document_of(version_of(STATIC))
        headers = {
            "Content-Security-Policy": content_security_policy(text),
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
            "Cache-Control": "no-cache",
        }
        return HTMLResponse(text, headers=headers)

    return [Route(_HERE + "{version}/{name:path}", file), *(Route(path, view) for path in views())]


def views() -> list[str]:
    """The addresses of the views, from the list that the page has of them."""
    return _VIEW.findall((STATIC / "views.js").read_text(encoding="utf-8"))


def version_of(folder: Path) -> str:
    """A digest of the names, sizes and times of change of all files."""
    states = sorted((str(path), path.stat()) for path in folder.rglob("*") if path.suffix in {*TYPES, ".html"})
    told = "".join(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0" for name, state in states)
    return blake2b(told.encode(), digest_size=6).hexdigest()


@lru_cache(maxsize=1)
def document_of(version: str) -> str:
    """The document of a version of the files, with links to the modules that all views need.

    By them the browser fetches the modules side by side, instead of finding them one after another.
    """
    shared = [*STATIC.glob("*.js"), *(STATIC / "components").glob("*.js"), *(STATIC / "vendor").glob("*.js")]
    names = sorted(path.relative_to(STATIC).as_posix() for path in shared)
    links = "\n".join(f'<link rel="modulepreload" href="{_HERE}{name}">' for name in names)
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    return text.replace(_PRELOADS, links).replace(_HERE, f"{_HERE}{version}/")
