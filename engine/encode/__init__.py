"""Contents of requests into vectors: one by one, or those of many calls together, with a cache of texts.

`encoding` says what an encoder of contents is.
May import: `engine.core`, `encoders`.
"""
