"""What every picture shares: colours and letters, figures, frames and legends, and the checks of what is drawn."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar, cast

import matplotlib
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gancourse.errors import UserError

__all__ = [
    "DATA",
    "GENERATOR",
    "DISCRIMINATOR",
    "INK",
    "MUTED",
    "OTHERS",
    "VERDICT",
    "WIDTH",
    "DPI",
    "FONT",
    "FAMILY",
    "Array",
    "Picture",
    "panels",
]

DATA = "#0072B2"
GENERATOR = "#C75000"
DISCRIMINATOR = "#00795A"
INK = "#222222"
MUTED = "#666666"
OTHERS = ("#8F4A87", "#7A5C00", "#9C1C1C", "#444444")

#: Grey where the discriminator says "generated", white where it cannot tell, green where it says "data".
VERDICT = LinearSegmentedColormap.from_list("verdict", ["#8E8E8E", "#FCFCFA", "#55B794"])

WIDTH = 6.0  # inches; 660 pixels, so that letters are still 9 pixels high on a phone of 390
DPI = 110
FONT = 11.0
FAMILY = "DejaVu Sans"  # comes with Matplotlib, so a figure looks the same everywhere

_STYLE: dict[str, Any] = {
    "font.family": [FAMILY],
    "font.size": FONT,
    "axes.titlesize": FONT + 1,
    "axes.titlelocation": "left",
    "axes.labelsize": FONT,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "white",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=[DATA, GENERATOR, DISCRIMINATOR, *OTHERS]),
    "figure.constrained_layout.h_pad": 0.07,
    "figure.constrained_layout.w_pad": 0.07,
    "figure.facecolor": "white",
    "legend.fontsize": FONT - 1,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}

_ROLES = {
    "data": DATA,
    "real": DATA,
    "d_real": DATA,
    "generated": GENERATOR,
    "generator": GENERATOR,
    "fake": GENERATOR,
    "d_fake": GENERATOR,
    "g_loss": GENERATOR,
    "discriminator": DISCRIMINATOR,
    "d_loss": DISCRIMINATOR,
}

Array = NDArray[Any]

P = ParamSpec("P")
R = TypeVar("R")


class Picture(Figure):
    """A figure outside pyplot's registry: a notebook shows it once, and nothing has to be closed."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` inside the course's style and leave the reader's own settings alone."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(cast(Any, _STYLE)):
            return function(*args, **kwargs)

    return wrapper


def dress(ax: Axes, grid: bool = False) -> None:
    """Give `ax` the course's frame, ticks and optional horizontal grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=FONT - 1, length=3, labelfontfamily=FAMILY)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis="y", color="#E4E4E4", linewidth=0.8)


def canvas(ax: Axes | None, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return the figure and axes to draw on: the caller's, or new ones `height` inches high."""
    if ax is not None:
        return ax.figure.figure, ax
    figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.add_subplot()


def head(ax: Axes, title: str | None, *others: Axes) -> None:
    """Put the title and one legend for all given axes above the frame, where they cover no data.

    A legend that stands already over another picture of the same row is not repeated; its room is kept. (A row is drawn
    once: redrawing one picture does not bring back the legends of others.)
    """
    pairs = [axes.get_legend_handles_labels() for axes in (ax, *others)]
    handles, names = sum((p[0] for p in pairs), []), sum((p[1] for p in pairs), [])
    width = ax.get_position().width * ax.figure.figure.get_size_inches()[0]
    columns = max(1, min(len(names), int(width / 1.05)))
    if names and not _told(ax, handles, names):
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "borderaxespad": 0.1}
        space: dict[str, Any] = {"handlelength": 1.5, "handletextpad": 0.4, "columnspacing": 1.0}
        legend = ax.legend(handles, names, ncols=columns, **place, **space)
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set(sizes=[45], alpha=1.0)
    if title:
        ax.set_title(title, pad=6 + 1.8 * FONT * math.ceil(len(names) / columns))


def _told(ax: Axes, handles: list[Any], names: list[str]) -> bool:
    """Whether other visible axes of this row of one grid carry the same legend: the same names in the same colours."""
    spec = ax.get_subplotspec()
    for other in ax.figure.axes:
        legend, place = other.get_legend(), other.get_subplotspec()
        if other is ax or legend is None or spec is None or place is None or not other.get_visible():
            continue
        if place.get_gridspec() is not spec.get_gridspec() or place.rowspan != spec.rowspan:
            continue
        theirs = other.get_legend_handles_labels()
        if theirs[1] == names and [*map(_colour, theirs[0])] == [*map(_colour, handles)]:
            return True
    return False


def _colour(handle: Any) -> str:
    """Return an artist's colour, or those of a collection, as text that can be compared."""
    both = (getattr(handle, f"get_{what}", lambda: None)() for what in ("color", "facecolor", "edgecolor"))
    return str([np.asarray(one).tolist() for one in both])


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for every name, the player's own where the name tells, none twice if possible."""
    chosen: dict[str, str] = {}
    spare = [*OTHERS, DATA, GENERATOR, DISCRIMINATOR]
    for name in names:
        role = _ROLES.get(name)
        free = [colour for colour in spare if colour not in chosen.values()] or list(OTHERS)
        chosen[name] = role if role and role not in chosen.values() else free[0]
    return chosen


def fit(columns: int, count: int) -> int:
    """Return the columns that `count` things fill."""
    if columns < 1:
        raise UserError(f"Got {columns} columns; a row needs at least 1.")
    return min(columns, count)


# Figures of several parts ----------------------------------------------------------------------------


@styled
def panels(
    count: int, columns: int = 3, aspect: float = 1.0, width: float = WIDTH, side: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` axes in rows of `columns`, for functions that take ``ax=``.

    Args:
        aspect: height of one panel over its width.
        width: width of the whole figure in inches, of which `side` stays free for a colour bar.
    """
    if count < 1:
        raise UserError(f"Got {count} panels to draw; a figure needs at least 1.")
    columns = fit(columns, count)
    rows = math.ceil(count / columns)
    height = rows * ((width - side) / columns * aspect + 0.3)
    figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


# What is drawn ---------------------------------------------------------------------------------------


def require_finite(values: Array, name: str) -> None:
    """Refuse values that are empty, NaN or infinite."""
    if values.size == 0:
        raise UserError(f"{name} of shape {tuple(values.shape)} holds no values; give at least one.")
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise UserError(
            f"{name} holds {bad:,} NaN or infinite values of {values.size:,}: the network that made them has "
            "probably diverged. Use an earlier checkpoint or a smaller learning rate."
        )


def as_numbers(values: Any, name: str) -> Array:
    """Return a float64 array of `values` (tensor on any device, array or list); NaN stays."""
    try:
        if isinstance(values, Tensor):
            return values.detach().cpu().to(torch.float64).numpy()  # in this order: MPS has no float64
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} should be numbers, got {type(values).__name__} ({error}).") from None


def plain(value: object) -> object:
    """Turn zero-dimensional tensors and arrays into Python numbers."""
    return value.item() if isinstance(value, Tensor | np.generic) else value


def as_words(caption: object) -> str:
    """Return a caption as words: an integer n is a step of training."""
    caption = plain(caption)
    return f"step {caption:,}" if isinstance(caption, int) else str(caption)
