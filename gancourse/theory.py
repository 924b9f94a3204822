"""What a GAN optimises, computed: densities, the value function, its optimum, divergences, and their gradients.

Distributions on the line have a formula for their density and are integrated on a grid by Simpson's rule; those on K
points are vectors (K,) of probabilities. All is float64, all divergences are in nats, p belongs to the data and q to
the generator.
Every integral comes as an :class:`Estimate`: the number and its error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gancourse.errors import UserError, unknown

LOG_2 = math.log(2.0)
EPSILON = torch.finfo(torch.float64).eps
MASS_TOLERANCE = 1e-3
"""How far the integral of a density over its grid may be from 1."""
Values = Tensor | Sequence[float]


@dataclass(frozen=True)
class Estimate:
    """A computed number and its error.

    For an integral: how far the rule on every other point is off, rounding, and what may lie outside the grid. For a
    Monte Carlo mean: one standard error. ``float(e)`` is the number; ``f"{e:.4f}"`` formats number and error.
    """

    value: float
    error: float

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec or '.6g'}} ± {self.error:.1e}"

    def __str__(self) -> str:
        return f"{self}"


# ------------------------------------------------------------------------------------------------------- distributions


class Distribution(Protocol):
    """A distribution on the line."""

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, float64, of the shape of x; -inf outside the support."""
        ...

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), of the shape of x."""
        ...

    def cdf(self, x: Tensor) -> Tensor:
        """Return P(X ≤ x), of the shape of x."""
        ...

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n independent samples, float64 (n,)."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """N(mean, std²) on the line. `mean` and `std` are numbers, or tensors () through which gradients flow."""

    mean: float | Tensor = 0.0
    std: float | Tensor = 1.0

    def __post_init__(self) -> None:
        if not float(self.std) > 0:
            raise UserError(f"A Gaussian needs std > 0, got {float(self.std):g}.")

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats."""
        std = torch.as_tensor(self.std, dtype=torch.float64)
        return -((x - self.mean) ** 2) / (2 * std**2) - std.log() - 0.5 * math.log(2 * math.pi)

    def density(self, x: Tensor) -> Tensor:
        """Return p(x)."""
        return self.log_density(x).exp()

    def cdf(self, x: Tensor) -> Tensor:
        """Return P(X ≤ x)."""
        return torch.special.ndtr((x - self.mean) / self.std)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n samples, float64 (n,)."""
        return self.mean + self.std * torch.randn(n, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians on the line: Σ wₖ N(mₖ, sₖ²). The three are of one length, and the weights sum to 1."""

    weights: Sequence[float]
    means: Sequence[float]
    stds: Sequence[float]

    def __post_init__(self) -> None:
        w, s = (torch.tensor(v, dtype=torch.float64) for v in (self.weights, self.stds))
        if not len(w) == len(self.means) == len(s) > 0:
            raise UserError("A mixture needs as many weights as means and stds, and at least one of each.")
        if (w < 0).any() or abs(float(w.sum()) - 1) > 1e-9 or not (s > 0).all():
            raise UserError(f"Weights are ≥ 0 with sum 1 (here {float(w.sum()):g}), and every std is > 0.")

    def _parts(self) -> list[tuple[float, Gaussian]]:
        return [(w, Gaussian(m, s)) for w, m, s in zip(self.weights, self.means, self.stds, strict=True) if w > 0]

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats."""
        return torch.stack([math.log(w) + part.log_density(x) for w, part in self._parts()]).logsumexp(dim=0)

    def density(self, x: Tensor) -> Tensor:
        """Return p(x)."""
        return self.log_density(x).exp()

    def cdf(self, x: Tensor) -> Tensor:
        """Return P(X ≤ x)."""
        return torch.stack([w * part.cdf(x) for w, part in self._parts()]).sum(dim=0)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n samples, float64 (n,)."""
        weights = torch.tensor(self.weights, dtype=torch.float64)
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        means, stds = (torch.tensor(v, dtype=torch.float64)[which] for v in (self.means, self.stds))
        return means + stds * torch.randn(n, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Uniform:
    """The uniform distribution on [low, high]."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UserError(f"A uniform distribution needs low < high, got {self.low:g} and {self.high:g}.")

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, -inf outside [low, high]."""
        return self.density(x).log()

    def density(self, x: Tensor) -> Tensor:
        """Return p(x): at both ends half of its value inside, so that Simpson's rule stays exact on a fitting grid."""
        at_end = ((x - self.low).abs() < 1e-9) | ((x - self.high).abs() < 1e-9)
        inside = torch.where(at_end, 0.5, ((x > self.low) & (x < self.high)).double())
        return inside / (self.high - self.low)

    def cdf(self, x: Tensor) -> Tensor:
        """Return P(X ≤ x)."""
        return ((x - self.low) / (self.high - self.low)).clamp(0, 1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n samples, float64 (n,)."""
        return self.low + (self.high - self.low) * torch.rand(n, generator=generator, dtype=torch.float64)


# ------------------------------------------------------------------------------------------------------- grids


@dataclass(frozen=True, eq=False)
class Grid:
    """Evenly spaced points on the line with the weights of Simpson's rule; make one with :func:`line`.

    Attributes:
        x: float64 (n,), n odd.
        weights: float64 (n,); Σ weights · h(x) is the integral of h.
    """

    x: Tensor
    weights: Tensor

    def integrate(self, values: Tensor) -> Estimate:
        """Return ∫ h dx for h given on the grid, (n,). The error: what the same rule gives on every other point, and
        rounding. What lies outside the grid is not in it.

        Raises:
            UserError: `values` has another length, or NaN in it.
        """
        h = _vector(values, "values")
        if len(h) != len(self.x):
            raise UserError(f"Got {len(h)} values for a grid of {len(self.x)} points; evaluate them on this grid's x.")
        if torch.isinf(h).any():
            return Estimate(float(h[torch.isinf(h)].sum()), 0.0)
        fine = float((self.weights * h).sum())
        coarse = float((_simpson((len(h) + 1) // 2, 2 * self.step) * h[::2]).sum())
        return Estimate(fine, abs(fine - coarse) + EPSILON * float((self.weights * h.abs()).sum()))

    @property
    def step(self) -> float:
        """The distance of two neighbouring points."""
        return float(self.x[-1] - self.x[0]) / (len(self.x) - 1)

    def wider(self) -> Grid:
        """Return the grid with the same step that is three times as wide, to see what lies outside this one."""
        low, high = float(self.x[0]), float(self.x[-1])
        return line(2 * low - high, 2 * high - low, 3 * len(self.x) - 2)


def line(low: float, high: float, n: int = 4001) -> Grid:
    """Return a grid of n points from low to high; n is 4k + 1, so that Simpson's rule fits on every other point too.

    Raises:
        UserError: low ≥ high, or another n.
    """
    if not low < high:
        raise UserError(f"A grid needs low < high, got {low:g} and {high:g}.")
    if n < 5 or n % 4 != 1:
        raise UserError(f"A grid has 4k + 1 points (5, 9, …, 4001), got {n}.")
    x = torch.linspace(low, high, n, dtype=torch.float64)
    return Grid(x, _simpson(n, (high - low) / (n - 1)))


def _simpson(n: int, step: float) -> Tensor:
    weights = torch.full((n,), 2.0, dtype=torch.float64)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return weights * step / 3


def _vector(values: Any, name: str) -> Tensor:
    x = torch.as_tensor(values, dtype=torch.float64)
    if x.ndim != 1 or len(x) == 0:
        raise UserError(f"Expected {name} as a vector, got the shape {tuple(x.shape)}.")
    if torch.isnan(x).any():
        raise UserError(f"{int(torch.isnan(x).sum())} of the {len(x)} {name} are NaN.")
    return x


def check_density(values: Tensor, grid: Grid | None) -> Tensor:
    """Return `values` in float64 if they are a density on the grid, or probabilities when there is no grid.

    Raises:
        UserError: a value is negative, NaN or infinite, the length is not the grid's, or the total is not 1.
    """
    p = _vector(values, "densities" if grid else "probabilities")
    if (p < 0).any() or torch.isinf(p).any():
        raise UserError(
            f"A density is finite and not negative; here it runs from {float(p.min()):g} to {float(p.max()):g}."
        )
    if grid is None:
        if abs(float(p.sum()) - 1) > 1e-6:
            raise UserError(f"Probabilities sum to 1, these to {float(p.sum()):g}. Divide by their sum.")
        return p
    total = float(grid.integrate(p))
    if abs(total - 1) > MASS_TOLERANCE:
        raise UserError(
            f"This density integrates to {total:.4g} from {float(grid.x[0]):g} to {float(grid.x[-1]):g}, not to 1. "
            "Widen the grid until it holds the mass, take more points, or divide by the integral."
        )
    return p


def _pair(p: Any, q: Any, grid: Grid | None) -> tuple[Tensor, Tensor]:
    """Return both distributions as values on the grid (or as probability vectors), checked."""
    found = []
    for distribution in (p, q):
        if hasattr(distribution, "density"):
            if grid is None:
                raise UserError("Two distributions on the line need a grid: pass grid=line(low, high).")
            distribution = distribution.density(grid.x)
        found.append(check_density(distribution, grid))
    if len(found[0]) != len(found[1]):
        raise UserError(f"p has {len(found[0])} values and q has {len(found[1])}; both must be on the same points.")
    return found[0], found[1]


def _total(values: Tensor, p: Tensor, q: Tensor, grid: Grid | None, worst: float | None = None) -> Estimate:
    """Integrate, or sum when there is no grid. The mass that the grid cuts off counts as error.

    `worst` bounds |values| / (p + q) everywhere. Where there is no bound, it is twice the largest on the grid.
    """
    if grid is None:
        finite = values[values.isfinite()].abs()
        return Estimate(float(values.sum()), len(values) * EPSILON * float(finite.sum()))
    found = grid.integrate(values)
    if not math.isfinite(found.value):
        return found
    if worst is None:
        worst = 2 * float((values.abs() / (p + q).clamp_min(1e-300)).max())
    outside = sum(abs(float(grid.integrate(distribution)) - 1) for distribution in (p, q))
    return Estimate(found.value, found.error + worst * outside)


# ------------------------------------------------------------------------------------------------------- the game


def optimal_discriminator(p: Values, q: Values) -> Tensor:
    """Return D*(x) = p(x) / (p(x) + q(x)), Goodfellow et al. 2014, equation 2 (Proposition 1).

    Args:
        p, q: values of the two densities at the same points, any shape, ≥ 0.

    Returns:
        float64 of that shape, 0 … 1; NaN where both densities are 0, for there V does not depend on D.
    """
    a, b = torch.as_tensor(p, dtype=torch.float64), torch.as_tensor(q, dtype=torch.float64)
    if a.shape != b.shape:
        raise UserError(f"p has the shape {tuple(a.shape)} and q {tuple(b.shape)}; both must be at the same points.")
    if (a < 0).any() or (b < 0).any():
        raise UserError("Densities are not negative, and D* = p / (p + q) holds for p, q ≥ 0 only.")
    return a / (a + b)


def value(p: Any, q: Any, d: Values, grid: Grid | None = None) -> Estimate:
    """Return V(D, G) = ∫ p log D + q log(1 - D) dx, Goodfellow et al. 2014, equation 3, ≤ 0 in nats.

    Args:
        p, q: distributions, or their values on the grid; without a grid, probability vectors (K,).
        d: D at the same points, 0 … 1. Where p = q = 0 it may be anything, NaN too. Where one density is below
            1e-15 of the other, a D of exactly 0 or 1 is taken for a rounded D*.

    Returns:
        V, minus infinity if D is sure of the wrong side on a set that carries mass.

    Raises:
        UserError: p or q is no density, d is outside [0, 1], or the lengths differ.
    """
    a, b = _pair(p, q, grid)
    answers = torch.as_tensor(d, dtype=torch.float64)
    if answers.shape != a.shape:
        raise UserError(
            f"D has the shape {tuple(answers.shape)} and p {tuple(a.shape)}; both must be at the same points."
        )
    answers = torch.where((a == 0) & (b == 0), 0.5, answers)
    if not ((answers >= 0) & (answers <= 1)).all():
        raise UserError("D(x) is a probability, 0 … 1. Pass the sigmoid of the logits.")
    real = torch.where((answers == 0) & (a < 1e-15 * b), torch.xlogy(a, a) - torch.xlogy(a, b), torch.xlogy(a, answers))
    wrong = torch.special.xlog1py(b, -answers)
    fake = torch.where((answers == 1) & (b < 1e-15 * a), torch.xlogy(b, b) - torch.xlogy(b, a), wrong)
    return _total(real + fake, a, b, grid)


def criterion(p: Any, q: Any, grid: Grid | None = None) -> Estimate:
    """Return C(G) = max_D V(D, G) = V(D*, G), Goodfellow et al. 2014, equation 4; from -log 4 to 0."""
    a, b = _pair(p, q, grid)
    both = a + b
    return _total(torch.xlogy(a, a) + torch.xlogy(b, b) - torch.xlogy(both, both), a, b, grid, worst=LOG_2)


def kl(p: Any, q: Any, grid: Grid | None = None) -> Estimate:
    """Return KL(p ‖ q) = ∫ p log(p / q) dx in nats, ≥ 0; infinite if q is 0 somewhere where p is not.

    Of two formulas the ratio is taken from the log-densities, so it stays right where both underflow.
    """
    a, b = _pair(p, q, grid)
    if grid is not None and hasattr(p, "log_density") and hasattr(q, "log_density"):
        ratio = p.log_density(grid.x) - q.log_density(grid.x)
        terms = torch.where(a > 0, a * torch.where(a > 0, ratio, 0.0), 0.0)
    else:
        terms = torch.xlogy(a, a) - torch.xlogy(a, b)
    return _total(terms, a, b, grid)


def js(p: Any, q: Any, grid: Grid | None = None) -> Estimate:
    """Return JSD(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q) / 2, from 0 to log 2 nats (Lin 1991, eq. 4.1)."""
    a, b = _pair(p, q, grid)
    middle = (a + b) / 2
    terms = torch.xlogy(a, a) + torch.xlogy(b, b) - 2 * torch.xlogy(middle, middle)
    return _total(terms / 2, a, b, grid, worst=LOG_2 / 2)


def total_variation(p: Any, q: Any, grid: Grid | None = None) -> Estimate:
    """Return TV(p, q) = half the integral of abs(p - q), from 0 to 1."""
    a, b = _pair(p, q, grid)
    return _total((a - b).abs() / 2, a, b, grid, worst=0.5)


def wasserstein1(p: Any, q: Any, grid: Grid | None = None, points: Values | None = None) -> Estimate:
    """Return W₁(p, q), the integral of abs(F_p - F_q), in the units of x (true on the line only).

    Args:
        p, q: distributions with a formula, with a grid; or probability vectors (K,), with `points`.
        points: float (K,), increasing: where the probabilities of a discrete distribution sit.

    Raises:
        UserError: neither grid nor points are given, or the points do not increase.
    """
    if points is not None:
        a, b = _pair(p, q, None)
        x = _vector(points, "points")
        if len(x) != len(a) or (x.diff() <= 0).any():
            raise UserError(f"Give {len(a)} increasing points, one per probability.")
        gaps = (a - b).cumsum(dim=0)[:-1].abs() * x.diff()
        return Estimate(float(gaps.sum()), len(a) * EPSILON * float(gaps.sum()))
    if grid is None or not (hasattr(p, "cdf") and hasattr(q, "cdf")):
        raise UserError(
            "W1 needs two distributions with a formula and a grid, or two probability vectors and points=…."
        )
    _pair(p, q, grid)
    wide = grid.wider()
    found, more = (g.integrate((p.cdf(g.x) - q.cdf(g.x)).abs()) for g in (grid, wide))
    return Estimate(found.value, found.error + abs(more.value - found.value))


def push_forward(
    f: Callable[[Tensor], Tensor],
    g: Callable[[Tensor], Tensor],
    sample: Callable[[int, torch.Generator | None], Tensor],
    n: int = 1_000_000,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Return E_{z ~ p_z}[f(G(z))] by Monte Carlo. It *is* E_{x ~ p_g}[f(x)]: that defines p_g, invertible G or not.

    Args:
        f: a function of x; g: the generator; both map (n,) to (n,).
        sample: draws n values of z, for example ``Gaussian().sample``.

    Returns:
        The mean and its standard error.
    """
    if n < 2:
        raise UserError(f"A Monte Carlo mean needs n ≥ 2 samples, got {n}.")
    values = f(g(sample(n, generator))).double()
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(n))


def generator_gradient(
    p_data: Any,
    family: Callable[[Tensor], Any],
    theta: float,
    loss: str = "nonsaturating",
    frozen: bool = True,
    grid: Grid | None = None,
) -> Estimate:
    """Return the derivative at `theta` of a generator's loss against the optimal discriminator.

    The loss is E_{p_θ}[-log D*] ("nonsaturating") or E_{p_θ}[log(1 - D*)] ("minimax"). With `frozen` D* stays what it
    is at `theta`, which is what a generator step sees (Arjovsky & Bottou 2017, Theorem 2.5); without, D* follows θ.

    Args:
        p_data: the data's distribution.
        family: θ ↦ distribution, differentiable in θ, for example ``lambda t: Gaussian(t, 1.0)``.

    Raises:
        UserError: no grid, or an unknown loss.
    """
    if loss not in ("nonsaturating", "minimax"):
        raise unknown("loss", loss, ("nonsaturating", "minimax"))
    if grid is None:
        raise UserError("Pass grid=line(low, high), wide enough for the data and for the family.")

    def slope(x: Tensor, step: float) -> float:
        at = torch.tensor(float(theta), dtype=torch.float64, requires_grad=True)
        log_p, moving = p_data.log_density(x), family(at).log_density(x)
        rival = moving.detach() if frozen else moving  # p_g as D* = p / (p + rival) sees it
        both = torch.logaddexp(log_p, rival)
        log_loss = both - log_p if loss == "nonsaturating" else rival - both
        integrand = (moving.exp() * log_loss).where(moving > -700, 0.0)
        return float(torch.autograd.grad((_simpson(len(x), step) * integrand).sum(), at)[0])

    _pair(p_data, family(torch.tensor(float(theta), dtype=torch.float64)), grid)
    found = slope(grid.x, grid.step)
    errors = [found - slope(grid.x[::2], 2 * grid.step), found - slope(grid.wider().x, grid.step)]
    return Estimate(found, sum(map(abs, errors)))


def alternating(
    gradient: Callable[[Tensor], Tensor],
    start: Sequence[float],
    step: float,
    steps: int,
    mode: str = "simultaneous",
) -> Tensor:
    """Return the path of gradient steps that descend f in x and ascend it in y, float64 (steps + 1, 2).

    Args:
        gradient: (x, y) as a tensor (2,) to (∂f/∂x, ∂f/∂y), (2,). For f = xy it is (y, x).
        start: (x₀, y₀).
        step: the step size η > 0.
        mode: "simultaneous" moves both from the old point; "alternating" moves x first and y from the new x.

    Raises:
        UserError: an unknown mode, a step size that is not positive, or fewer than 1 step.
    """
    if mode not in ("simultaneous", "alternating"):
        raise unknown("mode", mode, ("simultaneous", "alternating"))
    if not step > 0 or steps < 1:
        raise UserError(f"Got step={step:g} and steps={steps}; expected a step size > 0 and at least 1 step.")
    path = [torch.tensor(start, dtype=torch.float64)]
    for _ in range(steps):
        x, y = path[-1]
        new_x = x - step * gradient(path[-1])[0]
        base = path[-1] if mode == "simultaneous" else torch.stack([new_x, y])
        path.append(torch.stack([new_x, y + step * gradient(base)[1]]))
    return torch.stack(path)


def matching_aware_generator(p: Values, p_hat: Values) -> tuple[Tensor, Tensor]:
    """Return the best p_g of the game with wrong pairs, and λ: p_g = max(0, λ p - p̂) with a total of 1.

    D calls p_g and p̂ bad, each with the same weight (Reed et al. 2016, algorithm 1). What is left for G is convex in
    p_g, and least where (p_g + p̂) / p is the same number λ wherever G draws; the weight drops out. λ is 1 if p and p̂
    have no place in common, and 2 if p̂ ≤ 2 p everywhere; in both cases D rests at 1 / (1 + weight · λ).

    Args:
        p, p_hat: probabilities (…, K) of the pictures that fit a label, and of those shown with it as wrong ones. Those
            of p_hat may sum to less than 1: the rest lies where p is 0.

    Returns:
        p_g, float64 (…, K), and λ, float64 (…, 1), 1 … 2.

    Raises:
        UserError: shapes that differ, or probabilities that are negative, NaN, or do not sum to 1.
    """
    good, wrong = torch.as_tensor(p, dtype=torch.float64), torch.as_tensor(p_hat, dtype=torch.float64)
    if good.shape != wrong.shape or good.ndim == 0:
        raise UserError(f"p has the shape {tuple(good.shape)} and p_hat {tuple(wrong.shape)}; both must be (…, K).")
    for name, values, least in (("p", good, 1.0), ("p_hat", wrong, 0.0)):
        totals = values.sum(dim=-1)
        if not ((values >= 0).all() and (totals <= 1 + 1e-6).all() and (totals >= least - 1e-6).all()):
            raise UserError(f"{name} holds probabilities, ≥ 0 with sum 1 over the last dimension. Divide by the sum.")
    low = torch.ones_like(good[..., :1])
    high = 2 * low
    for _ in range(60):  # the total grows with λ, so halve the interval
        middle = (low + high) / 2
        short = (middle * good - wrong).clamp_min(0).sum(dim=-1, keepdim=True) < 1
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (high * good - wrong).clamp_min(0), high


# ------------------------------------------------------------------------------------------------- least squares


def chi_square(p: Any, q: Any, grid: Grid | None = None) -> Estimate:
    """Return Pearson's χ²(p ‖ q) = ∫ (p - q)² / q dx, ≥ 0; infinite if q is 0 somewhere where p is not.

    The distribution in the denominator stands second, as in statistics. Mao et al. 2017 write it first. Of two
    formulas the ratio is taken from the log-densities, so it stays right where both underflow.
    """
    a, b = _pair(p, q, grid)
    if grid is not None and hasattr(p, "log_density") and hasattr(q, "log_density"):
        log_p, log_q = p.log_density(grid.x), q.log_density(grid.x)
        far = torch.where(torch.isneginf(log_p), 0.0, (2 * log_p - log_q).exp()) - 2 * a + b
        terms = torch.where(b > 0, (a - b) ** 2 / b.clamp_min(1e-300), far)
        return _total(terms, a, b, grid)
    terms = torch.where(b > 0, (a - b) ** 2 / b, torch.where(a > 0, math.inf, 0.0))
    return _total(terms, a, b, grid)


def triangular(p: Any, q: Any, grid: Grid | None = None) -> Estimate:
    """Return Δ(p, q) = ∫ (p - q)² / (p + q) dx, from 0 to 2, the triangular discrimination (Topsøe 2000).

    It is symmetric, 2 for disjoint supports, and twice Pearson's χ² of either against the mixture (p + q) / 2.
    """
    a, b = _pair(p, q, grid)
    both = a + b
    return _total(torch.where(both > 0, (a - b) ** 2 / both, 0.0), a, b, grid, worst=1.0)


def least_squares_discriminator(p: Values, q: Values, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Return D*(x) = (b p(x) + a q(x)) / (p(x) + q(x)), the best D of the least-squares game (Mao et al. 2017).

    Args:
        p, q: values of the data's and the generator's density at the same points, any shape, ≥ 0.
        a, b: D's targets for generated samples and for data.

    Returns:
        float64 of that shape, between a and b; NaN where both densities are 0, for there the loss does not depend
        on D.

    Raises:
        UserError: a = b, a negative density, or shapes that differ.
    """
    _check_targets(a, b)
    return a + (b - a) * optimal_discriminator(p, q)


def least_squares_criterion(
    p: Any, q: Any, a: float = 0.0, b: float = 1.0, c: float = 1.0, grid: Grid | None = None
) -> Estimate:
    """Return C(G) = ½ E_p[(D* - c)²] + ½ E_q[(D* - c)²], Mao et al. 2017, section 3.2, with D* put in; ≥ 0.

    The first term is not in the generator's loss; the paper adds it, since for a fixed D it does not depend on G.
    It is not what a step of G descends while D rests: there the first term stands still.
    2 C(G) = (a + b - 2c)² / 2 + (b - a)² / 4 · Δ(p, q), with Δ of :func:`triangular`.

    Raises:
        UserError: a = b, or p or q is no density.
    """
    _check_targets(a, b)
    x, y = _pair(p, q, grid)
    both = x + y
    terms = torch.where(both > 0, ((b - c) * x + (a - c) * y) ** 2 / both, 0.0) / 2
    return _total(terms, x, y, grid, worst=max((b - c) ** 2, (a - c) ** 2) / 2)


def _check_targets(a: float, b: float) -> None:
    if not (math.isfinite(a) and math.isfinite(b)) or a == b:
        raise UserError(
            f"D's targets must be two different finite numbers, got a={a:g} for fakes and b={b:g} for data."
        )
