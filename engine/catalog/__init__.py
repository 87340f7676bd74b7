"""Items as the store keeps them: written with digests of what they are made of, read whole as a table.

`ingest` makes a point of an item; `items` reads all items.
May import: `engine.store`, `engine.core`, `encoders`.
"""
