"""The file of a `MoleculeStore`: safetensors, read by mapping, never by unpickling.

Tensors: `numbers`, `positions`, `offsets`, `property/NAME`, or `text/NAME` with `text_offsets/NAME`, and `split/NAME`.
The safetensors metadata holds one entry, `atomweave`, a JSON object with kind, version, units, citation and sha256.
One entry, because safetensors writes several in no fixed order, and the same store should give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..arrayfile import LONGEST_HEADER
from ..columns import TextColumn
from ..errors import InputError, RefusedFileError, shorten
from ..files import write_atomic
from ..molecule import coincident_pair
from .store import FARTHEST, MoleculeStore

_PIECE = 2**20
KIND = "molecule store"
VERSION = 1
DTYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip
"""Safetensors' names of the types that a store may hold."""


def write_store(store: MoleculeStore, path: str | Path) -> None:
    """Write `store` to `path`, whole or not at all."""
    from safetensors.numpy import save_file

    header = json.dumps(_header(store) | {"sha256": store.sha256}, sort_keys=True, ensure_ascii=False)
    with write_atomic(path) as temporary:
        save_file(_arrays(store), temporary, {"atomweave": header})


def open_store(path: str | Path, verify: bool) -> MoleculeStore:
    """Map the store at `path`; see `MoleculeStore.open`."""
    path = Path(path)
    header, arrays, places = _map(path)
    units, citation, sha256 = header.get("units"), header.get("citation"), header.get("sha256")
    if units is None or not _is_text_by_name(units) or not (isinstance(citation, str) and isinstance(sha256, str)):
        raise RefusedFileError(f"{path}: the store's metadata lack units, citation or sha256; build the file again.")
    splits = {name.removeprefix("split/"): array for name, array in arrays.items() if name.startswith("split/")}
    try:
        required = (arrays["numbers"], arrays["positions"], arrays["offsets"])
        store = MoleculeStore(*required, _columns(arrays), units, splits, citation)
    except KeyError as error:
        raise RefusedFileError(f"{path}: the store lacks the tensor {error}; build the file again.") from None
    except InputError as error:
        raise RefusedFileError(f"{path}: not a sound store, {error} Build the file again.") from None
    if verify:
        _check_hash(path, header, arrays, places)
        _check_positions(path, store)
    store.__dict__["sha256"] = sha256  # fills the cached property, so that it is not computed once more
    return store


def _check_positions(path: Path, store: MoleculeStore) -> None:
    """Refuse what no molecule would take, and what training would read without making one."""
    again = "build the file again with `atomweave data build`."
    if not np.isfinite(store.positions).all():
        raise RefusedFileError(f"{path}: a position is not finite; {again}")
    if abs(store.positions).max() > FARTHEST:
        raise RefusedFileError(f"{path}: a position is beyond {FARTHEST:.0f} Å; {again}")
    molecules = np.repeat(np.arange(len(store)), store.sizes)
    pair = coincident_pair(store.positions, molecules)
    if pair is not None:
        molecule = int(molecules[pair[0]])
        one, other = (atom - int(store.offsets[molecule]) for atom in pair)
        raise RefusedFileError(f"{path}: molecule {molecule}: atoms {one} and {other} coincide; {again}")


def content_hash(store: MoleculeStore) -> str:
    """Return the sha256 over the header and every array with its name, type and shape."""
    return _hash(_header(store), ((name, array, [array.tobytes()]) for name, array in sorted(_arrays(store).items())))


def _hash(header: dict[str, Any], entries: Iterable[tuple[str, np.ndarray, Iterable[bytes]]]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, array, pieces in entries:
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()


def _check_hash(path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray], places: dict[str, int]) -> None:
    """Refuse contents that do not match their hash; read piece by piece, since a file may claim any size."""
    with path.open("rb") as file:

        def pieces(name: str) -> Iterator[bytes]:
            file.seek(places[name])
            for place in range(0, arrays[name].nbytes, _PIECE):
                yield file.read(min(_PIECE, arrays[name].nbytes - place))

        told = {name: header.get(name) for name in ("kind", "version", "units", "citation")}
        found = _hash(told, ((name, array, pieces(name)) for name, array in sorted(arrays.items())))
    if found != header.get("sha256"):
        raise RefusedFileError(f"{path}: the contents do not match their sha256: damaged or altered, copy it again.")


def _is_text_by_name(units: Any) -> bool:
    return isinstance(units, dict) and all(isinstance(unit, str) for unit in units.values())


def _header(store: MoleculeStore) -> dict[str, Any]:
    return {"kind": KIND, "version": VERSION, "units": dict(store.units), "citation": store.citation}


def _arrays(store: MoleculeStore) -> dict[str, np.ndarray]:
    arrays = {"numbers": store.numbers, "positions": store.positions, "offsets": store.offsets}
    for name, column in store.properties.items():
        if isinstance(column, TextColumn):
            arrays |= {f"text/{name}": column.utf8, f"text_offsets/{name}": column.offsets}
        else:
            arrays[f"property/{name}"] = column
    arrays |= {f"split/{name}": indices for name, indices in store.splits.items()}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _columns(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray | TextColumn]:
    columns: dict[str, np.ndarray | TextColumn] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "property":
            columns[rest] = array
        elif kind == "text":
            columns[rest] = TextColumn(array, arrays[f"text_offsets/{rest}"])
    return columns


def _map(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, int]]:
    """Return metadata, mapped arrays, and the first byte of each, of a safetensors file that holds a store."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RefusedFileError(f"{path}: there is no such file; `atomweave data qm9 -o FILE` makes one.")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        raise RefusedFileError(f"{path}: not a whole safetensors file, or its header of {length:,} bytes is too long.")
    try:
        with safe_open(path, "np") as checked:  # safetensors checks that the header fits the file, bounds included
            metadata = checked.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RefusedFileError(
            f"{path}: not a whole safetensors file ({' '.join(str(error).split())[:200]}); copy or build it again."
        ) from None
    try:
        header = json.loads(metadata["atomweave"])
        kind, version = header["kind"], header["version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise RefusedFileError(f"{path}: a safetensors file, but not written by Atomweave; wanted a {KIND}.") from None
    if kind != KIND:
        raise RefusedFileError(f"{path}: holds {str(kind)[:40]!r}, wanted a {KIND}.")
    if version != VERSION:
        raise RefusedFileError(
            f"{path}: store version {shorten(version)}, this Atomweave reads {VERSION}; build it again."
        )
    # Copy-on-write: torch wants arrays that may be written, and the file must not change.
    block = np.memmap(path, np.uint8, "c")
    start = 8 + int.from_bytes(block[:8].tobytes(), "little")
    arrays, places = {}, {}
    for name, entry in json.loads(block[8:start].tobytes()).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in DTYPES:
            raise RefusedFileError(f"{path}: tensor {name!r} has type {entry['dtype']}, wanted {', '.join(DTYPES)}.")
        first, last = entry["data_offsets"]
        places[name] = start + first
        piece = np.asarray(block[start + first : start + last])
        arrays[name] = piece.view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return header, arrays, places
