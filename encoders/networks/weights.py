"""From the name of a network to checked files and open ONNX sessions.

Weights are never trusted by their name: every file is compared with the checksum in the catalogue. A network is
translated to ONNX once, into a cache folder.
"""

import hashlib
import tempfile
import threading
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any

from encoders.errors import WeightsError
from encoders.networks.known import ModelSpec

CACHE_FORMAT = 3
"""Part of the name of every cached file; raised when a translation changes."""
_EXPORTING = threading.Lock()
"""PyTorch cannot translate two networks at once: it keeps what it traces in state of the process."""
_NAMED = 32
"""Hex digits of its checksum in a file's name."""


def find_weights(spec: ModelSpec, source: str | None = None) -> Path:
    """Find the files of a network and compare their checksums.

    Args:
        spec: the network.
        source: None for the files of the installed package; the path of a folder; or a name on the Hugging Face hub
            as "hf-hub:org/repository", which may use the network where the files are not in its cache.

    Returns:
        The folder that holds the files of `spec`.

    Raises:
        WeightsError: if a file is missing, or is not the one that the catalogue names.
    """
    if source is None:
        folder, remedy = _package_folder(spec), f"install them: {spec.install}"
    elif source.startswith("hf-hub:"):
        folder = _hub_folder(spec, source.removeprefix("hf-hub:"))
        remedy = f"name a repository with the files of {spec.revision}, or clear the hub's cache and try again"
    else:
        folder, remedy = Path(source), f"put the files of {spec.revision} there, or {spec.install}"
    for file in spec.files:
        path = folder / file.path
        if not path.is_file():
            raise WeightsError(f"weights of {spec.name} are missing: there is no {path}", remedy)
        found = sha256_of(path)
        if found != file.sha256:
            raise WeightsError(
                f"weights of {spec.name} are altered: {path} has sha256 {found}, {file.sha256} is expected",
                f"install {spec.revision} again: {spec.install}",
            )
    return folder


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_onnx(spec: ModelSpec, cache: Path, export: Callable[[Path], None]) -> Path:
    """The ONNX form of a network, made by `export` if it is not in the cache yet.

    The file is keyed by the checksums of the weights and the version of PyTorch, written beside its place and
    moved there in one step, so that two processes may do this at once. Its name ends in its own checksum: one that
    was altered is not opened, and made again.

    Args:
        spec: the network.
        cache: a folder; it is made if need be.
        export: writes one self-contained ONNX file to the path that it is given.

    Returns:
        The path of the ONNX file.

    Raises:
        WeightsError: if the cache folder cannot be written.
    """
    version = metadata.version("torch").split("+")[0]
    key = hashlib.sha256("".join(file.sha256 for file in spec.files).encode()).hexdigest()[:16]
    name = f"{spec.name}-{key}-torch{version}-v{CACHE_FORMAT}"
    for path in cache.glob(f"{name}-*.onnx"):
        if path.stem.endswith(sha256_of(path)[:_NAMED]):
            return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".export-") as folder:
            made = Path(folder) / "network.onnx"
            export(made)
            target = cache / f"{name}-{sha256_of(made)[:_NAMED]}.onnx"
            made.replace(target)
    except OSError as error:
        raise WeightsError(f"cache folder {cache} cannot be written ({error})", "set space.cache") from error
    return target


def exporter(spec: ModelSpec, weights: Path) -> Callable[[Path], None]:
    """What `cached_onnx` asks for to translate a network of the catalogue; PyTorch is imported when it runs.

    Args:
        spec: the network.
        weights: its file, or the folder of its files.
    """

    def export(path: Path) -> None:
        from encoders.networks.torch import EXPORTS

        with _EXPORTING:
            EXPORTS[spec.name](weights, path)

    return export


def open_session(file: Path | bytes, threads: int | None = None) -> Any:
    """Open an ONNX Runtime session on the CPU.

    Args:
        file: the ONNX file, or what is in it.
        threads: threads within one operation, None for one per core.

    Returns:
        An `onnxruntime.InferenceSession`.
    """
    import onnxruntime  # slow to import

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the cores from the decoding that runs beside the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = file if isinstance(file, bytes) else str(file)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def resolve_device(device: str) -> str:
    """The torch device that a setting means: "auto" is the GPU where there is one, else "cpu".

    Raises:
        WeightsError: if a GPU is asked for that is not there.
    """
    if device == "cpu":
        return device
    import torch  # slow to import

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise WeightsError(f"device {device} is not there", "set space.device to auto or cpu")
    return device


def _package_folder(spec: ModelSpec) -> Path:
    package, _, below = spec.folder.partition("/")
    found = util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(
            f"weights of {spec.name} are missing: package {spec.package} is not installed", spec.install
        )
    return Path(found.submodule_search_locations[0]) / below


def _hub_folder(spec: ModelSpec, name: str) -> Path:
    from huggingface_hub import snapshot_download  # slow to import

    try:
        files = [file.path for file in spec.files]
        return Path(snapshot_download(name, allow_patterns=files))  # nosec B615
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise WeightsError(f"{name} cannot be had from the hub ({reason})", spec.install) from error
