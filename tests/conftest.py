"""For all tests."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a machine with other work is slow, and that is no defect
settings.load_profile("untimed")
