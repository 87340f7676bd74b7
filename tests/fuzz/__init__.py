"""Fuzzing: what strangers send is read by the code that serves, and nothing but a refusal may come of it.

`targets` has one function for each thing that is read; `python -m tests.fuzz` runs them all. An input that was found
is kept below `regressions/<target>/`, and `test_fuzz.py` gives it to its target ever after.
"""
