"""Drawings of networks and games: boxes with shapes, arrows, the way of the gradient, and where it is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

__all__ = ["Box", "Arrow", "diagram", "gan_diagram", "architecture"]


class Box(NamedTuple):
    """One box of a `diagram`: its words, where it stands, and whose it is."""

    at: tuple[float, float]  # column from the left, row from the top; boxes of neighbouring cells touch no other
    name: str
    shape: str = ""  # a second line, for example "(64,) → (784,)"
    role: str = "plain"  # "data", "generator", "discriminator", "loss", "condition" or "plain"


class Arrow(NamedTuple):
    """One arrow of a `diagram` between two boxes, named by their keys."""

    start: str
    end: str
    kind: str = "forward"  # "forward", "gradient" (dashed, against the way of the data) or "cut" (detach)
    label: str = ""


def diagram(
    boxes: Mapping[str, Box], arrows: Sequence[Arrow], ax: Axes | None = None, title: str | None = None
) -> Figure:
    """Draw boxes on a grid of columns and rows, and arrows between them."""
    raise NotImplementedError


def gan_diagram(condition: bool = False, player: str = "both", title: str | None = None) -> Figure:
    """Draw the GAN: data, noise, G, D, two losses, where gradients flow and where ``detach`` cuts.

    Args:
        condition: with a condition c that enters both networks.
        player: whose step the gradients belong to, "generator", "discriminator" or "both".
    """
    raise NotImplementedError


def architecture(
    *networks: nn.Module, names: Sequence[str] | None = None, condition: str | None = None, title: str | None = None
) -> Figure:
    """Draw networks side by side, each a column of boxes from input to output, read from their layers.

    Args:
        networks: one or two modules, for example G, D.
        names: what to call them; by default "G" and "D".
        condition: words for the condition, drawn where it enters; by default "class c" if the network has one.
    """
    raise NotImplementedError
