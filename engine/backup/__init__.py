"""Backup and restore: the whole state of a deployment in one archive, and back.

May import: `engine.models`, `engine.events`, `engine.store` and what lies below them.
"""
