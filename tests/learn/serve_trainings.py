"""A program that trains patiently until it is killed, with another training waiting. `python -m … FOLDER`."""

import sys
import time
from functools import partial
from pathlib import Path

from engine.learn.jobs.trainings import Trainings
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.service.logs import configure_logs
from tests.learn.training_jobs import patient
from tests.models.versions import LOADERS
from tests.tiny import concept_space

if __name__ == "__main__":
    configure_logs("info", json_lines=True)  # to standard error
    path = Path(sys.argv[1])
    serving = Serving(Registry(path), LOADERS, concept_space().fingerprint)
    trainings = Trainings(path / ".trainings", partial(patient, path), serving, keep=5)
    for _ in range(2):
        print(trainings.start(None, None, promote=False, seed=1).id, flush=True)
    time.sleep(600)
