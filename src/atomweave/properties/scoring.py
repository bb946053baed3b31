"""Properties of many molecules: each is calculated once, stored when it is there, and has its row whatever happens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..chemistry.atoms_frame import pack_atoms
from ..errors import IncompleteError, UsageError
from ..isolation import Failure
from ..molecule import Molecule, charge_of
from ..training.interrupts import Interrupts
from ..versions import installed_versions
from .calculate import Calculation
from .calculation_task import unpack
from .executors import Executor, LocalExecutor, default_limits
from .methods import QM9_LEVEL, Method, check_properties, parse_method, relaxing_method
from .reasons import CHARGED
from .results import Entry, Results, geometry_hash

if TYPE_CHECKING:
    import numpy as np

DECIDING = ("atomweave", "numpy", "pyscf", "tblite")


@dataclass(frozen=True, eq=False)
class Score:
    """What is known of one molecule.

    Attributes:
        values: property -> number, in the units of `methods.PROPERTIES`; without those that could not be had.
        reason: why one is missing; empty if none is.
        relaxed: the molecule at its minimum, where that was asked for and found.
        seconds: of wall-clock time that the calculations took, now or earlier.
        cached: whether all was known before.
        detail: the particulars of the reason.
    """

    values: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    relaxed: Molecule | None = None
    seconds: float = 0.0
    cached: bool = False
    detail: str = ""


def score(
    molecules: Sequence[Molecule],
    properties: Sequence[str],
    method: str | Method = QM9_LEVEL,
    *,
    relax: bool | str | Method = False,
    results: str | Path | Results | None = None,
    executor: Executor | None = None,
    retry: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Calculate properties of molecules in worker processes, each molecule once.

    Only neutral molecules with paired electrons have properties here; all others get the reason: a `charge` among a
    molecule's properties, an odd number of electrons, radicals by their bonds (xyz2mol).

    Args:
        molecules: what to score.
        properties: some of `methods.PROPERTIES`, e.g. ["gap", "energy"].
        method: name, e.g. "b3lyp/6-31g(2df,p)" (QM9's own level) or "gfn2-xtb".
        relax: score the nearest minimum instead: of the method itself (True) or of another one by name.
        results: file of results; what it knows is not calculated again, what is calculated is stored as it comes. Only
            in memory by default.
        executor: what calculates; by default one process for each CPU of this machine.
        retry: calculate again what failed for want of time or memory, or by a crash; by default only if the limits
            have grown since.
        progress: called with (done, total), counting what is calculated now.

    Returns:
        One score a molecule, in order.

    Raises:
        UsageError: if there is no such property or method.
        IncompleteError: after Ctrl-C or SIGTERM; what is done by then is stored.
        InputError: if the results are in use by another process.
        RefusedFileError: if the file of results is damaged or something else.
    """
    method = parse_method(method) if isinstance(method, str) else method
    if parse_method(method.name).digest != method.digest:
        raise UsageError(f"method {method.name}: its settings are not those of its name, by which workers know it.")
    properties = tuple(dict.fromkeys(properties))
    check_properties(properties, method)
    relaxing = relaxing_method(relax, method)
    executor = executor or LocalExecutor(default_limits(method, relaxing))
    interrupts = Interrupts()
    with ExitStack() as stack:
        stack.enter_context(interrupts.listening())
        store = results if isinstance(results, Results) else stack.enter_context(Results(results))
        run = _Run(molecules, properties, method, relaxing, store, executor, retry)
        with interrupts.at_once():
            run.plan()
        run.calculate(lambda: interrupts.asked, progress)
        if interrupts.asked:
            where = f" {store.shown} keeps what was calculated: run it again to go on." if store.path else ""
            raise IncompleteError(f"interrupted with {run.n_done} of {run.n_missing} molecules calculated.{where}")
        return [run.score_of(index) for index in range(len(molecules))]


class _Run:
    """One call of `score`: what is missing, who calculates it, what is known in the end."""

    def __init__(
        self,
        molecules: Sequence[Molecule],
        properties: tuple[str, ...],
        method: Method,
        relaxing: Method | None,
        store: Results,
        executor: Executor,
        retry: bool,
    ) -> None:
        self.molecules, self.properties, self.method, self.relaxing = molecules, properties, method, relaxing
        self.store, self.executor, self.retry = store, executor, retry
        self.level = store.level(method, relaxing)
        self.versions = installed_versions(DECIDING)
        self.hashes = [geometry_hash(molecule.numbers, molecule.positions) for molecule in molecules]
        # What is to be calculated together, and whether at a minimum that is known -> molecules, one a geometry.
        self.groups: dict[tuple[tuple[str, ...], bool], list[int]] = defaultdict(list)
        self.fresh: set[bytes] = set()
        self.n_done = 0

    @property
    def n_missing(self) -> int:
        """How many geometries have something to be calculated."""
        return sum(map(len, self.groups.values()))

    def plan(self) -> None:
        """Find what is missing."""
        seen: set[bytes] = set()
        for index, geometry in enumerate(self.hashes):
            if geometry in seen or charge_of(self.molecules[index]):
                continue
            seen.add(geometry)
            if names := self._missing(self.store.find(geometry, self.level)):
                at_minimum = self.relaxing is not None and self.store.minimum(geometry, self.level) is not None
                self.groups[names, at_minimum].append(index)

    def calculate(self, stop: Callable[[], bool], progress: Callable[[int, int], None] | None) -> None:
        """Have the missing calculated and store each answer as it comes."""
        if not self.groups:
            return
        with self.executor.connected() as executor:
            for (names, at_minimum), indexes in self.groups.items():
                relax: bool | str = False if at_minimum or self.relaxing is None else self.relaxing.name
                options: dict[str, Any] = {"properties": names, "method": self.method.name, "relax": relax}

                def keep(index: int, answer: bytes | Failure, names: tuple[str, ...] = names) -> None:
                    if isinstance(answer, Failure):
                        self._store(index, names, Calculation(reason=answer.reason), answer.detail)
                    else:
                        self._store(index, names, unpack(answer))
                    self.n_done += 1
                    if progress is not None:
                        progress(self.n_done, self.n_missing)

                if not stop():
                    executor.run("property", self._requests(indexes, at_minimum), options, keep, stop)

    def score_of(self, index: int) -> Score:
        """Return what is known of a molecule in the end."""
        molecule, geometry = self.molecules[index], self.hashes[index]
        if charge_of(molecule):
            return Score(reason=CHARGED)
        found = self.store.find(geometry, self.level)
        entries = {name: found[name] for name in self.properties}
        values = {name: entry.value for name, entry in entries.items() if entry.value is not None}
        failed = next((entry for entry in entries.values() if entry.value is None), None)
        minimum = self.store.minimum(geometry, self.level) if self.relaxing is not None else None
        return Score(
            values,
            failed.reason if failed else "",
            None if minimum is None else Molecule(molecule.numbers, minimum, molecule.properties),
            sum({entry.calculation: entry.seconds for entry in entries.values()}.values()),
            geometry not in self.fresh,
            failed.detail if failed else "",
        )

    def _missing(self, known: dict[str, Entry]) -> tuple[str, ...]:
        without = frozenset(name for name in self.properties if name not in known or known[name].value is None)
        limits = self.executor.limits
        return tuple(
            name
            for name in self.properties
            if name not in known or not known[name].stands(without, limits, retry=self.retry)
        )

    def _requests(self, indexes: list[int], at_minimum: bool) -> Iterator[tuple[int, bytes]]:
        # A generator is drawn from by other threads, which must not touch the database: minima are read here.
        minima: dict[int, np.ndarray | None] = {
            index: self.store.minimum(self.hashes[index], self.level) for index in indexes if at_minimum
        }
        molecules = self.molecules

        def pack() -> Iterator[tuple[int, bytes]]:
            for index in indexes:
                minimum = minima.get(index)
                positions = molecules[index].positions if minimum is None else minimum
                yield index, pack_atoms(molecules[index].numbers, positions)

        return pack()

    def _store(self, index: int, names: tuple[str, ...], found: Calculation, detail: str = "") -> None:
        geometry = self.hashes[index]
        self.store.store(
            geometry, self.level, names, found, self.executor.limits, detail=detail, versions=self.versions
        )
        self.fresh.add(geometry)
