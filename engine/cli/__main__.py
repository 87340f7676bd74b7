"""`python -m engine.cli` is `triveni`."""

from engine.cli import main

main()
