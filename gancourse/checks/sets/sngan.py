"""Chapter 10, spectral normalisation: the largest singular value, what dividing by it does, and the hinge game."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, normalize, softplus

from gancourse.checks.core import Case, Result, Set, When, close
from gancourse.checks.forms import essay, function, generator_of, numbers, same, uniform, uniforms

DOUBLE = torch.float64


def normal(draws: torch.Generator, *shape: int) -> Tensor:
    """Return normal numbers, in double precision."""
    return torch.randn(shape, generator=draws, dtype=DOUBLE)


# 1 Power iteration -----------------------------------------------------------------------------------


def iteration_cases(seed: int) -> list[Case]:
    """One, two and three rounds on wide, square and tall matrices; then many, after which u still moves."""
    draws = generator_of(seed)
    cases = []
    for steps, rows, columns in ((1, 3, 5), (2, 4, 4), (3, 6, 3), (30, 4, 2)):
        W, u = normal(draws, rows, columns), normalize(normal(draws, rows), dim=0)
        if steps == 30:  # singular values 3, 2.9
            left, right = (torch.linalg.qr(normal(draws, k, 2)).Q for k in (4, 2))
            W = left @ torch.diag(torch.tensor([3.0, 2.9], dtype=DOUBLE)) @ right.T
        cases.append(Case((W, u, steps), note=f"{steps} round{'s' * (steps > 1)} with W of shape {(rows, columns)}"))
    return cases


def power_iteration(W, u, steps, *, count=same, unit=lambda x: normalize(x, dim=0), start=same, last=None, turn=same):
    """Miyato et al. 2018, algorithm 1. Knobs: the rounds, the unit, the start, what σ is made of, and the results."""
    u = start(u)
    for _ in range(count(steps)):
        before, v = u, unit(W.T @ u)
        u = unit(W @ v)
    sigma = last(W, before, u, v) if last else u @ W @ v
    return turn((sigma, u, v))


def _exact(cases: list[Case], results: list[Result]) -> bool:
    pairs = zip(cases, results, strict=True)
    return all(close(result.output[0], torch.linalg.matrix_norm(case.args[0], 2)) for case, result in pairs)


POWER_ITERATION = function(
    "sngan.power_iteration",
    "Power iteration",
    points=2,
    cases=iteration_cases,
    reference=power_iteration,
    let={
        "one": lambda steps: 1,
        "more": lambda steps: steps + 1,
        "raw": same,
        "by_largest": lambda x: x / x.abs().max(),
        "ones": lambda u: normalize(torch.ones_like(u), dim=0),
        "late": lambda W, before, u, v: before @ W @ v,
        "square": lambda W, before, u, v: (u @ W @ v) ** 2,
        "frobenius": lambda W, before, u, v: W.norm(),
        "exchange": lambda found: (found[0], found[2], found[1]),
        "exact": When(_exact),
    },
    table="""
    exact          exact           | this is the singular value itself. Asked for is what so many rounds know of it
    one-round      count=one       | whatever `steps` is, this is what one round gives
    one-more       count=more      | it makes one round too many
    not-normalised unit=raw        | the vectors are not brought to length 1, and grow with each round
    by-largest     unit=by_largest | the vectors are divided by their largest entry; they should have the length 1
    own-start      start=ones      | it begins with a vector of its own. The given u remembers all rounds before
    stale-u        last=late       | σ is made of the u from before the last half of the round, and is too small
    squared        last=square     | this is σ², the largest eigenvalue of WᵀW
    frobenius      last=frobenius  | this is the root of all squared entries, which counts all singular values
    exchanged      turn=exchange   | u and v have changed places in the result
    """,
)


# 2 The normalised weight -----------------------------------------------------------------------------


def weight_cases(seed: int) -> list[Case]:
    """A matrix and kernels of convolutions, with σ above and below 1; u is far from its limit."""
    draws = generator_of(seed)
    cases = []
    for shape, scale in (((4, 6), 1.0), ((3, 2, 3, 3), 0.1), ((5, 3, 1, 2), 1.0), ((4, 4, 2, 2), 0.6)):
        W, u = scale * normal(draws, *shape), normalize(normal(draws, shape[0]), dim=0)
        cases.append(Case((W, u), grads=(0,), note=f"W of shape {shape}"))
    return cases


def sn_weight(
    W, u, *, flat=lambda W: W.flatten(1), iterate=torch.no_grad, rounds=1, size=None, cut=same, by=torch.div, told=None
):
    """W / σ̂ with one round, u and v constants (Miyato et al. 2018, algorithm 1 and equation 10).

    Knobs: how a kernel becomes a matrix; whether the round carries gradients; how many; what is divided by instead;
    what σ goes through; what is done with it; and which u comes back.
    """
    matrix, old = flat(W), u
    with iterate():
        for _ in range(rounds):
            v = normalize(matrix.T @ u, dim=0)
            before, u = u, normalize(matrix @ v, dim=0)
    sigma = size(W, before, u, v) if size else u @ matrix @ v
    return by(W, cut(sigma)), old if told == "old" else u if told == "attached" else u.detach()


def _attached(W, u):
    return sn_weight(W, u)[0], sn_weight(W, u, iterate=torch.enable_grad, told="attached")[1]


def _per_filter(W, u):
    return W / W.flatten(1).norm(dim=1).view(-1, *[1] * (W.ndim - 1)), sn_weight(W, u)[1]


SN_WEIGHT = function(
    "sngan.sn_weight",
    "A weight of spectral norm one",
    points=3,
    cases=weight_cases,
    reference=sn_weight,
    let={
        "detach": Tensor.detach,
        "graph": torch.enable_grad,
        "multiply": torch.mul,
        "shrink": lambda W, sigma: W / sigma.clamp(min=1),
        "stale": lambda W, before, u, v: before @ W.flatten(1) @ v,
        "frobenius": lambda W, before, u, v: W.norm(),
        "exact": lambda W, before, u, v: torch.linalg.matrix_norm(W.flatten(1), 2),
        "per_filter": _per_filter,
        "old": "old",
        "attached": "attached",
        "u_attached": _attached,
    },
    table="""
    sigma-cut         cut=detach    | the value is right, but σ is taken for a constant. Dividing by a number that
                                    | depends on W takes out of the gradient what would only make W longer
    through-the-round iterate=graph | the value is right, but the gradient goes back through the round as well. u and v
                                    | are constants in the backward pass
    round-and-u       iterate=graph told=attached | the values are right, but the gradient goes back through the round
                                    | as well, and u comes back with its graph. u and v are constants in the backward
                                    | pass
    u-attached        u_attached    | the weight is right, but u comes back with its graph. It is kept for the next
                                    | pass, and a graph would grow from pass to pass
    two-rounds        rounds=2      | it makes two rounds of the power iteration, and one is asked for
    exact             size=exact    | it divides by the exact singular value; one round does not know it
    stale-u           size=stale    | σ is made of the old u: it is too small, and W̄ too large
    u-not-kept        told=old      | the weight is right, but the old u comes back, so that each pass begins anew
    frobenius         size=frobenius | it divides by the root of all squared entries, and W̄ becomes much too small
    per-filter        per_filter    | each output has a length of its own here (weight normalisation). σ belongs to the
                                    | whole matrix
    multiplied        by=multiply   | it multiplies by σ and should divide
    only-shrinks      by=shrink     | small weights stay as they are. Algorithm 1 divides by σ also where it is below 1
    """,
)


# 3 Two gradients -------------------------------------------------------------------------------------


def gradient_cases(seed: int) -> list[Case]:
    """Wide, tall and square matrices whose two largest singular values are apart."""
    draws = generator_of(seed)
    cases = []
    for sign, rows, columns in ((1, 3, 4), (-1, 5, 2), (1, 3, 3)):
        while True:
            W = normal(draws, rows, columns)
            sigma = torch.linalg.svdvals(W)
            if sigma[0] > 1.2 * sigma[1] and sigma[0] > 1.3:
                break
        lam = uniform(draws, 0.2, 0.8)
        gamma = normal(draws, rows, columns)
        gamma = gamma if sign * (gamma * W).sum() > 0 else -gamma  # Γ along W and against it
        cases.append(Case((W, gamma, lam), note=f"W of shape {(rows, columns)}"))
    return cases


def two_gradients(W, gamma, lam, *, which=0, penalty=None, onto=None, sign=-1, by=same, order=same):
    """Of (λ/2) σ(W)², and through W / σ(W). Knobs: the singular value, the penalty's, and the second's parts."""
    U, S, V = torch.linalg.svd(W, full_matrices=False)
    sigma, outer = S[which], U[:, which, None] * V[which]
    first = penalty(W, sigma, outer, lam) if penalty else lam * sigma * outer
    along = onto(W, gamma, sigma, outer) if onto else (gamma * W / sigma).sum() * outer
    return order((first, (gamma + sign * along) / by(sigma)))


TWO_GRADIENTS = function(
    "sngan.two_gradients",
    "Two gradients of one singular value",
    points=3,
    cases=gradient_cases,
    reference=two_gradients,
    let={
        "no_sigma": lambda W, sigma, outer, lam: lam * outer,
        "halved": lambda W, sigma, outer, lam: lam / 2 * sigma * outer,
        "no_lam": lambda W, sigma, outer, lam: sigma * outer,
        "decay": lambda W, sigma, outer, lam: lam * W,
        "nothing": lambda W, gamma, sigma, outer: torch.zeros_like(W),
        "unscaled": lambda W, gamma, sigma, outer: (gamma * W).sum() * outer,
        "radial": lambda W, gamma, sigma, outer: (gamma * W / sigma).sum() * W / sigma,
        "sphere": lambda W, gamma, sigma, outer: (gamma * W).sum() * W / W.square().sum(),
        "project": lambda W, gamma, sigma, outer: (gamma * outer).sum() * outer,
        "one": lambda sigma: 1.0,
        "swap": lambda pair: pair[::-1],
    },
    table="""
    decay          penalty=decay    | the first is that of weight decay, λW. Only the largest singular value is punished
    no-sigma       penalty=no_sigma | the first is that of λσ; the penalty squares σ
    halved         penalty=halved   | the ½ of the first is left over; the square brings a factor of two
    no-lambda      penalty=no_lam   | λ does not enter the first
    smallest       which=-1         | it takes the smallest singular value
    sigma-constant onto=nothing     | the second takes σ for a constant; it changes with W
    not-scaled     onto=unscaled    | the second: in the product with Γ stands W̄, not W
    radial         onto=radial      | the second takes out the direction of W̄. What σ changes along is u₁v₁ᵀ
    sphere         onto=sphere      | the second keeps the length of all entries (Frobenius). It is σ that stays
    projected      onto=project     | the second takes out what Γ has along u₁v₁ᵀ; the factor is the product of Γ with W̄
    added          sign=1           | the second has a plus; what would only make W longer is taken out
    not-divided    by=one           | the second is not divided by σ
    order          order=swap       | the two gradients have changed places
    """,
)


# 4 The hinge -----------------------------------------------------------------------------------------


def score_cases(seed: int) -> list[Case]:
    """Scores on both sides of both margins, in unequal numbers."""
    draws = generator_of(seed)
    cases = []
    for far, n, m, shift in ((12, 6, 4, 0.3), (0.1, 5, 7, -0.6), (0.1, 7, 9, 2.6)):
        real, fake = (1.5 * torch.randn(k, 1, generator=draws) + s for k, s in ((n, shift), (m, -shift - 0.4)))
        real[0], real[1], fake[0], fake[1] = 2.2 + shift / 4, -1.3, -1.9, 1.4 - shift / 4  # past the margin, and not
        real[2], fake[2] = -far, far  # once far on the wrong side
        cases.append(Case((real, fake), grads=(0, 1), note=f"{n} real and {m} generated scores"))
    return cases


def hinge_losses(
    real_scores, fake_scores, *, see=same, bend=torch.relu, by=torch.mean, on=(1, 1), to=(-1, 1), at=1.0, g=None, d=1.0,
    inside=same,
):  # fmt: skip
    """Miyato et al. 2018, equations 16 and 17. Knobs: see their names; `on` weights, `to` directions, `at` margin."""
    real, fake = see(real_scores), see(fake_scores)
    terms = [by(bend(inside(at + side * scores))) for side, scores in zip(to, (real, fake), strict=True)]
    return d * (on[0] * terms[0] + on[1] * terms[1]), g(real, fake) if g else -by(fake)


HINGE_LOSSES = function(
    "sngan.hinge_losses",
    "The hinge, for both players",
    points=2,
    cases=score_cases,
    reference=hinge_losses,
    let={
        "sigmoid": torch.sigmoid,
        "sum": torch.sum,
        "mean": torch.mean,
        "square": lambda x: torch.relu(x).square(),
        "softplus": softplus,
        "linear": same,
        "g_hinge": lambda real, fake: torch.relu(1 - fake).mean(),
        "g_refused": lambda real, fake: torch.relu(1 + fake).mean(),
        "g_up": lambda real, fake: fake.mean(),
        "g_minimax": lambda real, fake: -torch.relu(1 + fake).mean(),
        "g_data": lambda real, fake: real.mean() - fake.mean(),
        "swap": lambda real, fake: hinge_losses(real, fake)[::-1],
        "pooled": lambda real, fake: (torch.relu(torch.cat([1 - real, 1 + fake])).mean(), -fake.mean()),
    },
    table="""
    sigmoid         see=sigmoid   | a sigmoid comes first. Then the data's term is never 0, and the fakes' has its slope
                                  | everywhere: no margin is ever reached
    maximised       d=-1          | D's loss is the value that D makes large, with the sign of the paper
    g-hinged        g=g_hinge     | G's loss has a hinge. G's has none: a fake past D's margin is still worth raising
    g-hinge-of-d    g=g_refused   | G's loss is D's term on fakes: it would be lowest for fakes that D refuses
    g-minimax       g=g_minimax   | G's loss is minus D's term on fakes, and has no slope where D refuses them with a
                                  | margin, which is where they begin
    g-sign          g=g_up        | G's loss has the wrong sign: it is lowest for low scores
    g-on-data       g=g_data      | G's loss holds the real scores, and G cannot move them
    swapped         to=(1,-1)     | D's two terms have changed directions: it wants fakes above 1 and data below −1
    real-only       on=(1,0)      | the fakes do not enter D's loss
    fake-only       on=(0,1)      | the data does not enter D's loss
    halved          d=1/2         | D's loss is the mean of its two terms; they are added
    no-margin       at=0          | the margin is 0, so a D that answers 0 to everything pays nothing
    linear          bend=linear   | there is no hinge: this is 2 plus a critic's loss, and has no lowest value
    softplus        bend=softplus | the hinge is smoothed: softplus belongs to the cross-entropy
    squared         bend=square   | the hinge is squared; past its corner it is a line
    averaged-first  inside=mean   | the scores are averaged before the hinge; every sample has a margin of its own
    summed          by=sum        | it adds up over the batch; an expectation is a mean
    pooled          pooled        | D's loss is one mean over both batches; each has a mean of its own
    order           swap          | the two losses have changed places
    """,
)


# 5 The best D of the hinge ---------------------------------------------------------------------------


def distribution_cases(seed: int) -> list[Case]:
    """Two distributions on some places: a tie, a near tie, places that one of them, or neither, visits."""
    draws = generator_of(seed)
    cases = []
    for n in (7, 9, 8):
        while True:
            p, q = (uniforms(draws, 0.1, 1.0, n) for _ in range(2))
            p[0], q[1], p[2], q[2] = 0.0, 0.0, 0.0, 0.0
            p, q = p / p.sum(), q / q.sum()
            p[3], p[4] = q[3], p[4] + p[3] - q[3]  # a tie
            p[5], p[6] = q[5] + 2e-5, p[6] + p[5] - q[5] - 2e-5  # nearly one
            apart = (p - q).abs()
            if p[4] > 0 and p[6] > 0 and apart.sum() > 0.4 and min(apart[4], apart[6]) > 0.01:
                break
        order = torch.randperm(n, generator=draws)
        cases.append(Case((p[order], q[order]), note=f"{n} places"))
    return cases


def hinge_optimum(p, q, *, best=lambda p, q: (p - q).sign(), price=None, g=-1):
    """Where D's loss is lowest, its value there, and G's. Knobs: D, D's loss, and the sign of G's."""
    D = best(p, q)
    loss = (p * (1 - D).relu() + q * (1 + D).relu()).sum() if price is None else price(p, q)
    return D, loss, g * (q * D).sum()


def _over(a, b, at_nothing):
    return torch.where(b == 0, at_nothing, a / torch.where(b == 0, 1.0, b))


HINGE_OPTIMUM = function(
    "sngan.hinge_optimum",
    "The best D of the hinge game",
    points=3,
    cases=distribution_cases,
    reference=hinge_optimum,
    let={
        "share": lambda p, q: _over(p, p + q, 0.5),
        "centred": lambda p, q: _over(p - q, p + q, 0.0),
        "difference": lambda p, q: p - q,
        "turned": lambda p, q: (q - p).sign(),
        "probable": lambda p, q: (p > q).double(),
        "ties_up": lambda p, q: torch.where(p >= q, 1.0, -1.0).double(),
        "ties_down": lambda p, q: torch.where(p > q, 1.0, -1.0).double(),
        "beyond": lambda p, q: 2 * (p - q).sign(),
        "overlap": lambda p, q: torch.minimum(p, q).sum(),
        "lowest": lambda p, q: 2 * torch.minimum(p, q).sum(),
        "distance": lambda p, q: (p - q).abs().sum() / 2,
        "zero": lambda p, q: 0 * p.sum(),
        "two": lambda p, q: 2 + 0 * p.sum(),
    },
    table="""
    gan-optimum      best=share      | this D is the share of data, the best one of chapter 1; its scores are no
                                     | probabilities, and a hinge has its corners at −1 and 1
    centred-share    best=centred    | this D is the share of data, moved to between −1 and 1. D's loss is a line
                                     | between its corners, lowest at one of them
    difference       best=difference | this D is p − q itself; D's loss is linear between its corners
    turned           best=turned     | D has the sides wrong: it is high where data is likelier
    turned-d         best=turned price=lowest | D has the sides wrong: it is high where data is likelier. Your loss is
                                     | that of the right D
    zero-one         best=probable   | D answers 0 or 1; the corners of the hinge lie at −1 and 1
    beyond           best=beyond     | D answers beyond the corners, and pays for it where the other kind is found too
    beyond-d         best=beyond price=lowest | D answers beyond the corners, and would pay more than your loss says
    ties-up          best=ties_up    | where both are equally likely, 0 is asked for; you give 1. Each costs the same
    ties-down        best=ties_down  | where both are equally likely, 0 is asked for; you give −1. Each costs the same
    overlap          price=overlap   | the loss is half of what it should be: each place costs twice the smaller share
    distance         price=distance  | the loss is a distance of p and q. It is large where they overlap
    never-pays       price=zero      | this D does pay: where both kinds are found, one of them is on the wrong side
    pays-fully       price=two       | 2 is the loss of a D that answers 0 to everything
    g-sign           g=1             | G's loss has the wrong sign
    """,
)


# 6 One region of a network ---------------------------------------------------------------------------


@functools.lru_cache(32)
def region_cases(seed: int) -> list[Case]:
    """Networks as wide as their inputs, so that a mask of the wrong layer fits; all that changes masks does so."""
    draws = generator_of(seed)
    cases = []
    ways = ("small_leak", "usual_leak", "relu"), (), ("line", "no_bias", "stuck")
    for forward, (width, hidden, outputs, slope) in zip(
        ways, ((4, 3, 2, 0.6), (3, 3, 1, 0.0), (5, 3, 5, 0.1)), strict=True
    ):
        sizes = [width] * (hidden + 1) + [outputs]
        while True:
            weights = [normal(draws, out, into) for into, out in zip(sizes[:-1], sizes[1:], strict=True)]
            biases = [0.8 * normal(draws, out) for out in sizes[1:]]
            x = normal(draws, width)
            knobs = [{"on": mask} for mask in (_of_input, _without_bias, _everywhere)]
            knobs += [{"go": _FORWARD[way]} for way in forward]
            if not all(_differ(weights, biases, x, slope, {}, knob) for knob in knobs):
                continue
            if (
                hidden != 3
                or forward
                or all(
                    _differ(weights, biases, x, slope, {"on": mask}, {"on": mask, "go": _FORWARD["right"]})
                    for mask in (_of_input, _without_bias, _turned)
                )
            ):
                break
        words = f"{hidden} hidden layer{'s' * (hidden > 1)} of {width}, slope {slope}"
        cases.append(Case((weights, biases, x, slope), note=words))
    return cases


def _differ(weights, biases, x, slope, knobs, others):
    """Return whether two turns of the knobs give another matrix."""
    first, second = (local_map(weights, biases, x, slope, **turned)[0] for turned in (knobs, others))
    return (first - second).abs().max() > 0.1


def _turned(W, b, h):
    return W @ h + b <= 0


def _of_sum(W, b, h):
    return W @ h + b > 0


def _of_input(W, b, h):
    return h > 0


def _without_bias(W, b, h):
    return W @ h > 0


_FORWARD: dict[str, Any] = {
    "small_leak": lambda z, b, h, slope: leaky_relu(z, 0.01),
    "usual_leak": lambda z, b, h, slope: leaky_relu(z, 0.2),
    "relu": lambda z, b, h, slope: z.relu(),
    "line": lambda z, b, h, slope: z,
    "no_bias": lambda z, b, h, slope: torch.where(z > 0, 1.0, slope) * (z - b),
    "stuck": lambda z, b, h, slope: h,
    "right": lambda z, b, h, slope: torch.where(z > 0, 1.0, slope) * z,
}
"""What goes on to the next layer, from Wh + b, b, h and the slope: wrong ways, and the right one."""


def _everywhere(W, b, h):
    return torch.ones(len(W), dtype=torch.bool)


def local_map(
    weights, biases, x, slope, *, on=_of_sum, off=same, last=False, left=True, offset=None, order=same, go=None
):  # fmt: skip
    """The matrix and the offset of the region of x. Knobs: the mask, its small entry, whether the last layer has one.

    On which side of W it stands, the offset, the order of the results, and what goes on to ask the next layer's mask.
    """
    A, h, asked = torch.eye(len(x), dtype=x.dtype), x, x
    for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
        asked = asked if go else h
        mask = torch.where(on(W, b, asked), 1.0, off(slope)).to(x.dtype)
        asked = go(W @ asked + b, b, asked, slope) if go else asked
        if i == len(weights) - 1 and not last:
            A, h = W @ A, W @ h + b
            continue
        A = mask[:, None] * (W @ A) if left else W @ (mask[:, None] * A)
        h = mask * (W @ h + b)
    return order((A, offset(A, h, x, biases) if offset else h - A @ x))


LOCAL_MAP = function(
    "sngan.local_map",
    "One region of a network",
    points=3,
    cases=region_cases,
    reference=local_map,
    let={
        "of_input": _of_input,
        "without_bias": _without_bias,
        "everywhere": _everywhere,
        **_FORWARD,
        "turned": _turned,
        "zero": lambda slope: 0.0,
        "usual": lambda slope: 0.2,
        "score": lambda A, h, x, biases: h,
        "nothing": lambda A, h, x, biases: 0 * h,
        "last_bias": lambda A, h, x, biases: biases[-1],
        "swap": lambda pair: pair[::-1],
    },
    table="""
    mask-of-input  on=of_input     | the mask is the sign of what enters the layer (some notes print it so). What is cut
                                   | is what comes out, Wh + b; only equal widths let the shapes fit
    mask-too-early on=of_input go=right | the mask is the sign of what enters the layer (some notes print it so). What
                                   | is cut is what comes out, Wh + b; only equal widths let the shapes fit
    no-bias-in-mask on=without_bias go=right | the mask is the sign of Wh; the bias is part of what is cut
    turned-mask    on=turned go=right | the mask is turned round: it passes what is negative
    forward-slope  go=small_leak   | the masks use `slope`, but what goes on to the next layer has gone through another
                                   | one (0.01 is what PyTorch's leaky ReLU has): later masks are those of another point
    forward-line   go=line         | what goes on to the next layer has not gone through the activation: later masks are
                                   | those of another point
    forward-bias   go=no_bias      | what goes on to the next layer lacks the bias: later masks are those of another
                                   | point
    forward-stuck  go=stuck        | each layer is asked about x itself; it sees what the layers before have made of it
    no-bias-inside on=without_bias | the mask is the sign of Wh; the bias is part of what is cut
    no-mask        on=everywhere   | all units pass: this is the product of the weights alone
    turned         on=turned       | the mask is turned round: it passes what is negative
    no-leak        off=zero        | `slope` does not enter: a unit below 0 is taken to be cut off
    own-slope      off=usual       | the slope below 0 is another one than the given
    last-masked    last=True       | the last layer has a mask as well; its scores are not cut
    wrong-side     left=False      | the mask stands before the weight; it belongs behind, to the units of the layer
    offset-score   offset=score    | the offset is the score at x itself; the matrix has a part in it already
    offset-zero    offset=nothing  | the offset is missing: a region's map is affine, not linear
    offset-bias    offset=last_bias | the offset is the last bias; those before come through the layers too
    order          order=swap      | matrix and offset have changed places
    """,
)


# 7 Five slopes ---------------------------------------------------------------------------------------

SLOPES = numbers(
    "sngan.slopes",
    "Five slopes of normalised layers",
    points=3,
    right="2  3  3*sqrt(10/82)  4*1.129**5  1/5",
    tol=0.005,
    table="""
    kernels-are-operators 1 1 *  * *  | the first two: a kernel with σ = 1 is not yet a convolution with norm 1
    operator      1 * * * *          | the first number: a pixel is seen by several windows
    stride        4 * * * *          | the first number: how many windows see a pixel with a stride of 2? The bound has
                                     | the root of that
    second-unit   2 1 * * *          | the second number: on a large constant picture all nine entries add up
    second-nine   * 9 * * *          | the second number: the nine entries are equal, and their squares sum to 1
    converged     * * 1 * *          | the third number: one round does not know σ yet
    upside-down   * * sqrt(82/10)/3 * * | the third number is estimate by σ. The layer has σ by estimate
    half-round    * * 3/sqrt(5) * *  | the third number uses the u from before the round
    estimate      * * sqrt(82/10) * * | the third number is the estimate; the layer is divided by it
    no-round      * * 3/2 * *        | the third number makes no round at all
    first-only    * * * 4 *          | the fourth number: this activation is steeper than 1 in places
    all-layers    * * * 1.129**5 *   | the fourth number: the first layer is not normalised
    sum-of-layers * * * 4+5*1.129;4+5 * | the fourth number: slopes of layers multiply
    one-activation * * * 4*1.129;4*1.129**6 * | the fourth number: there are five activations
    always-one    * * * * 1          | the last number would be right if some unit were above 0
    relu          * * * * 0          | the last number is that of ReLU; here the slope below 0 is 0.2
    """,
)


# 8 How much slope? -----------------------------------------------------------------------------------

HOW_MUCH_SLOPE = essay(
    "sngan.how_much_slope",
    "Is a slope of one enough?",
    points=5,
    words=120,
    rubric=(
        "1 point: says before looking what each hypothesis predicts for the columns 'slope' and 'sliced W₁'. "
        "2 points: reads the table with its numbers and the spread of the seeds: how far the measured slope stays "
        "below the product bound, what the gain does to it, and which rows have better samples; and gives a reason: "
        "a product of largest singular values is reached only if they line up, a D whose slope is far below 1 stays "
        "between its margins, where the hinge is a line (1 point for the table alone). "
        "1 point: limits: small networks on a ring of radius 1, few seeds and steps, samples of slopes that miss the "
        "steepest place; pictures have other distances between data and fakes. "
        "1 point: one further experiment with an outcome that would speak against the writer's own view."
    ),
)


SET = Set(
    "sngan",
    "10_sngan",
    "Spectral normalisation",
    (
        POWER_ITERATION,
        SN_WEIGHT,
        TWO_GRADIENTS,
        HINGE_LOSSES,
        HINGE_OPTIMUM,
        LOCAL_MAP,
        SLOPES,
        HOW_MUCH_SLOPE,
    ),
)
