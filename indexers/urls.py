"""Pictures and sounds at addresses of the web that rows name: off unless the settings allow their hosts.

A row is written by strangers, and what it names is asked for from inside of our network. So the host has to be one of
those that are allowed, all its addresses have to be public, and the connection goes to the very address that was
looked at: a name that changes between the look and the connection (DNS rebinding) leads nowhere else. Redirects are
looked at in the same way. Proxies of the environment are not used.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

from encoders.errors import LimitError
from indexers.errors import PathError
from indexers.paths import ReadMedia

MAX_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_MOVED = (301, 302, 303, 307, 308)
_BLOCK = 1 << 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""What the public internet routes; beyond it are site-local addresses and forms of IPv4 (RFC 4291, 8215)."""
_TARGET = re.compile(r"[\x21-\x7e]*")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""All addresses of a host and port."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also by what it stands for (IPv4 within IPv6)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast


def addresses_of(host: str, port: int) -> list[str]:
    """All addresses of a host, as the system knows them."""
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class WebMedia:
    """Reads what is at an address of the web, where that is allowed.

    Args:
        hosts: that may be asked: `shop.example`, `*.shop.example` for all names below it, `shop.example:8443` for
            another port than the usual ones. None are asked if it is empty.
        seconds: that all of it may take, redirects too.
        resolve: finds the addresses of a host.
        allows: says whether an address may be asked.
    """

    hosts: Sequence[str] = ()
    seconds: float = 20.0
    resolve: Resolve = field(default=addresses_of, repr=False)
    allows: Callable[[Address], bool] = field(default=is_public, repr=False)

    def beside(self, files: ReadMedia) -> ReadMedia:
        """Reads addresses of the web by this, and names of files as before."""

        def read(name: str, column: str, max_bytes: int) -> tuple[bytes, str]:
            return self.read(name, column, max_bytes) if "://" in name[:32] else files(name, column, max_bytes)

        return read

    def read(self, url: str, column: str, max_bytes: int) -> tuple[bytes, str]:
        """The content at a URL.

        Args:
            url: `http://…` or `https://…`.
            column: that names it, for errors.
            max_bytes: the most that is read.

        Returns:
            The bytes, and the URL without its query, which may be a signature.

        Raises:
            PathError: if it may not be asked for, or cannot be had.
            LimitError: if it is too large, or takes too long.
        """
        shown = _shown(url)
        if not self.hosts:
            raise PathError(
                f"{column} {shown!r} is a URL, and none are fetched",
                "put the file under the root, or allow the host: index.url_hosts",
                field=column,
            )
        late = threading.Event()
        try:
            raw = self._follow(url, column, max_bytes, late)
            if late.is_set():
                raise TimeoutError
            return raw, shown
        except (OSError, http.client.HTTPException, ValueError) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                problem = f"{column} {shown!r} takes more than {self.seconds:g} seconds"
                raise LimitError(problem, "raise index.url_seconds, or fetch it yourself", field=column) from None
            problem = f"{column} {shown!r} cannot be fetched ({str(error)[:200].lower() or type(error).__name__})"
            raise PathError(problem, "let it be read, and run again", field=column) from None

    def _follow(self, url: str, column: str, max_bytes: int, late: threading.Event) -> bytes:
        """What is at a URL, or at those that it leads to."""
        open_now: list[socket.socket] = []

        def cut_off() -> None:
            late.set()
            with suppress(OSError, IndexError):
                socket.socket.shutdown(open_now[-1], socket.SHUT_RDWR)

        timer = threading.Timer(self.seconds, cut_off)
        timer.daemon = True
        timer.start()
        try:
            for _ in range(MAX_REDIRECTS + 1):
                parts = self._checked(url, column)
                with closing(self._connected(parts, column, open_now)) as connection:
                    if late.is_set():
                        raise TimeoutError
                    there = _ask(connection, parts)
                    if there.status not in _MOVED:
                        return _body(there, column, _shown(url), max_bytes)
                    target = urljoin(url, there.getheader("location", ""))
                if parts.scheme == "https" and not target.startswith("https:"):
                    raise PathError(
                        f"{column} {_shown(url)!r} leads to {_shown(target)!r}, which is not https", field=column
                    )
                url = target
        finally:
            timer.cancel()
        problem = f"{column} {_shown(url)!r} is behind more than {MAX_REDIRECTS} redirects"
        raise PathError(problem, "name the place itself", field=column)

    def _checked(self, url: str, column: str) -> SplitResult:
        """The parts of a URL that may be asked for."""
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
        if parts.scheme not in _PORTS:
            problem = f"{column} {_shown(url)!r} is of scheme {parts.scheme[:20]!r}"
            raise PathError(problem, "only http and https are fetched", field=column)
        if parts.username is not None or not _TARGET.fullmatch(url):
            problem = f"{column} {_shown(url)!r} holds a user's name, or signs that have to be percent-encoded"
            raise PathError(problem, "leave them out", field=column)
        if not any(_fits(host, port, port == _PORTS[parts.scheme], one) for one in self.hosts):
            problem = f"{column} {_shown(url)!r} is at a host that is not allowed: {host[:100]}:{port}"
            raise PathError(problem, "add it to index.url_hosts if it may be asked", field=column)
        return parts

    def _connected(
        self, parts: SplitResult, column: str, open_now: list[socket.socket]
    ) -> http.client.HTTPConnection:
        """A connection to an address that was looked at."""
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        found = [ipaddress.ip_address(one.partition("%")[0]) for one in self.resolve(host, port)]
        wrong = next((one for one in found if not self.allows(one)), None)
        if wrong is not None or not found:
            problem = f"{column} is at {host}, whose address {wrong} is not public"
            raise PathError(problem, "only the public internet is asked", field=column)
        plain = socket.create_connection((str(found[0]), port), timeout=self.seconds)
        open_now.append(plain)
        connection = http.client.HTTPConnection(host, port, timeout=self.seconds)
        connection.sock = plain
        if parts.scheme == "https":
            secure = ssl.create_default_context().wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=False
            )
            connection.sock = secure
            connection.default_port = _PORTS["https"]  # so that the header `Host` names no port
            open_now.append(secure)
            try:
                secure.do_handshake()
            except BaseException:
                secure.close()
                raise
        return connection


def _fits(host: str, port: int, is_usual: bool, allowed: str) -> bool:
    """Whether a host is one that is allowed."""
    name, colon, number = allowed.lower().partition(":")
    if (number != str(port)) if colon else not is_usual:
        return False
    return host.endswith(name[1:]) and host != name[2:] if name.startswith("*.") else host == name


def _ask(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    connection.request("GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "triveni"})
    return connection.getresponse()


def _body(there: http.client.HTTPResponse, column: str, shown: str, max_bytes: int) -> bytes:
    if there.status != 200:
        raise PathError(f"{column} {shown!r} answers {there.status}", "correct it, or let it be read", field=column)
    if there.getheader("content-encoding", "identity").lower() != "identity":
        raise PathError(f"{column} {shown!r} is compressed on the way", "serve the file itself", field=column)
    raw, claimed = bytearray(), there.length or 0
    while max(len(raw), claimed) <= max_bytes and (block := there.read(_BLOCK)):
        raw += block
    if max(len(raw), claimed) > max_bytes:
        problem = f"{column} {shown!r} has over {max_bytes} bytes, the limit"
        raise LimitError(problem, "raise limits.max_bytes or shrink the file", field=column)
    if there.length:
        raise PathError(f"{column} {shown!r} is cut off", "run again", field=column)
    return bytes(raw)


def _shown(url: str) -> str:
    """A URL without what may be secret."""
    return re.sub(r"(://)[^/?#]*@", r"\1", url.partition("?")[0].partition("#")[0])[:200]
