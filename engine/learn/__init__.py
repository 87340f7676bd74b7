"""How a version comes about: training data, rows, networks, evaluation, the gate, jobs, a simulator, tuning.

`jobs/job.py` is a training from beginning to end.
May import: `engine.opening`, `engine.rerank` and what lies below.
"""
