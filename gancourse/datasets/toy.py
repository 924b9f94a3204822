"""Two-dimensional distributions with a formula, small enough to watch a GAN at work on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gancourse.datasets.source import Source
from gancourse.errors import UserError, unknown

TRAINING_POINTS = 100_000
"""How many training points are drawn (protocol of PacGAN's code)."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """An equal mixture of isotropic Gaussians in the plane.

    Attributes:
        name: the word it is known by.
        centres: the modes, float (K, 2).
        std: the standard deviation of every mode, in the units of the plane.
    """

    name: str
    centres: Tensor
    std: float

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n points, float (n, 2); every mode is equally likely."""
        return self.sample_with_modes(n, generator)[0]

    def sample_with_modes(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the points of :meth:`sample` and the mode each was drawn from, int64 (n,): labels for free."""
        _check_count(n)
        mode = torch.randint(len(self.centres), (n,), generator=generator, device="cpu")
        return self.centres[mode] + self.std * torch.randn(n, 2, generator=generator, device="cpu"), mode

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, float (n,), for points x of shape (n, 2)."""
        squared = (x[:, None, :] - self.centres.to(x)).square().sum(dim=-1)
        log_normal = -squared / (2 * self.std**2) - math.log(2 * math.pi * self.std**2)
        return torch.logsumexp(log_normal, dim=1) - math.log(len(self.centres))


@dataclass(frozen=True, eq=False)
class Curve:
    """A distribution on a curve in the plane, with or without a little Gaussian noise around it."""

    name: str
    std: float
    draw: Callable[[int, torch.Generator | None], Tensor]

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n points, float (n, 2)."""
        _check_count(n)
        points = self.draw(n, generator)
        return points + self.std * torch.randn(n, 2, generator=generator, device="cpu") if self.std else points


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Return Gaussians evenly spaced on a circle (protocol of PacGAN's code: 8 modes, radius 1, σ = 0.01)."""
    if modes < 1 or radius <= 0 or std <= 0:
        raise UserError(f"A ring needs modes ≥ 1, radius > 0 and std > 0; got {modes}, {radius}, {std}.")
    angle = torch.arange(modes, dtype=torch.float64, device="cpu") * (2 * math.pi / modes)
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Mixture("ring", centres.float(), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Return side × side Gaussians on a square lattice centred at 0 (PacGAN's code: 5 × 5, 2, σ = 0.05)."""
    if side < 1 or spacing <= 0 or std <= 0:
        raise UserError(f"A grid needs side ≥ 1, spacing > 0 and std > 0; got {side}, {spacing}, {std}.")
    axis = spacing * (torch.arange(side, dtype=torch.float32, device="cpu") - (side - 1) / 2)
    return Mixture("grid", torch.cartesian_prod(axis, axis).reshape(-1, 2), std)


def spiral(turns: float = 1.5, std: float = 0.02) -> Curve:
    """Return a two-armed spiral of outer radius 1, roughly uniform along its length."""

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        t = torch.rand(n, generator=generator, device="cpu").sqrt()
        angle = 2 * math.pi * turns * t
        arm = torch.randint(2, (n,), generator=generator, device="cpu") * 2.0 - 1.0
        return (arm * t)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    return Curve("spiral", std, draw)


def moons(std: float = 0.05) -> Curve:
    """Return two interleaving half circles of radius 1, centred at 0."""

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        angle = math.pi * torch.rand(n, generator=generator, device="cpu")
        upper = torch.randint(2, (n,), generator=generator, device="cpu").bool()
        x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
        y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
        return torch.stack([x, y], dim=1)

    return Curve("moons", std, draw)


def lines(distance: float = 1.0) -> Curve:
    """Return two parallel vertical segments {±distance/2} × [0, 1], without noise.

    Example 1 of Arjovsky, Chintala & Bottou 2017 (WGAN) compares two such lines: their supports never meet.
    """

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        side = torch.randint(2, (n,), generator=generator, device="cpu") - 0.5
        return torch.stack([distance * side, torch.rand(n, generator=generator, device="cpu")], dim=1)

    return Curve("lines", 0.0, draw)


DISTRIBUTIONS: dict[str, Callable[[], Mixture | Curve]] = {
    "ring": ring,
    "grid": grid,
    "spiral": spiral,
    "moons": moons,
    "lines": lines,
}


def get(name: str) -> Mixture | Curve:
    """Return the distribution of that name with its standard parameters.

    Raises:
        UserError: there is none of that name.
    """
    if name not in DISTRIBUTIONS:
        raise unknown("distribution", name, DISTRIBUTIONS)
    return DISTRIBUTIONS[name]()


def training(name: str, shape: tuple[int, ...], *, device: torch.device, seed: int = 0, quiet: bool = False) -> Source:
    """Return training points of the distribution `name`, drawn with `seed`.

    The label of a point of a mixture is its mode; curves have no labels.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    distribution = get(name)
    if isinstance(distribution, Mixture):
        points, modes = distribution.sample_with_modes(TRAINING_POINTS, generator)
        return Source(name, "formula", points.to(device), modes.to(device))
    return Source(name, "formula", distribution.sample(TRAINING_POINTS, generator).to(device))


def _check_count(n: int) -> None:
    if n < 1:
        raise UserError(f"The number of points must be at least 1, got {n}.")
