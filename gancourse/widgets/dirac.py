"""Chapter 9: what a slope is worth under a penalty, and the game of two numbers with its paths and eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from gancourse import plots
from gancourse.widgets.core import Slider, Widget

GAMES = {
    "cross-entropy": (0.5, "none"),
    "cross-entropy + R1": (0.5, "R1"),
    "WGAN": (1.0, "none"),
    "WGAN + R1": (1.0, "R1"),
    "WGAN-GP": (1.0, "GP"),
}
"""Game → the slope of its loss at rest, and its penalty."""
ORDERS = ("alternating", "simultaneous")
STEPS = 300
LIMIT = 2.5


SIX = {
    "minimax, simultaneous": ("cross-entropy", 0.0, 0.2, "simultaneous"),
    "minimax, alternating": ("cross-entropy", 0.0, 0.2, "alternating"),
    "minimax + R1, γ = 1": ("cross-entropy + R1", 1.0, 0.2, "alternating"),
    "Wasserstein": ("WGAN", 0.0, 0.2, "alternating"),
    "WGAN-GP, λ = 0.3": ("WGAN-GP", 0.3, 0.05, "alternating"),
    "WGAN-GP, λ = 1": ("WGAN-GP", 1.0, 0.05, "alternating"),
}
"""Title → game, γ or λ, learning rate, who moves: the six paths that the chapter draws."""


def pushes(theta: float, psi: float, game: str, gamma: float) -> tuple[float, float]:
    """Return what G adds to θ and D to ψ per unit of the learning rate: minus the slopes of their losses.

    The cross-entropy is the minimax game's. The data are a point at 0, the generator draws a point at θ, and
    D(x) = ψ x (Mescheder et al. 2018, section 2).
    `gamma` is R1's γ or WGAN-GP's λ.
    """
    half, penalty = GAMES[game]
    if half == 1.0:
        g, d = psi, -theta
    else:
        answer = 1 / (1 + math.exp(max(-500.0, min(500.0, -theta * psi))))  # σ(D(θ)); both play V, minimax
        g, d = answer * psi, -answer * theta
    if penalty == "R1":
        d -= gamma * psi
    if penalty == "GP":
        d -= 2 * gamma * (abs(psi) - 1) * np.sign(psi)
    return g, d


def path(game: str, gamma: float, rate: float, order: str, steps: int = STEPS) -> np.ndarray:
    """Return (θ, ψ) over the steps, (steps + 1, 2), from (1, 1); D moves first where they alternate."""
    theta, psi = 1.0, 1.0
    found = [(theta, psi)]
    for _ in range(steps):
        g, d = pushes(theta, psi, game, gamma)
        psi += rate * d
        if order == "alternating":
            g, _ = pushes(theta, psi, game, gamma)
        theta += rate * g
        theta, psi = (max(-1e6, min(1e6, number)) for number in (theta, psi))
        found.append((theta, psi))
    return np.array(found)


def step_matrix(game: str, gamma: float, rate: float, order: str) -> np.ndarray | None:
    """Return the Jacobian of one step at (0, 0), (2, 2); None for WGAN-GP, whose penalty has a corner there."""
    half, penalty = GAMES[game]
    if penalty == "GP":
        return None
    a, left = rate * half, 1 - rate * (gamma if penalty == "R1" else 0.0)
    if order == "simultaneous":
        return np.array([[1.0, a], [-a, left]])
    return np.array([[1 - a * a, a * left], [-a, left]])


def draw(game: str, gamma: float, rate: float, order: str) -> Figure:
    """Draw the path of (θ, ψ) on the left, the eigenvalues of one step in the complex plane on the right."""
    figure, (left, right) = plots.panels(2, columns=2)
    points = path(game, gamma, rate, order)
    left.plot(*points.T, color=plots.GENERATOR, linewidth=0.8, marker=".", markersize=3, alpha=0.8)
    left.plot(*points[0], "o", color=plots.DATA, markersize=7)
    left.plot(0, 0, "+", color=plots.INK, markersize=12)
    left.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), xlabel="θ, where G draws", ylabel="ψ, D's slope")
    left.set_title("from the dot to the cross?", fontsize=plots.FONT)
    angle = np.linspace(0, 2 * np.pi, 200)
    right.plot(np.cos(angle), np.sin(angle), color=plots.MUTED, linewidth=1)
    matrix = step_matrix(game, gamma, rate, order)
    if matrix is None:
        words = "no Jacobian at (0, 0)"
    else:
        values = np.linalg.eigvals(matrix)
        size = float(abs(values).max())
        right.plot(values.real, values.imag, "o", color=plots.DISCRIMINATOR, markersize=8)
        told = "inwards" if size < 1 - 1e-9 else "outwards" if size > 1 + 1e-9 else "circling"
        words = f"largest size {size:.3f}: {told}"
    right.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xlabel="real part", ylabel="imaginary part")
    right.set_title(words, fontsize=plots.FONT)
    for ax in (left, right):
        ax.set_aspect("equal")
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def paths(shown: Mapping[str, tuple[str, float, float, str]]) -> Figure:
    """Draw several paths side by side: title → (game, γ or λ, learning rate, who moves)."""
    figure, axes = plots.panels(len(shown), columns=3)
    for ax, (title, how) in zip(axes, shown.items(), strict=True):
        ax.plot(*path(*how).T, color=plots.GENERATOR, linewidth=1)
        ax.plot(1, 1, "o", color=plots.DATA)
        ax.plot(0, 0, "+", color=plots.INK, markersize=12)
        ax.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal")
        ax.set_title(title, fontsize=plots.FONT - 1)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def worth(slope: np.ndarray, W: float | np.ndarray, weight: float, price: str) -> np.ndarray:
    """Return what a slope gains between two points at distance W, less λ times its price."""
    excess = abs(slope) - 1
    above = np.maximum(excess, 0)
    paid = {"two-sided": excess**2, "one-sided, squared": above**2, "one-sided": above}
    return slope * W - weight * paid[price]


def draw_price(W: float, weight: float) -> Figure:
    """Draw the worth of a slope on a line, for three prices, and of the two-sided one over slopes in the plane."""
    figure, (left, right) = plots.panels(2, columns=2, aspect=1.15)
    slopes = np.linspace(-2.5, 2.5, 201)
    floor = -W - 0.6 * weight
    for price, dash, colour in zip(
        ("two-sided", "one-sided, squared", "one-sided"), ("-", "--", ":"), plots.OTHERS, strict=False
    ):
        left.plot(slopes, worth(slopes, W, weight, price), dash, color=colour, linewidth=2, label=price)
    top, trap = 1 + W / (2 * weight), W / (2 * weight) - 1
    spots = [s for s in (top, trap) if s == top or s < 0]
    for s in spots:
        left.plot(s, worth(np.array(s), W, weight, "two-sided"), "o", color=plots.INK)
        right.plot(s, 0, "o", color=plots.INK)
    left.set(ylim=(floor, 2 * W + 1), xlim=(-2.5, 2.5), xlabel="slope s", ylabel="s W − λ · price")
    left.legend(fontsize=plots.FONT - 2, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    a, b = np.meshgrid(slopes, slopes)
    heights = a * W - weight * (np.hypot(a, b) - 1) ** 2
    right.contourf(slopes, slopes, np.maximum(heights, floor), levels=16, cmap=plots.VERDICT)
    right.set(xlabel="slope towards the data", ylabel="slope across", aspect="equal")
    right.set_title(f"reports {top * W:.2f} for {W:g}", fontsize=plots.FONT)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


WIDGETS = {
    "price": Widget(
        "price",
        9,
        "Move the distance W of two points and the weight λ: where is the best slope, and when does the trap on the "
        "left vanish? Look at both panels.",
        draw_price,
        (
            Slider("W", "distance W", (0.3, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0), 5.0, "{:g}"),
            Slider("weight", "λ", (1.0, 2.0, 4.0, 7.0, 10.0, 20.0), 10.0, "{:g}"),
        ),
    ),
    "dirac": Widget(
        "dirac",
        9,
        "Choose a game, then move γ (for WGAN-GP it is λ) and the learning rate: inside the circle both eigenvalues "
        "mean that the game comes to rest.",
        draw,
        (
            Slider("game", "game", tuple(GAMES), "cross-entropy + R1"),
            Slider("gamma", "γ or λ", (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0), 0.3, "{:g}"),
            Slider("rate", "learning rate", (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5), 0.2, "{:g}"),
            Slider("order", "who moves", ORDERS, "alternating"),
        ),
    ),
}
