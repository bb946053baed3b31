"""Measure what the page of results shows, and write the page.

    python benchmarks/results measure quality symphony-qm9 -n 10000 --seed 1
    python benchmarks/results keep discovery runs/gap
    python benchmarks/results record speed-startup benchmarks/startup.py
    python benchmarks/results write

These leave records in docs/results/, one JSON object a line. `keep discovery` takes what a run of `atomweave discover`
found, `record` the lines that another benchmark prints, as `python benchmarks/startup.py >
docs/results/speed-startup.json` would, but all of them or none.
`write` measures nothing: it makes docs/results.md from the records, the published figures and docs/results/notes.md,
and what was not measured says so there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where `results` and `harness` are found

from atomweave.errors import AtomweaveError
from results.discovery_section import keep_discovery
from results.page import write_page
from results.records import RESULTS, run_benchmark


def main() -> int:
    """Run one of the verbs; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    measure = verbs.add_parser("measure", help="grow and judge molecules").add_subparsers(required=True, metavar="WHAT")
    quality = measure.add_parser("quality", help="every metric of the evaluator, molecules a second")
    quality.add_argument("model", help="weights that ship, e.g. symphony-qm9, or a weights file")
    quality.add_argument("-n", "--molecules", type=int, default=10_000, help="attempts (default 10000)")
    quality.add_argument("--seed", type=int, default=1, help="another than any that chose the weights (default 1)")
    quality.add_argument("--start", default="data", help="first atom: data (default) or an element such as H")
    quality.add_argument("--temperatures", default="own", help="as `atomweave sample` takes it: own or published")
    quality.add_argument("--focus-temperature", type=float, default=1.0)
    quality.add_argument("--position-temperature", type=float, default=1.0)
    quality.add_argument("--tempering", default="exact", choices=("exact", "coefficients"))
    quality.add_argument("--max-atoms", type=int, default=35)
    quality.add_argument("--workers", type=int, help="processes (default: one a CPU)")
    quality.add_argument("--device", default="cpu")
    quality.add_argument("--samples", type=Path, help="judge these, grown before with the settings given")
    quality.add_argument("--reference", default="qm9", help="as `atomweave evaluate` takes it (default qm9)")
    quality.add_argument("--suite", default="full", help="as `atomweave evaluate` takes it (default full)")
    quality.add_argument("-o", "--out", type=Path, help="record (default docs/results/quality-MODEL.json)")
    quality.set_defaults(run=_measure_quality)
    keep = verbs.add_parser("keep", help="keep what a run found").add_subparsers(required=True, metavar="WHAT")
    found = keep.add_parser("discovery", help="the summary of a run of `atomweave discover`")
    found.add_argument("folder", type=Path, help="of the run")
    found.add_argument("-o", "--out", type=Path, help="record (default docs/results/discovery-MODEL-TARGET.json)")
    found.set_defaults(run=lambda options: keep_discovery(options.folder, options.out))
    record = verbs.add_parser("record", help="run a benchmark and keep what it prints")
    record.add_argument("name", help="of the record: docs/results/NAME.json")
    record.add_argument("script", type=Path)
    record.add_argument("arguments", nargs=argparse.REMAINDER, help="of the script")
    record.set_defaults(run=lambda o: run_benchmark(o.script, o.arguments, RESULTS / f"{o.name}.json"))
    write = verbs.add_parser("write", help="make the page and its plots from what was measured")
    write.add_argument("--results", type=Path, default=RESULTS, help="the folder of the records")
    write.add_argument("-o", "--out", type=Path, help="the page (default: beside that folder, of the same name)")
    write.set_defaults(run=lambda options: write_page(options.results, options.out))
    options = parser.parse_args()
    try:
        options.run(options)
    except AtomweaveError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def _measure_quality(options: argparse.Namespace) -> None:
    from results.quality import measure_quality

    measure_quality(options)


if __name__ == "__main__":
    sys.exit(main())
