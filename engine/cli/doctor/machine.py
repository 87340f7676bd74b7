"""Checks of the machine: programs, settings files, disk, memory, ports."""

from __future__ import annotations

import platform
import shutil
import socket
import stat
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from engine.cli.doctor import doors
from engine.cli.doctor.finding import Finding, Patient, ok, problem, warning
from engine.core.errors import StoreInUseError

LEAST_MEMORY = 1 << 30
"""Bytes that the encoders and a small catalogue take."""
_HEALTH_SECONDS = 2.0


def versions(patient: Patient) -> Iterator[Finding]:
    """Whether the libraries that are installed are those that this release is made for."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("triveni") or ()]
    sound = True
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(one.name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not one.specifier.contains(found, prereleases=True):
            sound = False
            yield problem(f"{one.name} is {found}, triveni needs {one.specifier or 'it'}", f"pip install '{one}'")
    if sound:
        yield ok(f"triveni {version('triveni')}, python {platform.python_version()}, {len(wanted)} requirements met")


def secrets(patient: Patient) -> Iterator[Finding]:
    """Whether others may read a settings file that holds secrets."""
    from engine.config.portable import portable_toml

    if patient.file is None:
        yield ok("no settings file: defaults and environment")
        return
    holds_secrets = portable_toml(patient.settings).startswith("# Set these again")
    if holds_secrets and patient.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield warning(f"{patient.file} holds secrets, and others may read it", f"chmod 600 {patient.file}")
    else:
        yield ok(f"{patient.file} is valid")


def parts(patient: Patient) -> Iterator[Finding]:
    """Whether the parts of other distributions that the settings name are installed, and take their settings."""
    from engine.query.policy.rules import RULES
    from engine.query.sources import SOURCES

    sources = SOURCES.make_all(patient.settings.retrieve.sources, "retrieve.sources")
    rules = RULES.make_all(patient.settings.policy.rules, "policy.rules")
    yield ok(f"{len(sources)} added sources, {len(rules)} added rules")


def disk(patient: Patient) -> Iterator[Finding]:
    """Whether there is room where state is written, and whether it may be."""
    settings = patient.settings
    reserve = settings.store.reserve_mb << 20
    places = {"models": settings.models.path, "encoders": settings.space.cache}
    if settings.store.backend == "edge":
        places["store"] = settings.store.path
    if settings.events.url.startswith("sqlite"):
        from sqlalchemy.engine import make_url

        places["events"] = Path(str(make_url(settings.events.url).database)).parent
    devices: dict[int, tuple[list[str], Path]] = {}
    for name, place in places.items():
        there = next(one for one in (place.absolute(), *place.absolute().parents) if one.exists())
        if not there.is_dir() or not _writable(there):
            yield problem(f"{there} of {name} cannot be written", "let this user write there, or name another place")
        devices.setdefault(there.stat().st_dev, ([], there))[0].append(name)
    for names, there in devices.values():
        free = shutil.disk_usage(there).free
        said = f"{free / 1e9:.1f} GB free for {', '.join(names)}"
        if free < reserve:
            yield problem(f"{said}: less than store.reserve_mb, so writes are refused", "free space on that disk")
        elif free < 4 * reserve:
            yield warning(f"{said}: writes are refused below {reserve / 1e9:.1f} GB", "free space on that disk")
        else:
            yield ok(said)


def _writable(folder: Path) -> bool:
    import os

    return os.access(folder, os.W_OK | os.X_OK)


def memory(patient: Patient) -> Iterator[Finding]:
    """Whether there is memory for the encoders; a container's limit counts."""
    free = _free_memory()
    if free is None:
        yield ok("how much memory is free is not known on this system")
    elif free < LEAST_MEMORY:
        yield warning(
            f"{free / 1e9:.1f} GB of memory are free, loading takes {LEAST_MEMORY / 1e9:.1f} GB",
            "stop other programs, or give it more memory",
        )
    else:
        yield ok(f"{free / 1e9:.1f} GB of memory are free")


def _free_memory(proc: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes, of the machine or of the control group (version 2) if that has less; None where it is not told."""
    try:
        lines = dict(line.split(":", 1) for line in proc.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return None
    try:
        return min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no control group, or "max"
        return free


def ports(patient: Patient) -> Iterator[Finding]:
    """Whether the addresses of the settings are free, or our own server listens there."""
    settings = patient.settings
    if patient.holder:
        yield from _server_that_runs(patient)
        return
    if left := _left_behind(patient):
        yield left
        return
    for name in ("service", "http", "metrics"):
        address = getattr(settings, name).address
        host, _, port = address.rpartition(":")
        if not address or address.startswith("unix:") or port == "0":
            continue
        try:
            for family, kind, _, _, where in socket.getaddrinfo(
                host.strip("[]") or None, int(port), type=socket.SOCK_STREAM
            ):
                with socket.socket(family, kind) as tried:
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    tried.bind(where)
        except (OSError, ValueError, OverflowError) as error:
            said = getattr(error, "strerror", None) or str(error)
            yield problem(
                f"{name}.address is {address}: {said.lower()}", "stop the program that has it, or set another address"
            )
        else:
            yield ok(f"{name}.address {address} is free")


def _left_behind(patient: Patient) -> Finding | None:
    """A server of ours that has a collection open which does not serve: nothing that it is sent is seen elsewhere."""
    from engine.store.edge_folder import server_of

    store = patient.settings.store
    for lock in sorted(store.path.glob("*/lock")) if store.backend == "edge" else ():
        try:
            where = server_of(lock.parent)
        except StoreInUseError:
            continue  # it tells no address: triveni index, for example
        if where:
            said = f"the server at {where} has {lock.parent.name} open, and {store.collection} is another collection"
            return problem(said, "restart it; what it was sent since the switch is in that collection: send it again")
    return None


def _server_that_runs(patient: Patient) -> Iterator[Finding]:
    if not isinstance(patient.holder, str):
        yield warning(patient.holder.problem, "it tells no address: ask its log, or wait until it is ready")
        return
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with doors.channel_to(patient.holder, patient.settings.service.tls_cert) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            status = stub.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS).status
        except grpc.RpcError as error:
            yield problem(f"the server at {patient.holder} does not answer: {error.code().name}", "see its log")
            return
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    if status == health_pb2.HealthCheckResponse.SERVING:
        yield ok(f"the server at {patient.holder} says {name}")
    else:
        yield problem(f"the server at {patient.holder} says {name}", "see its log; it starts or stops")
