"""Lines over an axis: densities, the columns of a run's log, histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gancourse.errors import UserError, nearest
from gancourse.plots.plane import Judge, probabilities
from gancourse.plots.style import (
    DISCRIMINATOR,
    FONT,
    MUTED,
    Array,
    as_numbers,
    canvas,
    colours,
    dress,
    head,
    require_finite,
    styled,
)

__all__ = ["density_1d", "curves", "histogram"]


@styled
def density_1d(
    xs: Any,
    curves: Mapping[str, Any],
    discriminator: Judge | Any = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw densities on a line and, on a second axis from 0 to 1, the discriminator's D(x).

    Args:
        xs: (n,) positions.
        curves: name to (n,) densities; "data" is blue, "generated" orange.
        discriminator: maps (n, 1) float points to (n,) or (n, 1) logits; or the (n,) probabilities.

    Raises:
        UserError: arrays of another length, NaN, or probabilities outside [0, 1].
    """
    line = as_numbers(xs, "xs")
    if line.ndim != 1:
        raise UserError(f"xs has shape {line.shape}; expected one dimension, (n,).")
    require_finite(line, "xs")
    figure, ax = canvas(ax, height=3.6)
    for name, colour in colours(curves).items():
        density = _along(curves[name], line, f"The density {name!r}")
        ax.fill_between(line, density, color=colour, alpha=0.15, linewidth=0)
        ax.plot(line, density, color=colour, label=name)
    ax.set(xlabel="x", ylabel="density", xlim=(line.min(), line.max()))
    ax.set_ylim(bottom=0)
    dress(ax)
    if discriminator is None:
        head(ax, title)
    else:
        is_call = callable(discriminator)
        answers = probabilities(discriminator, line[:, None]) if is_call else _along(discriminator, line, "D(x)")
        if answers.min() < 0 or answers.max() > 1:
            raise UserError(
                f"D(x) runs from {answers.min():.3g} to {answers.max():.3g}; expected probabilities. "
                "Pass the discriminator itself, or the sigmoid of its logits."
            )
        right = ax.twinx()
        right.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=":")
        right.plot(line, answers, color=DISCRIMINATOR, linestyle="--", label="D(x)")
        right.set(ylim=(0, 1.02), yticks=[0, 0.5, 1])
        right.set_ylabel("D(x)", color=DISCRIMINATOR)
        dress(right)
        head(ax, title, right)
    return figure


def _along(values: Any, xs: Array, name: str) -> Array:
    array = as_numbers(values, name)
    if array.shape != xs.shape:
        raise UserError(f"{name} has shape {array.shape}; expected {xs.shape}, one value for every x.")
    require_finite(array, name)
    return array


def _smoothed(values: Array, window: int) -> Array:
    """Return the centred mean over `window` rows, ignoring NaN; NaN stays where it was."""
    if window <= 1:
        return values
    known, kernel = np.isfinite(values), np.ones(window)
    middle = slice((window - 1) // 2, (window - 1) // 2 + len(values))
    total = np.convolve(np.where(known, values, 0.0), kernel)[middle]
    count = np.convolve(known.astype(float), kernel)[middle]
    return np.where(known, total / np.maximum(count, 1.0), np.nan)


def _apart(places: Sequence[float], step: float) -> list[float]:
    """Move sorted `places` as little as possible (least squares) so that neighbours are `step` apart."""
    groups: list[list[float]] = []  # places less their index times step, pooled until the means increase
    for index, place in enumerate(places):
        groups.append([place - index * step])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    level = [float(np.mean(group)) for group in groups for _ in group]
    return [value + index * step for index, value in enumerate(level)]


def _label_right(ax: Axes, labels: list[tuple[float, str, str]], height: float) -> None:
    """Write (value, text, colour) beside the right edge of axes `height` inches high, none over another."""
    bottom, top = ax.get_ylim()
    scale = ax.transScale + ax.transLimits
    placed = [(scale.transform((0.0, min(max(v, bottom), top)))[1], text, colour) for v, text, colour in labels]
    placed.sort(key=lambda label: label[0])
    spots = _apart([place for place, _, _ in placed], step=1.25 * FONT / 72 / height)
    style: dict[str, Any] = {"transform": ax.transAxes, "va": "center", "ha": "left", "fontsize": FONT - 0.5}
    for spot, (_, text, colour) in zip(spots, placed, strict=True):
        ax.text(1.015, spot, text, color=colour, **style)


def _log_y(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with ticks at 1, 2, 5 in plain numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())


@styled
def curves(
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    ax: Axes | None = None,
    x: str = "step",
    smooth: int = 1,
    band: tuple[float, float] | None = None,
    log_y: bool = False,
    references: Mapping[str, float] | None = None,
    title: str | None = None,
    ylabel: str | None = None,
) -> Figure:
    """Draw columns of a run's log over its steps, each named at its right end.

    A column is drawn over the rows that have it: a line leads across blanks (NaN), and a single number is a dot.

    Args:
        rows: what `read_metrics` returns, or a list of rows as dictionaries.
        columns: the columns to draw; a mapping gives each the words to show.
        x: the column along the horizontal axis.
        smooth: rows in a centred moving mean, blanks not counted; the raw values stay visible as a thin line.
        band: the expected (low, high), shaded.
        log_y: logarithmic vertical axis.
        references: words to heights of horizontal lines, for example ``{"2 log 2": 2 * math.log(2)}``.

    Raises:
        UserError: no rows, an unknown column (the nearest name is suggested), or a column without any number
            beside one in `x`.
    """
    table = _table(rows)
    shown = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    for name in (x, *shown):
        if name not in table:
            raise UserError(f"No column {name!r} in this log.{nearest(name, table)} It has: {', '.join(table)}.")
    if smooth < 1 or not shown:
        raise UserError(f"Got smooth={smooth} and {len(shown)} columns; both must be at least 1.")
    figure, ax = canvas(ax, height=3.7)
    labels: list[tuple[float, str, str]] = []
    if band is not None:
        ax.axhspan(*band, color="#000000", alpha=0.07, linewidth=0)
        middle = math.sqrt(band[0] * band[1]) if log_y and band[0] > 0 else sum(band) / 2
        labels.append((middle, "expected", MUTED))
    for text, value in (references or {}).items():
        ax.axhline(value, color=MUTED, linewidth=1.0, linestyle=(0, (5, 3)))
        labels.append((value, text, MUTED))
    for name, colour in colours(shown).items():
        given = ~(np.isnan(table[x]) | np.isnan(table[name]))
        steps, values = table[x][given], table[name][given]
        known = np.isfinite(values)
        if not np.isfinite(table[name]).any():
            raise UserError(f"Column {name!r} holds no finite number; the run may have diverged at its start.")
        if not known.any():
            raise UserError(f"No row has a number in both {x!r} and {name!r}; choose another column for x.")
        smoothed = _smoothed(np.where(known, values, np.nan), min(smooth, len(given)))
        if smooth > 1:
            ax.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
        ax.plot(steps, smoothed, color=colour, marker="o" if known.sum() == 1 else None)
        labels.append((float(smoothed[known][-1]), shown[name], colour))
    if log_y:
        _log_y(ax)
    ax.margins(x=0.01)
    ax.set(xlabel=x, ylabel=ylabel or "", title=title or "")
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator("auto", steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.6g}".replace("-", "−")))
    dress(ax, grid=True)
    _label_right(ax, labels, height=ax.get_position().height * figure.get_size_inches()[1])
    return figure


def _table(rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    if not isinstance(rows, Mapping):
        names = dict.fromkeys(name for row in rows for name in row)
        rows = {name: [row.get(name, math.nan) for row in rows] for name in names}
    table = {name: as_numbers(values, f"Column {name!r}") for name, values in rows.items()}
    if not table or any(len(values) == 0 for values in table.values()):
        raise UserError("This log holds no rows; train for at least one logging step first.")
    if len({values.shape for values in table.values()}) > 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in table.items())
        raise UserError(f"The columns differ in length: {shapes}.")
    return table


@styled
def histogram(
    values: Mapping[str, Any],
    bins: int | Sequence[float] = 40,
    title: str | None = None,
    log_y: bool = False,
    xlabel: str = "value",
    ax: Axes | None = None,
) -> Figure:
    """Compare the distributions of several sets of numbers in the same bins, as shares of each set.

    Args:
        values: name to numbers of any shape, for example ``{"data": x, "generated": fakes}``.
        bins: how many between the smallest and the largest value of all sets, or the edges themselves.
        log_y: logarithmic vertical axis, for sets with one dominant value such as a black background.

    Raises:
        UserError: nothing given, an empty set, NaN, or fewer than one bin.
    """
    sets = {name: as_numbers(numbers, name).ravel() for name, numbers in values.items()}
    if not sets:
        raise UserError("Got no values; give a name and numbers, for example {'data': images}.")
    for name, numbers in sets.items():
        require_finite(numbers, name)
    if isinstance(bins, int) and bins < 1:
        raise UserError(f"Got bins={bins}; a histogram needs at least 1.")
    edges = np.histogram_bin_edges(np.concatenate([[n.min(), n.max()] for n in sets.values()]), bins)
    figure, ax = canvas(ax, height=3.4)
    for name, colour in colours(sets).items():
        share = np.histogram(sets[name], edges)[0] / sets[name].size * 100
        ax.stairs(share, edges, color=colour, fill=True, alpha=0.18)
        ax.stairs(share, edges, color=colour, linewidth=1.5, label=name)
    if log_y:
        _log_y(ax)
    ax.set(
        xlabel=xlabel,
        ylabel="share of values (%)",
        xlim=np.array([1.01, -0.01]) * edges[0] + np.array([-0.01, 1.01]) * edges[-1],
    )
    dress(ax, grid=True)
    head(ax, title)
    return figure
