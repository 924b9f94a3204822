"""Chapter 3, what the game optimises: the lemma, the push-forward, printed formulas, divergences, gradient steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gancourse.checks.core import Case, Exercise, Set, Spec, When, close, compare, run, written
from gancourse.checks.forms import Like

DOUBLE = torch.float64


def generator_of(seed: int) -> torch.Generator:
    """Return a random generator for the cases of one seed."""
    return torch.Generator().manual_seed(seed)


def uniform(draws: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return numbers that are uniform between two."""
    return low + (high - low) * torch.rand(shape, generator=draws, dtype=DOUBLE)


def _like(formula: Callable[..., Any], *which: int) -> Like:
    """Recognise an answer that follows a wrong formula in these cases, whatever it does in the others."""
    return Like(formula, which)


def _item(position: int, *values: float) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(close(results[0].output[position], value, 0.01) for value in values))


# 1 The lemma, with its conditions --------------------------------------------------------------------


def lemma_cases(seed: int) -> list[Case]:
    """Two densities that are positive; densities with zeros; numbers of two signs; two negative numbers."""
    draws = generator_of(seed)
    tails = uniform(draws, 2e-13, 8e-13, 2), uniform(draws, 1e-12, 4e-12, 2)  # far from all mass
    a = torch.cat([tails[0][:1], tails[1][:1], uniform(draws, 0.2, 0.7, 2), uniform(draws, 1.5, 4.0, 2)])
    b = torch.cat([tails[1][1:], tails[0][1:], uniform(draws, 0.8, 1.3, 2), uniform(draws, 0.9, 3.0, 2)])
    some = uniform(draws, 0.3, 2.0, 6)
    zero = torch.zeros((), dtype=DOUBLE)
    with_zeros = torch.stack([some[0], zero, zero, some[1]]), torch.stack([zero, some[2], zero, some[3]])
    low, high = some[:4], some[:4] + uniform(draws, 0.4, 2.0, 4)
    signs = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=DOUBLE)
    near, far = torch.stack([low[0], high[1], low[2], high[3]]), torch.stack([high[0], low[1], high[2], low[3]])
    mixed = (
        torch.cat([signs * near, torch.stack([zero, -some[4]])]),
        torch.cat([-signs * far, torch.stack([-some[5], zero])]),
    )
    return [
        Case((a, b), note="densities, none of them 0"),
        Case(with_zeros, note="densities, some of them 0"),
        Case((mixed[0].reshape(2, 3), mixed[1].reshape(2, 3)), note="numbers of different signs"),
        Case((-near, -far), note="two negative numbers"),
        Case((uniform(draws, 0.2, 4.0, 5), uniform(draws, 0.3, 3.0, 5)), note="densities, none of them 0"),
    ]


def best_answer(a: Tensor, b: Tensor) -> Tensor:
    """The y at which a log y + b log(1 − y) is largest or grows without bound; ½ if there is no single one."""
    y = torch.where((a >= 0) & (b >= 0), a / (a + b), 0.5)
    y = torch.where((a >= 0) & (b < 0), 1.0, y)
    y = torch.where((a < 0) & (b >= 0), 0.0, y)
    return torch.where((a == 0) & (b == 0), 0.5, y)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return a / (a + b)


def _only(which: int) -> When:
    """Recognise an answer that is right except in one case."""

    def test(cases: list[Case], results: list[Any]) -> bool:
        others = [i for i in range(len(cases)) if i != which]
        return all(close(results[i].output, best_answer(*cases[i].args)) for i in others)

    return When(test)


BEST_ANSWER = Exercise(
    name="optimum.best_answer",
    title="The lemma, with its conditions",
    tier="implement",
    points=2,
    answer="best_answer",
    cases=lemma_cases,
    judge=compare(
        best_answer,
        {
            "sides-swapped": (
                _like(lambda a, b: b / (a + b), 0, 4),
                "the two sides are swapped: where only data is (b = 0), D should say 1",
            ),
            "label-for-probability": (
                _like(lambda a, b: (a > b).double(), 0, 4),
                "it gives a label, 0 or 1. The label Y belongs to a sample; D(x) is the probability that Y = 1, "
                "and where both densities are positive, nobody can be sure",
            ),
            "density-as-probability": (
                _like(lambda a, b: a.clamp(max=1), 0, 4),
                "it takes a itself for the answer. A density is no probability (it may well be above 1); only "
                "compared with b does it become one",
            ),
            "difference": (
                _like(lambda a, b: torch.sigmoid(a - b), 0, 4),
                "it compares a and b by their difference. In a far tail both are tiny, and one can still be "
                "ten times the other",
            ),
            "odds": (
                _like(lambda a, b: (a / b).clamp(max=1), 0, 4),
                "a/b are the odds; they belong to a probability, but are not one",
            ),
            "epsilon": (
                When(
                    lambda cases, results: (
                        close(results[0].output[2:], _ratio(*cases[0].args)[2:])
                        and not close(results[0].output, _ratio(*cases[0].args))
                    )
                ),
                "something is added to keep the division safe, and in the far tails that something is larger than "
                "both densities. Ask for the places where the division really fails",
            ),
            "formula-everywhere": (
                _like(_ratio, 2),
                "it trusts the formula for every sign, and gives numbers that are not between 0 and 1. Its proof "
                "uses a, b ≥ 0; look at both ends of the interval where one of them is negative",
            ),
            "clamped": (
                _like(lambda a, b: _ratio(a, b).clamp(0, 1), 2),
                "the formula's number is pushed to the nearer end. Of a log y and b log(1 − y) one goes to +∞ at one "
                "end; that end is not always the nearer one",
            ),
            "ends-swapped": (
                _like(lambda a, b: (b > a).double(), 2),
                "with different signs it picks the end where h falls to −∞",
            ),
            "undecided": (
                _like(lambda a, b: torch.full_like(a, 0.5), 2),
                "with different signs it gives up, but there h grows without bound towards one end only",
            ),
            "minimum": (
                _like(_ratio, 3),
                "for two negative numbers the slope is 0 at a/(a + b), but which way does h bend there",
            ),
            "one-end": (
                _only(3),
                "for two negative numbers h grows without bound towards both ends, so no single y is the best",
            ),
            "no-mass": (
                _only(1),
                "where both densities are 0, h is 0 for every y; the exercise asks for ½ there",
            ),
        },
    ),
)


# 2 The density of c·z² -------------------------------------------------------------------------------


def square_cases(seed: int) -> list[Case]:
    """Noise of an unsymmetric law; places x that can be reached, then some that cannot."""
    draws, cases = generator_of(seed), list[Case]()
    for n, below in ((7, 0), (6, 3)):
        law = {
            "means": uniform(draws, 0.5, 1.2, 2).tolist(),
            "stds": uniform(draws, 0.8, 1.4, 2).tolist(),
            "weights": [0.6, 0.4],
        }
        x = torch.cat([uniform(draws, 0.1, 3.0, n - below), -uniform(draws, 0.1, 3.0, below)])
        c = uniform(draws, 1.6, 3.0).item() if below else uniform(draws, 0.3, 0.6).item()
        note = f"{n} places{f', {below} of them below 0' if below else ''}"
        cases.append(Case((x, Spec("mixture", law), c), note=note))
    return cases


def square_density(x: Tensor, p_z: Callable[[Tensor], Tensor], c: float) -> Tensor:
    """The density of c·z² at x when z has the density p_z."""
    return _branches(lambda z, p: (p(z) + p(-z)) / (2 * c * z), c)(x, p_z, c)


def _branches(density: Callable[[Tensor, Any], Tensor], c: float | None = None) -> Callable[..., Tensor]:
    """Return the function of (x, p_z, c) that is density(positive root, p_z) at x > 0 and 0 elsewhere."""

    def found(x: Tensor, p_z: Any, c: float) -> Tensor:
        z = (x.clamp(min=1e-12) / c).sqrt()
        return torch.where(x > 0, density(z, p_z), 0.0)

    return found


def _with_c(density: Callable[[Tensor, Any, float], Tensor]) -> Callable[..., Tensor]:
    return lambda x, p_z, c: _branches(lambda z, p: density(z, p, c))(x, p_z, c)


SQUARE_DENSITY = Exercise(
    name="optimum.square_density",
    title="The law of c·z²",
    tier="implement",
    points=3,
    answer="square_density",
    cases=square_cases,
    judge=compare(
        square_density,
        {
            "density-of-z": (
                lambda x, p_z, c: p_z(x),
                "it evaluates the density of z at x. That is the slip of the printed proof: when the variable changes, "
                "the density changes with it",
            ),
            "forward": (
                lambda x, p_z, c: p_z(c * x**2),
                "it pushes x through G once more. x is already a sample; to find its density go back to the z that "
                "it came from",
            ),
            "one-root": (
                _with_c(lambda z, p, c: p(z) / (2 * c * z)),
                "only the positive root is counted. G cannot be inverted: two values of z land on the same x",
            ),
            "negative-root": (
                _with_c(lambda z, p, c: p(-z) / (2 * c * z)),
                "only the negative root is counted; two values of z land on the same x",
            ),
            "symmetric": (
                _with_c(lambda z, p, c: p(z) / (c * z)),
                "one root is counted twice. That is right for noise that is symmetric about 0; this one is not",
            ),
            "no-slope": (
                _with_c(lambda z, p, c: p(z) + p(-z)),
                "the roots are right, but a short interval of z becomes an interval of another length in x",
            ),
            "slope-upside-down": (
                _with_c(lambda z, p, c: (p(z) + p(-z)) * 2 * c * z),
                "it multiplies by the slope of G. Where G is steep, the same mass is spread over more x: is the "
                "density larger or smaller there",
            ),
            "signed-slope": (
                _with_c(lambda z, p, c: (p(z) - p(-z)) / (2 * c * z)),
                "the slope at the negative root enters with its sign, and mass is subtracted; lengths have no sign",
            ),
            "slope-of-root": (
                _with_c(lambda z, p, c: (p(z) + p(-z)) / (c * z)),
                "a factor 2 is missing: what is the derivative of the square",
            ),
            "c-forgotten": (
                lambda x, p_z, c: square_density(x, p_z, 1.0),
                "c does not enter: this is the law of z²",
            ),
            "c-in-root-only": (
                _with_c(lambda z, p, c: (p(z) + p(-z)) / (2 * z)),
                "c is in the roots and not in the slope",
            ),
            "c-in-slope-only": (
                lambda x, p_z, c: square_density(x, p_z, 1.0) / c,
                "c is in the slope and not in the roots",
            ),
            "averaged": (
                _with_c(lambda z, p, c: (p(z) + p(-z)) / (4 * c * z)),
                "the two roots are averaged; their masses add up",
            ),
            "below-zero": (
                When(
                    lambda cases, results: (
                        close(results[0].output, run(square_density, cases[:1])[0].output)
                        and bool((results[1].output[cases[1].args[0] < 0] != 0).any())
                    )
                ),
                "right above 0. But no z lands below 0, so the density there is 0 (and not NaN)",
            ),
        },
    ),
)


# 3 Find the bugs in a printed loss -------------------------------------------------------------------


def players_cases(seed: int) -> list[Case]:
    """Two linear networks on the plane, and batches of unequal size."""
    draws = generator_of(seed)
    slopes = uniform(draws, 0.4, 1.1, 1, 2).float() * torch.tensor([1.0, -1.0])
    D = Spec("linear", {"weight": slopes, "bias": uniform(draws, 0.2, 0.6, 1).float()})
    G = Spec("linear", {"weight": torch.randn(2, 2, generator=draws), "bias": torch.randn(2, generator=draws)})
    x = torch.randn(4, 2, generator=draws) + torch.tensor([1.5, -0.5])
    z = torch.randn(6, 2, generator=draws)
    return [Case((D, G, x, z), grads=(0, 1), note="4 data points and 6 noise vectors")]


def value_loss(D: Any, G: Any, x: Tensor, z: Tensor) -> Tensor:
    """The estimate of −V from two batches."""
    return -logsigmoid(D(x)).mean() - logsigmoid(-D(G(z))).mean()


REPAIRS = {
    "logs": "the logarithms are missing",
    "minus": "the minus sign is missing",
    "noise": "G receives data",
}
"""The bugs of the printed formula in words."""


def _printed(bugs: tuple[str, ...]) -> Callable[..., Tensor]:
    """Return the loss with these bugs left."""

    def loss(D: Any, G: Any, x: Tensor, z: Tensor) -> Tensor:
        inner = x if "noise" in bugs else z
        score = torch.sigmoid if "logs" in bugs else logsigmoid
        value = score(D(x)).mean() + score(-D(G(inner))).mean()
        return value if "minus" in bugs else -value

    return loss


def _left(bugs: tuple[str, ...]) -> str:
    if bugs == ("logs",):
        return (
            "one bug is left. Without logarithms the best D is a hard yes or no, and the game measures another distance"
        )
    if bugs == ("minus",):
        return "one bug is left. An optimiser makes a loss small; think of where this one would lead D"
    if bugs == ("noise",):
        return "one bug is left. Check the type of everything: what does G take, and which batch has not been used"
    return f"{('no', 'one', 'two', 'three')[len(bugs)]} bugs are left; one of them: {REPAIRS[bugs[0]]}"


LEFT = {
    f"left-{'-'.join(bugs)}": (_printed(bugs), _left(bugs))
    for count in (3, 2, 1)
    for bugs in combinations(("minus", "logs", "noise"), count)
}

VALUE_LOSS = Exercise(
    name="optimum.value_loss",
    title="Find the bugs: a loss as printed",
    tier="implement",
    points=3,
    answer="value_loss",
    cases=players_cases,
    judge=compare(
        value_loss,
        LEFT
        | {
            "no-generator": (
                lambda D, G, x, z: -logsigmoid(D(x)).mean() - logsigmoid(-D(z)).mean(),
                "D looks at the noise itself; it should look at what G makes of it",
            ),
            "lost-parentheses": (
                lambda D, G, x, z: -logsigmoid(D(x)).mean() + torch.sigmoid(D(G(z))).mean(),
                "the second term reads log 1 − D, which is just −D; parentheses are missing",
            ),
            "generator-term": (
                lambda D, G, x, z: -logsigmoid(D(x)).mean() - logsigmoid(D(G(z))).mean(),
                "the second term is −log D(G(z)), G's loss; D would learn to call samples real",
            ),
            "joint-value": (
                lambda D, G, x, z: -logsigmoid(D(x)).mean() + logsigmoid(D(G(z))).mean(),
                "the second term is +log D(G(z)). This joint value has no best D: the loss goes to −∞",
            ),
            "halved": (
                lambda D, G, x, z: value_loss(D, G, x, z) / 2,
                "it is half of −V. The best D is the same, the number and every slope are not",
            ),
            "summed": (
                lambda D, G, x, z: -logsigmoid(D(x)).sum() - logsigmoid(-D(G(z))).sum(),
                "it adds up over the batch; an expectation is a mean",
            ),
            "pooled": (
                lambda D, G, x, z: -torch.cat([logsigmoid(D(x)), logsigmoid(-D(G(z)))]).mean(),
                "one mean runs over both batches together; each expectation has its own",
            ),
            "log-of-mean": (
                lambda D, G, x, z: -torch.sigmoid(D(x)).mean().log() - torch.sigmoid(-D(G(z))).mean().log(),
                "the mean is taken first, the logarithm after it; the order matters (Jensen)",
            ),
            "detached": (
                lambda D, G, x, z: -logsigmoid(D(x)).mean() - logsigmoid(-D(G(z).detach())).mean(),
                "the number is right, but the samples are cut off from G; here both players need its gradient",
            ),
        },
    ),
)


# 4 A divergence for any share ------------------------------------------------------------------------


def laws(draws: torch.Generator, *shape: int) -> Tensor:
    """Return laws with full support in the last dimension."""
    return torch.softmax(1.3 * torch.randn(shape, generator=draws, dtype=DOUBLE), dim=-1)


def js_cases(seed: int) -> list[Case]:
    """Equal shares, unequal shares, then zeros: laws without common ground, equal laws, and some overlap."""
    draws = generator_of(seed)
    share = uniform(draws, 0.15, 0.35).item()
    left, right = laws(draws, 2), laws(draws, 3)
    p, q = torch.zeros(3, 5, dtype=DOUBLE), torch.zeros(3, 5, dtype=DOUBLE)
    p[0, :2], q[0, 2:] = left, right
    p[1, :3] = q[1, :3] = right
    p[2, 1:3], q[2, 2:] = left, right
    return [
        Case((laws(draws, 2, 6), laws(draws, 2, 6), 0.5), note="two pairs of laws on 6 points, share 0.5"),
        Case((laws(draws, 3, 2, 4), laws(draws, 3, 2, 4), share), note=f"laws (3, 2, 4), share {share:.2f}"),
        Case((p, q, 1 - share), note=f"laws with zeros, share {1 - share:.2f}"),
    ]


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(dim=-1)


def js(p: Tensor, q: Tensor, share: float) -> Tensor:
    """The Jensen–Shannon divergence with weights share and 1 − share."""
    m = share * p + (1 - share) * q
    return share * _kl(p, m) + (1 - share) * _kl(q, m)


def _reversed(p: Tensor, q: Tensor, share: float) -> Tensor:
    m = share * p + (1 - share) * q
    return share * _kl(m, p) + (1 - share) * _kl(m, q)


def _jeffreys(p: Tensor, q: Tensor, share: float) -> Tensor:
    return share * _kl(p, q) + (1 - share) * _kl(q, p)


def _unweighted(p: Tensor, q: Tensor, share: float) -> Tensor:
    m = share * p + (1 - share) * q
    return _kl(p, m) + _kl(q, m)


def _equal_middle(p: Tensor, q: Tensor, share: float) -> Tensor:
    m = (p + q) / 2
    return share * _kl(p, m) + (1 - share) * _kl(q, m)


def _one_sided(p: Tensor, q: Tensor, share: float) -> Tensor:
    return _kl(p, share * p + (1 - share) * q)


JS = Exercise(
    name="optimum.js",
    title="Jensen–Shannon for any share",
    tier="implement",
    points=2,
    answer="js",
    cases=js_cases,
    judge=compare(
        js,
        {
            "order-reversed": (
                _like(_reversed, 0, 1),
                "the mixture m stands in the first place of each KL. m covers both laws and no law covers m: in this "
                "order the divergence has no bound",
            ),
            "jeffreys": (
                _like(_jeffreys, 0, 1),
                "it compares p with q directly; each should be compared with the mixture of the two",
            ),
            "one-sided": (
                _like(_one_sided, 0, 1),
                "only p is compared with the mixture; q is missing",
            ),
            "bits": (
                _like(lambda *args: js(*args) / math.log(2), 0, 1),
                "these are bits; the course measures in nats",
            ),
            "root": (
                _like(lambda *args: js(*args).sqrt(), 0, 1),
                "this is the root of the divergence. Some libraries return it, because it is a metric; C(G) contains "
                "the divergence itself",
            ),
            "unweighted": (
                _like(_unweighted, 0, 1),
                "the two KL are added; they are averaged, with the shares as weights (½ and ½ in the chapter)",
            ),
            "middle-not-halved": (
                _like(
                    lambda p, q, share: share * _kl(p, p + q) + (1 - share) * _kl(q, p + q),
                    0,
                    1,
                ),
                "the denominator is p + q, which sums to 2 and is no law: this can be negative",
            ),
            "share-ignored": (
                _like(lambda p, q, share: js(p, q, 0.5), 0, 1),
                "share does not enter: this is the chapter's formula, with ½ and ½",
            ),
            "equal-middle": (
                _like(_equal_middle, 0, 1),
                "the two KL have their weights, but the mixture is half and half; the bag that D sees is not",
            ),
            "equal-weights": (
                _like(lambda *args: _unweighted(*args) / 2, 0, 1),
                "the mixture is right, but the two KL are weighed half and half",
            ),
            "shares-swapped": (
                _like(lambda p, q, share: js(p, q, 1 - share), 0, 1),
                "the shares have changed places: share is that of p, the data",
            ),
            "rows-together": (
                _like(lambda *args: js(*args).sum(), 0, 1),
                "it adds up all pairs; each pair of laws has a number of its own",
            ),
            "rows-averaged": (
                _like(lambda *args: js(*args).mean(), 0, 1),
                "it averages over the pairs; each pair of laws has a number of its own",
            ),
            "mean-over-points": (
                _like(lambda *args: js(*args) / args[0].shape[-1], 0, 1),
                "it divides by the number of points. The sum over points is weighted by p already: that is the mean",
            ),
            "zero-log-zero": (
                When(lambda cases, results: not bool(torch.isfinite(results[2].output).all())),
                "where a probability is 0 it gives NaN or infinity: 0 · log 0 counts as 0",
            ),
            "smoothed": (
                When(lambda cases, results: bool((results[2].output[1].abs() > 1e-12).all())),
                "for two equal laws it is not exactly 0. The theorem needs the case of equality, so nothing may be "
                "added to the probabilities",
            ),
        },
    ),
)


# 5 One step as a matrix ------------------------------------------------------------------------------


def step_cases(seed: int) -> list[Case]:
    """Four games, in turn with simultaneous and with alternating steps."""
    draws, cases = generator_of(seed), list[Case]()
    for alternating in (False, True, False, True):
        eta, a, b, c = (
            uniform(draws, low, high).item() for low, high in ((0.2, 0.5), (0.3, 0.9), (1.1, 1.9), (1, 1.6))
        )
        if len(cases) == 3:
            a = 0.0
        note = f"{'alternating' if alternating else 'simultaneous'} steps, η = {eta:.2f}"
        cases.append(Case((eta, a, b, c, alternating), note=note))
    return cases


def step_matrix(eta: float, a: float, b: float, c: float, alternating: bool) -> Tensor:
    """The matrix of one step in the game f = ½ a x² + b x y − ½ c y²."""
    return _steps(eta, a, b, c, alternating)


def _steps(eta: float, a: float, b: float, c: float, new_x: bool, down: float = 1, up: float = 1) -> Tensor:
    """Return the matrix of a step of x by −eta·down times its slope and of y by eta·up times its slope."""
    x = torch.tensor([1 - down * eta * a, -down * eta * b], dtype=DOUBLE)
    base = x if new_x else torch.tensor([1.0, 0.0], dtype=DOUBLE)
    y = torch.tensor([0.0, 1 - up * eta * c], dtype=DOUBLE) + up * eta * b * base
    return torch.stack([x, y])


def _y_first(eta: float, a: float, b: float, c: float, alternating: bool) -> Tensor:
    if not alternating:
        return step_matrix(eta, a, b, c, False)
    y = torch.tensor([eta * b, 1 - eta * c], dtype=DOUBLE)
    x = torch.tensor([1 - eta * a, 0.0], dtype=DOUBLE) - eta * b * y
    return torch.stack([x, y])


STEP_MATRIX = Exercise(
    name="optimum.step_matrix",
    title="One step as a matrix",
    tier="implement",
    points=3,
    answer="step_matrix",
    cases=step_cases,
    judge=compare(
        step_matrix,
        {
            "never-alternating": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, c, False),
                "with alternating=True, y still answers the old x; x has moved by then",
            ),
            "always-alternating": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, c, True),
                "with alternating=False, y answers the new x: was x overwritten before y was computed",
            ),
            "flag-inverted": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, c, not alternating),
                "the two cases of alternating have changed places",
            ),
            "y-first": (_y_first, "with alternating=True, y moves first; the exercise lets x begin"),
            "both-descend": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, c, alternating, 1, -1),
                "both players descend. y wants f large",
            ),
            "both-ascend": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, c, alternating, -1, 1),
                "both players ascend. x wants f small",
            ),
            "players-swapped": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, c, alternating, -1, -1),
                "the players are swapped: x descends f and y ascends it",
            ),
            "c-sign": (
                lambda eta, a, b, c, alternating: _steps(eta, a, b, -c, alternating),
                "the sign of c: f has −½ c y², so its slope pulls y back",
            ),
            "a-sign": (
                lambda eta, a, b, c, alternating: _steps(eta, -a, b, c, alternating),
                "the sign of a: x descends, so its own curvature pulls it back",
            ),
            "curvature-halved": (
                lambda eta, a, b, c, alternating: _steps(eta, a / 2, b, c / 2, alternating),
                "the factors ½ are still there; the derivative of ½ a x² has none",
            ),
            "change-only": (
                lambda *args: step_matrix(*args) - torch.eye(2, dtype=DOUBLE),
                "this is the change that a step makes. The matrix should give the new point itself",
            ),
            "transposed": (
                lambda *args: step_matrix(*args).T,
                "the matrix is transposed: its rows should give the new x and the new y",
            ),
            "y-before-x": (
                lambda *args: step_matrix(*args).flip(0),
                "the rows have changed places: the new x is above, the new y below",
            ),
            "new-x-incomplete": (
                lambda eta, a, b, c, alternating: (
                    _steps(eta, a, b, c, alternating)
                    + torch.tensor([[0.0, 0.0], [0.0, (eta * b) ** 2 if alternating else 0.0]], dtype=DOUBLE)
                ),
                "with alternating=True the new x depends on the old y too, and through it y acts on itself",
            ),
        },
    ),
)


# 6 Numbers of a perfect generator --------------------------------------------------------------------

POOLED = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
PERFECT = [math.log(4), math.log(2), POOLED, 0.0, -math.inf]

EQUILIBRIUM = Exercise(
    name="optimum.equilibrium",
    title="Five readings of a loss",
    tier="predict",
    points=2,
    answer="readings",
    kind="value",
    judge=compare(
        PERFECT,
        {
            "printed-sign": (
                _item(0, -math.log(4)),
                "the first number is V. A program minimises −V, and every cross-entropy is positive",
            ),
            "sum-and-mean-swapped": (
                [PERFECT[1], PERFECT[0], *PERFECT[2:]],
                "the first two have changed places: which program divides by 2",
            ),
            "bits": (
                When(lambda cases, results: close(list(results[0].output[:2]), [2.0, 1.0], 0.01)),
                "these are bits; the course measures in nats",
            ),
            "half-for-any-bag": (
                _item(2, math.log(2)),
                "the third number is that of a D which says ½. When three of four samples are generated, the best D "
                "knows this before it has looked",
            ),
            "bag-unweighted": (
                _item(2, -math.log(0.25) - math.log(0.75)),
                "the third number counts both terms fully; one mean over the bag gives each term the share of its "
                "samples",
            ),
            "bag-sides-swapped": (
                _item(2, -0.25 * math.log(0.75) - 0.75 * math.log(0.25)),
                "the third number is that of a D which takes the shares the wrong way round",
            ),
            "far-is-perfect": (
                _item(3, math.log(4), math.log(2)),
                "the fourth number: with no common ground D is never in doubt. What does a sure and right answer cost",
            ),
            "far-is-infinite": (
                _item(3, math.inf, -math.inf),
                "the fourth number is infinite. The JSD has a bound, and the best loss of D has one too",
            ),
            "far-is-bound": (
                _item(3, 2 * math.log(2) + math.log(4), -math.log(4)),
                "the fourth number: C is −log 4 + 2 JSD, and the loss is −C. Which JSD has a generator without "
                "common ground",
            ),
            "maximum-for-minimum": (
                _item(4, -math.log(4)),
                "the fifth number is the largest value of the printed formula; an optimiser is told to make it small",
            ),
            "printed-finite": (
                When(lambda cases, results: math.isfinite(results[0].output[4])),
                "the fifth number is finite. Let D say 0.01 to all data, then 0.0001: what does the printed formula do",
            ),
            "printed-up": (
                _item(4, math.inf),
                "the fifth number: logarithms of probabilities are never positive, so it cannot go up without bound",
            ),
        },
        tol=0.01,
    ),
)


# 7 Other games on the same laws ----------------------------------------------------------------------

P_DATA, P_G = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=DOUBLE), torch.tensor([0.1, 0.3, 0.2, 0.4], dtype=DOUBLE)
TV = ((P_DATA - P_G).abs().sum() / 2).item()
SOFT = ((P_DATA**2 + P_G**2) / (P_DATA + P_G)).sum().item()  # the unlogged value of D*
CRITERION = 2 * js(P_DATA, P_G, 0.5).item() - math.log(4)
GAMES = [1 + TV, SOFT, math.inf, -math.log(4)]

OTHER_GAMES = Exercise(
    name="optimum.other_games",
    title="Four games on the same two laws",
    tier="predict",
    points=2,
    answer="values",
    kind="value",
    judge=compare(
        GAMES,
        {
            "soft-optimum": (
                _item(0, SOFT),
                "the first number is what D* gets. D* is best for the logarithms; a straight line in D has its "
                "maximum at an end",
            ),
            "distance-alone": (_item(0, TV), "the first number is a distance; a D that says ½ everywhere beats it"),
            "half-forgotten": (
                _item(0, 1 + 2 * TV),
                "the first number: total variation is half the sum of the absolute differences",
            ),
            "with-logs": (_item(0, CRITERION), "the first number is that of the game with logarithms"),
            "undecided": (_item(0, 1.0), "the first number is that of a D which says ½; D can do better"),
            "same-twice": (
                _item(1, 1 + TV),
                "the second number is the maximum again; D* hesitates where both laws have mass, and that costs",
            ),
            "joint-zero": (
                _item(2, 0.0),
                "the third number: log D(x) is at most 0, but the second term has a minus sign before it",
            ),
            "joint-bounded": (
                When(lambda cases, results: math.isfinite(results[0].output[2])),
                "the third number is finite. There is a point where only samples are; let D go to 0 there",
            ),
            "joint-down": (_item(2, -math.inf), "the third number: D makes it as large as it can"),
            "order-ignored": (
                _item(3, CRITERION),
                "the fourth number belongs to this p_g. In that game G answers D, with any law it likes",
            ),
            "order-unbounded": (
                _item(3, -math.inf),
                "the fourth number: a D that is sure somewhere can be punished without bound. But D moves first, and "
                "need not be sure",
            ),
            "order-zero": (
                _item(3, 0.0),
                "the fourth number: D cannot be right about data and about all that G might make; whatever it calls "
                "real, G will make",
            ),
        },
        tol=0.01,
    ),
)


# 8 Which assumption fails ----------------------------------------------------------------------------

FINITE = Exercise(
    name="optimum.finite",
    title="Which assumption fails?",
    tier="investigate",
    points=5,
    answer="finite",
    kind="text",
    judge=written(80),
    rubric=(
        "1 point: states before looking, for each kind of row, whether both values will be above or below C(G), and "
        "why. "
        "2 points: reads the table correctly, with numbers and over the seeds. A narrow D has a V that is too low, "
        "although its expectations are exact; a D on few samples has a V on them that is too high, and a V on the laws "
        "that is too low, even below −log 4. With many samples the first of these is smaller than the scatter of the "
        "samples, so V where trained may fall below C(G) (1 point if one run is taken for a law). "
        "1 point: names the assumption that fails in each kind of row, D is any function (capacity) and expectations "
        "are exact (samples), and a statement that still holds: on the laws V(D) ≤ C(G) for every D. Says how a D that "
        "is not the best of its family was told from a family that is too small, or that it was not. "
        "1 point: draws a consequence for reading a loss curve, and names a measurement that would speak against it."
    ),
)


SET = Set(
    "optimum",
    "03_what_the_game_optimises",
    "What the game optimises",
    (
        BEST_ANSWER,
        SQUARE_DENSITY,
        VALUE_LOSS,
        JS,
        STEP_MATRIX,
        EQUILIBRIUM,
        OTHER_GAMES,
        FINITE,
    ),
)
