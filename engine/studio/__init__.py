"""Triveni Studio: a page to see and try the engine, served by the server's own process.

`static/` is the page, plain ES modules that the browser loads as they are. It asks `/v1/…` for all that the wire
contract has, and `/studio/…` (`api/`, one file per subject) for what it has not: media, thumbnails, facets.
May import: `engine.http` and what lies below.
"""
