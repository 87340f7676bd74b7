"""Versions of the model: the registry, what serves, the gate, and trainings as long-running operations."""
