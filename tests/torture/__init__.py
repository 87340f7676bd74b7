"""kill -9 in a loop, at random moments: nothing acknowledged is lost or doubled, and the next start needs no hand.

`python -m tests.torture --rounds 25` runs all loops in full, `test_torture.py` in a short form.
"""
