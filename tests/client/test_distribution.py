"""The wheels: that of the client holds the contract and the client and nothing else, that of the engine neither."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto" / "triveni"


def build(source: Path, folder: Path) -> zipfile.ZipFile:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True, timeout=200)
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


def copied(names: list[str], folder: Path) -> Path:
    """Building writes beside the sources."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=unwanted)
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source = copied(["proto"], tmp_path_factory.mktemp("source"))
    return build(source / "proto", tmp_path_factory.mktemp("wheel"))


def metadata(wheel: zipfile.ZipFile) -> tuple[str, str, set[str]]:
    """Name, version, and what is always required."""
    (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
    said = Parser().parsestr(wheel.read(name).decode())
    needed = [each for each in said.get_all("Requires-Dist", []) if "extra ==" not in each]
    return said["Name"], said["Version"], {re.split(r"[^\w.-]", each)[0] for each in needed}


def test_the_wheel_of_the_client_holds_what_it_should(client_wheel: zipfile.ZipFile) -> None:
    held = {name for name in client_wheel.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(PROTO.parent).as_posix()
        for path in PROTO.rglob("*")
        if path.suffix in (".py", ".pyi", ".proto") or path.name in ("py.typed", "described.binpb")
    }
    assert "triveni/client/sync.py" in sources
    assert "triveni/client/py.typed" in sources
    assert held == sources
    name, _, needed = metadata(client_wheel)
    assert (name, needed) == ("triveni-client", {"grpcio", "protobuf", "googleapis-common-protos"})
    assert any(each.endswith("/LICENSE") for each in client_wheel.namelist())


def test_the_wheel_of_the_engine_needs_it_and_does_not_hold_it(client_wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    names = ["encoders", "engine", "indexers", "pyproject.toml", "README.md", "LICENSE"]
    (tmp_path / "source").mkdir()
    wheel = build(copied(names, tmp_path / "source"), tmp_path / "wheel")
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {"encoders", "engine", "indexers"}
    _, version, needed = metadata(wheel)
    assert "triveni-client" in needed
    assert version == metadata(client_wheel)[1]


def test_the_client_runs_on_its_requirements_alone(client_wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """In a Python that finds the wheel and its three requirements, and nothing else that is installed here."""
    client_wheel.extractall(tmp_path)
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for name in ("grpc", "google", "typing_extensions.py"):
        Path(tmp_path / name).symlink_to(site / name)
    program = """
import sys
import triveni.client as client
try:
    client.Client("127.0.0.1:1", retry=False).search("x")
except client.UnavailableError as error:
    print(error.remedy)
print(sorted({"engine", "encoders", "indexers", "numpy", "PIL", "torch"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    remedy, others = done.stdout.splitlines()
    assert "triveni serve" in remedy
    assert others == "[]"


def test_what_the_generated_code_was_made_with_is_required() -> None:
    """Older versions of grpcio and protobuf refuse it at import."""
    wanted = (PROTO.parent / "pyproject.toml").read_text()
    stub = (PROTO / "v1" / "event_pb2_grpc.py").read_text()
    made = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", stub)
    code = re.search(r"Protobuf Python Version: ([\d.]+)", (PROTO / "v1" / "event_pb2.py").read_text())
    assert made is not None
    assert code is not None
    assert f'"grpcio>={made[1]},<2"' in wanted
    assert f'"protobuf>={code[1]},<8"' in wanted
