"""Vector stores behind one protocol (`base`): Qdrant embedded, a Qdrant server, exact search in memory.

`collections` opens them by name; files named `edge*` and `server*` belong to one of them.
May import: `engine.core`, `encoders`.
"""
