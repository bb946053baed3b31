"""One HTML file that opens offline: tables, drawings and a wall of molecules that can be turned.

Whatever comes from a molecule or a name is data: it reaches the page as text that Jinja escapes, inside drawings built
as element trees, or as JSON in which no character can end a script, which the page puts in place as text. Besides, a
content security policy lets run only the two scripts written here, by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MissingDependencyError
from ...files import write_atomic
from .records import record

if TYPE_CHECKING:
    from ..evaluation import Evaluation
    from ..headline import Headline
    from ..validity import Verdict

HERE = Path(__file__).parent
VIEWER = "3Dmol-2.5.3-min.js"
MAX_MOLECULES = 500
"""Attempts on the wall, some 8 kB each; the figures always count all of them."""


def write_report(
    path: str | Path,
    verdicts: Sequence[Verdict],
    headline: Headline,
    title: str,
    provenance: Mapping[str, object],
    max_molecules: int = MAX_MOLECULES,
) -> None:
    """Write the page of one sample: its headline and its molecules.

    Args:
        path: the HTML file; it appears whole or not at all.
        verdicts: one an attempt (`evaluation.validity.assess`); the first `max_molecules` of them are shown.
        headline: the table (`evaluation.headline.summarise`).
        title: heading, e.g. the name of the weights.
        provenance: how the sample was made: seed, temperatures, weights, time; shown as name and value.
        max_molecules: how many attempts the wall holds.
    """
    shown = verdicts[:max_molecules]
    page = render(
        "page.html.j2",
        title,
        [record(index, verdict) for index, verdict in enumerate(shown)],
        headline["attempted"].count,
        provenance={name: str(value) for name, value in provenance.items()},
        headline=headline,
    )
    write_page(path, page)


def write_evaluation_report(path: str | Path, evaluation: Evaluation, max_molecules: int = MAX_MOLECULES) -> None:
    """Write the page of an evaluation: figures beside published ones, distributions, molecules, provenance.

    Args:
        path: the HTML file; it appears whole or not at all.
        evaluation: what was found; one set or several.
        max_molecules: how many attempts the wall holds, an equal number of each set, the first of each.
    """
    from .contents import evaluation_title, page_contents, wall_records

    records = wall_records(evaluation, max_molecules)
    n_attempts = sum(len(sample) for scored in evaluation.sets for sample in scored.samples)
    contents = page_contents(evaluation)
    write_page(path, render("evaluation.html.j2", evaluation_title(evaluation), records, n_attempts, **contents))


def render(
    template: str, title: str, records: Sequence[Mapping[str, Any]], n_attempts: int, *, folder: Path = HERE,
    chosen: str = "the first of each set, not picked", **contents: Any,
) -> str:  # fmt: skip
    """Return a page's text.

    Args:
        template: its file's name.
        title: heading.
        records: the attempts on the wall.
        n_attempts: how many there are in all.
        folder: of the template, if it is not this one; it may extend and include those of this one.
        chosen: how those on the wall were chosen, where they are not all.
        contents: what else the template shows.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingDependencyError("the report needs Jinja2: pip install 'atomweave[eval]'.") from None

    viewer, behaviour, style = (_asset(name) for name in (f"assets/{VIEWER}", "page.js", "page.css"))
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader([folder, HERE]),
    )
    chosen = "all of them" if len(records) >= n_attempts else chosen
    return environment.get_template(template).render(
        title=title,
        n_attempts=n_attempts,
        n_shown=len(records),
        chosen=chosen,
        script_hashes=" ".join(_csp_hash(script) for script in (viewer, behaviour)),
        # Our own files and escaped JSON, the only things that enter as markup here.
        viewer=Markup(viewer),  # noqa: S704
        behaviour=Markup(behaviour),  # noqa: S704
        style=Markup(style),  # noqa: S704
        molecules=Markup(script_safe_json(list(records))),  # noqa: S704
        **contents,
    )


def script_safe_json(value: Any) -> str:
    """Return JSON that may stand inside a script element: no character of it can end or open a tag or comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_page(path: str | Path, page: str) -> None:
    """Write a page, the whole file or nothing."""
    with write_atomic(path) as temporary:
        temporary.write_text(
            page, encoding="utf-8", errors="replace"
        )  # a lone surrogate in a name is no reason to fail


def _csp_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
