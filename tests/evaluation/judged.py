"""Small evaluations made by hand, for tests of what is written of them."""

from __future__ import annotations

from atomweave.evaluation.evaluation import Evaluation, PublishedRow, Scored, Suite
from atomweave.evaluation.headline import summarise
from atomweave.evaluation.measure import number
from atomweave.evaluation.metric import Result
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import assess
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

HOSTILE = '=1+1"<script>\x1b[2J\n'
"""A formula, a quotation mark, a tag, an escape sequence that clears the screen, and a line break."""


def sample(name: str = "ours") -> Sample:
    """Six attempts: two strict, one valid in two parts, one invalid, one unfinished, one that came to nothing."""
    molecules: list[Molecule | None] = [
        worked.methane(), worked.benzene(), worked.methane_and_water(), worked.argon(), worked.water(), None,
    ]  # fmt: skip
    finished = [True, True, True, True, False, False]
    reasons = ["", "", "", "", "atom limit", "unreadable: unknown element"]
    labels = tuple(f"ours.xyz, frame {index}" for index in range(6))
    return Sample(name, tuple(assess(molecules, finished, reasons)), "ours.xyz", labels)


def evaluation(*samples: Sample, hostile: str = "") -> Evaluation:
    """Judge samples by the headline figures, and by a metric with scores of the first two attempts."""
    samples = samples or (sample(),)
    sets = []
    for one in samples:
        measures = summarise(one.verdicts).measures
        rough = number("rough", "roughness", 0.1234, 2, "valid", "Å", better="low", floor=0.05, note="of two")
        empty = number("empty", "nothing", float("nan"), 0, "valid")
        scores = {"score": [0.25, -1.5, *[None] * (len(one) - 2)], "passes": [True, False, *[None] * (len(one) - 2)]}
        results = {
            "headline": Result(measures),
            "rough": Result((rough, empty), {**scores, hostile or "told": [hostile or "C1"] * len(one)}),
            "other": Result((), {"score": [float("nan")] * len(one)}),
        }
        figures = {measure.name: measure for result in results.values() for measure in result.measures}
        sets.append(Scored(one.name, (one,), (results,), figures))
    published = PublishedRow("Symphony", "10,000 molecules", "thesis, table 5.1", {"valid": 0.835}, {"valid": 0.002})
    unused = PublishedRow("Other", "", "nowhere", {"nothing": 1.0})
    suite = Suite("core", "Core figures", (), ("valid", "unique", "rough", "empty"), (published, unused), "Read this.")
    reference = Reference("QM9", {"valid": 0.9999, "rough": 0.01}, n_molecules=130_831, data="abc")
    return Evaluation(tuple(sets), reference, (suite,), {"seconds": 1.5, "told": hostile}, {"rdkit": "2026.9"})
