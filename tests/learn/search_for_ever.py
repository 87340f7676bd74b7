"""Run as a process that is killed: a search of settings on a small world, with very many trials."""

import sys
from pathlib import Path

from engine.learn.tuning.tune import SettingsSearch, alone
from tests.learn.test_tune import NOW, QUICK, UNTIL, made_rows

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with alone(folder):
        SettingsSearch(folder, NOW, UNTIL).run(made_rows(), QUICK, 1000)
