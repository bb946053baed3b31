"""What can be calculated and how: properties with their units, and methods by name.

A method's name is `functional/basis` for density functional theory (PySCF) or `gfn2-xtb` (tblite). The basis
`6-31g(2df,p)` is the one QM9 was made with, Cartesian d beside pure f functions (`mixed_basis`); PySCF's packaged basis
of that name is another one and is called `pyscf-6-31g(2df,p)`. All other bases are PySCF's.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import MissingDependencyError, UsageError, did_you_mean

SCHEMA = 1
"""Raised when the code changes a number: results stored under an older one are calculated anew."""

QM9_BASIS = "6-31g(2df,p)"
QM9_LEVEL = f"b3lyp/{QM9_BASIS}"
PACKAGED = "pyscf-"
XTB = "gfn2-xtb"

NAMED = (QM9_LEVEL, f"b3lyp/{PACKAGED}{QM9_BASIS}", XTB)
"""Methods that an error message offers."""

SEMILOCAL_REMAINDER = re.compile(r"(-d\d?[a-z]*|-v|_v)$")
"""Ends of functionals that are defined with a dispersion term, which is left out by PySCF alone."""

Setting = float | int | str
Program = Literal["pyscf", "tblite"]


@dataclass(frozen=True)
class Property:
    """One number of a molecule.

    Attributes:
        name: as `--property` takes it.
        unit: that its values have.
        words: what it is.
        read: of a property that was added: program -> what takes the number from its result, which is a `field.Field`
            of PySCF and tblite's own `Result`. Empty where the program's own module knows the property.
    """

    name: str
    unit: str
    words: str
    read: Mapping[Program, Callable[[Any], float]] = field(default_factory=dict, hash=False)


PROPERTIES = {
    entry.name: entry
    for entry in (
        Property("gap", "eV", "lowest empty minus highest occupied orbital energy"),
        Property("homo", "eV", "energy of the highest occupied orbital"),
        Property("lumo", "eV", "energy of the lowest empty orbital"),
        Property("energy", "eV", "total energy of the nuclei at rest"),
        Property("dipole", "D", "magnitude of the dipole moment"),
        Property("polarizability", "Bohr^3", "isotropic static polarizability of the electrons"),
    )
}
"""Name -> unit and meaning; units are those of QM9's columns. Entries from elsewhere (`read`) are added to it."""


@dataclass(frozen=True)
class Method:
    """How properties are calculated.

    Attributes:
        name: canonical text, which `parse_method` understands.
        program: what calculates.
        functional: PySCF's name of it; empty for tblite.
        basis: name of the basis; empty for tblite.
        properties: what it gives.
        settings: whatever else changes a number.
    """

    name: str
    program: Program
    functional: str
    basis: str
    properties: tuple[str, ...]
    settings: Mapping[str, Setting] = field(hash=False)

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of all that decides a number."""
        text = json.dumps([SCHEMA, self.name, dict(self.settings)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


DFT_SETTINGS: Mapping[str, Setting] = {
    "grid_level": 3,  # PySCF's
    "screening": 1e-11,  # integrals that contribute less to a Fock matrix are left out; Hartree
    "orbital_gradient": 2e-5,  # largest element of the orbital gradient of a converged field; Hartree
    "fitted": QM9_BASIS,  # the basis in which frontier orbitals and polarizabilities come from fitted integrals
    "polarizability_error": 5e-3,  # Bohr^3
    "relaxed_force": 0.02,  # eV/Å
    "relaxed_energies": 100,
}
XTB_SETTINGS: Mapping[str, Setting] = {
    "field": 2e-3,  # atomic units, of the central differences that give the polarizability
    "relaxed_force": 0.01,  # eV/Å
    "relaxed_energies": 300,
}


def parse_method(text: str) -> Method:
    """Return the method of a name such as `b3lyp/6-31g(2df,p)`, `pbe0/def2-svp` or `gfn2-xtb`, in any case.

    Raises:
        UsageError: if there is no such method, functional or basis.
        MissingDependencyError: if it is not one of `NAMED` and PySCF, which knows the others, is not installed.
    """
    name = "".join(text.lower().split())
    if name == XTB:
        return Method(XTB, "tblite", "", "", _given_by("tblite"), XTB_SETTINGS)
    functional, slash, basis = name.partition("/")
    if not slash:
        raise UsageError(f"unknown method {text!r}, wanted functional/basis or {XTB}, {did_you_mean(name, NAMED)}")
    if basis != PACKAGED + QM9_BASIS:
        basis = basis.removeprefix(PACKAGED)
    name = f"{functional}/{basis}"
    if name not in NAMED:
        _check_functional(functional, text)
        if basis.removeprefix(PACKAGED) != QM9_BASIS:
            _check_basis(basis, text)
    return Method(name, "pyscf", functional, basis, _given_by("pyscf"), DFT_SETTINGS)


def _given_by(program: Program) -> tuple[str, ...]:
    return tuple(entry.name for entry in PROPERTIES.values() if not entry.read or program in entry.read)


def relaxing_method(relax: bool | str | Method, method: Method) -> Method | None:
    """Return the method whose minimum is wanted: none, the same (True), or another one by name.

    Raises:
        UsageError: if there is no such method.
    """
    if isinstance(relax, bool):
        return method if relax else None
    return relax if isinstance(relax, Method) else parse_method(relax)


def check_properties(properties: Sequence[str], method: Method) -> None:
    """Raise `UsageError` if the method does not give one of the properties, or none is asked for."""
    if not properties:
        raise UsageError(f"no property is asked for, wanted some of: {', '.join(method.properties)}.")
    for name in properties:
        if name not in method.properties:
            raise UsageError(f"unknown property {name!r} of {method.name}: {did_you_mean(name, method.properties)}")


def _check_functional(functional: str, text: str) -> None:
    try:
        from pyscf.dft import libxc
    except ImportError:
        raise _no_pyscf(text) from None
    known = {"hf", "b3lyp", "pbe0", "cam-b3lyp", *map(str.lower, libxc.XC_ALIAS)}
    if SEMILOCAL_REMAINDER.search(functional):
        raise UsageError(f"method {text!r}: dispersion is not calculated; name the functional without it.")
    try:
        libxc.parse_xc(functional or "?")
    except (KeyError, ValueError, AttributeError):
        raise UsageError(
            f"method {text!r}: PySCF knows no functional {functional!r}{_nearest(functional, known)}"
        ) from None


def _check_basis(basis: str, text: str) -> None:
    from pyscf.gto import basis as bases

    plain = re.sub(r"[-_ ]", "", basis)  # as PySCF compares names
    if plain not in bases.ALIAS:
        raise UsageError(f"method {text!r}: PySCF knows no basis {basis!r}{_nearest(plain, bases.ALIAS)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence: the nearest of names too many to list, and the method that always exists."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return (f"; did you mean {close[0]!r}? " if close else ". ") + f"QM9's own level is {QM9_LEVEL}."


def _no_pyscf(text: str) -> MissingDependencyError:
    return MissingDependencyError(f"method {text!r} needs PySCF, which is not installed: pip install 'atomweave[qc]'.")
