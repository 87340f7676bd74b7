"""What each method asks for and makes of the answer, once for both clients.

A plan is a generator: it yields calls, is sent their responses, and returns the result. A plan of rows also yields
rows and pauses. `sync.py` and `aio.py` carry plans out, the one by waiting, the other by awaiting. So a plan's
arguments and docstring are those of the method of both clients.
"""
