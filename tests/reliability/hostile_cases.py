"""Hostile weights, checkpoints and stores, opened one after the other in one process that watches its own memory.

    python -m reliability.hostile_cases SEED FLIPS FOLDER      prints JSON: cases, failures, peak memory

Whoever writes such files can compute a hash: where a case is not about damage, the hash is right.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import resource
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from atomweave.cli.main import run
from atomweave.errors import AtomweaveError
from atomweave.models.symphony import SymphonyConfig
from atomweave.models.weights import FORMAT, Card
from atomweave.tensorfile import content_hash
from atomweave.training.checkpoint import FORMAT as CHECKPOINT_FORMAT
from atomweave.training.checkpoint import load_checkpoint
from atomweave.training.config import RunConfig
from atomweave.training.learner import Learner
from reliability.broken_binary import sound_store, store_file

Case = tuple[str, str, bytes | Callable[[Path], None]]  # what it is, name of the file, its content or what makes it
MODEL = SymphonyConfig.model_validate(
    {
        "focus_embedder": {"kind": "e3schnet", "channels": 2, "lmax": 1, "n_layers": 1},
        "position_embedder": {"kind": "nequip", "channels": 2, "lmax": 1, "n_layers": 1},
        "focus_head": {"width": 4, "n_hidden": 1},
    }
)
SUFFIXES = ("safetensors", "pt", "pth", "ckpt", "pkl", "pickle", "bin", "npz", "h5", "zip", "SAFETENSORS")
NAMES = (
    "../../canary",
    "/canary",
    "..\\..\\canary",
    "model/../../x",
    "\x1b[2J",
    "a\nb",
    "x" * 50_000,
    "",
    "__class__",
    "$(touch canary)",
)
TEN_GB = 10 * 10**9
MEGABYTE = 10**6


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.canary}",)


Tensors = dict[str, torch.Tensor]
Metadata = dict[str, str]


def tensor_file(tensors: Tensors, metadata: Metadata) -> bytes:
    """Return a file of tensors whose hash is right."""
    told = {**metadata, "sha256": content_hash(tensors, metadata)}
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"atomweave": json.dumps(told)})


def header_of(content: bytes) -> tuple[dict, bytes]:
    """Return the header and the data of a safetensors file."""
    end = 8 + struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:end]), content[end:]


def with_header(header: object, data: bytes, length: int | None = None) -> bytes:
    """Return a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def pickles(canary: Path) -> Iterator[Case]:
    """Pickles of every protocol under every suffix, bare and in the archive that torch.save writes."""
    for number, suffix in enumerate(SUFFIXES):
        content = pickle.dumps(Payload(canary), protocol=number % 6)
        yield f"pickle {number % 6} as .{suffix}", f"a.{suffix}", content
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3")
        yield f"torch.save as .{suffix}", f"a.{suffix}", buffer.getvalue()


def headers(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Headers that lie."""
    header, data = header_of(content)
    name = max((name for name in header if name != "__metadata__"), key=lambda n: header[n]["data_offsets"][1])
    entry = header[name]
    first, last = entry["data_offsets"]
    changes: dict[str, dict] = {
        "offsets beyond the end": {"data_offsets": [first, last + 8]},
        "offsets of 10 GB": {"data_offsets": [first, TEN_GB], "shape": [TEN_GB], "dtype": "U8"},
        "offsets reversed": {"data_offsets": [last, first]},
        "offsets negative": {"data_offsets": [-8, last]},
        "offsets that overlap": {"data_offsets": [0, last]},
        "offsets as text": {"data_offsets": ["0", str(last)]},
        "shape of 10 GB": {"shape": [TEN_GB // 4]},
        "shape that overflows": {"shape": [2**33, 2**33, 4]},
        "shape negative": {"shape": [-1]},
        "shape as text": {"shape": "x"},
        "type unknown": {"dtype": "OBJECT"},
        "type of another width": {"dtype": "F64"},
    }
    for what, change in changes.items():
        yield what, with_header(header | {name: {**entry, **change}}, data)
    for length in (0, 1, 2**63, 2**64 - 1, 10**10, 99_000_000, len(json.dumps(header)) - 5):
        yield f"header said to be {length} bytes long", with_header(header, data, length)
    yield "header that is a list", with_header([], data)
    yield "header nested without end", with_header(b"[" * 100_000, data)
    yield "header that is no text", with_header(b"\xff" * 100, data)
    yield "metadata that is a list", with_header(header | {"__metadata__": []}, data)
    yield "metadata nested without end", with_header(header | {"__metadata__": {"atomweave": "[" * 100_000}}, data)
    yield "metadata that is a number", with_header(header | {"__metadata__": {"atomweave": "5"}}, data)
    yield "no metadata", with_header({n: e for n, e in header.items() if n != "__metadata__"}, data)
    yield "bytes that nobody owns", content + b"x" * 8
    yield "a tensor left out of the header", with_header({n: e for n, e in header.items() if n != name}, data)


def damage(content: bytes, flips: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Cut at 64 points; one bit flipped in every tensor, in the header, and `flips` anywhere."""
    for end in np.linspace(0, len(content) - 1, 64).astype(int).tolist():
        yield f"cut at {end}", content[:end]
    header, data = header_of(content)
    start = len(content) - len(data)
    spans = [(name, *entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__"]
    places = [(name, start + int(rng.integers(first, last))) for name, first, last in spans if last > first]
    places += [("anywhere", int(place)) for place in rng.integers(8, len(content), flips)]
    for name, place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        # Blanks around a header, and the letters of a name outside the hash, are the only bits that say nothing.
        yield f"a bit flipped in {name}, byte {place}", bytes(flipped)


def contents(tensors: Tensors, metadata: Metadata) -> Iterator[tuple[str, bytes]]:
    """Tensors and metadata that do not fit, under a hash that does."""
    for name, tensor in tensors.items():
        rest = {other: t for other, t in tensors.items() if other != name}
        yield f"{name} left out", tensor_file(rest, metadata)
        yield f"{name} of another shape", tensor_file(rest | {name: torch.zeros(7, 3)}, metadata)
        if tensor.is_floating_point() and tensor.numel():
            yield f"{name} of whole numbers", tensor_file(rest | {name: tensor.to(torch.int32)}, metadata)
            yield f"{name} not a number", tensor_file(rest | {name: torch.full_like(tensor, torch.nan)}, metadata)
    for name in NAMES:
        yield f"a tensor named {name[:20]!r}", tensor_file({**tensors, name: torch.zeros(2)}, metadata)
    yield "another format", tensor_file(tensors, metadata | {"format": "x" * 9999})
    yield "another version", tensor_file(tensors, metadata | {"version": "2"})
    yield "no tensors", tensor_file({}, metadata)


def configurations(tensors: Tensors, metadata: Metadata) -> Iterator[tuple[str, bytes]]:
    """Weights that describe another model: too large for any machine, unknown, nested, not theirs."""
    tree = json.loads(metadata["model"])
    for what, change in {
        "a model of 10 GB": {"position_embedder": {"kind": "nequip", "channels": 20_000, "lmax": 8}},
        "a wide network": {"focus_head": {"width": 10**6}},
        "a network beyond all": {"focus_head": {"width": 10**15}},
        "layers without end": {"focus_embedder": {"kind": "e3schnet", "n_layers": 10**9}},
        "many layers": {"focus_head": {"width": 1, "n_hidden": 1000}},
        "another kind": {"kind": "os.system"},
        "a field that is none": {"__import__": "os"},
        "an element that is none": {"species": ["Xx"]},
    }.items():
        yield what, tensor_file(tensors, metadata | {"model": json.dumps(tree | change)})
    for what, text in {"nested": "[" * 100_000, "no JSON": "{", "a list": "[]", "a number": "5"}.items():
        yield f"model: {what}", tensor_file(tensors, metadata | {"model": text})
        yield f"card: {what}", tensor_file(tensors, metadata | {"card": text})
    yield "a card of other types", tensor_file(tensors, metadata | {"card": '{"name": ["x"], "steps": "\\u001b"}'})


def states(tensors: Tensors, metadata: Metadata) -> Iterator[tuple[str, bytes]]:
    """Checkpoints whose state is none."""
    tree = json.loads(metadata["state"])
    changes: list[dict[str, object]] = [
        {"step": "7"}, {"step": -1}, {"step": 1.5}, {"step": None}, {"best": []}, {"best": {"step": 1}},
        {"sums": {"loss": "x"}}, {"sums": []}, {"log_bytes": -5}, {"identity": 3}, {"other": 1}, {"run_sha256": None},
    ]  # fmt: skip
    for change in changes:
        yield f"state with {change}", tensor_file(tensors, metadata | {"state": json.dumps(tree | change)})
    for text in ("[" * 100_000, "{", "[]", "5", ""):
        yield f"state {text[:5]!r}", tensor_file(tensors, metadata | {"state": text})


def sparse(content: bytes) -> Callable[[Path], None]:
    """Return what makes a file of 10 GB, all of them zeros that take no room on the disk; its header is sound."""
    header, data = header_of(content)
    extra = {"dtype": "U8", "shape": [TEN_GB], "data_offsets": [len(data), len(data) + TEN_GB]}

    def make(path: Path) -> None:
        path.write_bytes(with_header(header | {"zeros": extra}, data))
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + TEN_GB)

    return make


def open_weights(path: Path) -> int:
    """Ask the command line for a molecule."""
    return run(["sample", str(path), "-n", "1", "-o", str(path.parent / "grown.xyz"), "--workers", "1", "--force"])


def open_store(path: Path) -> int:
    """Ask the command line what a store holds."""
    return run(["data", "info", str(path)])


def main() -> None:
    """Open all of them."""
    seed, flips, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    rng, canary = np.random.default_rng(seed), folder / "canary"
    torch.manual_seed(seed)
    learner = Learner(RunConfig(model=MODEL), torch.device("cpu"))
    learner.begin(torch.full((5,), 0.2), None, None)
    weights = dict(learner.model.state_dict())
    card = {
        "format": FORMAT,
        "version": "1",
        "model": MODEL.model_dump_json(),
        "card": Card(name="a").model_dump_json(),
    }
    state = '{"run_sha256": "a", "identity": {}, "store_sha256": "b"}'
    kept, told = learner.tensors(), {"format": CHECKPOINT_FORMAT, "version": "1", "state": state}

    def open_checkpoint(path: Path) -> int:
        try:
            load_checkpoint(path, learner.check_fits)
        except AtomweaveError as error:
            print(error, file=sys.stderr)
            return error.exit_status
        return 0

    sound = {
        "weights": tensor_file(weights, card),
        "checkpoint": tensor_file(kept, told),
        "store": store_file(*sound_store()),
    }
    openers = {"weights": open_weights, "checkpoint": open_checkpoint, "store": open_store}

    def cases() -> Iterator[tuple[str, Case]]:
        for kind, content in sound.items():
            yield from ((kind, case) for case in pickles(canary) if kind != "checkpoint" or "SAFE" not in case[0])
            # One at a time: thousands of copies of the file would be memory of ours.
            for what, broken in chain(headers(content), damage(content, flips, rng)):
                yield kind, (what, "a.safetensors", broken)
        for what, broken in (*contents(weights, card), *configurations(weights, card)):
            yield "weights", (what, "a.safetensors", broken)
        for what, broken in (*contents(kept, told), *states(kept, told)):
            if "not a number" not in what and "whole numbers" not in what:  # a state may hold any number
                yield "checkpoint", (what, "a.safetensors", broken)
        for kind in ("weights", "checkpoint"):
            yield kind, ("10 GB of zeros", "a.safetensors", sparse(sound[kind]))

    failures, n, out = [], 0, io.StringIO()
    for kind, content in sound.items():  # a refusal of everything would pass unseen; and the first use imports
        (folder / "a.safetensors").write_bytes(content)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            if openers[kind](folder / "a.safetensors") not in (0, 5):  # an untaught model may finish no molecule
                failures.append(f"sound {kind} refused: {out.getvalue()[-300:]}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, (what, name, content) in cases():
        path = folder / name
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = openers[kind](path)
        except Exception as error:  # noqa: BLE001 - any traceback is what is looked for
            status = repr(error)
        lines = said.getvalue().strip().splitlines()
        clear = len(lines) == 1 and str(path) in lines[0] and lines[0].isprintable() and len(lines[0]) < 600
        if status != 4 or not clear:
            failures.append(f"{kind}, {what}: status {status}, said {said.getvalue()[:300]!r}")
        path.unlink()
        n += 1
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / MEGABYTE
    if canary.exists():
        failures.append("a payload ran")
    if peak > 200:
        failures.append(f"{peak:.0f} MB of memory")
    print(json.dumps({"n": n, "failures": failures, "peak": round(peak, 1)}))


if __name__ == "__main__":
    main()
