"""What the generator learns from: arrows of the discriminator's slope, and noise that the generator bends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from gancourse.errors import UserError, check_whole, unknown
from gancourse.plots.plane import (
    Judge,
    Limits,
    answers,
    as_cloud,
    draw_landscape,
    frame_plane,
    probabilities,
    scatter,
    snapshot,
    verdict_bar,
    window_of,
)
from gancourse.plots.style import (
    DATA,
    DISCRIMINATOR,
    FONT,
    GENERATOR,
    INK,
    MUTED,
    OTHERS,
    Array,
    as_numbers,
    canvas,
    dress,
    head,
    panels,
    require_finite,
    styled,
)

__all__ = ["hint", "arrows", "push_forward"]

WEIGHTS = ("D", "1-D")
ROWS = 6  # lines on which the fakes of one dimension stand, one above the other


def hint(discriminator: Judge, fakes: Any, weight: str | None = None) -> Array:
    """Return the hint ∇ₓ a at generated points, times D or 1 − D if asked for: float64 (n, d).

    Args:
        discriminator: maps (n, d) float points to (n,) or (n, 1) logits a(x), differentiably; a module is asked in
            evaluation mode and left as it was.
        fakes: (n, d) points.
        weight: None for ∇a itself, "D" for D ∇a (the minimax loss), "1-D" for (1 − D) ∇a (the non-saturating loss).

    Raises:
        UserError: another shape of points or logits, NaN, an unknown weight, or logits without a gradient.
    """
    if weight is not None and weight not in WEIGHTS:
        raise unknown("weight", str(weight), WEIGHTS)
    points = as_numbers(fakes, "The fakes")
    if points.ndim != 2:
        raise UserError(f"The fakes have shape {points.shape}; expected points, (n, 1) or (n, 2).")
    require_finite(points, "The fakes")
    logits, slopes = answers(discriminator, points, slopes=True)
    assert slopes is not None
    require_finite(slopes, "The discriminator's slope")
    if weight is None:
        return slopes
    D = torch.sigmoid(torch.from_numpy(logits)).numpy()[:, None]
    return slopes * (D if weight == "D" else 1 - D)


@styled
def arrows(
    discriminator: Judge,
    fakes: Any,
    weight: str | None = None,
    ax: Axes | None = None,
    data: Any = None,
    limits: Limits | None = None,
    background: bool = True,
    scale: float | None = None,
    most: int = 60,
    title: str | None = None,
) -> Figure:
    """Draw the hint ∇ₓ a on generated points: where each should move to look more like data to D.

    In the plane the arrows lie on the landscape of D; on a line they lie below the curve D(x), the fakes on a few
    lines one above the other so that no arrow hides another. The longest arrow is a sixth of the frame; the size of
    the hint that it stands for is written in the corner, as "longest" or, for a given `scale`, as "full length".

    Args:
        discriminator, weight: as in `hint`.
        fakes: (n, 2) points in the plane or (n, 1) on a line; the first `most` are drawn.
        data: points of the data with as many coordinates, drawn in blue.
        limits: as in `points`; on a line a radius or (low, high).
        background: also draw D; without it only dots and arrows are added to `ax`.
        scale: the size of a hint that gets the longest arrow; None takes the largest one. Give two figures the same
            to compare them; a longer arrow is cut to that length.

    Raises:
        UserError: as in `hint`, points of another dimension, or limits in the wrong order.
    """
    check_whole("most", most, 1, 1000)
    if scale is not None and not scale > 0:
        raise UserError(f"Got scale={scale}; the size of a hint is above 0.")
    points = as_numbers(fakes, "The fakes")
    if points.ndim != 2 or points.shape[1] not in (1, 2):
        raise UserError(f"The fakes have shape {points.shape}; expected (n, 2) in the plane or (n, 1) on a line.")
    points = points[:most]
    slopes = hint(discriminator, points, weight)
    real = None if data is None else as_numbers(data, "The data")
    if real is not None and (real.ndim != 2 or real.shape[1] != points.shape[1]):
        raise UserError(f"The data has shape {real.shape}; expected (n, {points.shape[1]}) like the fakes.")
    sizes = np.linalg.norm(slopes, axis=1)
    longest = float(scale or sizes.max() or 1.0)
    vectors = slopes / longest / np.maximum(sizes / longest, 1.0)[:, None]
    alone = ax is None
    words = {None: "∇a", "D": "D ∇a", "1-D": "(1 − D) ∇a"}[weight]
    if points.shape[1] == 2:
        figure, ax = _plane(discriminator, points, vectors, real, limits, background, ax)
    else:
        figure, ax = _line(discriminator, points[:, 0], vectors[:, 0], real, limits, background, ax)
    length = "longest" if scale is None else "full length"  # with a scale, no arrow need be the longest one
    told = f"{length}: {longest:.2g}" if ax.get_position().width < 0.5 else f"{length} {words}: {longest:.2g}"
    if points.shape[1] == 2:
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        ax.text(0.985, 0.015, told, transform=ax.transAxes, ha="right", va="bottom", bbox=box, fontsize=FONT - 1)
    else:
        ax.text(1.0, 1.02, told, transform=ax.transAxes, ha="right", va="bottom", fontsize=FONT - 1)
    if background or title or alone:
        head(ax, title)
    return figure


def _plane(
    discriminator: Judge,
    points: Array,
    vectors: Array,
    real: Array | None,
    limits: Limits | None,
    background: bool,
    ax: Axes | None,
) -> tuple[Figure, Axes]:
    window = window_of(limits, points, real)
    alone = ax is None
    figure, ax = canvas(ax, height=4.6, width=5.8 if background else 4.8)
    if background:
        filled = draw_landscape(ax, snapshot("", discriminator, None, window, 100), real)
        if alone:
            verdict_bar(figure, filled, [ax])
    elif real is not None:
        scatter(ax, real, DATA, "data")
    scatter(ax, points, GENERATOR, "generated")
    length = (window[1] - window[0]) / 6
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "zorder": 4}
    shape: dict[str, Any] = {"width": 0.006, "headwidth": 4.5, "headlength": 5, "headaxislength": 4.5, "minlength": 0.5}
    ax.quiver(*points.T, *(length * vectors).T, color=INK, **style, **shape)
    if limits is not None or background:
        frame_plane(ax, window)
    return figure, ax


def _line(
    discriminator: Judge,
    points: Array,
    vectors: Array,
    real: Array | None,
    limits: Limits | None,
    background: bool,
    ax: Axes | None,
) -> tuple[Figure, Axes]:
    if background or ax is None:
        clouds = [points, *([] if real is None else [real[:, 0]])]
        low, high = min(c.min() for c in clouds), max(c.max() for c in clouds)
        low, high = low - 0.25 * (high - low or 1.0), high + 0.25 * (high - low or 1.0)
        if limits is not None:
            low, high = window_of(limits)[:2]
        figure, ax = canvas(ax, height=3.6)
        xs = np.linspace(low, high, 301)
        if background:
            ax.plot(xs, probabilities(discriminator, xs[:, None]), color=DISCRIMINATOR, label="D(x)")
        ax.axhline(0, color=MUTED, linewidth=0.8)
        ax.set(xlim=(low, high), ylim=(-0.5, 1.08), yticks=[0, 0.5, 1], xlabel="x", ylabel="D(x)")
        dress(ax)
    else:
        figure = ax.figure.figure
    across = ax.get_xaxis_transform()  # x as in the data, y as a share of the frame
    left, right = ax.get_xlim()
    heights = 0.04 + 0.23 * (np.argsort(np.argsort(points)) % ROWS) / (ROWS - 1)
    label = None if "generated" in ax.get_legend_handles_labels()[1] else "generated"  # a density may bear that name
    if real is not None:
        ax.plot(real[:, 0], np.zeros(len(real)), "|", color=DATA, markersize=9, transform=across, label="data")
    ax.scatter(points, heights, s=22, color=GENERATOR, transform=across, zorder=4, label=label)
    for x, y, vector in zip(points, heights, (right - left) / 6 * vectors, strict=True):
        if abs(vector) > 0.004 * (right - left):
            style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
            style |= {"mutation_scale": 7.0}
            ax.annotate("", (x + vector, y), (x, y), xycoords=across, textcoords=across, arrowprops=style, zorder=3)
    return figure, ax


# The push-forward ------------------------------------------------------------------------------------


def _generated(generator: Callable[[Tensor], Tensor], z: Array) -> Array:
    """Return G(z) of noise (n, d) as float64 (n, 1) or (n, 2), G asked in evaluation mode and left as it was."""
    networks = list(generator.modules()) if isinstance(generator, nn.Module) else []
    weights = next((p for network in networks for p in network.parameters()), None)
    batch = torch.as_tensor(z, dtype=torch.float32 if weights is None else weights.dtype)
    batch = batch if weights is None else batch.to(weights.device)
    training = [network.training for network in networks]
    for network in networks:
        network.training = False
    try:
        with torch.no_grad():
            drawn = generator(batch)
    finally:
        for network, mode in zip(networks, training, strict=True):
            network.training = mode
    if not isinstance(drawn, Tensor) or drawn.ndim != 2 or len(drawn) != len(z) or drawn.shape[1] not in (1, 2):
        given = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise UserError(
            f"The generator turned noise of shape {z.shape} into {given}; this picture needs ({len(z)}, 2) or "
            f"({len(z)}, 1), so a generator of points."
        )
    found = as_numbers(drawn, "G(z)")
    require_finite(found, "G(z)")
    return found


@styled
def push_forward(
    generator: Callable[[Tensor], Tensor],
    latent_dim: int = 2,
    limits: Limits = 2.0,
    lines: int = 13,
    samples: int = 300,
    data: Any = None,
    title: str | None = None,
    seed: int = 0,
) -> Figure:
    """Draw how G bends noise: a regular grid of z on the left, its image G(z) on the right.

    Where the lines are far apart on the right, G has spread its noise thin. With ``latent_dim=1`` and one output,
    equally spaced z are joined to their G(z) below, with the densities of both.

    Args:
        generator: maps standard normal noise (n, latent_dim) to (n, 2) or (n, 1) points, both 1 or both 2, or a curve
            from 1 to 2.
        latent_dim: 1 or 2.
        limits: how far the grid of z reaches, as in `points`.
        lines: of the grid, in each direction.
        samples: dots of noise and of their images, drawn with `seed`; 0 for none.
        data: (n, 2) points drawn in blue behind the image.

    Raises:
        UserError: another latent_dim, shape or limits, or NaN.
    """
    check_whole("lines", lines, 2, 60)
    check_whole("samples", samples, 0, 100_000)
    if latent_dim not in (1, 2):
        raise UserError(f"Got latent_dim={latent_dim}; noise that can be drawn has 1 or 2 numbers.")
    window = window_of(limits)
    z = np.random.default_rng(seed).standard_normal((max(samples, 1), latent_dim))
    if latent_dim == 1:
        ends = np.linspace(*window[:2], lines)[:, None]
        if _generated(generator, ends).shape[1] == 1:
            return _strings(generator, ends, title, seed)
        curves = [np.linspace(*window[:2], 400)[:, None]]
        strokes = [OTHERS[0]]
    else:
        steps = np.linspace(0, 1, 101)
        across, up = (np.linspace(window[k], window[k + 1], lines) for k in (0, 2))
        x, y = (low + steps * (high - low) for low, high in (window[:2], window[2:]))
        curves = [np.stack([np.full_like(y, place), y], axis=1) for place in across]
        curves += [np.stack([x, np.full_like(x, place)], axis=1) for place in up]
        strokes = [OTHERS[0]] * lines + [GENERATOR] * lines
    images = [_generated(generator, curve) for curve in curves]
    if images[0].shape[1] == 1:
        raise UserError("The generator makes numbers of noise in the plane; give latent_dim=1, or points (n, 2).")
    figure, (left, right) = panels(2, columns=2)
    for curve, image, colour in zip(curves, images, strokes, strict=True):
        flat = curve if latent_dim == 2 else np.concatenate([curve, np.zeros_like(curve)], axis=1)
        left.plot(*flat.T, color=colour, linewidth=0.9)
        right.plot(*image.T, color=colour, linewidth=0.9)
    drawn = _generated(generator, z)
    if samples:
        flat = z if latent_dim == 2 else np.concatenate([z, np.zeros_like(z)], axis=1)
        left.scatter(flat[:, 0], flat[:, 1], s=5, color=INK, linewidths=0, alpha=0.7, zorder=3)
        right.scatter(drawn[:, 0], drawn[:, 1], s=5, color=INK, linewidths=0, alpha=0.7, zorder=3)
    frame_plane(left, window)
    real = None if data is None else as_cloud(data, "The data")
    if real is not None:
        right.scatter(real[:, 0], real[:, 1], s=5, color=DATA, alpha=0.35, linewidths=0, zorder=0)
    frame_plane(right, window_of(None, np.concatenate(images), real))
    left.set_title("noise z" if title is None else f"{title}: noise z", fontsize=FONT)
    right.set_title("G(z)", fontsize=FONT)
    return figure


def _strings(generator: Callable[[Tensor], Tensor], z: Array, title: str | None, seed: int) -> Figure:
    """Draw strings from equally spaced z above to their G(z) below, with the density of each."""
    images = _generated(generator, z)
    many = np.random.default_rng(seed).standard_normal((20_000, 1))
    drawn = _generated(generator, many)[:, 0]
    figure, ax = canvas(None, height=4.2)
    for k, (above, below) in enumerate(zip(z[:, 0], images[:, 0], strict=True)):
        ax.plot([below, above], [0, 1], color=GENERATOR, linewidth=0.9, label="z → G(z)" if k == 0 else None)
    ax.plot(z[:, 0], np.ones(len(z)), "o", color=MUTED, markersize=4)
    ax.plot(images[:, 0], np.zeros(len(z)), "o", color=GENERATOR, markersize=4)
    for values, base, way, colour in ((many[:, 0], 1.0, 1, MUTED), (drawn, 0.0, -1, GENERATOR)):
        heights, edges = np.histogram(values, bins=80, density=True)
        heights = 0.5 * way * heights / heights.max()
        ax.stairs(base + heights, edges, baseline=base, fill=True, color=colour, alpha=0.35, linewidth=0)
    ends = np.concatenate([z[:, 0], images[:, 0], drawn[:2000]])
    ax.set(xlim=(ends.min() - 0.2, ends.max() + 0.2), ylim=(-0.6, 1.6), yticks=[0, 1])
    ax.set_yticklabels(["G(z)", "z"])
    dress(ax)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    head(ax, title)
    return figure
