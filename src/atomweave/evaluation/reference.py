"""What samples are compared with: the statistics of reference data, without the data.

A reference is one safetensors file of a few MB. That of QM9 ships with the package; that of any other store is made
once and kept beside the store, under a name that holds the store's hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ..arrayfile import read_arrays, write_arrays
from ..errors import RefusedFileError

SHIPPED = Path(__file__).parent / "references"
"""Where the references that come with Atomweave lie."""

FORMAT = "atomweave-reference"
VERSION = 2
"""Raised whenever a metric's statistics change their meaning: references of another version are made anew."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Statistics of reference data.

    Attributes:
        name: as tables show it, e.g. "QM9"; empty for no reference at all.
        values: the reference data's own value of each measure, by the measure's name.
        totals: the denominators of these values: costly ones are measured on a random part of the data.
        arrays: what the metrics keep, by "metric/what" (`metric.Statistics`).
        counts: labelled counts that the metrics keep.
        metrics: names of the metrics it serves.
        n_molecules: how many molecules the data hold.
        data: sha256 of the store they were taken from.
        tools: versions that decided them.
    """

    name: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    n_molecules: int = 0
    data: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)

    def of_metric(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names begin with `prefix` and a slash, by what follows it."""
        start = f"{prefix}/"
        return {name.removeprefix(start): array for name, array in self.arrays.items() if name.startswith(start)}

    def write(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all."""
        told = {
            "name": self.name, "values": dict(self.values), "totals": dict(self.totals),
            "counts": {name: dict(counts) for name, counts in self.counts.items()}, "metrics": list(self.metrics),
            "n_molecules": self.n_molecules, "data": self.data, "tools": dict(self.tools),
        }  # fmt: skip
        text = json.dumps(told, sort_keys=True, allow_nan=False)
        write_arrays(path, self.arrays, {"format": FORMAT, "version": str(VERSION), "reference": text})

    @classmethod
    def open(cls, path: str | Path) -> Reference:
        """Read a file that `write` wrote.

        Raises:
            RefusedFileError: if it is missing, damaged, of another kind or another version.
        """
        metadata, arrays = read_arrays(path, FORMAT, VERSION)
        try:
            told = _Fields.model_validate_json(metadata.get("reference", ""))
        except ValidationError as error:
            first = error.errors()[0]
            where = "/".join(map(str, first["loc"])) or "reference"
            raise RefusedFileError(
                f"{path}: the reference's fields do not fit ({where}: {first['msg']}); make it again."
            ) from None
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise RefusedFileError(f"{path}: the reference's array {name} is not finite; make it again.")
        return cls(arrays=arrays, **dict(told))


class _Fields(BaseModel):
    """What the metadata of a reference's file hold."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    values: dict[str, float]
    totals: dict[str, int]
    counts: dict[str, dict[str, int]]
    metrics: tuple[str, ...]
    n_molecules: int
    data: str
    tools: dict[str, str]


def is_reference(path: Path) -> bool:
    """Return whether a file says of itself that it is a reference."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return f'"{FORMAT}"' in (file.metadata() or {}).get("atomweave", "")
    except (SafetensorError, OSError, UnicodeDecodeError):
        return False


def shipped_references() -> dict[str, Path]:
    """Return the references that come with Atomweave, by the name that `--reference` takes."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}
