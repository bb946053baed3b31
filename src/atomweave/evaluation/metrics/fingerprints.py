"""Morgan fingerprints of many molecules as ragged lists of bits, and each molecule's nearest neighbour among others.

A fingerprint is the set of circular neighbourhoods of up to two bonds around each heavy atom (D. Rogers, M. Hahn,
J. Chem. Inf. Model. 50, 742 (2010): radius 2 is their ECFP4), folded into `WIDTH` bits; chirality does not enter. The
similarity of two molecules is Tanimoto's, shared bits over bits of either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...chemistry.bonds import require_rdkit

if TYPE_CHECKING:
    from rdkit import Chem

RADIUS = 2
WIDTH = 1_024
"""Bits of a fingerprint. Unfolded they are 20 a molecule of QM9; folding gives few of them to two neighbourhoods."""
_FULL = 255  # in packed fingerprints: "and 255 more"


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Bits of molecules, one after the other; molecule i has `bits[offsets[i]:offsets[i + 1]]`.

    Attributes:
        bits: (n_set,) int64, ascending within a molecule, below `WIDTH`.
        offsets: (n_molecules + 1,) int64.
    """

    bits: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, molecules: Iterable[Chem.Mol]) -> Fingerprints:
        """Return the fingerprints of RDKit molecules; hydrogens are left out of them."""
        require_rdkit()
        from rdkit import Chem, rdBase
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

        generator = GetMorganGenerator(radius=RADIUS, fpSize=WIDTH)
        with rdBase.BlockLogs():  # RDKit speaks of every hydrogen that it cannot leave out, as in H2
            lists = [list(generator.GetFingerprint(Chem.RemoveHs(mol)).GetOnBits()) for mol in molecules]
        offsets = np.concatenate([[0], np.cumsum([len(bits) for bits in lists], dtype=np.int64)])
        return cls(np.array([bit for bits in lists for bit in bits], np.int64), offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def distinct(self) -> Fingerprints:
        """The same set of fingerprints, each once."""
        pieces = np.split(self.bits, self.offsets[1:-1]) if len(self) else []
        kept = list({piece.tobytes(): piece for piece in pieces}.values())
        offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in kept], dtype=np.int64)])
        return Fingerprints(np.concatenate([np.zeros(0, np.int64), *kept]), offsets.astype(np.int64))

    @property
    def packed(self) -> np.ndarray:
        """The bits in about one byte each, for a file; (n_bytes,) uint8.

        All fingerprints form one long row of bits. Each set bit is written as its distance from the one before: as many
        bytes 255 as go into it, then the rest.
        """
        owners = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        steps = np.diff(owners * WIDTH + self.bits, prepend=0)
        ends = np.cumsum(steps // _FULL + 1)
        array = np.full(ends[-1] if len(ends) else 0, _FULL, np.uint8)
        array[ends - 1] = steps % _FULL
        return array

    @classmethod
    def unpack(cls, array: np.ndarray) -> Fingerprints:
        """Return the fingerprints that `packed` packed; one without bits at the very end is lost."""
        places = np.cumsum(array, dtype=np.int64)[array < _FULL]
        owners, bits = np.divmod(places, WIDTH)
        n_molecules = int(owners[-1]) + 1 if len(owners) else 0
        return cls(bits, np.searchsorted(owners, np.arange(n_molecules + 1)))

    def nearest(self, others: Fingerprints) -> np.ndarray:
        """Return each molecule's highest Tanimoto similarity to any of `others`; (n_molecules,), NaN if there are none.

        Every bit has a list of the others that set it, so that only shared bits cost time.
        """
        if not len(others):
            return np.full(len(self), np.nan)
        owners = np.repeat(np.arange(len(others), dtype=np.int32), np.diff(others.offsets))
        by_bit = np.argsort(others.bits, kind="stable")
        owners, starts = owners[by_bit], np.searchsorted(others.bits[by_bit], np.arange(WIDTH + 1))
        sizes = np.diff(others.offsets)
        found = np.zeros(len(self))
        for index, (start, stop) in enumerate(zip(self.offsets, self.offsets[1:], strict=False)):
            holders = [owners[starts[bit] : starts[bit + 1]] for bit in self.bits[start:stop]]
            if holders:
                shared = np.bincount(np.concatenate(holders), minlength=len(others))
                found[index] = (shared / (sizes + (stop - start) - shared)).max()
        return found
