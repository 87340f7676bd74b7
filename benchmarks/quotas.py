"""What a quota adds to each call: in the process, and in Redis.

    python -m benchmarks.quotas [--calls 5000] [--redis redis://127.0.0.1:6379/0] [--json]

Calls and bytes are counted, as where both quotas are set, one call at a time and 16 at once.
"""

import argparse
import asyncio
import json
import time
import uuid

import numpy as np

from engine.service.quotas.buckets import Buckets, LocalBuckets
from engine.service.quotas.quotas import Quota, Quotas
from engine.service.quotas.shared import SharedBuckets

AT_ONCE = 16
ENOUGH = Quota(calls_per_second=1e9, encoded_bytes_per_second=1e12)
"""Nothing is refused."""

Row = dict[str, float]


async def measured(buckets: Buckets, calls: int) -> Row:
    """Microseconds for each of calls one at a time, and the most per second of several at once."""
    tenant = uuid.uuid4().hex
    quotas = Quotas({tenant: ENOUGH}, buckets)
    took = np.empty(calls)
    for row in range(-100, calls):  # the first ones warm up
        began = time.perf_counter()
        await quotas.admit(tenant, 100)
        took[row] = time.perf_counter() - began

    async def some() -> None:
        for _ in range(calls // AT_ONCE):
            await quotas.admit(tenant, 100)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - began
    if quotas.alone:
        raise SystemExit("Redis did not answer: name one with --redis")
    await quotas.close()
    p50, p95 = np.percentile(took * 1e6, [50, 95])
    return {"p50_us": float(p50), "p95_us": float(p95), "at_once_per_second": calls // AT_ONCE * AT_ONCE / seconds}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = {
        "process": asyncio.run(measured(LocalBuckets(), options.calls)),
        "redis": asyncio.run(measured(SharedBuckets(options.redis, 5.0), options.calls)),
    }
    if options.json:
        print(json.dumps(report))
        return
    for name, row in report.items():
        print(
            f"a quota in {name}: p50 {row['p50_us']:.0f} µs, p95 {row['p95_us']:.0f} µs, "
            f"{row['at_once_per_second']:,.0f} calls per second with {AT_ONCE} at once"
        )


if __name__ == "__main__":
    main()
