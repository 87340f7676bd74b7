"""Guesses what the columns of a catalogue are, from its first rows. `triveni init` writes the guess as settings."""

from indexers.guess.guess import Guess, guess_catalog

__all__ = ["Guess", "guess_catalog"]
