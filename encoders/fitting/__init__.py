"""How spaces are made: sources, fitting of heads, calibration. Serving and indexing need nothing of it.

`build_starter` and `build_openclip` are the doors.
May import: `encoders.spaces` and what lies below.
"""
