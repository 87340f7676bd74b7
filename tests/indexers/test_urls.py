"""Pictures at addresses of the web: off by default; with a list of hosts, those and no private addresses."""

import ipaddress
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from encoders.errors import LimitError, TriveniError
from encoders.spaces.space import Space
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.errors import PathError
from indexers.pipeline import index
from indexers.urls import MAX_REDIRECTS, WebMedia, is_public
from tests.indexers.catalogs import write_jsonl
from tests.tiny import concept_png

PICTURE = concept_png("bird")


class Shop(BaseHTTPRequestHandler):
    """A web server as they are, and as they can be."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["host"], self.path))  # type: ignore[attr-defined]
        path, _, query = self.path.partition("?")
        match path:
            case "/bird.png":
                self.answer(200, PICTURE)
            case "/to":
                self.answer(302, b"", ("location", query))
            case "/loop":
                self.answer(301, b"", ("location", "/loop"))
            case "/endless":
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b"400\r\n" + bytes(1024) + b"\r\n")
                except OSError:
                    pass
            case "/claims":
                self.answer(200, b"x", ("content-length", "99999999"))
            case "/cut":
                self.answer(200, b"x", ("content-length", "9"))
                self.close_connection = True
            case "/never":
                self.server.stopped.wait(30)  # type: ignore[attr-defined]
            case "/gzip":
                self.answer(200, b"\x1f\x8b", ("content-encoding", "gzip"))
            case _:
                self.answer(404, b"gone")

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in dict(headers):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    server.asked, server.stopped = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.stopped.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def web(shop: ThreadingHTTPServer, seconds: float = 20) -> WebMedia:
    """Asks the shop under names that are nowhere else; its address counts as public here."""
    here = ipaddress.ip_address("127.0.0.1")
    names = {"shop.example": ["127.0.0.1"], "mixed.shop.example": ["127.0.0.1", "10.0.0.1"], "no.shop.example": []}
    hosts = (f"shop.example:{shop.server_port}", f"*.shop.example:{shop.server_port}", "127.0.0.1")
    return WebMedia(
        hosts, seconds, lambda host, port: names.get(host, ["192.168.1.1"]), lambda one: one == here or is_public(one)
    )


def url(shop: ThreadingHTTPServer, path: str, host: str = "shop.example") -> str:
    return f"http://{host}:{shop.server_port}{path}"


def test_rows_that_name_urls_are_indexed_where_their_host_is_allowed(
    shop: ThreadingHTTPServer, tmp_path: Path, memory: VectorStore, space: Space
) -> None:
    rows = [
        {"id": "1", "image": url(shop, "/bird.png?signature=secret")},
        {"id": "2", "image": url(shop, "/gone.png")},
    ]
    path = write_jsonl(tmp_path / "x.jsonl", rows)
    report = index(Catalog(path), memory, space)
    assert report.errors == 2
    assert {letter.reason for letter in report.examples} == {
        f"image '{url(shop, one)}' is a URL, and none are fetched" for one in ("/bird.png", "/gone.png")
    }
    assert shop.asked == []  # type: ignore[attr-defined]
    report = index(Catalog(path, web=web(shop)), memory, space)
    assert [letter.reason for letter in report.examples] == [f"image '{url(shop, '/gone.png')}' answers 404"]
    assert memory.retrieve(["1"])[0].payload["_image"] == url(shop, "/bird.png")  # type: ignore[union-attr,list-item]


def test_redirects_are_followed_and_looked_at(shop: ThreadingHTTPServer) -> None:
    target = url(shop, "/bird.png", "a.shop.example")
    with pytest.raises(PathError, match=r"is at a\.shop\.example, whose address 192\.168\.1\.1 is not public"):
        web(shop).read(url(shop, f"/to?{target}"), "image", 1 << 20)
    assert web(shop).read(url(shop, "/to?/bird.png"), "image", 1 << 20) == (PICTURE, url(shop, "/to"))


@pytest.mark.parametrize(
    ("asked", "kind", "reason"),
    [
        ("http://other.example/x.png", PathError, "at a host that is not allowed: other.example:80"),
        ("http://shop.example/x.png", PathError, "at a host that is not allowed: shop.example:80"),
        ("http://evilshop.example:PORT/x", PathError, "is not allowed"),
        ("http://shop.example.evil.example:PORT/x", PathError, "is not allowed"),
        ("http://shop.example:PORT@other.example/x", PathError, "holds a user's name"),
        ("http://user:secret@shop.example:PORT/x", PathError, "holds a user's name"),
        ("http://mixed.shop.example:PORT/x", PathError, "whose address 10.0.0.1 is not public"),
        ("http://no.shop.example:PORT/x", PathError, "is not public"),
        ("http://shop.example:PORT/a b\r\nx: y", PathError, "percent-encoded"),
        ("http://shop.example:PORT/to?http://127.0.0.1:PORT/bird.png", PathError, "not allowed: 127.0.0.1:"),
        ("http://shop.example:PORT/to?http://169.254.169.254/latest", PathError, "not allowed: 169.254.169.254:80"),
        ("http://shop.example:PORT/to?file:///etc/passwd", PathError, "of scheme 'file'"),
        ("http://shop.example:PORT/loop", PathError, f"more than {MAX_REDIRECTS} redirects"),
        ("http://shop.example:PORT/endless", LimitError, "has over 100000 bytes, the limit"),
        ("http://shop.example:PORT/claims", LimitError, "has over 100000 bytes, the limit"),
        ("http://shop.example:PORT/cut", PathError, "is cut off|cannot be fetched"),
        ("http://shop.example:PORT/gzip", PathError, "compressed on the way"),
        ("http://shop.example:99999/x", PathError, "cannot be fetched"),
        ("http://[::1/x", PathError, "cannot be fetched"),
        ("https://shop.example:PORT/bird.png", PathError, "cannot be fetched"),
        ("file:///etc/passwd", PathError, "of scheme 'file': only http and https"),
        ("s3://key:secret@bucket/x.png", PathError, "of scheme 's3'"),
        ("gopher://shop.example:PORT/x", PathError, "of scheme 'gopher'"),
    ],
)
def test_what_is_not_fetched(shop: ThreadingHTTPServer, asked: str, kind: type[TriveniError], reason: str) -> None:
    with pytest.raises(kind, match=reason) as caught:
        web(shop).read(asked.replace("PORT", str(shop.server_port)), "image", 100_000)
    assert "secret" not in str(caught.value)
    assert caught.value.field == "image"


def test_an_answer_that_does_not_come_is_given_up(shop: ThreadingHTTPServer) -> None:
    with pytest.raises(LimitError, match=r"takes more than 0\.2 seconds"):
        web(shop, 0.2).read(url(shop, "/never"), "image", 100)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2002:a00:1::1", False),
        ("fec0::1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(shop: ThreadingHTTPServer) -> None:
    """A name that is public when it is looked at, and leads inside when it is asked: it is resolved once."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    one = web(shop)
    changing = WebMedia(one.hosts, one.seconds, lambda host, port: next(answers), one.allows)
    assert changing.read(url(shop, "/bird.png"), "image", 1 << 20)[0] == PICTURE
    assert next(answers) == ["10.0.0.1"]
