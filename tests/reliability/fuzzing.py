"""A coverage-guided fuzzer (atheris, libFuzzer for Python) on every reader of files that others may have made.

    python -m reliability.fuzzing READER FOLDER -runs=1000 -seed=1

libFuzzer never returns, so every reader is fuzzed in a process of its own. The first bytes of what it invents decide
how the rest is wrapped: as it is, or as entries of an archive, cells of a database or tensors of a store whose
checksums fit, since no fuzzer finds a sha256.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

READERS = ("xyz", "extxyz", "sdf", "smiles", "npz", "asedb", "store", "weights")
SUFFIXES = {"smiles": "smi", "asedb": "db", "store": "safetensors", "weights": "safetensors"}
LONGEST = 20  # seconds; libFuzzer's own limit for one execution, on a busy machine
RATE = 20  # executions a second at the least


@dataclass(frozen=True)
class Fuzzed:
    """What a fuzzer did."""

    executions: int
    features: int  # edges of the program reached, counted by how often
    failures: tuple[str, ...]


def fuzz(reader: str, executions: int, seed: int, folder: Path) -> Fuzzed:
    """Fuzz one reader in a process of its own.

    Args:
        reader: one of `READERS`.
        executions: files to be read.
        seed: of the fuzzer.
        folder: for its files; made.
    """
    folder.mkdir()
    command = [sys.executable, "-m", f"{__package__}.fuzzing", reader, str(folder)]
    options = [f"-runs={executions}", f"-seed={seed + 1}", f"-timeout={LONGEST}", "-rss_limit_mb=4096", "-max_len=4096"]
    paths = [str(Path(__file__).parents[1]), *sys.path]
    ran = subprocess.run(
        [*command, *options, f"-artifact_prefix={folder}/"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120 + executions / RATE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=False,
    )
    done = [int(n) for n in re.findall(r"^#(\d+)\s", ran.stderr, re.MULTILINE)]
    features = [int(n) for n in re.findall(r"\bft: (\d+)", ran.stderr)]
    failures = () if ran.returncode == 0 else (f"{reader}: {_last_words(ran.stderr)}",)
    return Fuzzed(max(done, default=0), max(features, default=0), failures)


def _last_words(said: str) -> str:
    found = re.search(r"Uncaught Python exception: ===\n(.*?)\n={3,}", said, re.DOTALL)
    return (found[1] if found else said)[-2000:]


def seeds(reader: str, folder: Path) -> list[bytes]:
    """Return files to begin with."""
    from . import broken_binary, broken_text

    if reader == "npz":
        return [b"\x00" + b"\xff\xfe".join(broken_binary.entries_of(broken_binary.sound_npz()).values())]
    if reader == "asedb":
        row = (
            b"\x01\0\0\0\x06\0\0\0",
            bytes(40) + b"\0\0\0\0\0\0\xf0?",
            b'{"a": [1, 2]}',
            b'{"b": {"__ndarray__": [[1], "float64", [1]]}}',
        )
        return [
            b"\x00" + b"\xff\xfe".join(row),
            b"\x01" + b"\xff\xfe".join((*row[:3], b"\x08" + bytes(7) + b'{"a": 1}')),
        ]
    if reader in ("store", "weights"):
        return [
            b"\xff" + broken_binary.store_file(*broken_binary.sound_store()),
            b'\x00{"kind": "molecule store", "version": 1, "units": {}, "citation": ""}',
        ]
    texts = {name: text.encode() for name, text in broken_text.sound_files(folder).items()}
    return [text for name, text in texts.items() if name.endswith(f".{SUFFIXES.get(reader, reader)}")]


def wrapped(reader: str, data: bytes) -> bytes | Callable[[Path], None]:
    """Return what a file holds, or what makes it."""
    if reader not in ("npz", "asedb", "store", "weights") or not data or data[0] >= 0x80:
        return data[1:] if reader in SUFFIXES and data else data
    parts = data[1:].split(b"\xff\xfe")
    if reader == "npz":
        return _archive(parts)
    if reader == "asedb":
        return lambda path: _database(path, [*parts, b"", b"", b"", b""][:4], text=data[0] % 2 == 0)
    return _tensors(parts, reader)


def _archive(parts: list[bytes]) -> bytes:
    from . import broken_binary

    names = ("num_atoms", "charges", "positions", "gap", "name")
    return broken_binary.archive({f"{name}.npy": part for name, part in zip(names, parts, strict=False)}, 0)


def _database(path: Path, cells: list[bytes], text: bool) -> None:
    import sqlite3
    from contextlib import closing

    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("CREATE TABLE systems (id INTEGER PRIMARY KEY, numbers, positions, key_value_pairs, data)")
        connection.execute("CREATE TABLE information (name, value)")
        connection.execute("INSERT INTO information VALUES ('version', '9')")
        row = [*cells[:2], cells[2].decode(errors="replace"), cells[3].decode(errors="replace") if text else cells[3]]
        connection.execute("INSERT INTO systems VALUES (1, ?, ?, ?, ?)", row)


def _tensors(parts: list[bytes], reader: str) -> bytes:
    """Return a safetensors file with any metadata, and arrays of the store with some bytes changed, its hash right."""
    import json

    import numpy as np
    from safetensors.numpy import save

    from . import broken_binary

    arrays, header = broken_binary.sound_store()
    try:
        told = json.loads(parts[0])
    except (ValueError, RecursionError):
        return save(arrays, {"atomweave": parts[0].decode(errors="replace")})
    for name, part in zip(arrays, parts[1:], strict=False):
        flat = bytearray(arrays[name].tobytes())
        flat[: len(part)] = part[: len(flat)]
        arrays[name] = np.frombuffer(bytes(flat), arrays[name].dtype).reshape(arrays[name].shape)
    return broken_binary.store_file(arrays, {**header, **told} if isinstance(told, dict) else header)


def main() -> None:
    """Fuzz the reader that the command line names."""
    import atheris

    reader, folder, options = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    with atheris.instrument_imports(
        include=["atomweave.io", "atomweave.molecule", "atomweave.columns", "atomweave.data", "atomweave.arrayfile"]
    ):
        from atomweave.arrayfile import read_arrays
        from atomweave.errors import AtomweaveError

        from .oracle import about_sentence, complaints

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(reader, folder)):
        (corpus / str(number)).write_bytes(content)
    path = folder / f"fuzzed.{SUFFIXES.get(reader, reader)}"

    def weights(path: Path) -> list[str]:
        try:
            read_arrays(path, "atomweave-weights", 1)
        except AtomweaveError as error:
            return list(about_sentence(str(error), path))
        return []

    def once(data: bytes) -> None:
        content = wrapped(reader, data)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        found = weights(path) if reader == "weights" else complaints(path)
        if found:
            raise AssertionError(found[0])

    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
