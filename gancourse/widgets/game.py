"""Chapter 1: D's threshold and landscape over the steps of training and k, on a line and on the ring."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from gancourse import plots, theory
from gancourse.datasets import toy
from gancourse.widgets.core import Slider, Widget, index, shipped

LOOKS = tuple(range(0, 601, 15))
MOVES = (1, 5, 20)
SEEDS = 3
RING_STEPS = tuple(range(0, 3001, 250))
RING_MOVES = (1, 5)
RING_GRID = 48
RING_WINDOW = 1.5


def draw(step: int, k: int, seed: int) -> Figure:
    """Draw the five-parameter GAN at one step: densities, D with its thresholds and hints; and its way to here."""
    looks = shipped("five_parameters")["looks"][index(MOVES, k), seed]
    now = looks[index(LOOKS, step)].astype(float).tolist()
    w, (mean, spread) = np.array(now[:3]), now[3:]
    xs = torch.linspace(-3, 5, 321, dtype=torch.float64)
    width = max(abs(spread), 0.02)
    pair = {"data": theory.Gaussian(2.0, 0.5).density(xs), "generated": theory.Gaussian(mean, width).density(xs)}

    def D(x: torch.Tensor) -> torch.Tensor:
        return now[0] + now[1] * x[:, 0] + now[2] * x[:, 0] ** 2

    figure, (top, bottom) = plots.panels(2, columns=1, aspect=0.46)
    plots.density_1d(xs, pair, D, ax=top)
    top.set_ylim(-0.45, 1.25)
    top.set_yticks([0, 0.5, 1])
    figure.axes[2].set_ylim(-0.36 * 1.02, 1.02)
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf(torch.linspace(0.05, 0.95, 10, dtype=torch.float64))
    fakes = mean + spread * quantiles.numpy()
    plots.arrows(D, fakes[:, None], "1-D", ax=top, background=False, scale=1.5)
    places = [root.real for root in np.roots(w[::-1]) if abs(root.imag) < 1e-9] if np.abs(w).max() > 1e-6 else []
    shown = sorted(place for place in places if -3 < place < 5)
    for place in shown:
        top.axvline(place, ymin=0.27, color=plots.INK, linewidth=1, linestyle=":")
    course = looks[: index(LOOKS, step) + 1]
    for row, name, level, colour in ((3, "mean", 2.0, plots.GENERATOR), (4, "width", 0.5, plots.OTHERS[0])):
        values = np.abs(course[:, row]) if name == "width" else course[:, row]
        bottom.plot(LOOKS[: len(course)], values, color=colour, label=f"{name} of G")
        bottom.plot(LOOKS[len(course) - 1], values[-1], "o", color=colour)
        bottom.axhline(level, color=colour, linewidth=1, linestyle=(0, (5, 3)))
    bottom.set(xlim=(0, LOOKS[-1]), ylim=(-0.1, 2.9), xlabel="step; dashed: the data's")
    bottom.legend(loc="upper right", ncols=2)
    plots.style.dress(bottom)
    told = ", ".join(f"{place:.2f}" for place in shown) or "nowhere in sight"
    top.set_xlabel(f"x; D = ½ at {told}")
    return figure


def draw_ring(step: int, k: int) -> Figure:
    """Draw D's landscape on the ring at one step, with data and fakes."""
    data = shipped("ring")
    at = index(RING_MOVES, k), index(RING_STEPS, step)
    window = (-RING_WINDOW, RING_WINDOW) * 2
    shot = plots.Snapshot(
        f"step {step:,}, k = {k}", data["grids"][at] / 255, window, data["points"][at].astype(np.float64)
    )
    real = toy.ring().sample(300, torch.Generator().manual_seed(0))
    return plots.landscape_strip([shot], real, columns=1)


WIDGETS = {
    "five-parameters": Widget(
        "five-parameters",
        1,
        "Move through training: D moves its threshold (dotted), and the hints (arrows) push the fakes after it.",
        draw,
        (
            Slider("step", "step", LOOKS, 60, "{:,}"),
            Slider("k", "moves of D, k", MOVES, 1),
            Slider("seed", "seed", tuple(range(SEEDS)), 0),
        ),
    ),
    "ring": Widget(
        "ring",
        1,
        "Move through training on the ring: green is where D says data, and the fakes run uphill.",
        draw_ring,
        (
            Slider("step", "step", RING_STEPS, 500, "{:,}"),
            Slider("k", "moves of D, k", RING_MOVES, 1),
        ),
    ),
}
