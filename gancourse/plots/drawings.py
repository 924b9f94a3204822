"""Drawings of networks and games: boxes with shapes, arrows, the way of the gradient, and where it is cut.

A drawing is as wide as its words need and at most `style.WIDTH`, so that its letters can be read on a phone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon
from torch import nn

from gancourse.errors import UserError, unknown
from gancourse.plots.layers import Stage, read
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
    WIDTH,
    Picture,
    styled,
)

__all__ = ["Box", "Arrow", "diagram", "gan_diagram", "penalty_diagram", "architecture"]

ROLES = {
    "plain": MUTED,
    "data": DATA,
    "generator": GENERATOR,
    "discriminator": DISCRIMINATOR,
    "condition": OTHERS[0],
    "words": "none",
}
KINDS = ("forward", "gradient", "cut", "condition")

PAD = 0.1  # inches between words and the frame of their box
GAP = 0.32  # inches between neighbouring boxes, across
DROP = 0.34  # and down, which arrows and their labels need
MARGIN = 0.12
HEAD = 0.11  # inches, length of an arrow's head
LINE = 1.3 * FONT / 72  # inches from one line of words to the next


@dataclass(frozen=True)
class Box:
    """One box of a `diagram`.

    Attributes:
        at: column from the left and row from the top; halves are allowed.
        name: its words; lines are broken by a newline.
        shape: smaller words below, for example "64 → 128".
        role: whose colour it has: "data", "generator", "discriminator", "condition", "plain"; "words" has no frame.
        span: columns that it is wide.
    """

    at: tuple[float, float]
    name: str
    shape: str = ""
    role: str = "plain"
    span: int = 1


@dataclass(frozen=True)
class Arrow:
    """One arrow of a `diagram`, between two boxes that are named by their keys.

    Attributes:
        kind: "forward" for values; "gradient", dashed; "cut", a gradient that ends at a bar on its way; "condition",
            down from its start and then across.
        label: words beside it.
        role: whose colour it has; by default ink for values, the condition's for a condition.
    """

    start: str
    end: str
    kind: str = "forward"
    label: str = ""
    role: str = ""


class _Place(NamedTuple):
    """A box in inches from the upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def across(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.x + self.width / 2

    @property
    def down(self) -> tuple[float, float]:
        return self.y - self.height / 2, self.y + self.height / 2


def _width(figure: Figure, words: str, size: float) -> float:
    """Return the inches that words are wide."""
    text = figure.text(0, 0, words, fontsize=size, family=FAMILY)
    width = text.get_window_extent().width / figure.dpi
    text.remove()
    return float(width)


@styled
def diagram(
    boxes: Mapping[str, Box],
    arrows: Sequence[Arrow],
    title: str | None = None,
    legend: Sequence[tuple[str, str, str]] = (),
) -> Figure:
    """Draw boxes on a grid of columns and rows, and arrows between them.

    Every box is as wide as the widest words ask. Arrows between the same two boxes run side by side.

    Args:
        boxes: key to `Box`; `arrows` name boxes by these keys.
        arrows: drawn in this order.
        legend: lines below the drawing, each (kind, role, words).

    Raises:
        UserError: no boxes, an arrow to a box that is not there, an unknown role or kind, or more words than fit
            into a page's width.
    """
    if not boxes:
        raise UserError("Got no boxes to draw; a diagram needs at least one.")
    for box in boxes.values():
        if box.role not in ROLES:
            raise unknown("role", box.role, ROLES)
    for arrow in arrows:
        if arrow.start not in boxes or arrow.end not in boxes:
            raise UserError(
                f"The arrow {arrow.start!r} → {arrow.end!r} should join two of these boxes: {', '.join(boxes)}."
            )
        if arrow.kind not in KINDS:
            raise unknown("kind of arrow", arrow.kind, KINDS)
    figure = Picture(figsize=(WIDTH, WIDTH), dpi=DPI)
    places, size = _layout(figure, boxes, title, len(legend))
    legend_width = max((_width(figure, words, FONT - 1) + 0.62 for _, _, words in legend), default=0.0)
    title_width = _width(figure, title, FONT + 1) if title else 0.0
    width = max(size[0], legend_width + 2 * MARGIN, title_width + 2 * MARGIN)
    if width > WIDTH + 1e-6:
        raise UserError(
            f"This drawing would be {width:.1f} inches wide, and a page has {WIDTH:.1f}. Break the longest words over "
            "two lines, or use fewer columns."
        )
    shift = (width - size[0]) / 2
    places = {key: place._replace(x=place.x + shift) for key, place in places.items()}
    figure.set_size_inches(width, size[1])
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(size[1], 0))
    ax.set_axis_off()
    if title:
        ax.text(MARGIN, MARGIN + LINE / 2, title, ha="left", va="center", fontsize=FONT + 1)
    for key, box in boxes.items():
        _draw_box(ax, box, places[key])
    for arrow, offset in zip(arrows, _offsets(arrows), strict=True):
        _draw_arrow(ax, arrow, places, offset)
    top = size[1] - MARGIN - len(legend) * LINE
    for row, (kind, role, words) in enumerate(legend):
        y = top + (row + 0.5) * LINE
        _line(ax, (MARGIN, y), (MARGIN + 0.45, y), kind, _colour(kind, role))
        ax.text(MARGIN + 0.58, y, words, ha="left", va="center", fontsize=FONT - 1)
    return figure


def _lines(box: Box) -> list[tuple[str, bool]]:
    """Return the lines of a box, and whether each is part of its name."""
    lines = [(line, True) for line in box.name.split("\n") if line]
    return lines + [(line, False) for line in box.shape.split("\n") if line]


def _layout(
    figure: Figure, boxes: Mapping[str, Box], title: str | None, legend: int
) -> tuple[dict[str, _Place], tuple[float, float]]:
    """Return where the boxes stand, and the width and height of the drawing, all in inches."""
    widths = {
        key: 2 * PAD + max(_width(figure, line, FONT if name else FONT - 1) for line, name in _lines(box))
        for key, box in boxes.items()
    }
    one = max((widths[key] - (box.span - 1) * GAP) / box.span for key, box in boxes.items())
    left = min(box.at[0] - (box.span - 1) / 2 for box in boxes.values())
    right = max(box.at[0] + (box.span - 1) / 2 for box in boxes.values())
    rows = sorted({box.at[1] for box in boxes.values()})
    tall = {row: max(len(_lines(box)) for box in boxes.values() if box.at[1] == row) * LINE + 2 * PAD for row in rows}
    y = MARGIN + (LINE + 0.1 if title else 0.0)
    middle = {}
    for before, row in zip([None, *rows], rows, strict=False):
        y += 0.0 if before is None else DROP * min(1.0, row - before)
        middle[row] = y + tall[row] / 2
        y += tall[row]
    places = {
        key: _Place(
            MARGIN + one / 2 + (box.at[0] - left) * (one + GAP),
            middle[box.at[1]],
            widths[key] if box.role == "condition" else box.span * one + (box.span - 1) * GAP,
            len(_lines(box)) * LINE + 2 * PAD,
        )
        for key, box in boxes.items()
    }
    height = y + MARGIN + (legend * LINE + 0.14 if legend else 0.0)
    return places, (2 * MARGIN + one + (right - left) * (one + GAP), height)


def _draw_box(ax: Axes, box: Box, place: _Place) -> None:
    colour = ROLES[box.role]
    if box.role != "words":
        fill = tuple(0.9 + 0.1 * part for part in to_rgb(colour))
        corner = (place.across[0], place.down[0])
        ax.add_patch(
            FancyBboxPatch(
                corner,
                place.width,
                place.height,
                boxstyle="round,pad=0,rounding_size=0.07",
                facecolor=fill,
                edgecolor=colour,
                linewidth=1.3,
            )
        )
    lines = _lines(box)
    for row, (words, is_name) in enumerate(lines):
        y = place.y + (row - (len(lines) - 1) / 2) * LINE
        size = FONT if is_name else FONT - 1
        ax.text(place.x, y, words, ha="center", va="center", fontsize=size, color=INK)


def _colour(kind: str, role: str) -> str:
    if role:
        return ROLES[role] if role in ROLES else role
    return ROLES["condition"] if kind == "condition" else INK


def _offsets(arrows: Sequence[Arrow]) -> list[float]:
    """Return the inches by which each arrow is moved aside, so that arrows between two boxes run side by side."""
    pairs = [frozenset((arrow.start, arrow.end)) for arrow in arrows]
    count, seen = Counter(pairs), Counter[frozenset[str]]()
    offsets = []
    for pair in pairs:
        offsets.append((seen[pair] - (count[pair] - 1) / 2) * 0.26)
        seen[pair] += 1
    return offsets


def _draw_arrow(ax: Axes, arrow: Arrow, places: Mapping[str, _Place], offset: float) -> None:
    a, b = places[arrow.start], places[arrow.end]
    colour = _colour(arrow.kind, arrow.role)
    if arrow.kind == "condition" and not (b.across[0] < a.x < b.across[1]):
        x, y = a.x + offset, b.y
        edge = b.across[1] if b.x < a.x else b.across[0]
        if not a.down[0] < y < a.down[1]:
            ax.plot([x, x], [a.down[1] if y > a.y else a.down[0], y], color=colour, linewidth=1.5)
            start = (x, y)
        else:
            start = (a.across[0] if b.x < a.x else a.across[1], y)
        _line(ax, start, (edge, y), arrow.kind, colour)
        return
    start, end = _ends(a, b, offset)
    _line(ax, start, end, arrow.kind, colour)
    if arrow.label:
        left = offset < 0
        x, y = (start[0] + end[0]) / 2 + (-0.09 if left else 0.09), (start[1] + end[1]) / 2
        ax.text(x, y, arrow.label, ha="right" if left else "left", va="center", fontsize=FONT - 1, color=colour)


def _ends(a: _Place, b: _Place, offset: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where an arrow from box a to box b begins and ends: upright or level where it can be."""
    low, high = max(a.across[0], b.across[0]), min(a.across[1], b.across[1])
    if low < high:
        x = (low + high) / 2 + offset
        return ((x, a.down[1]), (x, b.down[0])) if a.y < b.y else ((x, a.down[0]), (x, b.down[1]))
    top, bottom = max(a.down[0], b.down[0]), min(a.down[1], b.down[1])
    if top < bottom:
        y = (top + bottom) / 2 + offset
        return ((a.across[1], y), (b.across[0], y)) if a.x < b.x else ((a.across[0], y), (b.across[1], y))
    start = (a.x + offset, a.down[1] if a.y < b.y else a.down[0])
    return start, (b.x + offset, b.down[0] if a.y < b.y else b.down[1])


def _line(ax: Axes, start: tuple[float, float], end: tuple[float, float], kind: str, colour: str) -> None:
    if kind == "cut":
        share = 0.6
        end = tuple(s + share * (e - s) for s, e in zip(start, end, strict=True))  # type: ignore[assignment]
        length = math.dist(start, end) or 1.0
        along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        side = (-0.09 * along[1], 0.09 * along[0])
        ax.plot(
            [end[0] - side[0], end[0] + side[0]],
            [end[1] - side[1], end[1] + side[1]],
            color=colour,
            linewidth=2.6,
            solid_capstyle="butt",
        )
    length = math.dist(start, end)
    if kind == "cut" or length == 0:
        back = end
    else:
        along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        back = (end[0] - HEAD * along[0], end[1] - HEAD * along[1])
        side = (-HEAD / 2.2 * along[1], HEAD / 2.2 * along[0])
        corners = [end, (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        ax.add_patch(Polygon(corners, facecolor=colour, edgecolor="none"))
    style: Any = (0, (2.2, 1.2)) if kind in ("gradient", "cut") else "-"
    ax.plot(*zip(start, back, strict=True), color=colour, linewidth=1.6, linestyle=style, dash_capstyle="butt")


# The game --------------------------------------------------------------------------------------------


def gan_diagram(condition: bool = False, player: str = "both", title: str | None = None) -> Figure:
    """Draw the GAN: data, noise, G, D, two losses, where gradients flow, and where ``detach`` cuts.

    Args:
        condition: with a condition c that enters both networks.
        player: whose step is drawn: "generator", "discriminator" or "both".

    Raises:
        UserError: an unknown player.
    """
    if player not in ("both", "generator", "discriminator"):
        raise unknown("player", player, ("both", "generator", "discriminator"))
    d_step, g_step = player != "generator", player != "discriminator"
    across = 3 if condition else 2
    given = ", c" if condition else ""
    boxes = {
        "z": Box((1, 0), "noise z"),
        "G": Box((1, 1), "generator G", "" if not condition else "G(z, c)", "generator"),
        "x": Box((0, 2), "data x", "", "data"),
        "fake": Box((1, 2), "fake G(z" + given + ")", "", "generator"),
        "D": Box(((across - 1) / 2, 3), "discriminator D", "score a(x" + given + ")", "discriminator", across),
        "D loss": Box((0, 4), "D's loss", "data: real,\nfakes: fake", "discriminator"),
        "G loss": Box((1, 4), "G's loss", "fakes should\npass as real", "generator"),
    }
    if not d_step:
        del boxes["x"], boxes["D loss"]
    if not g_step:
        del boxes["G loss"]
    arrows = [Arrow("z", "G"), Arrow("G", "fake")]
    if condition:
        boxes["c"] = Box((2, 1), "class c", "", "condition")
        arrows += [Arrow("c", "G", "condition"), Arrow("c", "D", "condition")]
    if g_step:
        arrows.append(Arrow("fake", "G", "gradient", role="generator"))
    if d_step:
        arrows += [Arrow("D", "fake", "cut", "detach", "discriminator"), Arrow("x", "D")]
        arrows += [Arrow("D", "D loss"), Arrow("D loss", "D", "gradient", role="discriminator")]
    arrows.append(Arrow("fake", "D"))
    if g_step:
        arrows.append(Arrow("D", "fake", "gradient", role="generator"))
        arrows += [Arrow("D", "G loss"), Arrow("G loss", "D", "gradient", role="generator")]
    legend = [("forward", "", "values")]
    if condition:
        legend.append(("condition", "", "the condition, told to both"))
    if d_step:
        legend.append(("gradient", "discriminator", "D's gradient: changes D only"))
        legend.append(("cut", "discriminator", "detach: D's gradient stops here"))
    if g_step:
        legend.append(("gradient", "generator", "G's gradient: through D to G"))
    return diagram(boxes, arrows, title, legend)


def penalty_diagram(title: str | None = None) -> Figure:
    """Draw the penalty of WGAN-GP: the point between data and fake, and both backward passes.

    The first one leads from the score to the slope at the point, the second one from the price of that slope, through
    the first, to the critic's weights.
    """
    boxes = {
        "real": Box((0, 0), "x", "data", "data"),
        "eps": Box((1, 0), "ε", "one per pair"),
        "fake": Box((2, 0), "x̃ = G(z)", "generated", "generator"),
        "hat": Box((1, 1), "x̂ = εx + (1 − ε)x̃", "(B, …)"),
        "D": Box((1, 2), "critic D", "weights", "discriminator"),
        "score": Box((0, 3), "D(x̂)", "(B,)"),
        "slope": Box((2, 3), "∇D(x̂)", "(B, …), as x̂"),
        "price": Box((1, 4), "(‖∇D(x̂)‖ − 1)²", "(B,), then the mean"),
    }
    ways = ("real", "hat"), ("eps", "hat"), ("fake", "hat"), ("hat", "D"), ("D", "score"), ("slope", "price")
    arrows = [Arrow(*way) for way in ways]
    arrows.append(Arrow("score", "slope", "gradient", "", "data"))
    arrows.append(Arrow("price", "D", "gradient", "", "discriminator"))
    arrows.append(Arrow("hat", "fake", "cut", "", "generator"))
    legend = [
        ("gradient", "data", "1st backward: to the points, keeps its graph"),
        ("gradient", "discriminator", "2nd backward: through the 1st, to the weights"),
        ("cut", "generator", "detach: G pays nothing"),
    ]
    return diagram(boxes, arrows, title, legend)


# Networks --------------------------------------------------------------------------------------------


def architecture(
    *networks: nn.Module,
    names: Sequence[str] | None = None,
    inputs: Sequence[Any] | None = None,
    condition: str = "class c",
    title: str | None = None,
) -> Figure:
    """Draw networks side by side, each a column of boxes from input to output, read from their layers.

    A layer with weights begins a box; the norm, activation or dropout after it are in the same box. Sizes are those
    of one sample: "64 → 128", "32 × 14 × 14". A condition is drawn where it enters. The networks are run once on zeros,
    in evaluation mode, and left as they were.

    Args:
        networks: one, two or three modules, for example ``G, D``.
        names: what to call them; by default "G" and "D", or "network" for a single one.
        inputs: for each network a batch or a tuple of what it is called with; by default zeros, whose size is read
            from the first linear layer, with labels where the network takes a class.
        condition: words for the condition.

    Raises:
        UserError: no networks or more than three, another number of names or inputs, or a network whose input is not
            known.
    """
    if not 1 <= len(networks) <= 3:
        raise UserError(f"Got {len(networks)} networks; a drawing takes 1 to 3.")
    names = names or (["G", "D"] if len(networks) == 2 else ["network"] * len(networks))
    if len(names) != len(networks) or (inputs is not None and len(inputs) != len(networks)):
        raise UserError(f"Got {len(networks)} networks; give one name and one input for each.")
    readings = [read(net, None if inputs is None else inputs[k]) for k, net in enumerate(networks)]
    told = any(stage.condition for stages in readings for stage in stages)
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    columns = [0.0, 1.6] if told and len(networks) == 2 else [float(k) for k in range(len(networks))]
    for column, name, net, stages in zip(columns, names, networks, readings, strict=True):
        conditional = any(stage.condition for stage in stages)
        role = {"G": "generator", "D": "discriminator"}.get(name[:1], "plain")
        count = sum(weight.numel() for weight in net.parameters())
        boxes[f"{name} head"] = Box((column, 0.9), name, f"{count:,} weights", "words")
        keys = [f"{name} {k}" for k in range(len(stages))]
        for k, (key, stage) in enumerate(zip(keys, stages, strict=True)):
            first, last = _ends_of(name, conditional, stages)
            words = first if k == 0 else last if k == len(stages) - 1 else stage.name
            ends = k in (0, len(stages) - 1)
            boxes[key] = Box((column, k + 1), words, stage.shape, _end_role(name, k == 0) if ends else role)
        arrows += [Arrow(start, end) for start, end in zip(keys, keys[1:], strict=False)]
        for key, stage in zip(keys, stages, strict=True):
            if stage.condition:
                arrows.append(Arrow("c", key, "condition"))
    if told:
        column = 0.8 if len(networks) == 2 else len(networks) - 0.2
        boxes["c"] = Box((column, 1), condition, "", "condition")
    return diagram(boxes, arrows, title)


def _ends_of(name: str, conditional: bool, stages: Sequence[Stage]) -> tuple[str, str]:
    """Return the words of the first and the last box. A "D" that gives more than one number has no score."""
    given = ", c" if conditional else ""
    if name[:1] == "G":
        return "noise z", f"sample G(z{given})"
    if name[:1] != "D":
        return "input", "output"
    if stages[-1].shape != "1":
        return "sample x", "outputs" if ":" in stages[-1].shape else "output"
    probability = len(stages) > 1 and "Sigmoid" in stages[-2].extras
    return "sample x", f"probability D(x{given})" if probability else f"score a(x{given})"


def _end_role(name: str, is_input: bool) -> str:
    return "generator" if name[:1] == "G" and not is_input else "plain"
