"""What a trained model gives to one of another configuration: other elements, another part."""

from __future__ import annotations

import torch

from ..errors import UsageError
from .base import Model

CONDITIONS = "condition_embedding."
"""How the names of tensors begin that read conditions: their columns and scales are of certain properties."""


@torch.no_grad()
def transfer(model: Model, taught: Model) -> list[str]:
    """Copy into a model what fits of a taught one, and return the names of the tensors that get nothing or not all.

    A tensor fits if name and shape are the same. Where it has rows for every element (`Model.rows_per_element`), those
    of the elements that both models know are copied, whatever their index, and so are the rows behind them if there
    are as many. What reads conditions fits if both can be told the same of the same elements.

    Args:
        model: to be taught; changed in place.
        taught: of the same kind.

    Raises:
        UsageError: if it is of another kind, or of other elements and the model does not say where it has rows for
            them: those of one element would go to another.
    """
    if type(model) is not type(taught):
        kinds = type(taught).__name__, type(model).__name__
        raise UsageError("--transfer-from: the weights are of a {}, the model to be taught is a {}.".format(*kinds))
    found, left = taught.state_dict(), []
    per_element, per_element_before = model.rows_per_element(), taught.rows_per_element()
    if model.species != taught.species and not per_element:
        elements = " ".join(taught.species.symbols), " ".join(model.species.symbols)
        raise UsageError(
            "--transfer-from: a {} takes weights of its own elements only, in their order; got {}, wanted {}.".format(
                type(model).__name__, *elements
            )
        )
    told_alike = model.conditions == taught.conditions
    for name, tensor in model.state_dict().items():
        source = found.get(name)
        if source is None or (name.startswith(CONDITIONS) and not told_alike):
            left.append(name)
        elif name in per_element and per_element[name] == per_element_before.get(name):
            if not _copy_by_element(tensor, source, *per_element[name], model, taught):
                left.append(name)
        elif tensor.shape == source.shape:
            tensor.copy_(source)
        else:
            left.append(name)
    return left


def _copy_by_element(
    tensor: torch.Tensor, source: torch.Tensor, dim: int, n_rows: int, model: Model, taught: Model
) -> bool:
    """Copy the rows of the elements that both know, along one dimension; return whether all of the tensor was."""
    tensor, source = tensor.movedim(dim, 0), source.movedim(dim, 0)
    if tensor.shape[1:] != source.shape[1:]:
        return False
    symbols, before = model.species.symbols, taught.species.symbols
    for index, symbol in enumerate(symbols):
        if symbol in before:
            at, there = index * n_rows, before.index(symbol) * n_rows
            tensor[at : at + n_rows] = source[there : there + n_rows]
    behind, behind_before = tensor[len(symbols) * n_rows :], source[len(before) * n_rows :]
    if behind.shape == behind_before.shape:
        behind.copy_(behind_before)
    return behind.shape == behind_before.shape and set(symbols) <= set(before)
