"""The worker's task `grow`: one block of molecules, from weights and a plan that lie in files."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..chemistry.atoms_frame import pack_atoms, unpack_atoms
from ..memory import keep_freed_memory
from ..molecule import Molecule
from .blocks import Attempt, GrowthPlan, grow_block
from .starts import Given, Start

if TYPE_CHECKING:
    from ..models.base import Model


def prepare(options: dict[str, Any]) -> None:
    """Load the model; options are `weights` and `plan`, both paths, and `threads`."""
    keep_freed_memory()
    torch.set_num_threads(options["threads"])
    _loaded(options["weights"], options["plan"])


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return the packed attempts of the block that a request names."""
    model, plan = _loaded(options["weights"], options["plan"])
    with torch.inference_mode():
        return pack_attempts(grow_block(model, plan, *unpack_block(request), lambda _: None))


@cache
def _loaded(weights: str, plan: str) -> tuple[Model, GrowthPlan]:
    from ..models.weights import load_model

    return load_model(weights), plan_from_json(Path(plan).read_text(encoding="utf-8"))


def pack_block(first: int, n_molecules: int) -> bytes:
    """Return a block, the index of its first molecule and how many they are, as bytes."""
    return struct.pack("<2Q", first, n_molecules)


def unpack_block(request: bytes) -> tuple[int, int]:
    """Return what `pack_block` packed."""
    first, n_molecules = struct.unpack("<2Q", request)
    return first, n_molecules


def pack_attempts(attempts: list[Attempt]) -> bytes:
    """Return the atoms of attempts and what became of each: a line of JSON, then all atoms; exact to the last bit."""
    ends = [[len(attempt.molecule), attempt.reason, attempt.log_prob] for attempt in attempts]
    numbers = np.concatenate([attempt.molecule.numbers for attempt in attempts])
    positions = np.concatenate([attempt.molecule.positions for attempt in attempts])
    return json.dumps(ends).encode() + b"\n" + pack_atoms(numbers, positions)


def unpack_attempts(answer: bytes, plan: GrowthPlan, first: int) -> list[Attempt]:
    """Return the attempts that `pack_attempts` packed, the first with index `first`; the plan tells the rest."""
    head, _, atoms = answer.partition(b"\n")
    numbers, positions = unpack_atoms(atoms)
    attempts, begin = [], 0
    for index, (n_atoms, reason, log_prob) in enumerate(json.loads(head), first):
        those = slice(begin, begin + n_atoms)
        attempts.append(plan.attempt(index, numbers[those], positions[those], reason, log_prob))
        begin += n_atoms
    return attempts


def plan_to_json(plan: GrowthPlan) -> str:
    """Return what decides how molecules grow; without what is only told of them."""
    start = [_start_to_json(start) for start in plan.start] if isinstance(plan.start, tuple) else plan.start
    fields = vars(plan) | {"temperatures": plan.temperatures.model_dump(), "start": start}
    return json.dumps(fields, default=float)  # numbers of NumPy's, should somebody ask for one


def plan_from_json(text: str) -> GrowthPlan:
    """Return the plan that `plan_to_json` wrote."""
    from ..models.base import Temperatures

    fields = json.loads(text)
    fields["temperatures"] = Temperatures.model_validate(fields["temperatures"])
    if isinstance(fields["start"], list):
        fields["start"] = tuple(_start_from_json(start) for start in fields["start"])
    return GrowthPlan(**fields | {"asked": tuple(fields["asked"])})


def _start_to_json(start: Start) -> dict[str, list]:
    molecule = start.given.molecule
    return {
        "numbers": molecule.numbers.tolist(),
        "positions": molecule.positions.tolist(),
        "order": start.order.tolist(),
        "awaits": start.awaits.tolist(),
    }


def _start_from_json(fields: dict[str, list]) -> Start:
    given = Given(Molecule(np.array(fields["numbers"]), np.array(fields["positions"])))
    return Start(given, np.array(fields["order"]), np.array(fields["awaits"], np.int8))
