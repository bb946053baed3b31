"""The element vocabulary of a model: atomic number <-> species index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import InputError

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu "
    "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
"""Element symbols by atomic number; index 0 stands for no element."""

NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}


class Species:
    """An ordered set of elements; a species index is a position in it.

    Args:
        elements: symbols ("C") or atomic numbers (6), each once.
    """

    def __init__(self, elements: Sequence[str | int]) -> None:
        self.numbers = tuple(_number_of(element) for element in elements)
        if not self.numbers or len(set(self.numbers)) != len(self.numbers):
            raise InputError(f"species: got {list(elements)}, wanted at least one element and each of them once.")
        self._index = np.full(len(SYMBOLS), -1, np.int64)
        self._index[list(self.numbers)] = np.arange(len(self.numbers))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbols in order of the species index."""
        return tuple(SYMBOLS[number] for number in self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Species) and self.numbers == other.numbers

    def __hash__(self) -> int:
        return hash(self.numbers)

    def __repr__(self) -> str:
        return f"Species({' '.join(self.symbols)})"

    def indices(self, numbers: np.ndarray) -> np.ndarray:
        """Return species indices of atomic numbers, any shape.

        Raises:
            InputError: if an element is not in the vocabulary.
        """
        numbers = np.asarray(numbers, np.int64)
        found = self._index[numbers]
        if (found < 0).any():
            unknown = [SYMBOLS[number] for number in np.unique(numbers[found < 0])]
            raise InputError(f"elements {' '.join(unknown)} are not among this model's: {' '.join(self.symbols)}.")
        return found

    def atomic_numbers(self, indices: np.ndarray) -> np.ndarray:
        """Return atomic numbers of species indices, any shape."""
        return np.asarray(self.numbers, np.int64)[np.asarray(indices, np.int64)]


def _number_of(element: str | int) -> int:
    if isinstance(element, str) and element in NUMBERS:
        return NUMBERS[element]
    if isinstance(element, (int, np.integer)) and 1 <= element < len(SYMBOLS):
        return int(element)
    raise InputError(f"unknown element {element!r}: wanted a symbol such as 'C' or an atomic number from 1 to 118.")
