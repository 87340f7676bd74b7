"""Rankers to beat: each learns in seconds, and each has beaten published models in somebody's replication."""
