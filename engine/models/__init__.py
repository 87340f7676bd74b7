"""Versions of the trained model: card, registry, which one serves, and serving it.

What training and serving share; how a version comes about is in `engine.learn`.
May import: `engine.query` and what lies below.
"""
