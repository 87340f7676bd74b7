"""How a command asks a server: with TLS and the credential that the environment says, as the client does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from engine.core.errors import SettingsError, StoreError
from triveni.client import Client, TriveniError


@contextmanager
def channel_to(address: str) -> Iterator[grpc.Channel]:
    """A channel to a server; TRIVENI_TOKEN, TRIVENI_API_KEY, TRIVENI_TLS and TRIVENI_TLS_CA say how it is asked.

    Raises:
        StoreError: if the address is none.
        SettingsError: if they make no sense, or would send a secret in the clear to another machine.
    """
    if "unix:" not in address and not address.rpartition(":")[2].isdecimal():
        raise StoreError(
            f"no server answers at {address}", "name one as HOST:PORT, or start one with `triveni serve`"
        )
    try:
        client = Client(address, retry=False)
    except TriveniError as error:
        raise SettingsError(str(error)) from None
    with client:
        yield grpc.intercept_channel(client._channel, _Adds(client._metadata))


class _Adds(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    """Adds metadata to each call."""

    def __init__(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Make a call that has one answer."""
        return continuation(self._with_more(details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Make a call that has many."""
        return continuation(self._with_more(details), request)

    def _with_more(self, details: Any) -> Any:
        return details._replace(metadata=(*(details.metadata or ()), *self._metadata))
