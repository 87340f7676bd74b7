"""Catalogues in tar files: what is read, and what hostile archives cannot do."""

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from encoders.spaces.space import Space
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.errors import CatalogError
from indexers.pipeline import index
from indexers.readers import BadRow, Row, open_catalog
from indexers.report import RowOutcome
from tests.indexers.catalogs import good, only_bad, write_tar
from tests.tiny import png_bytes, wav_bytes


def test_files_of_one_stem_are_one_item(tmp_path: Path) -> None:
    png, wav = png_bytes(1), wav_bytes(300)
    files = {
        "./a/0.owl.PNG": png,
        "a/0.thumb.jpg": b"left out: there is a picture already",
        "a/0.json": b'{"price": 3, "tags": ["x"], "text": "not this"}',
        "a/0.txt": "\ufeffein Käuzchen\n".encode(),
        "a/0.cls": b"7",
        "a/0.npy": b"another kind",
        "a/.hidden.png": png,
        "1.wav": wav,
        "1.json": b'{"id": "own", "text": "from the object"}',
    }
    expected = [
        {"id": "a/0", "price": 3, "tags": ["x"], "text": "ein Käuzchen", "cls": 7, "image": png},
        {"id": "own", "text": "from the object", "audio": wav},
    ]
    assert good(open_catalog(write_tar(tmp_path / "x.tar", files))) == expected
    assert good(open_catalog(write_tar(tmp_path / "x.tar.gz", files))) == expected


def test_columns_are_looked_for_in_the_first_items(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"1.json": b'{"caption": "an owl"}'})
    with pytest.raises(CatalogError, match=r"no content column.*'id', 'caption'"):
        open_catalog(path).check()
    open_catalog(path, columns={"text": "caption"}).check()


def test_shards_that_are_not_there(tmp_path: Path) -> None:
    write_tar(tmp_path / "x-0.tar", {"1.txt": b"a"})
    with pytest.raises(CatalogError, match=r"no shard at .*x-1\.tar: correct the numbers"):
        open_catalog(tmp_path / "x-{0..1}.tar").check()
    for name in ("x-{5..1}.tar", "x-{0..99999999999}.tar", "{0..999}{0..999}.tar"):
        with pytest.raises(CatalogError, match="shards: name 1 to"):
            open_catalog(tmp_path / name).check()


def hostile(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """An archive of these members between two good items; what they say of themselves need not be true."""
    with tarfile.open(path, "w") as tar:
        for name, member, raw in [("first", None, b"a"), *(("", *one) for one in members), ("last", None, b"z")]:
            about = member or tarfile.TarInfo(f"{name}.txt")
            about.size = about.size or len(raw)
            tar.addfile(about, io.BytesIO(raw))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (member("2.png", tarfile.SYMTYPE, "/etc/passwd"), "is a link or no plain file"),
        (member("2.png", tarfile.LNKTYPE, "first.txt"), "is a link or no plain file"),
        (member("2.png", tarfile.FIFOTYPE), "is a link or no plain file"),
        (member("../2.png"), "leads out of the archive"),
        (member("/etc/2.png"), "leads out of the archive"),
    ],
    ids=["symlink", "hardlink", "pipe", "above", "absolute"],
)
def test_members_that_lead_elsewhere_are_bad_rows(tmp_path: Path, bad: tarfile.TarInfo, reason: str) -> None:
    path = hostile(tmp_path / "x.tar", (bad, b""))
    assert [row.values["id"] for row in open_catalog(path).rows() if isinstance(row, Row)] == ["first", "last"]
    wrong = only_bad(open_catalog(path))
    assert (wrong.line, wrong.error.field) == (2, "image")
    assert reason in str(wrong.error)
    assert [one.name for one in tmp_path.iterdir()] == ["x.tar"], "something was extracted"


def test_an_archive_is_indexed_resumed_and_its_bad_items_told(
    tmp_path: Path, memory: VectorStore, space: Space
) -> None:
    link = member("2.png", tarfile.SYMTYPE, "/etc/passwd")
    path = hostile(tmp_path / "x.tar", (link, b""), (member("3.png"), png_bytes(3)), (member("4.wav"), b"no sound"))
    for added, unchanged in ((3, 0), (0, 3)):
        report = index(Catalog(path), memory, space, dead_letters=tmp_path / "letters.jsonl")
        assert report.outcomes.get(RowOutcome.ADDED, 0) == added
        assert report.outcomes.get(RowOutcome.UNCHANGED, 0) == unchanged
        letters = [json.loads(line) for line in (tmp_path / "letters.jsonl").read_text().splitlines()]
        told = {(one["line"], one["id"], one["modality"]) for one in letters}
        assert told == {(2, "2", "image"), (4, "4", "audio")}
        assert all(one["reason"] and one["remedy"] for one in letters)


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("2.json", b"[1]", "is a list, not an object"),
        ("2.json", b"[" * 100_000, "is not JSON"),
        ("2.json", b"\xff", "is not JSON"),
        ("2.txt", b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_files_of_a_wrong_kind_are_bad_rows(tmp_path: Path, name: str, raw: bytes, reason: str) -> None:
    path = hostile(tmp_path / "x.tar", (member(name), raw))
    assert reason in str(only_bad(open_catalog(path)).error)


def test_a_bomb_is_not_unpacked_into_memory(tmp_path: Path) -> None:
    """A file of 64 MB that is 64 kB in the archive: its item is a bad row, the next one is read."""
    plain = hostile(tmp_path / "x.tar", (member("2.png"), bytes(64 << 20)))
    packed = tmp_path / "y.tar.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    tracemalloc.start()
    rows = list(open_catalog(packed, max_bytes=1 << 20).rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert [type(row) for row in rows] == [Row, BadRow, Row]
    assert "2.png' has 67108864 bytes, the limit is 1048576: raise limits.max_bytes" in str(
        next(row for row in rows if isinstance(row, BadRow)).error
    )


def test_a_header_that_claims_to_be_large_is_damage(tmp_path: Path) -> None:
    """tarfile would read a header of extended attributes as a whole."""
    claims = member("2.png", tarfile.XHDTYPE)
    claims.size = 1 << 30
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(member("1.txt"))
    (tmp_path / "x.tar").write_bytes(raw.getvalue()[:512] + claims.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(CatalogError, match=r"not readable as tar after item 0 .*headers of over 1048576 bytes"):
        list(open_catalog(tmp_path / "x.tar").rows())


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, *, more: bool = False) -> bytes:
    """The block that a member begins with; `more` says that a list of holes follows."""
    about = member(name, kind)
    raw = bytearray(about.tobuf(tarfile.GNU_FORMAT))
    if size:
        raw[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    raw[482] = more
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (header("2.bin", -512) + bytes(1024), "'2.bin' ends before it begins"),
        (header("2.txt", -1024) + bytes(1024), "'2.txt' ends before it begins"),
        (header("2.txt", 1 << 80) + bytes(1024), "cannot fit"),
        ((header("long", 512, tarfile.GNUTYPE_LONGNAME) + b"x".ljust(512, b"\0")) * 900, "recursion"),
        (header("2.txt", kind=tarfile.GNUTYPE_SPARSE, more=True), "out of range"),
        (header("2.txt", kind=tarfile.GNUTYPE_SPARSE, more=True) + (b"1" * 511 + b"\1") * 4096, "headers of over"),
    ],
    ids=["round-in-circles", "backwards", "huge", "names-of-names", "holes-cut-off", "holes-without-end"],
)
def test_headers_that_lie_are_damage(tmp_path: Path, raw: bytes, reason: str) -> None:
    (tmp_path / "x.tar").write_bytes(header("1.txt") + raw)
    with pytest.raises(CatalogError, match=f"not readable as tar after item .*{reason}"):
        list(open_catalog(tmp_path / "x.tar").rows())


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_damage_is_told_with_the_last_good_item(tmp_path: Path, suffix: str) -> None:
    files = {f"{number}.json": json.dumps({"text": str(number) * 3000}).encode() for number in range(9)}
    whole = write_tar(tmp_path / f"x.{suffix}", files).read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(CatalogError, match=r"not readable as tar after item \d"):
        list(open_catalog(cut).rows())
    for raw in (b"", b"no tar at all" * 100):
        cut.write_bytes(raw)
        with pytest.raises(CatalogError, match="not readable as tar after item 0"):
            list(open_catalog(cut).rows())


def test_garbage_between_items_is_not_taken_for_the_end(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "x.tar", {"1.txt": b"a", "2.txt": b"b", "3.txt": b"c"}).read_bytes()
    (tmp_path / "x.tar").write_bytes(whole[:1024] + b"\x07" * 512 + whole[1536:])
    with pytest.raises(CatalogError, match="a header is damaged"):
        list(open_catalog(tmp_path / "x.tar").rows())
