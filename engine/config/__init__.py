"""Settings: from a file and environment variables, checked, with defaults.

Each room declares its own section in its `settings.py`; here they become one.
May import: the settings of all rooms, `engine.core`.
"""
