"""Matrices as pictures: rows are samples of a bispectrum, columns its components, colour the value."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from .svg import Drawing, Figure, Reading, shorten

POSITIVE, NEGATIVE = (196, 78, 30), (38, 96, 178)  # vermilion and blue: told apart by nearly everybody
SHOWN = 200
"""Rows of a heat map."""
CELL, ROWS_HIGH, GAP, TOP, LEFT, SCALE_WIDTH = 12, 220, 24, 22, 6, 62


def heat_maps(
    title: str, matrices: Sequence[tuple[str, np.ndarray]], labels: Sequence[str],
    readings: Sequence[Reading] = (), seed: int = 0,
) -> Figure:  # fmt: skip
    """Draw matrices beside one another on one scale of colour.

    Args:
        title: of the figure.
        matrices: name and (n, n_components) values; the first is the reference.
        labels: of the components.
        readings: numbers that stand with the figure.
        seed: draws the rows where there are more than `SHOWN`.
    """
    rng = np.random.default_rng(seed)
    chosen = [(name, _rows(np.asarray(matrix, np.float64), rng), len(matrix)) for name, matrix in matrices]
    limit = max(float(np.quantile(np.abs(values), 0.99)) for _, values, _ in chosen if values.size) or 1.0
    # Sorted alike, so that a share of rows that looks otherwise shows as a band of another height.
    key = int(np.argmax(np.var(chosen[0][1], axis=0)))
    n_components = chosen[0][1].shape[1]
    block = CELL * n_components
    width = LEFT + len(chosen) * (block + GAP) + SCALE_WIDTH
    height = TOP + ROWS_HIGH + 34
    said = "; ".join(f"{name}, {n:,} atoms, mean components {_spoken(values)}" for name, values, n in chosen)
    drawing = Drawing(width, height, f"{title}: heat maps of the bispectrum. {said}")
    for place, (name, values, n) in enumerate(chosen):
        x = LEFT + place * (block + GAP)
        ordered = values[np.argsort(-values[:, key], kind="stable")]
        drawing.text(x + block / 2, 13, shorten(name, block // 7), "map-name", "middle")
        if len(values):
            drawing.add("image", hint=f"{name}: {n:,} atoms", x=x, y=TOP, width=block, height=ROWS_HIGH,
                        href=png(ordered / limit), preserveAspectRatio="none", class_="pixels")  # fmt: skip
        else:
            drawing.text(x + block / 2, TOP + ROWS_HIGH / 2, "none", "tick", "middle")
        drawing.add("rect", x=x, y=TOP, width=block, height=ROWS_HIGH, class_="frame")
        for component, label in enumerate(labels):
            middle = x + CELL * (component + 0.5) + 3
            drawing.add("text", label, class_="component", text_anchor="end",
                        transform=f"translate({middle:.1f} {TOP + ROWS_HIGH + 6}) rotate(-90)")  # fmt: skip
    x = width - SCALE_WIDTH + 2
    bar = np.linspace(1, -1, 64)[:, None]
    drawing.add(
        "image", x=x, y=TOP, width=9, height=ROWS_HIGH, href=png(bar), preserveAspectRatio="none", class_="pixels"
    )
    drawing.add("rect", x=x, y=TOP, width=9, height=ROWS_HIGH, class_="frame")
    for share, y in ((1, TOP + 8), (0, TOP + ROWS_HIGH / 2 + 4), (-1, TOP + ROWS_HIGH)):
        drawing.text(x + 13, float(y), f"{share * limit:.2g}".replace("-", "−"), "tick")
    return Figure(title, drawing.markup(), f"at most {SHOWN} random atoms each", tuple(readings), width)


def png(values: np.ndarray) -> str:
    """Return (rows, columns) values in -1 to 1 as a PNG in a data URI, transparent at 0, so that it suits any page."""
    values = np.clip(np.nan_to_num(values), -1, 1)
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.where(values[..., None] >= 0, POSITIVE, NEGATIVE)
    pixels[..., 3] = np.rint(255 * np.sqrt(np.abs(values)))  # the root: small components are seen too
    n_rows, n_columns = values.shape
    lines = np.concatenate([np.zeros((n_rows, 1), np.uint8), pixels.reshape(n_rows, -1)], axis=1)
    header = struct.pack(">IIBBBBB", n_columns, n_rows, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _rows(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if len(matrix) <= SHOWN:
        return matrix
    return matrix[np.sort(rng.choice(len(matrix), SHOWN, replace=False))]


def _spoken(values: np.ndarray) -> str:
    return ", ".join(f"{mean:.3g}" for mean in values.mean(0)) if len(values) else "none"
