"""Shared spaces: encoders whose vectors may meet, with heads, manifest, fingerprint and calibration.

`space` says what a space is; `starter`, `openclip` and `folder` load one.
May import: `encoders.networks` and what lies below.
"""
