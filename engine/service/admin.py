"""AdminService."""

from collections.abc import AsyncIterator, Callable, Iterator

from engine.core.errors import OverloadedError, SettingsError
from engine.service.calls import Context, current_call
from engine.service.work import Workers, deadline_of
from triveni.v1 import admin_pb2, admin_pb2_grpc

Backup = Callable[[], Iterator[bytes]]
"""Begins a backup; its bytes come about as they are asked for."""


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """What only those who run the server do.

    Args:
        backup: takes a backup; None where the server was not given all that belongs to one.
        workers: where the work is done.
    """

    def __init__(self, backup: Backup | None, workers: Workers) -> None:
        self._backup, self._workers = backup, workers
        self._running = False

    async def Backup(  # noqa: N802
        self, request: admin_pb2.BackupRequest, context: Context
    ) -> AsyncIterator[admin_pb2.BackupResponse]:
        """A backup of everything."""
        if self._backup is None:
            raise SettingsError("this server takes no backups", "start it with `triveni serve`")
        if self._running:
            raise OverloadedError("a backup is being taken already", "wait until it is done")
        self._running, sent, deadline = True, 0, deadline_of(context)
        chunks = self._backup()

        def step() -> bytes | None:
            return next(chunks, None)

        try:
            while (chunk := await self._workers.run(step, deadline, patient=True)) is not None:
                sent += len(chunk)
                yield admin_pb2.BackupResponse(data=chunk)
        finally:
            self._running = False
            current_call().notes["bytes"] = sent
