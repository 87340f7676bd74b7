"""The search of the settings of training."""
