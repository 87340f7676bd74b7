"""The .proto files, the Python beside them and the frozen image say the same."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from encoders.types import Modality
from engine.core.types import EventKind, ReasonKind
from triveni.v1 import content_pb2, event_pb2, recommendation_pb2

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"
FILES = sorted(path.relative_to(PROTO) for path in PROTO.glob("triveni/v1/*.proto"))
BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")


@pytest.mark.skipif(importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed")
def test_generated_code_is_up_to_date(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    command += [f"--{kind}={tmp_path}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    subprocess.run([*command, *map(str, FILES)], check=True, cwd=PROTO)
    generated = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*_pb2*.py*")}
    committed = {path.relative_to(PROTO): path.read_bytes() for path in PROTO.rglob("triveni/v1/*_pb2*.py*")}
    assert len(generated) == 3 * len(FILES)
    assert set(generated) == set(committed)
    stale = [str(path) for path in generated if generated[path] != committed[path]]
    assert not stale, "run `make proto`"


@pytest.mark.skipif(importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed")
def test_comments_are_up_to_date(tmp_path: Path) -> None:
    """The OpenAPI document has them from this file."""
    now = tmp_path / "described.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--descriptor_set_out={now}"]
    subprocess.run([*command, "--include_source_info", *map(str, FILES)], check=True, cwd=PROTO)
    assert now.read_bytes() == (PROTO / "triveni/v1/described.binpb").read_bytes(), "run `make proto`"


@pytest.mark.skipif(BUF is None, reason="buf is not installed: pip install buf-bin")
def test_frozen_image_is_up_to_date(tmp_path: Path) -> None:
    """An image that lags behind would let a break of what was added since pass."""
    image = tmp_path / "now.binpb"
    subprocess.run([str(BUF), "build", "--exclude-source-info", "-o", str(image)], check=True, cwd=ROOT)
    now, frozen = (
        {file.name: file for file in FileDescriptorSet.FromString(path.read_bytes()).file}
        for path in (image, PROTO / "triveni.binpb")
    )
    assert now == frozen, "run `make proto`"


@pytest.mark.skipif(BUF is None, reason="buf is not installed: pip install buf-bin")
def test_a_break_is_found(tmp_path: Path) -> None:
    """A field that changes its type is refused, a new field is not."""
    copy = tmp_path / "contract"
    shutil.copytree(PROTO, copy / "proto", ignore=shutil.ignore_patterns("*.py*"))
    shutil.copy(ROOT / "buf.yaml", copy)
    command = [str(BUF), "breaking", "--against", "proto/triveni.binpb"]
    content = copy / "proto/triveni/v1/content.proto"

    def breaks(old: str, new: str) -> str:
        text = content.read_text()
        assert old in text
        content.write_text(text.replace(old, new, 1))
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        content.write_text(text)
        return done.stdout

    assert breaks("bytes values = 2;", "bytes values = 2;  bytes more = 4;") == ""
    assert "changed type" in breaks("bytes values = 2;", "string values = 2;")


@pytest.mark.parametrize(
    ("kinds", "values", "prefix"),
    [
        (Modality, content_pb2.Modality, "MODALITY_"),
        (EventKind, event_pb2.EventKind, "EVENT_KIND_"),
        (ReasonKind, recommendation_pb2.ReasonKind, "REASON_KIND_"),
    ],
)
def test_enums_match_the_engine(kinds: type, values: object, prefix: str) -> None:
    assert {f"{prefix}UNSPECIFIED", *(prefix + kind.name for kind in kinds)} == set(values.keys())  # type: ignore[attr-defined]
