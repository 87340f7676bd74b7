"""All benchmarks, one after the other: `python -m benchmarks`, or some: `python -m benchmarks space store`."""

import subprocess
import sys

ALL = (
    "space",
    "languages",
    "photographs",
    "copies",
    "feedback",
    "relevance",
    "hybrid",
    "decoding",
    "store",
    "indexing",
    "recommend",
    "candidates",
    "service",
    "overload",
    "http",
    "quotas",
    "command",
    "client",
    "events",
    "rerank",
    "ml100k",
    "private",
    "small",
    "learning",
    "projection",
    "studio",
    "points",
    "recovery",
    "backup",
)


def main() -> int:
    """Run the benchmarks that are named, or all. Returns how many failed."""
    failed = 0
    for name in sys.argv[1:] or ALL:
        print(f"== {name}", flush=True)
        failed += bool(subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    return failed


if __name__ == "__main__":
    sys.exit(main())
