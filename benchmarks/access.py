"""Text searches one at a time: with TLS and a key, with TLS and a token, and with neither, by turns."""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import jwt
import numpy as np
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.recommend import build
from benchmarks.searches import text_search
from benchmarks.synthetic import catalogue
from benchmarks.wire import Row, serving, start_server, timed
from encoders.spaces.space import Space
from engine.encode.batching import MicroBatcher
from engine.events.sql import SqlEventStore
from engine.query.pipeline import Engine
from engine.query.search import BatchedSearch
from engine.service.access.access import Access
from engine.service.access.caller import EVERY_SCOPE
from engine.service.access.keys import KeyChecker, KeyFile
from engine.service.access.tls import TlsFiles
from engine.service.access.tokens import Claims, TokenChecker
from triveni.v1 import recommendation_pb2_grpc

BOUND = 1.1
WAYS = ("plain", "key", "token")


def credentials(folder: Path) -> tuple[Access, TlsFiles, Mapping[str, tuple[tuple[str, str], ...]]]:
    """What a server asks for, and the metadata of a caller by way; writes the files, with `ca.pem`."""
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    keys = KeyFile(folder / "keys.toml")
    key, _ = keys.add("benchmark", EVERY_SCOPE, "", None, datetime.now(UTC))
    pair = ec.generate_private_key(ec.SECP256R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(pair.public_key(), as_dict=True)
    (folder / "jwks.json").write_text(json.dumps({"keys": [{**public, "kid": "one"}]}))
    said = {"iss": "here", "aud": "there", "sub": "benchmark", "scope": "read", "exp": time.time() + 3600}
    token = jwt.encode(said, pair, "ES256", headers={"kid": "one"})
    access = Access([KeyChecker(keys.path), TokenChecker(folder / "jwks.json", Claims("here", "there"))])
    sent = {"plain": (), "key": (("x-api-key", key),), "token": (("authorization", f"Bearer {token}"),)}
    return access, TlsFiles(folder / "cert.pem", folder / "key.pem"), sent


def ways_client(
    pipe: Connection, ports: Mapping[str, int], sent: Mapping[str, tuple[tuple[str, str], ...]], ca: bytes, calls: int
) -> None:
    """In a process of its own: milliseconds of searches, each way in its turn."""
    random = np.random.default_rng(0)
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    with ExitStack() as opened:
        stubs = {}
        for name, port in ports.items():
            channel = (
                grpc.insecure_channel(f"localhost:{port}")
                if name == "plain"
                else grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(ca))
            )
            stubs[name] = recommendation_pb2_grpc.RecommendationServiceStub(opened.enter_context(channel))
        for turn in range(calls + calls // 4):
            for name in WAYS if turn % 2 else reversed(WAYS):
                spent = timed(partial(stubs[name].Search, text_search(random), metadata=sent[name]))
                if turn >= calls // 4:  # those before warm up
                    took[name].append(spent)
    pipe.send(took)


def access(space: Space, items: int, folder: Path, calls: int) -> Row:
    """What TLS and credentials cost a search, at the median."""
    drawn = catalogue(items, space.dimension)
    store = build(replace(drawn, manifest=space.manifest), folder)
    events = SqlEventStore(f"sqlite:///{folder}-events.db")
    with ExitStack() as opened:
        opened.callback(store.close)
        opened.callback(events.close)
        own = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        asked, tls, sent = credentials(own)
        encoder = MicroBatcher(space)
        opened.callback(encoder.close)
        search = BatchedSearch(store, workers=1)
        opened.callback(search.close)
        engine = Engine(encoder, space.manifest, store, search=search)
        begin = partial(start_server, engine, encoder, store, events, space)
        plain = opened.enter_context(serving(begin))
        guarded = opened.enter_context(serving(partial(begin, access=asked, tls=tls)))
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        ports = {"plain": plain.port, "key": guarded.port, "token": guarded.port}
        ca = (own / "ca.pem").read_bytes()
        client = context.Process(target=ways_client, args=(theirs, ports, sent, ca, calls))
        client.start()
        theirs.close()
        took = ours.recv()
        client.join()
    medians = {name: float(np.median(values)) for name, values in took.items()}
    ratios = {name: medians[name] / medians["plain"] for name in ("key", "token")}
    return {
        **{f"{name}_p50_ms": value for name, value in medians.items()},
        **{f"{name}_ratio": value for name, value in ratios.items()},
        "within": max(ratios.values()) <= BOUND,
    }
