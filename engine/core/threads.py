"""How many threads numpy may take for one product of matrices."""

from threadpoolctl import threadpool_limits


def one_blas_thread() -> None:
    """Let every matrix product of numpy run in its caller's thread; for a process that serves many calls at once.

    The products of one query take a millisecond. Spread over threads that wait for each other by spinning, they take
    up to a hundred where other threads are busy. The networks are not affected: torch and ONNX Runtime have
    threads of their own.
    """
    threadpool_limits(limits=1, user_api="blas")
