"""The policy stage: what is shown, and in which order."""
