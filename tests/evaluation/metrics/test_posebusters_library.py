"""Our verdicts are those of the library's own `bust`, test by test, on real molecules: of QM9, noisy and grown."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from atomweave import read
from atomweave.chemistry.bonds import perceive
from atomweave.evaluation.metrics.posebusters import PoseBusters
from atomweave.evaluation.metrics.posebusters_checks import ENERGY, INTERNAL_ENERGY, PACKAGED, RATIO, THESIS
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import assess
from atomweave.molecule import Molecule

REAL = Path(__file__).with_name("posebusters_molecules.xyz")

BUST = """
import json, logging, sys, warnings
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
from posebusters import PoseBusters
from rdkit import Chem
config, binaries = json.load(sys.stdin)
table = PoseBusters(config=config).bust([Chem.Mol(bytes.fromhex(binary)) for binary in binaries])
print(json.dumps([[None if value != value else bool(value) for value in row] for row in table.values.tolist()]))
"""
"""In a process of its own, for importing PoseBusters redirects RDKit's messages."""


@pytest.fixture(scope="module")
def molecules():
    """32 molecules, and 12 of them shaken by 0.05 and by 0.1 Å; the valid ones only."""
    found = list(read(REAL))
    rng = np.random.default_rng(2)
    for width in (0.05, 0.1):
        shaken = found[2:14]
        found += [Molecule(one.numbers, one.positions + rng.normal(0, width, (len(one), 3))) for one in shaken]
    return [one for one in found if perceive(one).valid]


def bust(config, checks, molecules):
    """Return what the library says: one row a molecule, our name of a test -> verdict."""
    binaries = [perceive(one).binary.hex() for one in molecules]
    said = subprocess.run(
        [sys.executable, "-c", BUST], input=json.dumps([config, binaries]), capture_output=True, text=True, check=True
    )
    tests = [test for check in checks for test in check.outputs if test != RATIO]
    return [dict(zip(tests, row, strict=True)) for row in json.loads(said.stdout)]


def configuration(checks):
    """Return checks as the library takes them."""
    modules = []
    for check in checks:
        outputs = [output for test, output in check.outputs.items() if test != RATIO]
        module = {"name": " ".join(check.outputs), "function": check.function, "parameters": dict(check.parameters)}
        modules.append({**module, "chosen_binary_test_output": outputs})
    return {"modules": modules}


def ours(metric, molecules):
    """Return the same by the metric, with what has no verdict as None."""
    sample = Sample("real", tuple(assess(molecules, workers=1)))
    columns = metric.measure(sample, Reference()).columns
    without = columns[f"{metric.name}/without_verdict"]
    tests = [name.removeprefix(f"{metric.name}/") for name in columns]
    return [
        {test: None if f"{test}:" in (without[row] or "") else columns[f"{metric.name}/{test}"][row] for test in tests}
        for row in range(len(sample))
    ]


@pytest.mark.parametrize(
    ("metric", "config", "checks"),
    [
        (PoseBusters(energies=0, workers=1), configuration(THESIS), THESIS),
        (PoseBusters("packaged", energies=0, workers=1), "mol_fast", PACKAGED),  # `mol` without the energy
    ],
    ids=["thesis", "packaged"],
)
def test_verdicts_without_the_energy_are_those_of_bust(molecules, metric, config, checks):
    assert len(molecules) >= 40
    theirs, found = bust(config, checks, molecules), ours(metric, molecules)
    for one, expected in zip(found, theirs, strict=True):
        assert {test: one[test] for test in expected} == expected
    fails = {test for expected in theirs for test, verdict in expected.items() if verdict is False}
    assert {"bond_lengths", "aromatic_flatness", "double_bond_flatness", "steric_clash"} <= fails


def test_verdicts_on_the_energy_are_those_of_bust_where_there_are_no_conformers_too():
    some = [one for one in read(REAL) if len(one) <= 14][:4]
    theirs = bust(configuration((INTERNAL_ENERGY,)), (INTERNAL_ENERGY,), some)
    found = ours(PoseBusters(energies=None, workers=1), some)
    assert [one[ENERGY] for one in found] == [one[ENERGY] for one in theirs]
    assert {one[ENERGY] for one in theirs} == {True, None}


def test_the_packaged_thresholds_are_those_of_the_installed_configuration():
    """Fails when PoseBusters changes them; ours then stay, under a name with the version they come from."""
    text = importlib.resources.files("posebusters").joinpath("config/mol.yml").read_text(encoding="utf-8")
    theirs = [
        (module["function"], set(module.get("chosen_binary_test_output", [])), module.get("parameters", {}))
        for module in yaml.safe_load(text)["modules"]
        if "chosen_binary_test_output" in module  # the first of the two energy ratios has none
    ]
    for check, (function, outputs, parameters) in zip([*PACKAGED, INTERNAL_ENERGY], theirs, strict=True):
        assert check.function == function
        assert outputs <= set(check.outputs.values())
        assert {name: check.parameters[name] for name in parameters} == parameters
