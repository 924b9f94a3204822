"""What lives in the plane: points, and what a discriminator says around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gancourse.errors import UserError
from gancourse.plots.style import (
    DATA,
    FONT,
    GENERATOR,
    INK,
    VERDICT,
    WIDTH,
    Array,
    as_numbers,
    as_words,
    canvas,
    dress,
    head,
    panels,
    require_finite,
    styled,
)

__all__ = ["Judge", "Limits", "points", "Snapshot", "snapshot", "landscape", "landscape_strip", "level_lines"]

Judge = Callable[[Tensor], Tensor]
Limits = float | tuple[float, float] | tuple[float, float, float, float]


def as_cloud(values: Any, name: str) -> Array:
    points_ = as_numbers(values, name)
    if points_.ndim != 2 or points_.shape[1] != 2:
        raise UserError(f"{name} has shape {points_.shape}; expected points in the plane, (n, 2).")
    require_finite(points_, name)
    return points_


def window_of(limits: Limits | None, *clouds: Array | None) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top): the limits as given, or a square around the clouds."""
    if limits is None:
        present = [cloud for cloud in clouds if cloud is not None]
        radius = 1.15 * max(float(np.abs(cloud).max()) for cloud in present) or 1.0 if present else 1.5
        return -radius, radius, -radius, radius
    ends = (-limits, limits) if isinstance(limits, int | float) else tuple(map(float, limits))
    window = ends * 2 if len(ends) == 2 else ends
    if len(window) != 4 or not (window[0] < window[1] and window[2] < window[3]):
        raise UserError(f"Got limits={limits!r}; expected a radius r, (low, high) or (left, right, bottom, top).")
    return window[0], window[1], window[2], window[3]


def scatter(ax: Axes, cloud: Array, colour: str, label: str) -> None:
    x, y = cloud.T
    size = float(np.clip(2500 / len(cloud), 5, 22))
    ax.scatter(x, y, s=size, color=colour, alpha=0.75, linewidths=0.3, edgecolors="white", label=label)


def _modes(mixture: Any) -> Array:
    centres = getattr(mixture, "centres", None)
    if centres is None:
        raise UserError(f"{type(mixture).__name__} has no centres to mark; give a mixture, or only its points as data.")
    return as_cloud(centres, "mixture.centres")


def frame_plane(ax: Axes, window: tuple[float, float, float, float]) -> None:
    ax.set(xlim=window[:2], ylim=window[2:], aspect="equal")
    dress(ax)


@styled
def points(
    samples: Any,
    data: Any = None,
    mixture: Any = None,
    ax: Axes | None = None,
    limits: Limits | None = None,
    title: str | None = None,
) -> Figure:
    """Scatter generated points (orange) over data (blue), with a ring around every mode of a mixture.

    Samples outside the frame are counted in its corner.

    Args:
        samples, data: (n, 2) tensors or arrays.
        mixture: anything with ``centres`` (K, 2), for example ``toy.ring()``.
        limits: a radius, (low, high) or (left, right, bottom, top); by default all points fit.

    Raises:
        UserError: another shape, no points, NaN, or limits in the wrong order.
    """
    cloud = as_cloud(samples, "The samples")
    real = None if data is None else as_cloud(data, "The data")
    modes = None if mixture is None else _modes(mixture)
    window = window_of(limits, cloud, real, modes)
    figure, ax = canvas(ax, height=4.9, width=4.8)
    if real is not None:
        scatter(ax, real, DATA, "data")
    scatter(ax, cloud, GENERATOR, "generated")
    if modes is not None:
        x, y = modes.T
        ax.scatter(x, y, s=130, facecolors="none", edgecolors=INK, linewidths=1.1, label="modes")
    frame_plane(ax, window)
    low, high = np.array(window[::2]), np.array(window[1::2])
    outside = int(((cloud < low) | (cloud > high)).any(axis=1).sum())
    if outside:
        ax.text(
            0.98,
            0.02,
            f"{outside:,} outside",
            transform=ax.transAxes,
            ha="right",
            va="bottom",
            fontsize=FONT - 1,
        )
    head(ax, title)
    return figure


class Snapshot(NamedTuple):
    """What a discriminator said at one moment; made by `snapshot`, drawn by `landscape_strip`."""

    caption: str
    probability: Array  # (resolution, resolution), rows from bottom to top
    window: tuple[float, float, float, float]
    samples: Array | None


def answers(discriminator: Judge, inputs: Array, slopes: bool = False) -> tuple[Array, Array | None]:
    """Return D's logits of `inputs` (n, d), (n,), and their slopes ∇ₓ a, (n, d), if asked for.

    D is asked in evaluation mode and left as it was, with the gradients that it had.
    """
    networks = list(discriminator.modules()) if isinstance(discriminator, torch.nn.Module) else []
    weights = next((p for network in networks for p in network.parameters()), None)
    batch = torch.as_tensor(inputs, dtype=torch.float32 if weights is None else weights.dtype)
    if weights is not None:
        batch = batch.to(weights.device)
    batch = batch.detach().clone().requires_grad_(slopes)
    training = [network.training for network in networks]
    for network in networks:
        network.training = False
    try:
        with torch.set_grad_enabled(slopes):
            logits = discriminator(batch)
    finally:
        for network, mode in zip(networks, training, strict=True):
            network.training = mode
    if not isinstance(logits, Tensor) or logits.shape not in ((len(batch),), (len(batch), 1)):
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(
            f"The discriminator turned {tuple(batch.shape)} points into {given}; expected one logit each, "
            f"({len(batch)},) or ({len(batch)}, 1)."
        )
    found = logits.detach().reshape(-1).cpu().double().numpy()
    if not slopes:
        return found, None
    if not logits.requires_grad:
        raise UserError("The discriminator's logits carry no gradient: leave out detach() and no_grad() in it.")
    (slope,) = torch.autograd.grad(logits.sum(), batch, allow_unused=True)
    return found, (torch.zeros_like(batch) if slope is None else slope).cpu().double().numpy()


def probabilities(discriminator: Judge, inputs: Array) -> Array:
    """Return D's probabilities sigmoid(logit) of `inputs` (n, d), in evaluation mode, leaving D as it was."""
    logits, _ = answers(discriminator, inputs)
    probability = torch.sigmoid(torch.from_numpy(logits)).numpy()
    require_finite(probability, "The discriminator's output")
    return probability


def snapshot(
    caption: int | str, discriminator: Judge, samples: Any = None, limits: Limits = 1.5, resolution: int = 80
) -> Snapshot:
    """Ask the discriminator now, on a grid over the plane, and keep its answers for `landscape_strip`.

    The answers are copied: training may go on without changing them.

    Args:
        caption: words, or an integer n for "step n".
        discriminator: maps (n, 2) float points to (n,) or (n, 1) logits.
        samples: generated points (n, 2) of the same moment.
    """
    if resolution < 2:
        raise UserError(f"Got resolution={resolution}; a landscape needs at least 2 points on each side.")
    window = window_of(limits)
    grid = np.meshgrid(np.linspace(*window[:2], resolution), np.linspace(*window[2:], resolution))
    probability = probabilities(discriminator, np.stack(grid, axis=-1).reshape(-1, 2)).reshape(resolution, resolution)
    cloud = None if samples is None else as_cloud(samples, "The samples").copy()
    return Snapshot(as_words(caption), probability, window, cloud)


def draw_landscape(ax: Axes, shot: Snapshot, data: Array | None) -> Any:
    size = len(shot.probability)
    xs, ys = np.linspace(*shot.window[:2], size), np.linspace(*shot.window[2:], size)
    filled = ax.contourf(xs, ys, shot.probability, levels=np.linspace(0, 1, 21), cmap=VERDICT)
    if shot.probability.min() < 0.5 < shot.probability.max():
        ax.contour(xs, ys, shot.probability, levels=[0.5], colors=INK, linewidths=1.2)
    if data is not None:
        scatter(ax, data, DATA, "data")
    if shot.samples is not None:
        scatter(ax, shot.samples, GENERATOR, "generated")
    frame_plane(ax, shot.window)
    return filled


def verdict_bar(figure: Figure, filled: Any, axes: Sequence[Axes]) -> None:
    bar = figure.colorbar(filled, ax=axes, ticks=[0, 0.5, 1], shrink=0.8, aspect=22, pad=0.02)
    bar.ax.set_yticklabels(["0: generated", "½", "1: data"], fontsize=FONT - 1)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    bar.ax.axhline(0.5, color=INK, linewidth=1.2)


@styled
def landscape(
    discriminator: Judge,
    limits: Limits | None = None,
    ax: Axes | None = None,
    resolution: int = 120,
    samples: Any = None,
    data: Any = None,
    title: str | None = None,
) -> Figure:
    """Draw D(x) = sigmoid(logit) over the plane: green where it says data, grey where it says generated.

    The dark line is D = 1/2, where the discriminator cannot tell.

    Args:
        discriminator: maps (n, 2) float points to (n,) or (n, 1) logits; a module is asked in evaluation
            mode and left as it was.
        limits: a radius, (low, high) or (left, right, bottom, top); by default around samples and data.
        resolution: points of the grid on each side.
        samples, data: (n, 2) points to draw on top.

    Raises:
        UserError: another shape of points or logits, NaN, limits in the wrong order.
    """
    cloud = None if samples is None else as_cloud(samples, "The samples")
    real = None if data is None else as_cloud(data, "The data")
    shot = snapshot("", discriminator, cloud, window_of(limits, cloud, real), resolution)
    figure, ax = canvas(ax, height=4.6, width=5.8)
    filled = draw_landscape(ax, shot, real)
    verdict_bar(figure, filled, [ax])
    head(ax, title)
    return figure


@styled
def landscape_strip(snapshots: Sequence[Snapshot], data: Any = None, columns: int = 3) -> Figure:
    """Draw several moments of one discriminator side by side, `columns` in a row, on one scale.

    Args:
        snapshots: made by `snapshot` in the course of training.
        data: (n, 2) points drawn in every panel.

    Raises:
        UserError: no snapshots, or data of another shape.
    """
    if not snapshots:
        raise UserError("Got no snapshots to draw; plots.snapshot makes one from a discriminator.")
    real = None if data is None else as_cloud(data, "The data")
    figure, axes = panels(len(snapshots), columns, width=WIDTH + 0.6, side=1.3)
    for ax, shot in zip(axes, snapshots, strict=True):
        filled = draw_landscape(ax, shot, real)
        ax.set_title(shot.caption, fontsize=FONT)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    verdict_bar(figure, filled, axes)
    return figure


@styled
def level_lines(
    critic: Judge,
    limits: Limits = 1.5,
    ax: Axes | None = None,
    resolution: int = 80,
    levels: int = 14,
    title: str | None = None,
) -> Figure:
    """Draw the scores of a critic over the plane as heights: green where they are high, with lines of equal score.

    Scores have no unit of their own, so the colours run from this critic's lowest score to its highest.

    Args:
        critic: maps (n, 2) float points to (n,) or (n, 1) scores; a module is asked in evaluation mode and left as it
            was.
        limits: as in `points`.
        levels: how many lines, about.

    Raises:
        UserError: another shape of scores, NaN, or limits in the wrong order.
    """
    window = window_of(limits)
    xs, ys = np.linspace(*window[:2], resolution), np.linspace(*window[2:], resolution)
    inputs = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    heights = answers(critic, inputs)[0].reshape(resolution, resolution)
    require_finite(heights, "The critic's score")
    figure, ax = canvas(ax, height=4.6, width=4.8)
    ax.contourf(xs, ys, heights, levels=levels, cmap=VERDICT)
    ax.contour(xs, ys, heights, levels=levels, colors=INK, linewidths=0.5, linestyles="solid")
    frame_plane(ax, window)
    if title:
        ax.set_title(title, fontsize=FONT)
    return figure
