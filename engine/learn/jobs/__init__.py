"""Trainings: from beginning to end, and as long-running operations in processes of their own."""
