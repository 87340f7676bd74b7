"""Settings: from a file and environment variables, checked, with defaults.

Only the command line, `compose` and `opening` read them; everything else takes plain arguments.
May import: `engine.core`, `encoders`.
"""
