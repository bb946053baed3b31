"""Trained weights: one safetensors file with the model's configuration and a card that says what it was made of.

Nothing in such a file can run code or name code to run: the configuration is checked field by field, and the tensors
must be exactly those that the configured model has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..arrayfile import check_file
from ..config import Config
from ..errors import AtomweaveError, InputError, RefusedFileError, UsageError, did_you_mean, printable
from ..tensorfile import read_tensors, write_tensors
from .base import Model
from .presets import explain
from .registry import ModelConfig, build_model

SHIPPED = Path(__file__).parent.parent / "weights"
"""Where the weights that come with Atomweave lie."""

FORMAT = "atomweave-weights"
VERSION = 1


class Figure(Config):
    """One measured number of a card."""

    value: float
    low: float | None = Field(None, description="lower end of the interval")
    high: float | None = Field(None, description="upper end of the interval")
    n: int | None = Field(None, description="how many molecules it was measured on")
    unit: str = Field("", description='"%", "nats", ...')


class Card(Config):
    """What weights are, what they learnt from and what they reach."""

    name: str = ""
    summary: str = Field("", description="one sentence")
    parameters: int = 0
    data: str = Field("", description="what they learnt from, with the split")
    data_sha256: str = Field("", description="hash of the store")
    largest: int = Field(0, ge=0, description="atoms of the largest molecule they learnt from; 0 where it is not known")
    policy: str = Field("", description="growth policy and start rule")
    steps: int = 0
    fragments: int = Field(0, description="decisions seen in training")
    budget: str = Field("", description="machine and hours")
    figures: dict[str, Figure] = Field({}, description="what they reach, each with its interval")
    notes: str = ""
    licence: str = Field("", description="of the weights; whoever taught them says")


def save_weights(path: str | Path, model: Model, config: Config, card: Card, dtype: torch.dtype | None = None) -> None:
    """Write a model's weights, whole or not at all.

    Args:
        path: target, a .safetensors file.
        model: gives the tensors.
        config: the model's configuration, from which `load_model` builds it again.
        card: travels in the file's metadata.
        dtype: of the parameters in the file, e.g. torch.float16 to ship; None keeps them. What was measured on the
            training data is kept as it is: an energy of -11,000 eV would lose eight.
    """
    learnt = dict(model.named_parameters(remove_duplicate=False))
    tensors = {
        name: tensor.to(dtype) if dtype is not None and name in learnt else tensor
        for name, tensor in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "model": config.model_dump_json(),
        "card": card.model_dump_json(),
    }
    write_tensors(path, tensors, metadata)


def load_model(name_or_path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Return a trained model in evaluation mode, in float32, with its `card` and `config` as attributes.

    Args:
        name_or_path: the name of weights that ship, e.g. "symphony-qm9", or a file.
        device: where the parameters go.

    Raises:
        UsageError: if there is no such file or name.
        RefusedFileError: if the file is damaged, hostile, or does not fit its own configuration.
    """
    path = weights_path(name_or_path)
    built: list[Model] = []

    def build_and_compare(metadata: Mapping[str, str], layout: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        _card_of(path, metadata)
        built.append(_build(path, _config_of(path, metadata), sum(math.prod(shape) for _, shape in layout.values())))
        check_layout(path, built[0].state_dict(), layout)

    metadata, tensors = read_tensors(path, FORMAT, VERSION, build_and_compare)
    config, card, model = _config_of(path, metadata), _card_of(path, metadata), built[0]
    check_tensors(path, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    model.requires_grad_(False)
    model.eval()
    model.card, model.config = card, config
    return model.to(device)


def read_card(name_or_path: str | Path) -> tuple[Card, Config]:
    """Return card and model configuration of weights without building the model; errors as in `load_model`."""
    path = weights_path(name_or_path)
    metadata = check_file(path, FORMAT, VERSION)
    return _card_of(path, metadata), _config_of(path, metadata)


def shipped_names() -> list[str]:
    """Return the names of the weights that come with Atomweave."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def weights_path(name_or_path: str | Path) -> Path:
    """Return the file of shipped weights or of a path.

    Raises:
        UsageError: if there is neither; the message names the nearest shipped name.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    if not path.suffix and len(path.parts) == 1:
        if path.name in shipped_names():
            return SHIPPED / f"{path.name}.safetensors"
        raise UsageError(f"there are no weights {path.name!r}; {did_you_mean(path.name, shipped_names())}")
    raise UsageError(f"{path}: there is no such file; shipped weights are: {', '.join(shipped_names()) or 'none'}.")


def ship_weights(
    source: str | Path, target: str | Path, card: dict[str, Any], dtype: torch.dtype = torch.float16
) -> Card:
    """Write weights again in half precision, with fields of their card replaced; return the new card.

    Raises:
        UsageError: if a field of the card does not exist or fit.
        RefusedFileError: if the source is not to be trusted, or a weight does not fit into `dtype`.
    """
    model = load_model(source)
    try:
        new_card = Card.model_validate({**model.card.model_dump(), **card})
    except ValidationError as error:
        raise UsageError(f"card: {explain(error, card)}") from None
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter.to(dtype)).all():
            raise RefusedFileError(f"{source}: tensor {name} does not fit into {dtype}; ship it in another type.")
    save_weights(target, model, model.config, new_card, dtype)
    return new_card


class _BoundedSize(TorchDispatchMode):
    """While a model is built, an end to the numbers that are asked for: a configuration may claim any size."""

    def __init__(self, n_numbers: int) -> None:
        super().__init__()
        self.left = n_numbers

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here: torch would import its compiler to say so, which takes more than a second.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        size = args[0] if args else None
        if isinstance(size, list | tuple) and all(isinstance(n, int) for n in size):  # empty, zeros, rand ...
            self.left -= math.prod(size)
            if self.left < 0:
                raise MemoryError("it is larger than the tensors in the file")
        return func(*args, **(kwargs or {}))


_ROOM = 10_000_000
"""Numbers that building a model may need beside its tensors: grids, tables, temporary ones."""


def _build(path: Path, config: Config, n_numbers: int) -> Model:
    try:
        with _BoundedSize(4 * n_numbers + _ROOM):
            return build_model(config)
    except (RuntimeError, MemoryError, OverflowError, ValueError, AtomweaveError) as error:
        # The configuration is well formed and still may ask for more memory than any machine has.
        said = str(error).rstrip(".")
        raise RefusedFileError(f"{path}: the model it describes cannot be built ({said}).") from None


def check_layout(
    path: str | Path, wanted: Mapping[str, Tensor], found: Mapping[str, tuple[str, tuple[int, ...]]]
) -> None:
    """Refuse a file unless it holds the tensors of a model, before they are read; arguments as `check_tensors`.

    Raises:
        RefusedFileError: for the first name or shape that does not fit.
    """
    for name in sorted(wanted.keys() - found.keys()):
        raise RefusedFileError(f"{path}: tensor {name} is missing.")
    for name in sorted(found.keys() - wanted.keys()):
        raise RefusedFileError(
            f"{path}: tensor {printable(name)[:80]} is not part of the model that the file describes."
        )
    for name, (_, shape) in found.items():
        if shape != tuple(wanted[name].shape):
            raise RefusedFileError(
                f"{path}: tensor {name} has shape {_shape(shape)}, wanted {_shape(wanted[name].shape)}."
            )


def check_tensors(path: str | Path, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Refuse tensors that are not exactly those of a model: names, shapes, kinds of number, no NaN.

    Raises:
        RefusedFileError: for the first that does not fit.
    """
    check_layout(path, wanted, {name: ("", tuple(tensor.shape)) for name, tensor in found.items()})
    for name, tensor in found.items():
        like = wanted[name]
        fits = tensor.is_floating_point() if like.is_floating_point() else tensor.dtype == like.dtype
        if not fits:
            raise RefusedFileError(f"{path}: tensor {name} holds {tensor.dtype}, wanted {like.dtype}.")
        # Minus infinity is the logarithm of what never happens: an element that no molecule began with.
        if tensor.is_floating_point() and (torch.isnan(tensor) | torch.isposinf(tensor)).any():
            raise RefusedFileError(f"{path}: tensor {name} holds NaN or infinity.")


def n_parameters(model: Model) -> int:
    """Return how many numbers are learnt."""
    return sum(math.prod(parameter.shape) for parameter in model.parameters())


def _config_of(path: Path, metadata: Mapping[str, str]) -> Config:
    tree = _json_of(path, metadata, "model")
    try:
        return TypeAdapter(ModelConfig).validate_python(tree)
    except ValidationError as error:
        raise RefusedFileError(f"{path}: its model configuration does not fit: {explain(error, tree)}") from None
    except InputError as error:
        raise RefusedFileError(f"{path}: its model configuration does not fit: {error}") from None


def _card_of(path: Path, metadata: Mapping[str, str]) -> Card:
    tree = _json_of(path, metadata, "card")
    try:
        card = Card.model_validate(tree)
    except ValidationError as error:
        raise RefusedFileError(f"{path}: its card does not fit: {explain(error, tree)}") from None
    if path.parent == SHIPPED:  # known by their file's name, whatever they were called while they were made
        return card.model_copy(update={"name": path.stem})
    return card


def _json_of(path: Path, metadata: Mapping[str, str], entry: str) -> dict[str, Any]:
    try:
        tree = json.loads(metadata[entry])
    except (KeyError, ValueError, RecursionError) as error:
        raise RefusedFileError(f"{path}: its metadata entry {entry!r} cannot be read ({error}).") from None
    if not isinstance(tree, dict):
        raise RefusedFileError(f"{path}: its metadata entry {entry!r} is no JSON object.")
    return tree


def _shape(shape: Iterable[int]) -> str:
    return f"({', '.join(map(str, shape))})"
