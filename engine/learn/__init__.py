"""Learning from what people did: logs, baselines, training, evaluation, the registry of models."""
