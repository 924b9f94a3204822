"""Chapter 4, why training fails: slopes, what a step descends, two ways to fit, and what is called collapse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import softplus

from gancourse.checks.core import (
    Case,
    Exercise,
    Result,
    Set,
    Spec,
    When,
    close,
    compare,
    written,
)
from gancourse.checks.forms import RightBut, not_finite
from gancourse.checks.probes import build_mixture

DOUBLE = torch.float64


def generator_of(seed: int) -> torch.Generator:
    """Return a random generator for the cases of one seed."""
    return torch.Generator().manual_seed(seed)


def uniform(draws: torch.Generator, low: float, high: float) -> float:
    """Return one number, uniform between two."""
    return low + (high - low) * torch.rand((), generator=draws, dtype=DOUBLE).item()


# 1 Four slopes ---------------------------------------------------------------------------------------

D_AT_8 = 1 / (1 + math.exp(8))
SLOPES = [-1 / (1 - D_AT_8), -D_AT_8, -1 / D_AT_8, -(1 - D_AT_8)]  # minimax by D, by a; non-saturating by D, by a

FOUR_SLOPES = Exercise(
    name="failure.four_slopes",
    title="Two losses, two variables, four slopes",
    tier="predict",
    points=2,
    answer="four_slopes",
    kind="value",
    judge=compare(
        SLOPES,
        {
            "by-d-and-by-a": (
                [SLOPES[1], SLOPES[0], SLOPES[3], SLOPES[2]],
                "the slopes against D and against the logit have changed places",
            ),
            "flat-in-d": (
                When(lambda cases, results: abs(results[0].output[0]) < 0.1),
                "the first number is the slope against D itself. The curve of log(1 − D) is not flat at D = 0; draw it",
            ),
            "sign": (
                [-slope for slope in SLOPES],
                "all signs are turned: both losses fall when D rises, or G would have no reason to fool it",
            ),
            "losses-swapped": (SLOPES[2:] + SLOPES[:2], "the two losses have changed places"),
            "no-sigmoid-slope": (
                [SLOPES[0], SLOPES[0], SLOPES[2], SLOPES[2]],
                "the logit moves D through a sigmoid, and the sigmoid has a slope of its own; it is missing",
            ),
            "same-by-a": (
                When(lambda cases, results: close(results[0].output[3], -D_AT_8, tol=0.02)),
                "the last number says that −log D saturates as well. One factor 1/D is large; what does it do to "
                "the sigmoid's small slope?",
            ),
            "inner-sign": (
                [-SLOPES[0], -SLOPES[1], SLOPES[2], SLOPES[3]],
                "for the minimax loss the sign of 1 − D's own slope is missing",
            ),
        },
        tol=0.01,
    ),
)


# 2 A discriminator that stops learning ---------------------------------------------------------------


def soft_cases(seed: int) -> list[Case]:
    """Moderate logits, then logits of a D that is very sure, rightly and wrongly."""
    draws = generator_of(seed)

    def near(*centres: float) -> Tensor:
        centre = torch.tensor(centres)
        return centre + 0.8 * torch.rand(len(centre), generator=draws)

    first, second = (uniform(draws, 0.75, 0.95) for _ in range(2))
    sure = (near(-21, 1, -60, -95, 25), near(19, 62, -1, 96, 0.5, -40))
    return [
        Case((near(1, -2, 0.5, 2, 3), near(-1, 1.5, -2.5), first), grads=(0, 1), note="5 real and 3 generated logits"),
        Case((*sure, second), grads=(0, 1), note="logits of up to ±97, in single precision"),
        Case((near(-1, 2, -3, 0), near(1, -2, 2.5, 0, -1), second), grads=(0, 1), note="4 real and 5 generated logits"),
    ]


def soft_d_loss(real_logits: Tensor, fake_logits: Tensor, target: float) -> Tensor:
    """The discriminator's loss with a soft target for real data."""
    return (softplus(real_logits) - target * real_logits).mean() + softplus(fake_logits).mean()


def broken_soft_d_loss(real_logits: Tensor, fake_logits: Tensor, target: float) -> Tensor:
    """As the notebook gives it: through probabilities."""
    real, fake = real_logits.sigmoid(), fake_logits.sigmoid()
    loss = F.binary_cross_entropy(real, torch.full_like(real, target))
    return loss + F.binary_cross_entropy(fake, torch.zeros_like(fake))


def _dead(results: list[Result], *which: int) -> bool:
    """Return whether generated logits of the sure case, where D is wrong, get next to no gradient."""
    gradient = results[1].gradient(1)
    return bool(gradient is not None and (gradient[list(which)].abs() < 1e-3).all())


SOFT_D_LOSS = Exercise(
    name="failure.soft_d_loss",
    title="Find the bug: a discriminator that stops learning",
    tier="implement",
    points=3,
    answer="soft_d_loss",
    cases=soft_cases,
    judge=compare(
        soft_d_loss,
        {
            "probabilities": (
                broken_soft_d_loss,
                "the values look safe, but where D is very sure and wrong its gradient is gone: the sigmoid has been "
                "rounded before the logarithm sees it",
            ),
            "log-of-zero": (
                RightBut((1,), not_finite),
                "for a D that is very sure it gives infinity or NaN: a logarithm meets a sigmoid that was rounded "
                "to 0 or 1",
            ),
            "sigmoid-twice": (
                lambda real, fake, target: soft_d_loss(real.sigmoid(), fake.sigmoid(), target),
                "a sigmoid is applied twice: a loss on logits wants the logits themselves",
            ),
            "target-for-fakes": (
                lambda real, fake, target: soft_d_loss(real, fake, target) - (1 - target) * fake.mean(),
                "the targets of generated samples are softened too; here only those of real data are",
            ),
            "hard-target": (
                lambda real, fake, target: softplus(-real).mean() + softplus(fake).mean(),
                "target does not enter: this is the loss with the hard target 1",
            ),
            "half-a-cross-entropy": (
                lambda real, fake, target: target * softplus(-real).mean() + softplus(fake).mean(),
                "a soft target has two terms: a share of it says real, and the rest says generated. One is missing",
            ),
            "pooled-mean": (
                lambda real, fake, target: torch.cat([softplus(real) - target * real, softplus(fake)]).mean(),
                "one mean runs over both batches together; each batch has its own, and the two are added",
            ),
            "more-digits": (
                When(lambda cases, results: _dead(results, 3) and not _dead(results, 0)),
                "more digits only move the cliff: at a logit of 20 the gradient is alive now, at 90 it is still dead",
            ),
            "clamped": (
                When(lambda cases, results: _dead(results, 3)),
                "it is finite, but a clamp has slope zero beyond its edge: a D that is very sure and wrong still "
                "gets no gradient",
            ),
        },
    ),
)


# 3 The price of lost modes ---------------------------------------------------------------------------

MODES, KEPT = 10, 3
_P, _Q = 1 / MODES, 1 / KEPT  # the weight of a kept mode in the data, and in the samples
_M = (_P + _Q) / 2
LOST_KL = math.log(MODES / KEPT)
LOST_JSD = (KEPT * (_P * math.log(_P / _M) + _Q * math.log(_Q / _M)) + (MODES - KEPT) * _P * math.log(2)) / 2
LOST = [math.inf, LOST_KL, LOST_JSD]


def _near(value: float, tol: float = 0.01) -> Callable[[Any], bool]:
    return lambda output: close(output, value, tol)


def _item(position: int, *values: float) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(_near(value)(results[0].output[position]) for value in values))


LOST_MODES = Exercise(
    name="failure.lost_modes",
    title="What three divergences say about lost modes",
    tier="predict",
    points=2,
    answer="lost_modes",
    kind="value",
    judge=compare(
        LOST,
        {
            "order-swapped": (
                [LOST_KL, math.inf, LOST_JSD],
                "the two KL have changed places. KL(p ‖ q) averages under p: for which order does p have mass where "
                "q has none",
            ),
            "finite": (
                When(lambda cases, results: math.isfinite(results[0].output[0])),
                "the first number is finite. What is log(p/q) at a data point from a mode that G never draws",
            ),
            "reverse-infinite": (
                _item(1, math.inf),
                "the second number is infinite. It averages over generated samples only; is there one that the data "
                "could not have produced",
            ),
            "bits": (
                [math.inf, LOST_KL / math.log(2), LOST_JSD / math.log(2)],
                "these are bits; the course measures in nats",
            ),
            "all-modes": (
                _item(1, math.log(MODES), math.log(KEPT), math.log(MODES - KEPT)),
                "the second number: inside the kept modes, by which factor is the generator's density above the data's",
            ),
            "jsd-at-its-bound": (
                _item(2, math.log(2)),
                "JSD is log 2 only when nothing overlaps; here three modes do",
            ),
            "jsd-without-half": (_item(2, 2 * LOST_JSD), "the two halves of the JSD are averaged, not added"),
            "jsd-as-overlap": (
                _item(2, (1 - KEPT / MODES) * math.log(2)),
                "for the JSD it is not enough to know how many modes are lost: the kept ones have other weights too",
            ),
        },
        tol=0.01,
    ),
)


# 4 What a step descends ------------------------------------------------------------------------------


def slope_cases(seed: int) -> list[Case]:
    """A mixture of two normals as data, a normal as generator; D at rest and D that follows."""
    draws = generator_of(seed)
    cases: list[Case] = []
    x = torch.linspace(-7, 7, 1401, dtype=DOUBLE)
    for frozen in (True, False, True, False):
        weight = uniform(draws, 0.25, 0.4)
        means = [uniform(draws, -2.0, -1.0), uniform(draws, 0.5, 1.5)]
        options = {"means": means, "stds": [uniform(draws, 0.8, 1.0), uniform(draws, 0.8, 1.0)]}
        data = Spec("mixture", {**options, "weights": [weight, 1 - weight]})
        theta = uniform(draws, 1.2, 1.8) * (1 if len(cases) < 2 else -1)
        note = "D at rest" if frozen else "a D that follows theta"
        cases.append(Case((theta, uniform(draws, 0.95, 1.1), data, x, frozen), note=note))
    return cases


Pieces = tuple[Tensor, Tensor, Tensor, Callable[[Tensor], float]]


def _pieces(theta: float, std: float, data: Any, x: Tensor, frozen: bool) -> Pieces:
    """Return p_data, p_g, D* (at rest if `frozen`), and a function that gives an integral's slope in theta."""
    t = torch.tensor(theta, dtype=DOUBLE, requires_grad=True)
    p = data(x)
    q = torch.exp(-0.5 * ((x - t) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    D = p / (p + q)

    def slope(integrand: Tensor) -> float:
        (found,) = torch.autograd.grad(integrand.sum() * (x[1] - x[0]), t)
        return found.item()

    return p, q, D.detach() if frozen else D, slope


def loss_slope(theta: float, std: float, data: Any, x: Tensor, frozen: bool) -> float:
    """The derivative of E[−log D] in theta, with D* at rest or following."""
    _, q, D, slope = _pieces(theta, std, data, x, frozen)
    return slope(-q * D.log())


def _divergence_slope(kl: float, js: float, forward: bool = False) -> Callable[..., float]:
    """The derivative of kl · KL + js · JSD where D rests; the right one where it follows."""

    def wrong_slope(theta: float, std: float, data: Any, x: Tensor, frozen: bool) -> float:
        if not frozen:
            return loss_slope(theta, std, data, x, frozen)
        p, q, _, slope = _pieces(theta, std, data, x, frozen)
        m = (p + q) / 2
        one = p * (p / q).log() if forward else q * (q / p).log()
        return slope(kl * one + js / 2 * (p * (p / m).log() + q * (q / m).log()))

    return wrong_slope


def _other_integrand(integrand: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., float]:
    def wrong_slope(theta: float, std: float, data: Any, x: Tensor, frozen: bool) -> float:
        p, q, D, slope = _pieces(theta, std, data, x, frozen)
        return slope(integrand(p, q, D))

    return wrong_slope


LOSS_SLOPE = Exercise(
    name="failure.loss_slope",
    title="The slope of −log D, with a D that rests and a D that follows",
    tier="implement",
    points=4,
    answer="loss_slope",
    cases=slope_cases,
    judge=compare(
        loss_slope,
        {
            "never-frozen": (
                lambda theta, std, data, x, frozen: loss_slope(theta, std, data, x, False),
                "with frozen=True D still moves along with theta: D contains p_g, and autograd follows it there. "
                "A program differentiates G's loss while D rests",
            ),
            "always-frozen": (
                lambda theta, std, data, x, frozen: loss_slope(theta, std, data, x, True),
                "with frozen=False D should be the best answer at every theta, so it has a slope in theta too",
            ),
            "flag-inverted": (
                lambda theta, std, data, x, frozen: loss_slope(theta, std, data, x, not frozen),
                "the two cases of frozen have changed places",
            ),
            "sign": (
                lambda *args: -loss_slope(*args),
                "the sign is turned: the loss is −log D, and its derivative is asked for, not the step",
            ),
            "minimax": (
                _other_integrand(lambda p, q, D: q * (1 - D).log()),
                "this is the slope of the minimax loss, log(1 − D)",
            ),
            "d-swapped": (
                _other_integrand(lambda p, q, D: -q * (1 - D).log()),
                "D is turned round: it should be near 1 where the data is, not where the samples are",
            ),
            "under-data": (
                _other_integrand(lambda p, q, D: -p * D.log() + 0 * q),
                "the expectation is taken under the data; G's loss averages over generated samples",
            ),
            "no-density": (
                _other_integrand(lambda p, q, D: -D.log() + 0 * q),
                "it adds up −log D over the grid; an expectation weighs each place with the density of the samples",
            ),
            "no-step": (
                lambda theta, std, data, x, frozen: loss_slope(theta, std, data, x, frozen) / float(x[1] - x[0]),
                "a sum over a grid becomes an integral when each term is multiplied by the distance of the points",
            ),
            "jsd-once": (
                _divergence_slope(1, -1),
                "close: KL comes with the JSD, but with another factor. V at its top holds the JSD how many times",
            ),
            "jsd-climbed-down": (
                _divergence_slope(1, 2),
                "the JSD enters with the wrong sign; (4.8) has a surprise there",
            ),
            "kl-alone": (
                _divergence_slope(1, 0),
                "the step follows more than the reverse KL: a second term is missing",
            ),
            "forward-kl": (
                _divergence_slope(1, -2, forward=True),
                "the KL is taken in the other order; samples are drawn from p_g, so p_g stands first",
            ),
        },
        tol=1e-3,
    ),
)


# 5 Choose the divergence -----------------------------------------------------------------------------


def divergence_cases(seed: int) -> list[Case]:
    """Two batches of logits for each of the three divergences."""
    draws, cases = generator_of(seed), []
    for divergence in ("forward", "reverse", "js"):
        for shape in ((5,), (4, 1)):
            logits = 0.6 + 1.2 * torch.randn(shape, generator=draws)
            cases.append(Case((logits, divergence), grads=(0,), note=f"{divergence!r}, logits {shape}"))
    return cases


def divergence_loss(fake_logits: Tensor, divergence: str) -> Tensor:
    """The generator loss whose step, with the best D at rest, descends the named divergence."""
    losses = {"forward": lambda a: -a.exp(), "reverse": lambda a: -a, "js": lambda a: -softplus(a) / 2}
    return losses[divergence](fake_logits).mean()


def _instead(**losses: Callable[[Tensor], Tensor]) -> Callable[[Tensor, str], Tensor]:
    """The right losses, except for those given."""

    def loss(fake_logits: Tensor, divergence: str) -> Tensor:
        if divergence in losses:
            return losses[divergence](fake_logits).mean()
        return divergence_loss(fake_logits, divergence)

    return loss


DIVERGENCE_LOSS = Exercise(
    name="failure.divergence_loss",
    title="A loss for each divergence",
    tier="implement",
    points=3,
    answer="divergence_loss",
    cases=divergence_cases,
    judge=compare(
        divergence_loss,
        {
            "orders-swapped": (
                _instead(forward=lambda a: -a, reverse=lambda a: -a.exp()),
                "the two KL have changed places; write the log-ratio or the ratio of densities through the logit, "
                "and see under which law the average is taken",
            ),
            "sign": (
                lambda a, divergence: -divergence_loss(a, divergence),
                "every sign is turned: G would be rewarded for samples that D calls generated",
            ),
            "missing-mean": (
                lambda a, divergence: divergence_loss(a, divergence) * a.numel(),
                "it adds up over the batch; an expectation is a mean",
            ),
            "two-jsd": (
                _instead(js=lambda a: -softplus(a)),
                "for 'js' the minimax loss descends a multiple of the JSD; see chapter 3 for the factor",
            ),
            "nonsaturating-js": (
                _instead(js=lambda a: softplus(-a)),
                "for 'js' it uses −log D. By (4.8) a step on that does not descend the JSD at all",
            ),
            "nonsaturating-reverse": (
                _instead(reverse=lambda a: softplus(-a)),
                "for 'reverse' it uses −log D, but a step on that descends the reverse KL less something; see (4.8)",
            ),
            "ratio-upside-down": (
                _instead(forward=lambda a: a.neg().exp()),
                "for 'forward' the ratio of the densities is upside down: the best D is large where data is",
            ),
            "d-for-ratio": (
                _instead(forward=lambda a: -a.sigmoid()),
                "for 'forward' it uses D where the ratio p_data/p_g belongs; the ratio can be any positive number, "
                "D stays below 1",
            ),
            "forward-log": (
                _instead(forward=lambda a: -F.logsigmoid(a)),
                "for 'forward' it uses log D. Maximum likelihood would take the log of p_g at data; through samples "
                "of p_g it needs a weight",
            ),
        },
        values=False,
    ),
)


# 6 One Gaussian --------------------------------------------------------------------------------------

NEAR = 0.05  # in units of x; fits are found by search


def gaussian_cases(seed: int) -> list[Case]:
    """Two modes far apart with the heavier one left and right, two that touch, and three."""
    draws = generator_of(seed)
    x = torch.linspace(-9, 9, 601, dtype=DOUBLE)

    def case(means: list[float], stds: list[float], weights: list[float], order: str, words: str) -> Case:
        data = Spec("mixture", {"means": means, "stds": stds, "weights": weights})
        return Case((data, x, order), note=f"{order} KL, {words}")

    def apart(heavy: float) -> tuple[list[float], list[float], list[float]]:
        means = [uniform(draws, -3.6, -3.0), uniform(draws, 3.0, 3.6)]
        return means, [uniform(draws, 0.55, 0.8), uniform(draws, 0.55, 0.8)], [heavy, 1 - heavy]

    def touching() -> tuple[list[float], list[float], list[float]]:
        return [uniform(draws, -1.1, -1.0), uniform(draws, 0.6, 0.7)], [0.85, 0.9], [0.55, 0.45]

    three = [uniform(draws, -4.2, -3.6), uniform(draws, 0.5, 1.0), uniform(draws, 2.8, 3.4)]
    return [
        case(*apart(uniform(draws, 0.65, 0.75)), "forward", "two modes far apart"),
        case(three, [0.6, 0.8, 0.5], [0.3, 0.2, 0.5], "forward", "three modes"),
        case(*apart(uniform(draws, 0.65, 0.75)), "reverse", "two modes far apart, the left one heavier"),
        case(*apart(uniform(draws, 0.25, 0.35)), "reverse", "two modes far apart, the right one heavier"),
        case(*touching(), "reverse", "two modes that touch"),
    ]


def _moments(data: Any, x: Tensor) -> tuple[float, float]:
    p = data(x) * (x[1] - x[0])
    mean = (p * x).sum()
    return mean.item(), (p * (x - mean) ** 2).sum().sqrt().item()


def _reverse_kl(mean: Tensor, std: Tensor, log_p: Tensor, x: Tensor) -> Tensor:
    """Return KL(q ‖ p) for every pair of a mean and a std: (means, stds)."""
    z = (x - mean[:, None, None]) / std[:, None]
    weight = torch.exp(-0.5 * z**2) / std[:, None] * ((x[1] - x[0]) / math.sqrt(2 * math.pi))
    return -(weight @ log_p) - std.log() - 0.5 * math.log(2 * math.pi * math.e)


def _seek(data: Any, x: Tensor, low: float = -5.0, high: float = 5.0) -> tuple[float, float]:
    """Return the best Gaussian by reverse KL with its mean in a window: a search on a finer and finer grid."""
    x = x[::2]
    log_p = data(x).log()
    mean, std = torch.linspace(low, high, 41, dtype=DOUBLE), torch.linspace(0.3, 4, 38, dtype=DOUBLE)
    for _ in range(4):
        best = int(_reverse_kl(mean, std, log_p, x).argmin())
        m, s = mean[best // len(std)], std[best % len(std)]
        reach_m, reach_s = mean[1] - mean[0], std[1] - std[0]
        mean = m + reach_m * torch.linspace(-1, 1, 9, dtype=DOUBLE)
        std = (s + reach_s * torch.linspace(-1, 1, 9, dtype=DOUBLE)).clamp(min=0.05)
    return m.item(), s.item()


def best_gaussian(data: Any, x: Tensor, order: str) -> tuple[float, float]:
    """The mean and standard deviation of the Gaussian nearest to a density, by the KL of this order."""
    return _moments(data, x) if order == "forward" else _seek(data, x)


def _fits(forward: Callable[..., Any] = _moments, reverse: Callable[..., Any] = _seek) -> Callable[..., Any]:
    return lambda data, x, order: forward(data, x) if order == "forward" else reverse(data, x)


def _not_centred(data: Any, x: Tensor) -> tuple[float, float]:
    p = data(x) * (x[1] - x[0])
    return (p * x).sum().item(), (p * x**2).sum().sqrt().item()


def _reverse(cases: list[Case], results: list[Result]) -> Iterator[tuple[Case, float, float]]:
    for case, result in zip(cases, results, strict=True):
        if case.args[2] == "reverse":
            mean, std = (float(number) for number in result.output)
            yield case, mean, std


def _squared_stds(cases: list[Case], results: list[Result]) -> bool:
    for case, result in zip(cases, results, strict=True):
        mean, std = best_gaussian(build_mixture((), **case.args[0].options), *case.args[1:])
        if abs(float(result.output[0]) - mean) > NEAR or abs(math.sqrt(result.output[1]) - std) > NEAR:
            return False
    return True


def _at_lighter_mode(cases: list[Case], results: list[Result]) -> bool:
    """Return whether some reverse fit sits on the lighter mode."""
    for case, mean, std in _reverse(cases, results):
        options = case.args[0].options
        lighter = min(range(2), key=lambda i: options["weights"][i])
        if "far apart" in case.note and abs(mean - options["means"][lighter]) < 0.2:
            if abs(std - options["stds"][lighter]) < 0.2:
                return True
    return False


BEST_GAUSSIAN = Exercise(
    name="failure.best_gaussian",
    title="One Gaussian, two orders of KL",
    tier="implement",
    points=4,
    answer="best_gaussian",
    cases=gaussian_cases,
    trains=True,
    seconds=10.0,
    judge=compare(
        best_gaussian,
        {
            "orders-swapped": (
                lambda data, x, order: best_gaussian(data, x, "reverse" if order == "forward" else "forward"),
                "the two orders have changed places: forward is KL(p ‖ q), with the data first",
            ),
            "forward-twice": (
                _fits(reverse=_moments),
                "for 'reverse' it copies the moments as well; KL(q ‖ p) averages under the model and has another "
                "best answer",
            ),
            "reverse-twice": (
                _fits(forward=_seek),
                "for 'forward' it sits on a mode; KL(p ‖ q) charges the model for every place where data is and q "
                "is not",
            ),
            "variance": (
                When(_squared_stds),
                "the second number is the variance; the standard deviation is asked for",
            ),
            "not-centred": (
                _fits(forward=_not_centred),
                "for 'forward' the spread is measured from 0 and not from the mean",
            ),
            "point": (
                When(lambda cases, results: all(std < 0.25 for _, _, std in _reverse(cases, results))),
                "for 'reverse' the model shrinks to a point on a peak: without E[log q], the entropy, nothing keeps "
                "it wide",
            ),
            "local-optimum": (
                When(_at_lighter_mode),
                "for 'reverse' it ends on the lighter mode. That is a local optimum: each mode is one, and the start "
                "decides. Compare several starts by their KL",
            ),
            "always-one-mode": (
                When(
                    lambda cases, results: (
                        all(abs(m) > 2 for c, m, _ in _reverse(cases, results) if "apart" in c.note)
                        and all(s < 1.05 for c, _, s in _reverse(cases, results) if "touch" in c.note)
                    )
                ),
                "for 'reverse', when two modes touch, it still sits on one. 'Seeks modes' is a matter of price: "
                "compare the KL of one mode with the KL of both",
            ),
        },
        tol=0.0,
        margin=NEAR,
    ),
)


# 7 Counting modes ------------------------------------------------------------------------------------


def cloud_cases(seed: int) -> list[Case]:
    """Centres of unequal width with points that are good, off, missing, or nearest to another centre."""
    draws, cases = generator_of(seed), []
    for n in (6, 9):
        angle = 2 * math.pi * torch.rand(n, generator=draws)
        turn = torch.stack([angle.cos(), angle.sin()], dim=1)
        diagonal = torch.where(turn >= 0, 1.0, -1.0) / math.sqrt(2)
        places = 5.0 * torch.tensor([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]).float()
        places = places + 0.4 * torch.rand(6, 2, generator=draws)
        wide = torch.tensor([0.5, 0.1, 0.5, 0.12, 0.5, 0.3])
        beside = places[4] + torch.tensor([1.0, 0.0])
        centres, stds = torch.cat([places, beside[None]]), torch.cat([wide, torch.tensor([0.1])])
        if n == 9:  # one more mode, which no point is near to
            centres, stds = torch.cat([centres, centres.max() + torch.ones(1, 2)]), torch.cat([stds, stds[:1]])
        between = torch.linspace(0.36, 0.45, n - 3)[:, None] * torch.tensor([-1.0, 0.0])
        points = [
            places[0] + 0.5 * 2.0 * turn,  # good, but further than three mean widths' worth of a narrow mode
            places[1] + 0.1 * 4.5 * turn[1:],  # near a narrow mode, and not good
            places[2] + 0.5 * 2.7 * diagonal,  # good, though not by the sum of absolute differences
            places[5] + 0.3 * 2.5 * diagonal[: n - 1],  # as well, and within a mean radius
            places[3] + 0.12 * 1.5 * turn[: n - 2],  # good by any measure
            beside + between,  # nearest to the narrow centre, and within the wide one's radius
            beside + torch.tensor([[-0.25, 0.0], [-0.2, 0.1]]),  # so are these, and good there
            places[0] + 0.5 * torch.tensor([[3.3, 0.0], [0.0, 3.3]]),  # off
        ]
        cloud = torch.cat(points)
        order = torch.randperm(len(cloud), generator=draws)
        mixed = torch.randperm(len(centres), generator=draws)
        args = (cloud[order], centres[mixed], stds[mixed])
        cases.append(Case(args, note=f"{len(cloud)} points and {len(centres)} modes"))
    return cases


def _report(points: Tensor, centres: Tensor, stds: Tensor, p: int = 2, radius: bool = True, own: bool = True) -> Any:
    """Count modes and good points; the flags bring the given code's bugs back."""
    distance, nearest = torch.cdist(points, centres, p=p, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    good = distance <= 3 * (stds[nearest] if own else stds.mean())
    hits = nearest[good] if radius else nearest
    return len(hits.unique()), good.double().mean().item()


def mode_report(points: Tensor, centres: Tensor, stds: Tensor) -> tuple[int, float]:
    """The modes that have a good point, and the share of good points."""
    return _report(points, centres, stds)


BUGS = {
    "p": ("l1-metric", 1, "the distance is the sum of absolute differences; three standard deviations are a circle"),
    "radius": ("no-radius", False, "a mode counts although all its points lie far outside it; only good points count"),
    "own": ("one-radius", False, "one radius serves all modes; each mode has a standard deviation of its own"),
}


def _left(names: tuple[str, ...]) -> tuple[str, tuple[Callable[..., Any], str]]:
    flags: dict[str, Any] = {name: BUGS[name][1] for name in names}
    texts = "; and ".join(BUGS[name][2] for name in names)
    return "-and-".join(BUGS[name][0] for name in names), (lambda *args: _report(*args, **flags), texts)


_SUBSETS = [tuple(n for n, bit in zip(BUGS, bits, strict=True) if bit) for bits in product((0, 1), repeat=3)]


def _squared(points: Tensor, centres: Tensor, stds: Tensor) -> tuple[int, float]:
    distance, nearest = torch.cdist(points, centres).square().min(dim=1)
    good = distance <= 3 * stds[nearest]
    return len(nearest[good].unique()), good.double().mean().item()


def _any_centre(points: Tensor, centres: Tensor, stds: Tensor) -> tuple[int, float]:
    good = torch.cdist(points, centres) <= 3 * stds
    return int(good.any(dim=0).sum()), good.any(dim=1).double().mean().item()


def _in_widths(points: Tensor, centres: Tensor, stds: Tensor) -> tuple[int, float]:
    distance, nearest = (torch.cdist(points, centres) / stds).min(dim=1)
    good = distance <= 3
    return len(nearest[good].unique()), good.double().mean().item()


MODE_REPORT = Exercise(
    name="failure.mode_report",
    title="Find the bugs: modes that are not there",
    tier="implement",
    points=3,
    answer="mode_report",
    cases=cloud_cases,
    judge=compare(
        mode_report,
        dict(_left(names) for names in _SUBSETS if names)
        | {
            "squared": (
                _squared,
                "a squared distance is compared with three standard deviations; square both or neither",
            ),
            "any-centre": (
                _any_centre,
                "a point counts for every mode that it is near to; here it belongs to the nearest centre alone",
            ),
            "nearest-in-widths": (
                _in_widths,
                "the nearest centre is chosen by distance over width; here it is the nearest in plain distance",
            ),
            "share-of-modes": (
                lambda *args: (mode_report(*args)[0], mode_report(*args)[0] / len(args[1])),
                "the second number is the share of modes; the share of good points among all points is asked for",
            ),
            "order": (lambda *args: mode_report(*args)[::-1], "the two results have changed places"),
        },
        tol=1e-3,
    ),
)


# 8 The cause -----------------------------------------------------------------------------------------

CAUSE = Exercise(
    name="failure.cause",
    title="What causes mode collapse?",
    tier="investigate",
    points=5,
    answer="cause",
    kind="text",
    judge=written(120),
    rubric=(
        "1 point: says what the hypothesis 'reverse KL causes collapse' predicts for each loss, before looking: the "
        "forward-KL loss should keep all modes and −log D should lose some, whatever the rates. "
        "2 points: reads the table correctly, quotes numbers, and holds each hypothesis against the rows that speak "
        "against it (with the fast generator every loss collapses; at equal rates the losses may differ); the number "
        "of seeds is mentioned (1 point if only the rows that suit one hypothesis are used). "
        "1 point: gives the limits of the evidence: one toy ring, small networks, and D is never the best answer that "
        "the derivation needs. "
        "1 point: proposes one further experiment with an outcome that would speak against the writer's own view."
    ),
)


SET = Set(
    "failure",
    "04_why_training_fails",
    "Why training fails",
    (
        FOUR_SLOPES,
        SOFT_D_LOSS,
        LOST_MODES,
        LOSS_SLOPE,
        DIVERGENCE_LOSS,
        BEST_GAUSSIAN,
        MODE_REPORT,
        CAUSE,
    ),
)
