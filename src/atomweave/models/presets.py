"""Configurations from presets or YAML files, changed by `key.path=value` overrides, and back to commented YAML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from ..config import Config
from ..errors import UsageError, did_you_mean, shorten

PRESETS = Path(__file__).parent.parent / "presets"
"""Every published configuration, one YAML file each."""

TAGS = ("kind", "radius")
"""Fields whose value decides which other fields a part has."""

C = TypeVar("C", bound=Config)


def preset_names() -> list[str]:
    """Return the names of the presets that come with Atomweave."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def read_config(name_or_path: str | Path, overrides: Sequence[str], schema: type[C]) -> C:
    """Return a checked configuration.

    Args:
        name_or_path: a preset's name, or a YAML file (anything with a suffix or a folder in it).
        overrides: "key.path=value" each; the value is read as YAML. Where an override changes the `kind` of a part (or
            another of `TAGS`), the whole part is replaced: the fields of one kind mean nothing to another.
        schema: class of the result.

    Raises:
        UsageError: naming the path of the field and the nearest valid name.
    """
    tree, source = _read_yaml(name_or_path), str(name_or_path)
    if overrides:
        # Overrides act on the complete tree, so that a part that the file leaves to its default can be changed too.
        complete = check(tree, schema, source).model_dump(mode="json")
        tree, source = _override(complete, _parse_overrides(overrides)), "override"
    return check(tree, schema, source)


def check(tree: Any, schema: type[C], source: str) -> C:
    """Return `tree` as a `schema`.

    Raises:
        UsageError: for the first thing that does not fit; `source` (a file, "override") opens the sentence.
    """
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"{source}: {explain(error, tree)}") from None


def explain(error: ValidationError, tree: Any) -> str:
    """Return a sentence for the first of pydantic's findings in `tree`: path, got, wanted, nearest valid name."""
    finding = error.errors(include_url=False)[0]
    context = finding.get("ctx", {})
    path = _path(finding["loc"], tree)
    match finding["type"]:
        case "unknown_field":
            return f"{'.'.join([*path, str(context['name'])])}: there is no such field; {context['hint']}"
        case "no_number" | "no_flag" as found:
            wanted = "a number" if found == "no_number" else "true or false"
            return f"{'.'.join([*path, str(context['name'])])}: got {shorten(context['value'])}, wanted {wanted}."
        case "no_kind":
            return _without_tag(path, "kind", finding["input"])
        case "model_kind":
            return f"{'.'.join([*path, 'kind'])}: there is no model {context['kind']!r}; {context['hint']}"
        case "kind":
            return f"{'.'.join([*path, 'kind'])}: there is no {context['kind']!r}; {context['hint']}"
        case "union_tag_invalid":
            known = re.findall(r"'([^']*)'", context["expected_tags"])
            name = str(context["tag"])
            tag = context["discriminator"].strip("'")
            return f"{'.'.join([*path, tag])}: there is no {name!r}; {did_you_mean(name, known)}"
        case "union_tag_not_found":
            tag = context["discriminator"].strip("'")
            return _without_tag(path, tag, finding["input"])
        case "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            name = str(finding["input"])
            return f"{'.'.join(path)}: got {name!r}; {did_you_mean(name, known)}"
        case "missing":
            return f"{'.'.join(path)}: is missing."
        case _:
            message = finding["msg"][0].lower() + finding["msg"][1:]
            place = f"{'.'.join(path)}: " if path else ""
            return f"{place}got {shorten(finding['input'])}, but {message}."


def _without_tag(path: list[str], tag: str, part: Any) -> str:
    """Return the sentence for a part that does not say of which kind it is; perhaps it says so under another name."""
    names = part if isinstance(part, dict) else ()
    near = difflib.get_close_matches(tag, map(str, names), n=1)
    if near:
        return f"{'.'.join([*path, near[0]])}: there is no such field; did you mean {tag!r}?"
    if names or isinstance(part, dict):
        return f"{'.'.join([*path, tag])}: is missing."
    return f"{'.'.join(path)}: got {shorten(part)}, but wanted named fields."


def to_yaml(config: Config) -> str:
    """Return the configuration as YAML, every field with its description; reading it back gives an equal one."""
    return "\n".join(_lines(config, indent=0)) + "\n"


def _path(places: Sequence[int | str], tree: Any) -> list[str]:
    """Return the keys to a finding, without the names of kinds that pydantic puts between them."""
    path = []
    for place in places:
        if isinstance(tree, dict) and place not in tree and place in [tree.get(tag) for tag in TAGS]:
            continue
        path.append(str(place))
        if isinstance(tree, dict):
            tree = tree.get(place)
    return path


def _lines(config: BaseModel, indent: int) -> Iterator[str]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        comment = f"  # {field.description}" if field.description else ""
        if isinstance(value, BaseModel):
            yield f"{'  ' * indent}{name}:{comment}"
            yield from _lines(value, indent + 1)
        else:
            plain = config.model_dump(mode="json", include={name})[name]
            text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
            scalar = text.removesuffix("...\n").strip()  # PyYAML ends a lone scalar with an end-of-document mark
            yield f"{'  ' * indent}{name}: {scalar}{comment}"


def read_tree(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file that holds fields.

    Raises:
        UsageError: if there is no such file, or it is no YAML, or a list.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; wanted a YAML file or a preset: {', '.join(preset_names())}.")
    try:
        tree = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: is not readable as YAML ({_one_line(error)}).") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: holds a list, wanted named fields.")
    return {str(name): value for name, value in tree.items()}


def _read_yaml(name_or_path: str | Path) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1:
        return read_tree(path)
    if path.name not in preset_names():
        hint = did_you_mean(path.name, preset_names())
        raise UsageError(f"there is no preset {path.name!r}; {hint} A file of your own is named with its .yaml.")
    return read_tree(PRESETS / f"{path.name}.yaml")


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals or not all(key.split(".")):
            raise UsageError(f"override {override!r}: wanted key.path=value, e.g. training.learning_rate=1e-3.")
    try:
        tree = OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides)), resolve=False)
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise UsageError(f"overrides {' '.join(overrides)}: cannot be read ({_one_line(error)}).") from None
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _override(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(tree)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _override(old, value) if isinstance(old, dict) and _same_kind(old, value) else value
    return merged


def _same_kind(old: dict[str, Any], new: Any) -> bool:
    if not isinstance(new, dict):
        return False
    return all(new.get(tag, old.get(tag)) == old.get(tag) for tag in TAGS)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
