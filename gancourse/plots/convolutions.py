"""Convolutions: a transposed one drawn as the plain one over zeros that it equals, and grids of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gancourse.errors import UserError, check_whole
from gancourse.plots.style import DATA, DPI, FONT, GENERATOR, INK, MUTED, WIDTH, Array, Picture, as_numbers, fit, styled

__all__ = ["numbers", "transposed"]

_BORDER, _BETWEEN = "#F4F4F4", "#D9D9D9"


@styled
def transposed(settings: Mapping[str, tuple[int, int, int, int]]) -> Figure:
    """Draw transposed convolutions of square pictures as plain convolutions over zeros.

    A row for each: left the input with zeros between its pixels (grey) and around them (pale), and the kernel's window
    at its first place; right the output, and the pixel that this window gives.

    Args:
        settings: words → (size of the input, size of the kernel, stride, padding).

    Raises:
        UserError: nothing to draw, a size or stride below 1, a padding of at least the kernel's size, an empty output.
    """
    if not settings:
        raise UserError("Got no settings to draw; give at least one, such as {'wide': (2, 3, 1, 0)}.")
    shapes = {words: _shape(*setting) for words, setting in settings.items()}
    cells = max(padded + output for padded, output in shapes.values()) + 3.2
    cell, line = WIDTH / cells, 0.36
    size = WIDTH, sum(line + cell * (max(shape) + 0.4) for shape in shapes.values())
    figure = Picture(figsize=size, dpi=DPI)
    top = size[1]
    for (words, (padded, output)), (count, kernel, stride, padding) in zip(
        shapes.items(), settings.values(), strict=True
    ):
        height = cell * (max(padded, output) + 0.4)
        ax = figure.add_axes((0, (top - line - height) / size[1], 1, height / size[1]))
        top -= line + height
        ax.set(xlim=(-0.2, cells - 0.2), ylim=(max(padded, output) + 0.2, -0.2))
        ax.set_axis_off()
        ax.text(0, -0.35, words, va="bottom", fontsize=FONT, clip_on=False)
        edge = kernel - 1 - padding
        for row in range(padded):
            for column in range(padded):
                y, x = row - edge, column - edge
                inside = 0 <= x <= (count - 1) * stride and 0 <= y <= (count - 1) * stride
                pixel = inside and x % stride == 0 and y % stride == 0
                number = str(y // stride * count + x // stride + 1) if pixel else "0"
                _cell(ax, column, row, number, DATA if pixel else _BETWEEN if inside else _BORDER, pixel)
        left = cells - 0.4 - output
        for row in range(output):
            for column in range(output):
                _cell(ax, left + column, row, "", "#F7D9C4", False)
        frame = {"fill": False, "edgecolor": GENERATOR, "linewidth": 3, "zorder": 3}
        ax.add_patch(Rectangle((0, 0), kernel, kernel, **frame))  # type: ignore[arg-type]
        ax.add_patch(Rectangle((left, 0), 1, 1, **frame))  # type: ignore[arg-type]
        arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.5}
        ax.annotate("", (left - 0.25, 1.5), (padded + 0.25, 1.5), arrowprops=arrow)
    return figure


def _shape(count: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Return the sizes of the input with its zeros, and of the output."""
    for name, value in (("the input's size", count), ("the kernel's size", kernel), ("stride", stride)):
        check_whole(name, value, 1, 12)
    check_whole("padding", padding, 0, kernel - 1)
    output = (count - 1) * stride - 2 * padding + kernel
    if output < 1:
        raise UserError(f"Input {count}, kernel {kernel}, stride {stride}, padding {padding} leave no output.")
    return (count - 1) * stride + 1 + 2 * (kernel - 1 - padding), output


def _cell(ax: Axes, x: float, y: float, words: str, colour: str, strong: bool) -> None:
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    if words:
        ax.text(
            x + 0.5, y + 0.5, words, ha="center", va="center", fontsize=FONT - 1, color="white" if strong else MUTED
        )


@styled
def numbers(grids: Mapping[str, Array], columns: int = 3, form: str = "g") -> Figure:
    """Draw matrices as squares, darker for larger numbers, with the numbers in them; all share one scale.

    Args:
        grids: title → numbers (H, W), NumPy arrays or tensors, at most 16 × 16.
        columns: grids in a row.
        form: how a number is written; "" writes none.

    Raises:
        UserError: no grids, or one that is not a matrix of at most 16 × 16 numbers.
    """
    if not grids:
        raise UserError("Got no grids to draw; give at least one, such as {'overlaps': counts}.")
    values = {title: as_numbers(grid, title) for title, grid in grids.items()}
    for title, grid in values.items():
        if grid.ndim != 2 or not 1 <= grid.size or max(grid.shape) > 16:
            raise UserError(f"{title!r} has the shape {grid.shape}; expected (H, W) with at most 16 × 16 numbers.")
    columns = fit(columns, len(values))
    rows = math.ceil(len(values) / columns)
    low, high = min(float(g.min()) for g in values.values()), max(float(g.max()) for g in values.values())
    width = WIDTH / columns
    shape = max((grid.shape[0] / grid.shape[1] for grid in values.values()), default=1.0)
    figure = Picture(figsize=(WIDTH, rows * (width * shape + 0.3)), dpi=DPI, layout="constrained")
    for k, (title, grid) in enumerate(values.items()):
        ax = figure.add_subplot(rows, columns, k + 1)
        ax.imshow(grid, cmap="Blues", vmin=low - 0.15 * (high - low) - 1e-9, vmax=high + 0.35 * (high - low) + 1e-9)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=FONT)
        if form:
            _write(ax, grid, form, (low + high) / 2)
    return figure


def _write(ax: Axes, grid: Array, form: str, middle: float) -> None:
    letters = FONT - 1 if max(grid.shape) <= 8 else FONT - 3
    for (row, column), value in np.ndenumerate(grid):
        colour = "white" if value > middle and grid.min() < value else INK
        ax.text(column, row, format(value, form), ha="center", va="center", fontsize=letters, color=colour)
