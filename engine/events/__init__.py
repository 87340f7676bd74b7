"""What people did, and what they were shown: kept, checked, read from and written to files.

`base` is the protocol of an event store, `sql` keeps it for SQLite and PostgreSQL.
May import: `engine.encode`, `engine.store`, `engine.core`, `encoders`.
"""
