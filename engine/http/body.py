"""The body of a request under limits: whole, in parts, or line by line."""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from engine.http.errors import (
    ContentTypeError,
    MalformedBodyError,
    SlowBodyError,
    TooLargeError,
)
from engine.http.messages import Json, read_json

JSON = "application/json"
MULTIPART = "multipart/form-data"
LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")

MESSAGE_PART = "message"
"""The part of a multipart body that holds the message as JSON; the others are files of it."""

_LINGER_SECONDS = 1.0
"""For which a body that is refused is still read: a connection that is closed before may lose the answer."""
_MAX_PARTS = 1000
_LONGEST_PATH = 400
_PATH = re.compile(rf"(?=.{{1,{_LONGEST_PATH}}}$)\w+(\.\w+|\[\d+\])*")
"""Of a field, such as parts[0].content.image."""


class ClientGone(Exception):  # noqa: N818
    """The client went away: there is nobody to answer."""


class Body:
    """The body of one request.

    Args:
        scope: of the request.
        receive: its messages.
        max_bytes: of the body, or of one line.
    """

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int) -> None:
        self._receive, self._max_bytes = receive, max_bytes
        self._headers = Headers(scope=scope)
        self._more = True

    @property
    def unread(self) -> bool:
        """Whether there is, or may be, more of it."""
        return self._more and (self.declared > 0 or "transfer-encoding" in self._headers)

    @property
    def declared(self) -> int:
        """The bytes that its headers promise; 0 where they say nothing."""
        said = self._headers.get("content-length", "0")
        return int(said) if said.isdecimal() and len(said) < 20 else 0

    def kind(self, allowed: Sequence[str]) -> str:
        """The content type, without its parameters; "" for a body that is empty by its headers.

        Raises:
            ContentTypeError: if it is none of those allowed, or the body is compressed or not UTF-8.
        """
        if not self.unread:
            return ""
        full = self._headers.get("content-type", "")
        kind, _, parameters = full.lower().partition(";")
        encoding = self._headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise ContentTypeError(f"content-encoding is {encoding[:40]!r}", "send the body as it is")
        charset = re.search(r"charset\*?\s*=[\s\"']*([\w-]+)", parameters)
        if charset and charset[1] not in ("utf-8", "us-ascii"):
            raise ContentTypeError(f"charset is {charset[1][:40]!r}", "send UTF-8")
        if kind.strip() not in allowed:
            said = f"content-type is {full[:80]!r}" if full else "there is no content-type"
            raise ContentTypeError(said, f"send {' or '.join(allowed)}")
        return kind.strip()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come.

        Raises:
            ClientGone: if it breaks off.
        """
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._more = message.get("more_body", False)
            yield message.get("body", b"")

    async def whole(self, seconds: float) -> bytes:
        """All of it.

        Raises:
            TooLargeError: as soon as it is known to be too large.
            SlowBodyError: if it takes longer.
            ClientGone: if it breaks off.
        """
        if self.declared > self._max_bytes:
            raise self._too_large(self.declared)
        read = bytearray()
        try:
            async with asyncio.timeout(seconds):
                async for chunk in self.chunks():
                    read += chunk
                    if len(read) > self._max_bytes:
                        raise self._too_large(len(read))
        except TimeoutError:
            raise SlowBodyError(
                f"the body did not arrive within {seconds:g} s", "send it faster, or raise http.body_seconds"
            ) from None
        return bytes(read)

    async def form(self, raw: bytes) -> Json:
        """The JSON of a multipart body: that of the part `message`, with the files at the paths that name them."""

        async def stream() -> AsyncGenerator[bytes, None]:
            yield raw
            yield b""

        parser = MultiPartParser(
            self._headers, stream(), max_files=_MAX_PARTS, max_fields=_MAX_PARTS, max_part_size=self._max_bytes
        )
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, ValueError) as error:
            raise MalformedBodyError(f"body is no multipart form: {str(error)[:200]}", f"send {MULTIPART}") from None
        try:
            return await _message(form)
        finally:
            await form.close()

    async def lines(self) -> AsyncIterator[bytes | TooLargeError]:
        """Its lines that are not blank; in place of one that is too long, why."""
        read = bytearray()
        skipping = False
        async for chunk in self.chunks():
            *ended, rest = chunk.split(b"\n")
            for part in ended:
                read += part
                if skipping or len(read) > self._max_bytes:
                    yield self._too_large(len(read), "line")
                elif read.strip():
                    yield bytes(read)
                read.clear()
                skipping = False
            read += rest
            if len(read) > self._max_bytes:
                skipping = True
                del read[self._max_bytes + 1 :]
        if skipping:
            yield self._too_large(len(read), "line")
        elif read.strip():
            yield bytes(read)

    async def gone(self) -> None:
        """Wait until the client goes away. The body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def linger(self) -> None:
        """Read on a little, and forget it."""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                async for _ in self.chunks():
                    pass
        except (TimeoutError, ClientGone):
            pass

    def _too_large(self, size: int, what: str = "body") -> TooLargeError:
        more = "" if size == self.declared else "more than "
        said = size if not more else self._max_bytes
        return TooLargeError(
            f"{what} has {more}{said} bytes, the limit is {self._max_bytes}",
            "send less at once, or raise service.max_message_bytes",
        )


async def _message(form: FormData) -> Json:
    message: Json = {}
    files = []
    for name, value in form.multi_items():
        if name != MESSAGE_PART:
            files.append((name, value))
            continue
        message = read_json(value.encode() if isinstance(value, str) else await value.read())
    for name, value in files:
        if not isinstance(value, UploadFile):
            raise MalformedBodyError(
                f"part {name[:80]!r} is no file", f"put what is no file into the part {MESSAGE_PART!r}, as JSON"
            )
        _place(message, name, await value.read())
    return message


def _place(message: Json, path: str, raw: bytes) -> None:
    """Put a file's bytes at a path such as parts[0].content.image."""
    steps = [int(at) if at else name for name, at in re.findall(r"(\w+)|\[(\d+)\]", path[:_LONGEST_PATH])]
    at: Any = message
    try:
        if not _PATH.fullmatch(path):
            raise KeyError(path)
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            value: Any = base64.b64encode(raw).decode() if after is None else [] if isinstance(after, int) else {}
            if isinstance(step, int):
                if step == len(at):
                    at.append(value)
            elif after is None:
                at[step] = value
            else:
                at.setdefault(step, value)
            at = at[step]
    except (TypeError, AttributeError, IndexError, KeyError):
        raise MalformedBodyError(
            f"part {path[:80]!r} names no place in the message", "name one such as parts[0].content.image"
        ) from None
