from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from atomweave.arrayfile import read_arrays, write_arrays
from atomweave.errors import RefusedFileError, UsageError
from atomweave.models import weights
from atomweave.models.registry import build_model
from atomweave.models.symphony import SymphonyConfig
from atomweave.models.weights import Card, Figure, load_model, read_card, save_weights, ship_weights
from atomweave.tensorfile import content_hash

CONFIG = SymphonyConfig.model_validate(
    {
        "focus_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
        "position_embedder": {"kind": "nequip", "channels": 4, "lmax": 1, "n_layers": 1},
        "focus_head": {"width": 8, "n_hidden": 1},
    }
)
CARD = Card(name="tiny", parameters=7, figures={"valid": Figure(value=0.5, low=0.4, high=0.6, n=100)})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = build_model(CONFIG)
    model.set_start(torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0]))
    return model


@pytest.fixture
def file(model, tmp_path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_weights(path, model, CONFIG, CARD)
    return path


def rewrite(path: Path, tensors=None, hashed: bool = True, **entries: str) -> None:
    """Write a file again with other tensors or metadata, as someone might who can compute the hash."""
    with safe_open(path, "pt") as opened:
        metadata = json.loads(opened.metadata()["atomweave"])
        found = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118 - no mapping
    told = metadata.pop("sha256")
    metadata |= entries
    found |= tensors or {}
    found = {name: tensor for name, tensor in found.items() if tensor is not None}
    metadata["sha256"] = content_hash(found, metadata) if hashed else told
    save_file(found, path, {"atomweave": json.dumps(metadata)})


def test_a_shared_embedder_is_stored_once(tmp_path):
    config = CONFIG.model_copy(update={"position_embedder": None})
    shared = build_model(config)
    shared.set_start(torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0]))
    path = tmp_path / "shared.safetensors"
    save_weights(path, shared, config, CARD)
    loaded = load_model(path).state_dict()
    assert loaded.keys() == shared.state_dict().keys()
    assert not any(name.startswith("position_embedder") for name in loaded)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in shared.state_dict().items())


def test_loaded_model_is_the_saved_one(file, model):
    loaded = load_model(file)
    assert not loaded.training
    assert loaded.config == CONFIG
    assert loaded.card == CARD
    wanted = model.state_dict()
    assert loaded.state_dict().keys() == wanted.keys()
    assert all(tensor.equal(wanted[name]) for name, tensor in loaded.state_dict().items())


def test_same_weights_give_the_same_bytes(file, model, tmp_path):
    save_weights(tmp_path / "again.safetensors", model, CONFIG, CARD)
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_shipping_halves_the_file_and_keeps_the_weights_to_half_precision(file, model, tmp_path):
    target = tmp_path / "ship.safetensors"
    card = ship_weights(file, target, {"summary": "Small.", "figures": {"valid": {"value": 0.6}}})
    assert card.figures["valid"].value == 0.6
    assert card.parameters == CARD.parameters
    loaded = load_model(target)
    assert loaded.card == card
    for name, tensor in model.state_dict().items():
        assert loaded.state_dict()[name].dtype == tensor.dtype
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
    values = sum(tensor.numel() for tensor in model.state_dict().values() if tensor.is_floating_point())
    assert file.stat().st_size - target.stat().st_size == pytest.approx(2 * values, abs=2000)


def test_shipping_refuses_what_half_precision_cannot_hold(file, tmp_path):
    name, parameter = next(load_model(file).named_parameters())
    huge = torch.full_like(parameter, 1e6)
    rewrite(file, {name: huge})
    with pytest.raises(RefusedFileError, match=f"{name} does not fit into torch.float16"):
        ship_weights(file, tmp_path / "ship.safetensors", {})
    assert not (tmp_path / "ship.safetensors").exists()


def test_shipping_with_a_misspelt_field_of_the_card(file, tmp_path):
    with pytest.raises(UsageError, match=r"card: sumary: .*did you mean 'summary'"):
        ship_weights(file, tmp_path / "ship.safetensors", {"sumary": "?"})


def test_card_is_read_without_building_the_model(file, monkeypatch):
    monkeypatch.setattr(weights, "build_model", lambda config: pytest.fail("was built"))
    assert read_card(file) == (CARD, CONFIG)


def test_shipped_weights_have_names(file, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", file.parent)
    assert load_model("tiny").card == CARD
    with pytest.raises(UsageError, match="there are no weights 'tinny'; did you mean 'tiny'"):
        load_model("tinny")
    with pytest.raises(UsageError, match="there is no such file; shipped weights are: tiny"):
        load_model(file.parent / "absent.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".ckpt"])
@pytest.mark.parametrize("writer", ["torch", "old torch", "pickle"])
def test_pickles_are_refused_under_any_suffix_and_run_nothing(suffix, writer, tmp_path):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / f"weights{suffix}"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Hostile()))
    else:
        torch.save({"state": Hostile()}, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(RefusedFileError, match="is a pickle"):
        load_model(path)
    assert not (tmp_path / "ran").exists()


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path):
    seen = set()
    for padding in range(0, 1600, 4):  # the header's length is padded to 8 bytes
        metadata = {"format": "padded", "version": "1", "padding": "x" * padding}
        write_arrays(tmp_path / "a.safetensors", {"a": np.zeros(1)}, metadata)
        start = (tmp_path / "a.safetensors").read_bytes()[:2]
        if start in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            seen.add(start)
            read_arrays(tmp_path / "a.safetensors", "padded", 1)
    assert len(seen) == 4


@pytest.mark.parametrize("kept", [0, 3, 8, 100, 0.5, 0.99])
def test_truncated_file_is_refused(file, kept):
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(RefusedFileError, match="no whole safetensors file"):
        load_model(file)


def test_every_flipped_bit_is_refused(file):
    content = file.read_bytes()
    for place in torch.randint(len(content), (200,), generator=torch.Generator().manual_seed(0)).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        file.write_bytes(damaged)
        with pytest.raises(RefusedFileError):
            load_model(file)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4 * 10**12]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}},
        {"__metadata__": {"atomweave": 3}},
        {"__metadata__": {"atomweave": "[1]"}},
        {"__metadata__": {"atomweave": "no json"}},
        [1, 2],
    ],
)
def test_lying_header_is_refused(header, tmp_path):
    path = tmp_path / "weights.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    with pytest.raises(RefusedFileError):
        load_model(path)


def test_header_longer_than_any_file_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(RefusedFileError, match="no whole safetensors file"):
        load_model(path)


def test_tensors_that_do_not_fit_are_refused(file, model):
    name, tensor = next(iter(model.named_parameters()))
    for change, sentence in [
        ({name: None}, f"tensor {name} is missing"),
        ({"more": torch.zeros(1)}, "tensor more is not part of the model"),
        ({name: torch.zeros(3, 5, 7)}, rf"tensor {name} has shape \(3, 5, 7\), wanted"),
        ({name: torch.zeros_like(tensor, dtype=torch.int64)}, f"tensor {name} holds torch.int64, wanted torch.float32"),
        ({name: torch.full_like(tensor, float("nan"))}, f"tensor {name} holds NaN"),
    ]:
        save_weights(file, model, CONFIG, CARD)
        rewrite(file, change)
        with pytest.raises(RefusedFileError, match=sentence):
            load_model(file)


def test_metadata_that_does_not_fit_is_refused(file, model):
    config = json.loads(CONFIG.model_dump_json())
    for entries, sentence in [
        ({"model": json.dumps(config | {"nose": 1})}, "nose: there is no such field; did you mean 'noise'"),
        ({"model": json.dumps({"kind": "os.system"})}, "there is no model 'os.system'"),
        ({"model": "[]"}, "is no JSON object"),
        ({"model": "{"}, "cannot be read"),
        ({"card": json.dumps({"titel": "x"})}, "titel: there is no such field"),
        ({"version": "99"}, "has version 99, this Atomweave reads version 1"),
        ({"format": "atomweave-checkpoint"}, "is a file of format 'atomweave-checkpoint', wanted 'atomweave-weights'"),
    ]:
        save_weights(file, model, CONFIG, CARD)
        rewrite(file, **entries)
        with pytest.raises(RefusedFileError, match=sentence):
            load_model(file)


def test_changed_card_without_its_hash_is_refused(file):
    rewrite(file, hashed=False, card=json.dumps({"name": "better"}))
    with pytest.raises(RefusedFileError, match="is damaged"):
        load_model(file)


def test_file_of_someone_else_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(RefusedFileError, match="a safetensors file that Atomweave did not write"):
        load_model(tmp_path / "other.safetensors")


def test_killed_while_saving_leaves_the_weights_before(file, model, monkeypatch):
    content = file.read_bytes()

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("atomweave.tensorfile.save_file", die)
    with pytest.raises(KeyboardInterrupt):
        save_weights(file, model, CONFIG, CARD)
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_model_can_be_sent_to_another_process(model):
    twin = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes; it is what multiprocessing does
    assert all(tensor.equal(model.state_dict()[name]) for name, tensor in twin.state_dict().items())
