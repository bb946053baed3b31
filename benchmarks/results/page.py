"""docs/results.md: its sections in order, from records, published figures and the notes."""

from __future__ import annotations

from pathlib import Path

from atomweave.files import write_atomic

from .discovery_section import discovery
from .gspherenet_section import gspherenet
from .quality_section import other_data, where_we_stand
from .records import read_records
from .scaling_section import draw_scaling, scaling
from .speed_section import speed, throughput

HEAD = """# Results

This page is made by `make results` from the records in [results](results/notes.md); do not edit it, edit those or
`benchmarks/results`. What was not measured says so."""

HOW = """## What is measured, and how

- [metrics.md](metrics.md) defines every figure, its denominator and its interval. Every attempt counts: unfinished,
  timed-out and crashed molecules are invalid.
- xyz2mol validity uses the connectivity of RDKit 2023.3, with which the published figures were made; later releases by
  themselves give 94.7 % on QM9. Nobody's published sample files were judged again for these tables.
- Look-up stability and validity use EDM's table of bond lengths. Open Babel validity depends on its version, which
  stands under "How ours were made".
- Costly figures are of random molecules, as many as the table counts: PoseBusters' energies, relaxations, bispectra.
- "From any atom" starts a molecule with the element of any of its atoms, as in the data. Starting from H alone, as the
  published Symphony does, weights molecules by their share of hydrogen, so the two are not quite one distribution.
- Uniqueness falls with the number of molecules; compare it at equal numbers.
- Lower temperatures buy validity with uniqueness, so temperatures stand with each figure{curve}.
- Speeds swing by a factor of two on a shared machine: the rate of float32 matrix products (1024 × 1024), measured right
  after the figure, tells a slow program from a slow moment."""

CURVE = "; the whole curve is in\n  [this figure](figures/shipped_figures.svg) (`examples/shipped_figures.py`)"

NOT_WRITTEN = "Nothing has been noted yet."


def render(results: Path) -> str:
    """Return the page that the records in a folder give; figures are looked for in `figures` beside it."""
    records = read_records(results)
    notes = results / "notes.md"
    curve = CURVE if (results.parent / "figures" / "shipped_figures.svg").exists() else ""
    sections = [
        HEAD,
        where_we_stand(records),
        other_data(records),
        discovery(records),
        gspherenet(results.parent / "figures"),
        HOW.format(curve=curve),
        speed(records),
        throughput(records),
        scaling(records),
        "## What falls short, and why",
        notes.read_text(encoding="utf-8").strip() if notes.exists() else NOT_WRITTEN,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def write_page(results: Path, out: Path | None = None) -> None:
    """Write the page of a folder of records, by default beside it, and its figures into that folder."""
    page = render(results)
    draw_scaling(read_records(results), results)
    with write_atomic(out or results.with_suffix(".md")) as temporary:
        temporary.write_text(page, encoding="utf-8")
