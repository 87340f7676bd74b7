"""Asks pip-audit about the exact versions in constraints.txt, and says whether it has an answer for each of them.

pip-audit alone ends well where its service cannot be asked: it calls each package "not found". `make audit` runs
this.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REPORT = Path("var/audit.json")


def verdict(report: dict[str, Any] | None) -> tuple[str, bool]:
    """What is to be told of a report of pip-audit, None if there is none, and whether all is well."""
    if report is None:
        return "dependencies are NOT audited: pip-audit did not reach its service", False
    asked = report["dependencies"]
    weak = [
        f"{one['name']} {one['version']}: {', '.join(w['id'] for w in one['vulns'])}"
        for one in asked
        if one.get("vulns")
    ]
    skipped = [one["name"] for one in asked if "skip_reason" in one]
    lines = [*weak]
    if skipped:
        lines.append(
            f"{len(skipped)} of {len(asked)} dependencies are NOT audited, such as {skipped[0]}: "
            "the service does not know them, or cannot be reached"
        )
    return "\n".join(lines) or f"{len(asked)} dependencies have no known weaknesses", not lines


def main() -> None:
    """Ask, and tell."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    command = ["-r", "constraints.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *command, "-o", str(REPORT)], check=False, capture_output=True, text=True
    )
    told, well = verdict(json.loads(REPORT.read_text()) if REPORT.is_file() else None)
    if not REPORT.is_file():
        print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
    print(told, file=sys.stdout if well else sys.stderr)
    sys.exit(not well)


if __name__ == "__main__":
    main()
