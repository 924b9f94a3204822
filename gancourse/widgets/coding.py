"""Chapter 7: the three targets a, b, c of least squares: the best score, and the slopes that G feels."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from gancourse import losses, plots, theory
from gancourse.widgets.core import Slider, Widget, steps

TARGETS = steps(-2, 2, 0.25)


def draw(a: float, b: float, c: float) -> Figure:
    """Draw two densities with the best score of (7.3) above, and the slopes of three generator losses below."""
    grid = theory.line(-5, 5, 401)
    data = theory.Mixture(weights=(0.5, 0.5), means=(-1.5, 1.5), stds=(0.6, 0.6)).density(grid.x)
    fakes = theory.Gaussian(mean=0.5, std=1.0).density(grid.x)
    best = theory.least_squares_discriminator(data, fakes, a, b) if a != b else torch.full_like(grid.x, a)
    figure, (top, bottom) = plots.panels(2, columns=1, aspect=0.5)
    plots.density_1d(grid.x, {"data": data, "generated": fakes}, ax=top)
    top.set_ylim(0, 1.0)
    right = top.twinx()
    right.plot(grid.x, best, color=plots.DISCRIMINATOR, linestyle="--")
    right.axhline(c, color=plots.INK, linewidth=1, linestyle=":")
    right.text(4.9, c + 0.06, "c", ha="right", color=plots.INK)
    ends = [-2.1, 2.1] if max(abs(a), abs(b), abs(c)) > 1.1 else [-1.1, 1.1]
    right.set(ylim=ends)
    right.set_ylabel("best score", color=plots.DISCRIMINATOR)
    right.spines[["top", "left", "bottom"]].set_visible(False)
    right.spines["right"].set_color(plots.MUTED)
    s = torch.linspace(-4, 5, 181, dtype=torch.float64, requires_grad=True)
    slopes = {"score": s.detach()}
    rivals = {"minimax": losses.minimax_loss, "non-saturating": losses.nonsaturating_loss}
    for name, loss in rivals.items():
        (slopes[name],) = torch.autograd.grad(len(s) * loss(s), s)
    (slopes["least squares"],) = torch.autograd.grad(len(s) * losses.least_squares_g_loss(s, c), s)
    bottom.set_ylim(-5, 5)
    plots.curves(slopes, list(slopes)[1:], ax=bottom, x="score", references={"zero": 0.0}, ylabel="slope of G's loss")
    inside = best[fakes > 0.01]
    low, high = float(inside.min()), float(inside.max())
    bottom.axvspan(low, max(high, low + 0.02), color=plots.DISCRIMINATOR, alpha=0.12, linewidth=0)
    bottom.set(xlim=(-4, 5), xlabel="score; shaded: what the best D gives to fakes")
    if a == b:
        words = "a = b: D has nothing to tell apart"
    else:
        nearer = abs(c - a) - abs(c - b)  # above 0: c is nearer to the score of data
        goal = "the score of data" if nearer > 0 else "the middle" if nearer == 0 else "the score of fakes"
        words = f"a = {a:g}, b = {b:g}, c = {c:g}: G aims at {goal}"
    top.set_title(words, fontsize=plots.FONT, pad=26)
    return figure


WIDGETS = {
    "least-squares": Widget(
        "least-squares",
        7,
        "Move the targets a (fakes), b (data) and c (what G wants): the best score stays between a and b, and "
        "G's slope changes its sign at c.",
        draw,
        (
            Slider("a", "a, D's for fakes", TARGETS, 0.0, "{:g}"),
            Slider("b", "b, D's for data", TARGETS, 1.0, "{:g}"),
            Slider("c", "c, G's for fakes", TARGETS, 1.0, "{:g}"),
        ),
    )
}
