"""One HTML file that opens offline: the headline table and a wall of molecules that can be turned.

Whatever comes from a molecule is data: it reaches the page as JSON in which no character can end a script, and the page
puts it in place as text. Besides, a content security policy lets run only the two scripts written here, by their hash.
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
    from ..headline import Headline
    from ..validity import Verdict

HERE = Path(__file__).parent
VIEWER = "3Dmol-2.5.3-min.js"
MAX_MOLECULES = 500
"""Attempts on the wall, some 8 kB each; the headline always counts all of them."""


def write_report(
    path: str | Path,
    verdicts: Sequence[Verdict],
    headline: Headline,
    title: str,
    provenance: Mapping[str, object],
    max_molecules: int = MAX_MOLECULES,
) -> None:
    """Write the page.

    Args:
        path: the HTML file; it appears whole or not at all.
        verdicts: one an attempt (`evaluation.validity.assess`); the first `max_molecules` of them are shown.
        headline: the table (`evaluation.headline.summarise`).
        title: heading, e.g. the name of the weights.
        provenance: how the sample was made: seed, temperatures, weights, time; shown as name and value.
        max_molecules: how many attempts the wall holds.
    """
    page = render(verdicts[:max_molecules], headline, title, provenance)
    with write_atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(verdicts: Sequence[Verdict], headline: Headline, title: str, provenance: Mapping[str, object]) -> str:
    """Return the page's text; arguments as `write_report`, every verdict is shown."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingDependencyError("the report needs Jinja2: pip install 'atomweave[eval]'.") from None

    viewer, behaviour, style = (_asset(name) for name in (f"assets/{VIEWER}", "page.js", "page.css"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html.j2")).render(
        title=title,
        provenance={name: str(value) for name, value in provenance.items()},
        headline=headline,
        n_attempts=headline["attempted"].count,
        n_shown=len(verdicts),
        script_hashes=" ".join(_csp_hash(script) for script in (viewer, behaviour)),
        # Our own files and escaped JSON, the only things that enter as markup.
        viewer=Markup(viewer),  # noqa: S704
        behaviour=Markup(behaviour),  # noqa: S704
        style=Markup(style),  # noqa: S704
        molecules=Markup(  # noqa: S704
            script_safe_json([record(index, verdict) for index, verdict in enumerate(verdicts)])
        ),
    )


def script_safe_json(value: Any) -> str:
    """Return JSON that may stand inside a script element: no character of it can end or open a tag or comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _csp_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
