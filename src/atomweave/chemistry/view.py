"""A molecule as a notebook shows it: balls and sticks that turn under the pointer, one small piece of HTML.

Report pages inline a library of half a megabyte once; here every molecule brings all that it needs, some kilobytes, for
a notebook keeps the outputs of its cells apart. The drawing is SVG. A frame of its own holds a copy of it with the
script that turns it (`view.html`): the frame is sandboxed, may load nothing, and shares no name with the page or with
other molecules in it. Where frames and scripts are taken away, as in notebooks that are not trusted, the still
picture behind it remains.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from ..errors import printable
from .radii import COVALENT_RADII, bonded_pairs

if TYPE_CHECKING:
    from ..molecule import Molecule

LARGEST_DRAWN = 500
"""Atoms; of larger molecules only the caption is shown, because every turn moves every atom."""

LONGEST_NAME = 80
"""Characters of a name that the caption shows."""

SIDE = 260
"""Pixels, of the square in which a molecule is drawn."""

COLOURS = {
    "H": "#d9dde1", "C": "#6b6f76", "N": "#3f66d8", "O": "#d9402f", "F": "#56b04a",
    "P": "#e08a1e", "S": "#d9b92c", "Cl": "#2f9e56", "Br": "#94382c", "I": "#7a2d9c",
}  # fmt: skip
OTHER_COLOUR = "#b05fc4"

STICK = 20  # width of a bond, 0.01 Å
MARGIN = 20  # around the atoms, 0.01 Å
SMALLEST = 250  # half the side of what is shown at least, 0.01 Å: one atom does not fill it


@dataclass(frozen=True)
class _Drawing:
    """SVG, and what the script needs to turn it."""

    svg: str
    points: list[list[int]]  # x, y, z of each atom from the centre, 0.01 Å; y points down, z to the reader
    radii: list[int]  # 0.01 Å
    parts: list[list[int]]  # in the order of the SVG's children: [atom], or [atom, neighbour] of half a bond


def html_of(molecule: Molecule) -> str:
    """Return HTML that stands alone: a still picture, the frame in which the molecule turns, and a caption."""
    name = str(molecule.properties.get("name", ""))
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}…"
    facts = [name, molecule.formula, f"{len(molecule)} atoms" if len(molecule) > 1 else "1 atom"]
    if len(molecule) > LARGEST_DRAWN:
        facts.append(f"more than {LARGEST_DRAWN}, not drawn")
    caption = escape(printable(", ".join(filter(None, facts))))
    stage = "" if len(molecule) > LARGEST_DRAWN else _stage(_drawing(molecule), caption)
    outer = f"display:inline-block;width:{SIDE}px;margin:4px;vertical-align:top;overflow-wrap:anywhere"
    return f'<div style="{outer}">{stage}<div>{caption}</div></div>'


def _stage(drawing: _Drawing, caption: str) -> str:
    """Return the still picture with the frame above it.

    Args:
        drawing: what to show.
        caption: escaped.
    """
    data = json.dumps([drawing.points, drawing.radii, drawing.parts], separators=(",", ":"))
    page = _page().replace("SVG", drawing.svg).replace("DATA", data)
    still = b64encode(drawing.svg.encode()).decode()
    place = f'width="{SIDE}" height="{SIDE}"'
    over = 'style="position:absolute;left:0;top:0;border:0" sandbox="allow-scripts"'
    return (
        f'<div style="position:relative;width:{SIDE}px;height:{SIDE}px">'
        f'<img alt="{caption}" {place} src="data:image/svg+xml;base64,{still}">'
        f'<iframe title="{caption}" {place} {over} srcdoc="{escape(page)}"></iframe></div>'
    )


@cache
def _page() -> str:
    return files(__package__).joinpath("view.html").read_text(encoding="utf-8").strip()


def _drawing(molecule: Molecule) -> _Drawing:
    """Draw a molecule from its widest side: bonds by distance (`radii.bonded_pairs`), near things above far ones."""
    centred = molecule.positions - molecule.positions.mean(0)
    axes = np.linalg.svd(centred, full_matrices=True)[2]
    axes[2] *= np.linalg.det(axes)  # a rotation: a reflection would show the other enantiomer
    points = 100 * centred @ axes.T
    points[:, 1] *= -1  # y of the screen points down
    radii = 100 * (0.18 + 0.22 * COVALENT_RADII[molecule.numbers])
    # Whatever way it is turned, nothing leaves the picture.
    half = max(int((np.linalg.norm(points, axis=1) + radii).max()) + MARGIN, SMALLEST)
    pairs = bonded_pairs(molecule.numbers, molecule.positions).tolist()
    parts = [[atom] for atom in range(len(molecule))] + [half for a, b in pairs for half in ([a, b], [b, a])]
    shapes = sorted((_shape(part, points, radii, molecule.symbols), part) for part in parts)
    elements = sorted(set(molecule.symbols))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}" '
        f'viewBox="{-half} {-half} {2 * half} {2 * half}">'
        f"<defs>{''.join(map(_gradient, elements))}</defs><g>{''.join(text for (_, text), _ in shapes)}</g></svg>"
    )
    whole_points, whole_radii = (np.rint(values).astype(int).tolist() for values in (points, radii))
    return _Drawing(svg, whole_points, whole_radii, [part for _, part in shapes])


def _shape(part: list[int], points: np.ndarray, radii: np.ndarray, symbols: list[str]) -> tuple[float, str]:
    """Return how near a ball or half a stick is, and its element."""
    atom = part[0]
    x, y, z = points[atom]
    if len(part) == 1:
        return z, f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radii[atom]:.0f}" fill="url(#{symbols[atom]})"/>'
    along = points[part[1]] - points[atom]
    x1, y1, z1 = points[atom] + 0.8 * radii[atom] * along / np.linalg.norm(along)  # at the ball, not in its middle
    x2, y2, z2 = points[atom] + 0.51 * along  # halves overlap, or a seam shows between them
    ends = f'x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"'
    return (z1 + z2) / 2, f'<line {ends} stroke="{_colour(symbols[atom])}" stroke-width="{STICK}"/>'


def _colour(symbol: str) -> str:
    return COLOURS.get(symbol, OTHER_COLOUR)


def _gradient(symbol: str) -> str:
    """Return the light and shade of an element's balls."""
    return (
        f'<radialGradient id="{symbol}" cx=".36" cy=".32" r=".75"><stop stop-color="#fff"/>'
        f'<stop offset=".45" stop-color="{_colour(symbol)}"/><stop offset="1" stop-color="#333"/></radialGradient>'
    )
