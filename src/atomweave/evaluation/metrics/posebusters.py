"""PoseBusters: do bonds, angles, rings, contacts and the energy of a molecule look like those of a real one?

M. Buttenschoen, G. M. Morris, C. M. Deane, Chem. Sci. 15, 3130 (2024), by their own library. Tested are the
xyz2mol-valid attempts; shares are given over those, as published, and over all attempts, where an invalid one fails.
What brings no verdict (an energy without conformers, a time-out, a crash) counts as a failure, and the note of the
measure says how many those were.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import UsageError, did_you_mean
from ...isolation import Failure, run_isolated
from ..measure import Measure, share
from ..metric import Result, Statistics
from .posebusters_checks import ENERGY, INTERNAL_ENERGY, LABELS, RATIO, SUITES, Check, names_of_tests
from .posebusters_task import require_posebusters

if TYPE_CHECKING:
    from ..reference import Reference
    from ..sample import Sample

NO_VERDICT = "no verdict"
ALL, ALL_WITH_ENERGY = "all_pass", "all_pass_with_energy"
ROWS = {**LABELS, ALL: "all tests but the energy", ALL_WITH_ENERGY: "all tests"}

Outcome = bool | str
"""Of one test on one molecule: passed, failed, or a reason why there is no verdict."""

Finding = Mapping[str, Any] | Failure
"""What a worker found for one molecule: name of a test or number -> value, None where PoseBusters gave none."""


@dataclass(frozen=True)
class PoseBusters:
    """Share of molecules that pass each test, and all of them.

    Attributes:
        thresholds: "thesis": the seven tests of the Symphony thesis, table 5.2, with the thresholds of its table E.1;
            "packaged": configuration `mol` of PoseBusters 0.6.5.
        energies: how many valid molecules, drawn at random, get the energy test, which relaxes 50 conformers of each
            and takes some 0.4 s; None for all, 0 for none. It is the same test under either thresholds.
        seed: of that draw.
        workers: processes; by default one for each CPU this process may use, fewer if there is little to do.
        timeout: seconds of wall-clock time for one molecule, without the energy.
        energy_timeout: the same for the energy.
    """

    thresholds: Literal["thesis", "packaged"] = "thesis"
    energies: int | None = 1_000
    seed: int = 0
    workers: int | None = None
    timeout: float = 30.0
    energy_timeout: float = 180.0

    def __post_init__(self) -> None:
        if self.thresholds not in SUITES:
            raise UsageError(f"PoseBusters: no thresholds {self.thresholds!r}; {did_you_mean(self.thresholds, SUITES)}")
        if self.energies is not None and self.energies < 0:
            raise UsageError(f"PoseBusters: got energies={self.energies}, wanted 0 or more, or None for all molecules.")

    @property
    def name(self) -> str:
        """Key of the metric, with which its measures begin."""
        return "posebusters" if self.thresholds == "thesis" else "posebusters_packaged"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the share that passes each test, over the valid and over all attempts; `reference` is not needed.

        Raises:
            MissingDependencyError: if PoseBusters or RDKit is not installed.
        """
        require_posebusters()
        checks = SUITES[self.thresholds]
        findings = self._findings(sample, sample.valid, checks, "PoseBusters")
        outcomes = {test: [outcome(finding, test) for finding in findings] for test in names_of_tests(checks)}
        everyone = Pool(sample.valid, len(sample))
        pools = dict.fromkeys([*outcomes, ALL], everyone)
        outcomes[ALL] = [together(each) for each in zip(*outcomes.values(), strict=True)]
        ratios: list[float | None] = []

        if self.energies != 0:
            pool = draw(sample.valid, len(sample), self.energies, self.seed)
            findings = self._findings(sample, pool.tested, (INTERNAL_ENERGY,), "PoseBusters, energies")
            outcomes[ENERGY] = [outcome(finding, ENERGY) for finding in findings]
            others = [outcomes[ALL][index] for index in np.searchsorted(sample.valid, pool.tested)]
            outcomes[ALL_WITH_ENERGY] = [together(each) for each in zip(others, outcomes[ENERGY], strict=True)]
            pools[ENERGY] = pools[ALL_WITH_ENERGY] = pool
            ratios = [None if isinstance(finding, Failure) else finding[RATIO] for finding in findings]

        rows = [row for row in ROWS if row in outcomes]
        measures = [measure for row in rows for measure in _shares(self.name, row, outcomes[row], pools[row])]
        columns = {row: sample.over_valid([one is True for one in outcomes[row]], pools[row].tested) for row in rows}
        if ENERGY in outcomes:
            columns[RATIO] = sample.over_valid(ratios, pools[ENERGY].tested)
        columns["without_verdict"] = _without_verdict(sample, outcomes, pools)
        # The valid first, as published; then the same over all attempts.
        measures.sort(key=lambda measure: measure.of != "valid")
        return Result(tuple(measures), {f"{self.name}/{column}": values for column, values in columns.items()})

    def describe(self, sample: Sample) -> Statistics:
        """Return nothing: the reference data's own values are all there is to compare with."""
        return Statistics()

    def _findings(self, sample: Sample, attempts: np.ndarray, checks: Sequence[Check], title: str) -> list[Finding]:
        """Run checks in workers on some of the valid attempts (n,)."""
        perceptions = [sample.verdicts[index].perception for index in attempts.tolist()]
        requests = [perception.binary for perception in perceptions if perception is not None]
        slow = INTERNAL_ENERGY in checks
        answers = run_isolated(
            "posebusters",
            requests,
            options={"checks": [check.as_options() for check in checks]},
            workers=self.workers,
            timeout=self.energy_timeout if slow else self.timeout,
            chunk=4 if slow else 32,  # a few seconds' work at most, so that the bar moves and all workers end together
            min_per_worker=8 if slow else 100,
            progress=sample.showing(title) if requests else None,
        )
        return [answer if isinstance(answer, Failure) else json.loads(answer) for answer in answers]


@dataclass(frozen=True, eq=False)
class Pool:
    """Whom a test is asked of.

    Attributes:
        tested: (n_tested,) int64, attempts, all of them valid, ascending.
        n_attempts: attempts among which those are all that are valid.
        seed: of the draw, None if nothing was drawn: all valid attempts are tested.
    """

    tested: np.ndarray
    n_attempts: int
    seed: int | None = None


def draw(valid: np.ndarray, n_attempts: int, n_wanted: int | None, seed: int) -> Pool:
    """Draw attempts in random order until `n_wanted` valid ones are found.

    The attempts drawn on the way are a random subset too, so a share over them stands for one over all attempts.

    Args:
        valid: (n_valid,) indices of the valid attempts.
        n_attempts: number of attempts.
        n_wanted: None for all.
        seed: of the random order.
    """
    if n_wanted is None or n_wanted >= len(valid):
        return Pool(valid, n_attempts)
    order = np.random.default_rng(seed).permutation(n_attempts)
    found = np.isin(order, valid)
    n_drawn = int(np.searchsorted(np.cumsum(found), n_wanted)) + 1
    return Pool(np.sort(order[:n_drawn][found[:n_drawn]]), n_drawn, seed)


def outcome(finding: Finding, test: str) -> Outcome:
    """Return the outcome of one test."""
    if isinstance(finding, Failure):
        return finding.reason
    verdict = finding[test]
    return NO_VERDICT if verdict is None else bool(verdict)


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of several tests at once: one failure decides, then one missing verdict."""
    if any(one is False for one in outcomes):
        return False
    return next((one for one in outcomes if one is not True), True)


def _shares(metric: str, row: str, outcomes: Sequence[Outcome], pool: Pool) -> tuple[Measure, Measure]:
    """Return the share of one row over the valid and over all attempts."""
    n_passed = sum(one is True for one in outcomes)
    without = Counter(one for one in outcomes if isinstance(one, str))
    missing = ""
    if without:
        reasons = ", ".join(f"{reason}: {n:,}" for reason, n in without.most_common())
        missing = f"{without.total():,} without a verdict count as failures ({reasons})"
    n_valid = len(pool.tested)
    drawn = among = ""
    if pool.seed is not None:
        drawn = f"a random {n_valid:,} of the valid (seed {pool.seed})"
        among = f"a random {pool.n_attempts:,} of the attempts, {n_valid:,} of them valid (seed {pool.seed})"
    label = ROWS[row]
    return (
        share(f"{metric}/{row}", label, n_passed, n_valid, "valid", better="high", note=_joined(drawn, missing)),
        share(
            f"{metric}_all/{row}",
            label,
            n_passed,
            pool.n_attempts,
            "attempts",
            better="high",
            note=_joined(among, missing),
        ),
    )


def _joined(*clauses: str) -> str:
    return "; ".join(filter(None, clauses))


def _without_verdict(
    sample: Sample, outcomes: Mapping[str, Sequence[Outcome]], pools: Mapping[str, Pool]
) -> list[object]:
    """Return a column that says which tests of an attempt have no verdict and why; None where all have one."""
    column: list[object] = [None] * len(sample)
    for test in LABELS:
        if test in outcomes:
            for attempt, one in zip(pools[test].tested.tolist(), outcomes[test], strict=True):
                if isinstance(one, str):
                    column[attempt] = _joined(str(column[attempt] or ""), f"{test}: {one}")
    return column
