"""Calls of a Qdrant server or cluster: from node to node where one fails, their errors as ours."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from qdrant_client import QdrantClient

from encoders.errors import TriveniError
from engine.core.errors import SettingsError, StoreError
from engine.store.server_errors import Fault, fault, translate
from engine.store.server_points import ClientPoints, Points
from engine.store.server_wire import CHANNEL_OPTIONS, WirePoints
from engine.store.settings import DEFAULTS

_AGREED = 3
"""A change is everywhere when a node has shown it so often running: it may ask another node each time."""
_LOOK_SECONDS = 0.05
"""Between two looks for a change."""
_SCHEMES = ("grpc", "grpcs", "http", "https")
_USER = re.compile(r"(?<=/)[^/].*@|^[^/]*@")
"""Of a URL: a proxy before the server may want a name and a password, which no message shows."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Node:
    """One address of a server or cluster."""

    where: str
    qdrant: QdrantClient
    points: Points

    def close(self) -> None:
        """Let go of the connections."""
        self.points.close()
        self.qdrant.close()


class ServerClient:
    """The connections to a Qdrant server, to some nodes of a cluster, or to qdrant-client's local mode.

    A call that fails for a passing reason goes to the next node, and after a pause to all of them again. It may have
    been done before it failed, so every call that is made through here must be idempotent. The node that answered
    last is asked first.

    Args:
        nodes: at least one.
        attempts: how often all nodes are tried.
        backoff_seconds: before the second attempt; doubled before each further one.
        timeout_seconds: no further attempt begins so long after the first; nor is a change waited for any longer.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        attempts: int = 4,
        backoff_seconds: float = 0.2,
        timeout_seconds: float = DEFAULTS.timeout_seconds,
    ) -> None:
        self.where = ", ".join(node.where for node in nodes)
        self._nodes = tuple(nodes)
        self._first = 0
        self._attempts = attempts
        self._backoff = backoff_seconds
        self._timeout = timeout_seconds
        self._users = 1

    def share(self) -> Self:
        """The same connections for one more user; they go when all have closed them."""
        self._users += 1
        return self

    def call(self, ask: Callable[[QdrantClient], Answer]) -> Answer:
        """Ask a node.

        Raises:
            StoreError: if none can be reached, one refuses the key, or answers with an error.
        """
        return self._on_a_node(lambda node: ask(node.qdrant))

    def read(self, ask: Callable[[Points], Answer]) -> Answer:
        """Read points of a node; see `call` for errors."""
        return self._on_a_node(lambda node: ask(node.points))

    def _on_a_node(self, ask: Callable[[Node], Answer]) -> Answer:
        until = time.monotonic() + self._timeout
        for attempt in range(1, self._attempts + 1):
            errors: list[Exception] = []
            first = self._first
            for place in (*range(first, len(self._nodes)), *range(first)):
                self._check_open()
                try:
                    answer = ask(self._nodes[place])
                except TriveniError:
                    raise
                except Exception as error:
                    if fault(error) >= Fault.WRONG:
                        raise translate([error], self._nodes[place].where) from error
                    errors.append(error)
                    if time.monotonic() >= until:
                        raise translate(errors, self.where) from error
                else:
                    self._first = place
                    return answer
            pause = self._backoff * 2 ** (attempt - 1)
            if attempt == self._attempts or time.monotonic() + pause >= until:
                raise translate(errors, self.where) from errors[-1]
            time.sleep(pause)
        raise AssertionError("the loop returns or raises")

    def settle(self, seen: Callable[[QdrantClient], bool], what: str) -> None:
        """Wait until a change shows on every node; nodes that cannot be reached have time until they are back.

        A change of a collection's description is agreed on by the nodes of a cluster, and each makes it when it hears
        of it, some later than the one that was asked.

        Args:
            seen: whether a node shows it.
            what: the change, for the message: `the schema of items`.

        Raises:
            StoreError: if a node does not show it within the timeout.
        """
        until = time.monotonic() + self._timeout
        for node in self._nodes:
            shown = 0
            while shown < _AGREED:
                self._check_open()
                try:
                    shown = shown + 1 if seen(node.qdrant) else 0
                except Exception as error:
                    if fault(error) is Fault.UNREACHABLE:
                        break
                    if fault(error) >= Fault.REFUSED:
                        raise translate([error], node.where) from error
                    shown = 0
                if not shown:
                    if time.monotonic() > until:
                        raise StoreError(
                            f"qdrant at {node.where} took {what}, but does not show it after {self._timeout:g} s",
                            "see whether its cluster is healthy, and do it again; or raise store.timeout_seconds",
                        )
                    time.sleep(_LOOK_SECONDS)

    def _check_open(self) -> None:
        if not self._users:
            raise StoreError(f"the connection to qdrant at {self.where} is closed", "open the store again")

    def close(self) -> None:
        """Let go of the connections; the last of their users ends them."""
        if self._users:
            self._users -= 1
            if not self._users:
                for node in self._nodes:
                    node.close()


def connect(url: str, *, api_key: str = "", timeout_seconds: float = DEFAULTS.timeout_seconds) -> ServerClient:
    """Connections to a server, or to several nodes of one cluster; nothing is sent yet.

    Args:
        url: `grpc://host:6334` or `grpcs://…` speaks gRPC, `http://host:6333` or `https://…` speaks HTTP, which is
            slower, for where only that can be reached. Several, with commas between, are nodes of one cluster.
            `:memory:` and `file:///a/folder` are qdrant-client's local mode, for tests: exact, in one thread.
        api_key: "" for none.
        timeout_seconds: of a call; a node that is silent is given up early enough to ask the others too.

    Raises:
        StoreError: if a URL is of another kind.
        SettingsError: if one cannot be read.
    """
    urls = [one.strip() for one in url.split(",")]
    nodes = [_node(one, api_key, timeout_seconds / len(urls)) for one in urls]
    return ServerClient(nodes, timeout_seconds=timeout_seconds)


def _node(url: str, api_key: str, timeout_seconds: float) -> Node:
    where, parts = _USER.sub("", url), _parts(url)
    timeout, key = max(1, round(timeout_seconds)), api_key or None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname  # IPv6
    if url == ":memory:":
        return _over_client(url, QdrantClient(":memory:"))
    if parts.scheme == "file":
        return _over_client(url, QdrantClient(path=parts.path, force_disable_check_same_thread=True))
    if parts.scheme in ("grpc", "grpcs") and host:
        port, secure = parts.port or 6334, parts.scheme == "grpcs"
        client = QdrantClient(
            host=host,
            grpc_port=port,
            prefer_grpc=True,
            https=secure,
            api_key=key,
            timeout=timeout,
            check_compatibility=False,
            grpc_options=dict(CHANNEL_OPTIONS),
        )
        points = WirePoints(host, port, secure=secure, api_key=api_key, timeout_seconds=timeout)
        return Node(where, client, points)
    if parts.scheme in ("http", "https") and parts.hostname:
        port = parts.port or (443 if parts.scheme == "https" else 6333)
        client = QdrantClient(url=url, port=port, api_key=key, timeout=timeout, check_compatibility=False)
        return _over_client(where, client)
    raise StoreError(
        f"qdrant url {where!r} is of no known kind", "use grpc, grpcs, http or https, as in grpc://host:6334"
    )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.port is None or parts.port > 0
    except ValueError:  # its message quotes what may be a part of the password
        sound = False
    if not sound or (parts.scheme in _SCHEMES and "@" in f"{parts.path}{parts.query}{parts.fragment}"):
        raise SettingsError(
            "an address in store.url cannot be read",
            "write / : @ ? # , and % of a password in it as %2F %3A %40 %3F %23 %2C and %25; its port is up to 65535",
        )
    return parts


def _over_client(where: str, client: QdrantClient) -> Node:
    return Node(where, client, ClientPoints(client))


def metadata(client: ServerClient, collection: str) -> dict[str, Any]:
    """What we wrote about a collection.

    Raises:
        StoreError: if there is nothing: another program made it, or the server is older than 1.16.
    """
    about = client.call(lambda qdrant: qdrant.get_collection(collection)).config.metadata or {}
    if not {"fingerprint", "dimension", "schema"} <= about.keys():
        raise StoreError(
            f"collection {collection} at {client.where} does not say which space it is of",
            "name a collection that triveni made, on qdrant 1.16 or later",
        )
    return about
