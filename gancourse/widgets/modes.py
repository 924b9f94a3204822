"""Chapter 4: Gaussians fitted to two modes by both KL divergences, and the slopes of the two generator losses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from gancourse import plots, theory
from gancourse.widgets.core import Slider, Widget, index, shipped, steps

DISTANCES = steps(0.0, 2.0, 0.1)
STARTS = {
    "forward": (0.2, False),
    "reverse, from the left": (-1.0, True),
    "reverse, from the right": (1.0, True),
    "reverse, between": (0.0, True),
}
AXIS = torch.linspace(-10, 10, 121, dtype=torch.float64)
PLANE, CELL = torch.cartesian_prod(AXIS, AXIS), (AXIS[1] - AXIS[0]) ** 2
AWAY = torch.tensor([1.5, 0.75], dtype=torch.float64)
SHAPE = torch.tensor([[0.4, 0.1], [0.1, 0.3]], dtype=torch.float64)
THETAS = steps(0.25, 6.0, 0.25)


def mixture(distance: float) -> MixtureSameFamily:
    """Return two equal modes, `distance` times AWAY on either side of the origin."""
    modes = MultivariateNormal(distance * torch.stack([-AWAY, AWAY]), SHAPE.expand(2, 2, 2))
    return MixtureSameFamily(Categorical(torch.ones(2)), modes)


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p ‖ q) of log-densities on PLANE."""
    return (log_p.exp() * (log_p - log_q)).sum() * CELL


def gaussian(mean: Tensor, root: Tensor) -> Tensor:
    """Return the log-density on PLANE of a Gaussian whose covariance is root @ root.T."""
    return MultivariateNormal(mean, scale_tril=root.tril()).log_prob(PLANE)


def fit(data: Tensor, distance: float, start: float, reverse: bool) -> tuple[Tensor, Tensor]:
    """Return mean and root (2, 2) of the Gaussian that gradient descent finds from `start` times AWAY.

    "forward" is exact: mean and covariance are the data's. A start of exactly 0 stays between the modes, by symmetry.
    """
    if not reverse:
        return torch.zeros(2, dtype=torch.float64), torch.linalg.cholesky(SHAPE + distance**2 * torch.outer(AWAY, AWAY))
    mean = (start * max(distance, 0.2) * AWAY).requires_grad_()
    root = torch.linalg.cholesky(SHAPE).contiguous().requires_grad_()
    optimizer = torch.optim.LBFGS([mean, root], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        cost = divergence(gaussian(mean, root), data)
        cost.backward()
        return cost

    optimizer.step(loss)
    return mean.detach(), root.detach()


def draw(distance: float) -> Figure:
    """Draw the data in blue and four fits in dashed orange, with what each costs by both divergences."""
    found, at = shipped("kl_fits"), index(DISTANCES, distance)
    data = mixture(distance).log_prob(PLANE)
    figure, axes = plots.panels(4, columns=2, aspect=0.8)
    names = {plots.DATA: "data", plots.GENERATOR: "fit"}
    lines: dict[str, Any] = {plots.DATA: "-", plots.GENERATOR: (0, (4, 3))}  # where a fit lies on a mode, both are seen
    for j, (ax, name) in enumerate(zip(axes, STARTS, strict=True)):
        q = gaussian(torch.from_numpy(found["means"][at, j]), torch.from_numpy(found["roots"][at, j]))
        for log_p, colour in ((data, plots.DATA), (q, plots.GENERATOR)):
            height = log_p.exp().reshape(121, 121).T
            levels = [share * float(height.max()) for share in (0.05, 0.3, 0.7)]
            ax.contour(AXIS, AXIS, height, levels=levels, colors=colour, linewidths=1.5, linestyles=[lines[colour]])
            if j == 0:
                ax.plot([], [], color=colour, linewidth=1.5, linestyle=lines[colour], label=names[colour])
        forward, reverse = found["costs"][at, j]
        ax.set(xlim=(-5.5, 5.5), ylim=(-4.4, 4.4), xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"{name}\nforward {forward:.2f}, reverse {reverse:.2f}", fontsize=plots.FONT)
    axes[0].legend(loc="upper left")
    return figure


# The two slopes --------------------------------------------------------------------------------------


@lru_cache
def _slopes() -> dict[str, list[float]]:
    grid = theory.line(-12, 18, 2001)
    rows: dict[str, list[float]] = {"distance": list(THETAS), "minimax": [], "non-saturating": []}
    for theta in THETAS:
        q = theory.Gaussian(theta, 1.0).density(grid.x)
        logit = theta**2 / 2 - theta * grid.x  # of the best D, which rests: log p - log q
        weight = {"minimax": logit.sigmoid(), "non-saturating": 1 - logit.sigmoid()}
        for name, share in weight.items():
            rows[name].append(float(grid.integrate(q * share * theta)))  # ∇a is -theta everywhere
    return rows


def draw_slopes(distance: float) -> Figure:
    """Draw two Gaussians with the best D above, and the slope of each generator loss over their distance below."""
    grid = theory.line(-4, 10, 401)
    p, q = (theory.Gaussian(mean, 1.0).density(grid.x) for mean in (0.0, distance))
    figure, (top, bottom) = plots.panels(2, columns=1, aspect=0.46)
    plots.density_1d(grid.x, {"data": p, "generated": q}, theory.optimal_discriminator(p, q), ax=top)
    rows = _slopes()
    names = ["minimax", "non-saturating"]
    bottom.set_ylim(1e-3, 10)  # before the curves, whose names stand at their ends
    plots.curves(rows, names, ax=bottom, x="distance", log_y=True, ylabel="slope of G's loss")
    at = index(THETAS, distance)
    for name, colour in plots.style.colours(names).items():
        bottom.plot(distance, rows[name][at], "o", color=colour, markersize=8, zorder=5)
    bottom.set_yticks([10.0**k for k in range(-3, 2)])
    words = ", ".join(f"{name} {rows[name][at]:.2g}" for name in names)
    bottom.set_title(f"at {distance:g}: {words}", fontsize=plots.FONT)
    return figure


WIDGETS = {
    "kl-fits": Widget(
        "kl-fits",
        4,
        "Pull the two modes apart: the forward fit covers both, the reverse fits choose one, and between is dear.",
        draw,
        (Slider("distance", "distance", DISTANCES, 1.4, "{:.1f}"),),
    ),
    "slopes": Widget(
        "slopes",
        4,
        "Pull the fakes away from the data: the minimax slope fades, the non-saturating slope grows.",
        draw_slopes,
        (Slider("distance", "distance", THETAS, 2.0, "{:g}"),),
    ),
}
