"""For all tests."""

import os

from hypothesis import settings

for library in ("OMP", "OPENBLAS", "MKL"):  # workers and processes share the cores: more threads only wait
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

settings.register_profile("untimed", deadline=None)  # a machine with other work is slow, and that is no defect
settings.load_profile("untimed")
