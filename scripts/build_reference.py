"""Build the reference that ships, src/atomweave/evaluation/references/NAME.safetensors, from a store of QM9.

    python scripts/build_reference.py data/qm9.safetensors

It holds what every metric of suite `full` needs to compare samples with QM9, and QM9's own value of every figure:
costly ones of random molecules. Takes some twenty minutes on two cores.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from atomweave.cli.progress import progress
from atomweave.data.store import MoleculeStore
from atomweave.evaluation.building import PARTS, ReferenceData, Work, build_reference
from atomweave.evaluation.reference import SHIPPED
from atomweave.evaluation.suites import SUITES, Settings

NAME = "QM9"
SHIPPED_PARTS = PARTS | {"posebusters": 10_000, "posebusters_packaged": 10_000}
"""Molecules behind QM9's own values of costly metrics: more than a user would wait for."""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: build_reference.py STORE.safetensors")
    data = ReferenceData.of_store(MoleculeStore.open(sys.argv[1]), NAME)
    with contextlib.ExitStack() as bars:

        def show(title: str) -> Callable[[int, int], None]:
            bars.pop_all().close()
            print(title, file=sys.stderr)
            return bars.enter_context(progress(title, "molecules"))

        reference = build_reference(data, SUITES["full"](Settings()).metrics, Work(progress=show), SHIPPED_PARTS)
    path = SHIPPED / f"{NAME.lower()}.safetensors"
    path.parent.mkdir(exist_ok=True)
    reference.write(path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {len(reference.values)} figures of {NAME}.", file=sys.stderr)
    for name, value in sorted(reference.values.items()):
        print(f"{name}\t{value:.6g}\t{reference.totals[name]}")


if __name__ == "__main__":
    main()
