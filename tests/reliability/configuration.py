"""Configurations."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from atomweave.errors import UsageError
from atomweave.models.presets import check as validate
from atomweave.models.presets import preset_names
from atomweave.training.config import RunConfig, load_config

from .counts import Count, check

Path_ = tuple[str, ...]
WRONG = {
    int: ("many", "7", True, 1.5, [1], {"a": 1}, float("nan"), float("inf"), 10**400),
    float: ("much", "0.5", "1e-3x", True, [0.5], {"a": 1}, float("nan"), float("inf"), -float("inf")),
    bool: ("perhaps", "yes", 1, 0, 2.5, [], {}),
    str: (5, 2.5, True, ["a"], {"a": "b"}),
    tuple: (5, True, {"a": 1}, "H", [5], [["H"]], [{}]),
    BaseModel: (5, "text", True, [1], []),
}


def fields(config: BaseModel, path: Path_ = ()) -> Iterator[tuple[Path_, FieldInfo]]:
    """Yield every field of a configuration with its path, those that hold fields too."""
    for name, field in type(config).model_fields.items():
        yield (*path, name), field
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from fields(value, (*path, name))


def kinds(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation admits; parts as BaseModel, choices as Literal, nothing as None."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kinds(inner[0])
    if origin in (Union, UnionType):
        return set().union(*map(kinds, inner))
    if origin in (Literal, tuple):
        return {origin}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {BaseModel}
    return {None if annotation is type(None) else annotation}


def wrong_values(field: FieldInfo, rng: np.random.Generator) -> Iterator[tuple[Any, str]]:
    """Yield values that a field must refuse, each with what the sentence must say beside the path."""
    admitted = kinds(field.annotation)
    for kind in admitted & WRONG.keys():
        for value in WRONG[kind]:
            also = {type(value)} | ({float} if type(value) is int else {tuple} if isinstance(value, list) else set())
            # A whole number of steps may be written as 1e5, and a part may be given by its fields.
            if not also & admitted or (isinstance(value, float) and not math.isfinite(value)):
                yield value, ""
    if None not in admitted:
        yield None, ""
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            yield bound.ge - 1, ""
        elif isinstance(bound, annotated_types.Gt):
            yield bound.gt, ""
        elif isinstance(bound, annotated_types.Le):
            yield bound.le + 1, ""
        elif isinstance(bound, annotated_types.Lt):
            yield bound.lt, ""
    if Literal in admitted:
        for choice in get_args(field.annotation):
            if isinstance(choice, str) and len(choice) > 2:
                yield misspelt(choice, rng), f"did you mean {choice!r}?"


def misspelt(name: str, rng: np.random.Generator) -> str:
    """Return a name with two letters exchanged or one doubled."""
    place = int(rng.integers(len(name) // 2, len(name) - 1)) if len(name) > 2 else 0
    if rng.random() < 0.5 and not name[-1].isdigit() and name[place] != name[place + 1]:
        return name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    return name[:place] + name[place] + name[place:]


def changed(tree: dict[str, Any], path: Path_, name: str, value: Any) -> dict[str, Any]:
    """Return a tree in which the field at `path` is called `name` and holds `value`."""
    tree = copy.deepcopy(tree)
    part = tree
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    part[name] = value
    return tree


def complaint(tree: dict[str, Any], path: Path_, wanted: str) -> str | None:
    """Return what is wrong with how a tree is refused."""
    place = ".".join(path)
    try:
        validate(tree, RunConfig, "a.yaml")
    except UsageError as error:
        said = str(error)
        sound = place in said and wanted in said and said.isprintable() and len(said) < 800
        return None if sound else f"{place}: wanted it and {wanted!r} in {said[:300]!r}"
    except Exception as error:  # noqa: BLE001 - any traceback is what is looked for
        return f"{place}: {error!r}"
    return f"{place}: taken as if it were right"


@check(unit="configurations", small=2_000, large=20_000)
def refused_configurations(size: int, seed: int, folder: Path) -> Count:
    """Every field of every preset refuses a wrong type, a value out of range and a wrong spelling in a sentence that
    names the path of the field and, where a name was misspelt, the nearest valid one.
    """
    rng, failures, n, seen = np.random.default_rng(seed), [], 0, 0
    while n < size:
        seen = 0
        for preset in preset_names():
            config = load_config(preset)
            tree = config.model_dump(mode="json")
            for path, field in fields(config):
                seen += 1
                for case, where, wanted in broken(tree, path, field, rng):
                    n += 1
                    told = complaint(case, where, wanted)
                    failures += [] if told is None else [f"{preset}: {told}"]
    return Count(n, failures, {"fields of all presets": seen})


def broken(
    tree: dict[str, Any], path: Path_, field: FieldInfo, rng: np.random.Generator
) -> Iterator[tuple[dict[str, Any], Path_, str]]:
    """Yield trees with one field misspelt or wrong, the path that must be named, and what else must be said."""
    value: Any = tree
    for key in path:
        value = value[key]
    wrong = misspelt(path[-1], rng)
    yield changed(tree, path, wrong, value), (*path[:-1], wrong), f"did you mean {path[-1]!r}?"
    for bad, wanted in wrong_values(field, rng):
        yield changed(tree, path, path[-1], bad), path, wanted
