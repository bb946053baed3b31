from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from atomweave.errors import MissingDependencyError, UsageError
from atomweave.properties.methods import (
    NAMED,
    PROPERTIES,
    QM9_LEVEL,
    check_properties,
    parse_method,
    relaxing_method,
)


@pytest.mark.parametrize(
    ("text", "name", "functional", "basis"),
    [
        ("B3LYP/6-31G(2df,p)", QM9_LEVEL, "b3lyp", "6-31g(2df,p)"),
        (" b3lyp / 6-31g(2df, p)", QM9_LEVEL, "b3lyp", "6-31g(2df,p)"),
        ("b3lyp/pyscf-6-31g(2df,p)", "b3lyp/pyscf-6-31g(2df,p)", "b3lyp", "pyscf-6-31g(2df,p)"),
        ("PBE0/def2-SVP", "pbe0/def2-svp", "pbe0", "def2-svp"),
        ("pbe0/pyscf-def2-svp", "pbe0/def2-svp", "pbe0", "def2-svp"),
        ("hf/6-31g(2df,p)", "hf/6-31g(2df,p)", "hf", "6-31g(2df,p)"),
        ("GFN2-xTB", "gfn2-xtb", "", ""),
    ],
)
def test_names_are_understood(text, name, functional, basis):
    method = parse_method(text)
    assert (method.name, method.functional, method.basis) == (name, functional, basis)
    assert method.program == ("pyscf" if functional else "tblite")
    assert parse_method(method.name) == method
    assert set(method.properties) <= set(PROPERTIES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b3lyp", "wanted functional/basis or gfn2-xtb, Known: b3lyp/6-31g"),
        ("gfn1-xtb", "did you mean 'gfn2-xtb'"),
        ("b3lip/6-31g", "functional 'b3lip'; did you mean 'b3lyp'"),
        ("b3lyp/6-31gg", "basis '6-31gg'; did you mean '631g'"),
        ("/6-31g", "no functional ''"),
        ("b3lyp/", "no basis ''"),
        ("wb97x-d/sto-3g", "dispersion"),
        ("wb97m-v/sto-3g", "dispersion"),
        ("b3lyp-d3bj/sto-3g", "dispersion"),
    ],
)
def test_names_that_mean_nothing_are_refused(text, words):
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        parse_method(text)


def test_named_methods_need_no_pyscf_to_be_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscf.dft", None)
    assert [parse_method(name).name for name in NAMED] == list(NAMED)
    with pytest.raises(MissingDependencyError, match=r"atomweave\[qc\]"):
        parse_method("pbe0/def2-svp")


def test_a_digest_changes_with_whatever_changes_a_number():
    methods = [parse_method(name) for name in (*NAMED, "pbe0/def2-svp")]
    finer = replace(methods[0], settings={**methods[0].settings, "grid_level": 4})
    digests = {method.digest for method in [*methods, finer]}
    assert len(digests) == len(methods) + 1
    assert parse_method(QM9_LEVEL.upper()).digest == methods[0].digest


def test_what_relaxes():
    method = parse_method(QM9_LEVEL)
    assert relaxing_method(False, method) is None
    assert relaxing_method(True, method) is method
    assert relaxing_method("gfn2-xtb", method).name == "gfn2-xtb"
    with pytest.raises(UsageError, match="mmff"):
        relaxing_method("mmff", method)


def test_properties_are_checked():
    method = parse_method("gfn2-xtb")
    check_properties(["gap", "homo"], method)
    with pytest.raises(UsageError, match="did you mean 'polarizability'"):
        check_properties(["polarisability"], method)
    with pytest.raises(UsageError, match="no property"):
        check_properties([], method)
