"""Drawings: marks stand where their values are, areas are shares, labels do not cover one another."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from atomweave.evaluation.histogram import Histogram
from atomweave.evaluation.measure import share
from atomweave.evaluation.report.heatmap import NEGATIVE, POSITIVE, heat_maps, png
from atomweave.evaluation.report.plots import frequency_panel, histogram_panel, scatter_panel, share_rows
from atomweave.evaluation.report.strip import Mark, strip
from atomweave.evaluation.report.svg import Scale, clean, levels, plain_number, shorten


def drawn(figure):
    return ET.fromstring(figure.svg)  # noqa: S314 # our own


def parts(figure, tag, class_):
    return [element for element in drawn(figure).iter(tag) if class_ in (element.get("class") or "").split()]


def outline(element):
    """Corners of a path as (n, 2)."""
    return np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", element.get("d")), np.float64)


def area(element):
    """Area under steps, in square user units."""
    corners = outline(element)
    base = corners[0, 1]
    return float(np.sum((base - corners[1:, 1]) * np.diff(corners[:, 0], prepend=corners[0, 0])[1:]))


def test_a_linear_and_a_logarithmic_scale():
    scale = Scale(0, 10, 100, 200)
    assert [scale(value) for value in (0, 5, 10, 20, -1)] == [100, 150, 200, 200, 100]
    assert scale.ticks(5) == [0, 2, 4, 6, 8, 10]
    log = Scale(0.001, 1, 0, 90, log=True)
    assert [round(log(value)) for value in (0.001, 0.01, 0.1, 1, 0)] == [0, 30, 60, 90, 0]
    assert log.ticks(5) == [0.001, 0.01, 0.1, 1]
    assert Scale(0.95, 1.02, 0, 1).ticks(4) == pytest.approx([0.96, 0.98, 1.0, 1.02])


def test_numbers_of_ticks():
    values = (0, 0.2, 1000, -5, 0.0005, 0.00002, 1e-5)
    assert [plain_number(value) for value in values] == ["0", "0.2", "1,000", "−5", "0.0005", "2·10⁻⁵", "10⁻⁵"]


def test_a_strip_puts_marks_where_their_values_are():
    measure = share("valid", "valid", 60, 100, "attempts")
    marks = [Mark("A", 0.8, "there"), Mark("B", 0.2, "there")]
    figure = strip(
        "valid", measure, [(0, "mine", 0.6, (0.5, 0.7)), (9, "other", 0.4, None)], marks, "QM9", 1.0, None, ""
    )
    dots = [float(dot.get("cx")) for dot in parts(figure, "circle", "dot")]
    ends = [float(parts(figure, "line", "whisker")[0].get(end)) for end in ("x1", "x2")]
    line = float(parts(figure, "line", "reference-line")[0].get("x1"))
    published = sorted(float(mark.get("d")[1:].split()[0]) for mark in parts(figure, "path", "published"))
    unit = (dots[0] - dots[1]) / 0.2
    assert ends == pytest.approx([dots[0] - 0.1 * unit, dots[0] + 0.1 * unit], abs=0.2)
    assert line == pytest.approx(dots[0] + 0.4 * unit, abs=0.2)
    assert published == pytest.approx([dots[0] - 0.4 * unit, dots[0] + 0.2 * unit], abs=0.2)
    assert parts(figure, "circle", "set-1")  # the tenth set shares the second one's colour


def test_names_in_one_row_do_not_overlap():
    rows = levels([(0, 50), (10, 60), (60, 90), (20, 30), (100, 110)])
    assert rows == [0, 1, 0, 2, 0]


def test_densities_are_drawn_over_the_reference_with_equal_areas():
    rng = np.random.default_rng(0)
    reference = Histogram.of(rng.normal(1.5, 0.02, 20_000), 1e-4)
    figure = histogram_panel("C-C", reference, [rng.normal(1.5, 0.02, 5000), None], ["a", "b"], "bond length, Å")
    (behind,), (front,) = parts(figure, "path", "reference-area"), parts(figure, "path", "set-0")
    assert area(front) == pytest.approx(area(behind), rel=0.02)
    assert not parts(figure, "path", "set-1")
    assert "b: none" in drawn(figure).get("aria-label")
    assert figure.readings == ()


def test_values_beyond_the_edges_are_said_in_numbers():
    reference = Histogram.of(np.random.default_rng(0).normal(1.5, 0.01, 20_000), 1e-4)
    wild = np.concatenate([np.full(800, 1.5), np.full(200, 9.0)])
    (reading,) = histogram_panel("C-C", reference, [wild], ["wild"], "Å").readings
    assert reading.values == ((0, "20 %"),)


def test_whole_numbers_get_one_bin_each_and_limits_no_narrow_bin():
    sizes = Histogram.of(np.repeat(np.arange(3, 30), 50), 1)
    figure = histogram_panel("sizes", sizes, [np.repeat(np.arange(3, 30), 50)], ["a"], "atoms")
    heights = outline(parts(figure, "path", "set-0")[0])[:, 1]
    assert len(set(heights.tolist())) == 2  # level, and the base line
    angles = Histogram.of(np.random.default_rng(0).uniform(-180, 180, 50_000), 0.5)
    figure = histogram_panel("torsion", angles, [], [], "degrees", limits=(-180, 180), ticks=(-180, 0, 180))
    widths = np.diff(np.unique(outline(parts(figure, "path", "reference-area")[0])[:, 0]))
    assert widths.min() > 0.5 * widths.max()


def test_shares_stand_on_a_logarithmic_axis_and_a_cross_means_none():
    figure = frequency_panel("rings", {"3": 90, "5": 9, "9": 1}, [{"3": 9, "5": 1}], ["mine"], ["3", "5", "9"], "atoms")
    bars = [float(bar.get("y")) for bar in parts(figure, "rect", "reference-area")]
    dots = [float(dot.get("cy")) for dot in parts(figure, "circle", "dot")]
    decade = (bars[1] - bars[0]) / np.log10(10)
    assert bars[2] - bars[1] == pytest.approx(np.log10(9) * decade, abs=0.3)
    assert dots[0] == pytest.approx(bars[0], abs=0.2)
    assert dots[1] == pytest.approx(bars[1] - np.log10(10 / 9) * decade, abs=0.3)
    assert len(parts(figure, "path", "cross")) == 1


def test_rows_of_shares():
    figure = share_rows("groups", [("amide", 0.1, [0.01, None]), ("azo", 0.0, [0.001, 0.0])], ["a", "b"], "QM9")
    assert [round(float(mark.get("width"))) for mark in parts(figure, "rect", "reference-mark")] == [4]
    first, second = (float(dot.get("cx")) for dot in parts(figure, "circle", "set-0"))
    own = float(parts(figure, "rect", "reference-mark")[0].get("x")) + 2
    assert own - first == pytest.approx(first - second, abs=0.3)  # a decade each
    assert len(parts(figure, "path", "cross")) == 1


def test_a_curve_joins_sets_in_the_order_asked_for():
    own = [(0, "T = 1", 0.7, 0.99), (1, "T = 0.5", 0.9, 0.8), (2, "other", 0.5, 0.9)]
    figure = scatter_panel("curve", own, [("EDM", 0.867, 0.992)], ("valid", "unique"), order=[1, 0])
    (curve,) = parts(figure, "path", "curve")
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in parts(figure, "circle", "dot")]
    np.testing.assert_allclose(outline(curve), [dots[1], dots[0]], atol=0.1)
    assert not parts(scatter_panel("curve", own, [], ("valid", "unique")), "path", "curve")
    names = [element.text for element in parts(figure, "text", "own-name")]
    assert names == ["T = 1", "T = 0.5", "other"]


def test_a_picture_has_the_colours_of_its_values():
    pytest.importorskip("PIL")
    from PIL import Image

    data = png(np.array([[1.0, -1.0, 0.0], [0.25, np.nan, 5.0]])).removeprefix("data:image/png;base64,")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert pixels.shape == (2, 3, 4)
    np.testing.assert_array_equal(pixels[0, 0], [*POSITIVE, 255])
    np.testing.assert_array_equal(pixels[0, 1], [*NEGATIVE, 255])
    assert pixels[0, 2, 3] == 0
    assert pixels[1, 0, 3] == 128  # the root of a quarter
    assert pixels[1, 1, 3] == 0
    np.testing.assert_array_equal(pixels[1, 2], [*POSITIVE, 255])


def test_heat_maps_say_how_many_and_stand_empty_sets():
    rng = np.random.default_rng(0)
    figure = heat_maps("C: C2,H2", [("QM9", rng.normal(size=(500, 3))), ("none", np.zeros((0, 3)))], ["a", "b", "c"])
    label = drawn(figure).get("aria-label")
    assert "QM9, 500 atoms" in label
    assert "none, 0 atoms" in label
    assert len(parts(figure, "image", "pixels")) == 2  # one map and the scale of colours


def test_text_is_text():
    assert clean("a\x00b\x1b\ud800") == "a\ufffdb\ufffd\ufffd"
    assert shorten("abcdef", 4) == "abc…"
    figure = frequency_panel("<b>", {"<script>": 1}, [{"<script>": 1}], ["<i>&"], ["<script>"], "atoms")
    assert "<script>" not in figure.svg
    assert "&lt;script&gt;" in figure.svg
