"""The course's pictures: samples, flip-books, landscapes, curves, drawings of networks, hints, and tables.

One look everywhere, safe for colour-blind readers: data is blue, the generator orange, the discriminator
green. Every plotting function returns a Matplotlib figure and never shows it: make it the last expression of
a cell, or pass it to ``display``. Figures are opaque white with dark text, so that they read the same on a
dark page.
With ``ax=`` a function draws on axes of yours and returns their figure.

Everything is at hand as ``plots.NAME``. Inside, ``style`` holds what all pictures share, ``sheets`` the images,
``plane`` what lives in the plane, ``charts`` the lines over an axis, ``hints`` arrows and bent noise, ``drawings``
boxes that ``layers`` reads from networks, ``tables`` tables and cards, ``convolutions`` grids
of pixels. Imports point one way: style ← plane ← charts and hints, style ← sheets, tables and convolutions, style and
layers ← drawings.
"""

from __future__ import annotations

from gancourse.logs import read_metrics
from gancourse.plots.charts import curves, density_1d, histogram
from gancourse.plots.convolutions import numbers, transposed
from gancourse.plots.drawings import Arrow, Box, architecture, diagram, gan_diagram, penalty_diagram
from gancourse.plots.hints import arrows, hint, push_forward
from gancourse.plots.plane import (
    Judge,
    Limits,
    Snapshot,
    landscape,
    landscape_strip,
    level_lines,
    points,
    snapshot,
)
from gancourse.plots.sheets import Images, flip_book, frames_strip, sample_grid, save_png, sheet
from gancourse.plots.style import (
    DATA,
    DISCRIMINATOR,
    DPI,
    FAMILY,
    FONT,
    GENERATOR,
    INK,
    MUTED,
    OTHERS,
    VERDICT,
    WIDTH,
    Array,
    Picture,
    panels,
)
from gancourse.plots.tables import Card, Table, card, table

__all__ = [
    "DATA",
    "DISCRIMINATOR",
    "DPI",
    "FAMILY",
    "FONT",
    "GENERATOR",
    "INK",
    "MUTED",
    "OTHERS",
    "VERDICT",
    "WIDTH",
    "Array",
    "Arrow",
    "Box",
    "Card",
    "Images",
    "Judge",
    "Limits",
    "Picture",
    "Snapshot",
    "Table",
    "architecture",
    "arrows",
    "card",
    "curves",
    "density_1d",
    "diagram",
    "flip_book",
    "frames_strip",
    "gan_diagram",
    "hint",
    "histogram",
    "landscape",
    "landscape_strip",
    "level_lines",
    "numbers",
    "panels",
    "penalty_diagram",
    "points",
    "push_forward",
    "read_metrics",
    "sample_grid",
    "save_png",
    "sheet",
    "snapshot",
    "table",
    "transposed",
]
