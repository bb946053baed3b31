"""Run the reliability checks (tests/reliability) at their large size and write docs/reliability.md.

    python scripts/count_reliability.py                        all of them; takes hours
    python scripts/count_reliability.py NAME ...               these only; the others keep what they counted before
    python scripts/count_reliability.py --share 0.1 NAME ...   a tenth of the large size
    python scripts/count_reliability.py --write                nothing but the page anew

What was counted is kept in docs/reliability/NAME.json. Exit status 1 if a check counted a failure.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reliability.counts import Check, all_checks  # noqa: E402 - tests are no package that is installed

RECORDS = ROOT / "docs" / "reliability"
PAGE = ROOT / "docs" / "reliability.md"
COLUMNS = "| what holds | cases | failures | beside | measured |"
HEAD = """# Reliability

This page is made by `make reliability` from the counts in [reliability](reliability); do not edit it, edit the
checks in `tests/reliability`. The same checks run at a smaller size in `make test`. A count names its seed and the
commit it was measured at.
"""


def main() -> None:
    checks = {check.name: check for check in all_checks()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(checks)}; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="of the large size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the page from the records, run nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in checks]:
        parser.error(f"there is no check {', '.join(unknown)}; known: {', '.join(checks)}")
    chosen = [] if options.write else [checks[name] for name in options.names or checks]
    RECORDS.mkdir(exist_ok=True)
    for check in chosen:
        record = measure(check, max(1, round(options.share * check.large)), options.seed)
        (RECORDS / f"{check.name}.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    records = {path.stem: json.loads(path.read_text()) for path in RECORDS.glob("*.json")}
    PAGE.write_text(page(list(checks.values()), records))
    if any(records[check.name]["failures"] for check in chosen):
        sys.exit(1)


def measure(check: Check, size: int, seed: int) -> dict[str, Any]:
    """Run a check, print its line and return its record."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{check.name}-") as folder:
        count = check.run(size, seed, Path(folder))
    print(check.line(count), flush=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return check.record(count) | {
        "seed": seed,
        "seconds": round(time.monotonic() - start),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
    }


def page(checks: list[Check], records: dict[str, Any]) -> str:
    """Return the page: a table a module, a row a check."""
    lines, section = [HEAD], ""
    for check in checks:
        if check.section != section:
            section = check.section
            lines += [
                f"## {section}",
                "",
                "| what holds | cases | failures | beside | measured |",
                "|---|---|---|---|---|",
            ]
        record = records.get(check.name)
        lines.append(f"| {check.claim} | {' | '.join(cells(check, record))} |")
        if check is checks[-1] or checks[checks.index(check) + 1].section != section:
            lines.append("")
    return "\n".join(lines)


def cells(check: Check, record: dict[str, Any] | None) -> list[str]:
    """Return what the page says beside a claim."""
    if record is None:
        return [f"not yet measured (wanted: {check.large:,} {check.unit})", "", "", ""]
    notes = "; ".join(f"{name}: {value:,}" if isinstance(value, int | float) else f"{name}: {value}"
                      for name, value in record["notes"].items())  # fmt: skip
    measured = f"{record['date']}, {record['commit']}, seed {record['seed']}, {record['seconds']:,} s"
    wanted = f" (wanted: {check.large:,})" if record["n"] < check.large else ""
    return [f"{record['n']:,} {record['unit']}{wanted}", f"{record['failures']:,}", notes, measured]


if __name__ == "__main__":
    main()
