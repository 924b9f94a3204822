"""Chapter 9, penalties on a slope: points and norms of WGAN-GP, its distance, the Dirac GAN, R1 and R2."""

from __future__ import annotations

import copy
import functools
import math
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from gancourse.checks.builders import build_mlp
from gancourse.checks.core import Case, Exercise, Result, Set, Spec, Verdict, differ, right, wrong
from gancourse.checks.forms import essay, function, generator_of, numbers, same, uniform

DOUBLE = torch.float64


# 1 Where the slope is held ---------------------------------------------------------------------------


def pair_cases(seed: int) -> list[Case]:
    """Vectors and pictures, many of both; in one case the batch is as long as a picture is wide; equal sizes twice."""
    draws = generator_of(seed)
    cases = []
    shapes = [(1500, 2), (1500, 1, 2, 1), (4, 2, 3, 4), (1, 1, 5, 2), (6, 7), (6, 2, 2, 3), (6, 3), (6, 1, 1, 2)]
    for number, shape in enumerate(shapes):
        fake, apart, side = (torch.randn(shape, generator=draws) for _ in range(3))
        real = fake + (0.5 + apart.abs()) * side.sign()
        cases.append(Case((real, fake), note=f"batches of shape {shape}", seed=seed % 10**6 + number))
    return cases


def shares(case: Case, result: Result) -> Tensor:
    """Return the share of the data in each number of each point, (B, numbers): ε if the point is εx + (1 - ε)x̃."""
    real, fake = case.args
    return ((result.output - fake) / (real - fake)).double().flatten(1)


def penalty_points(real, fake):
    """One point on the segment of each pair, ε ~ U[0, 1]; both batches (B, …). Gulrajani et al. 2017, algorithm 1."""
    epsilon = torch.rand(len(real), *[1] * (real.ndim - 1))
    return epsilon * real + (1 - epsilon) * fake


def judge_points(cases: list[Case], results: list[Result]) -> Verdict:
    """Look at what every right answer has; the draws themselves differ."""
    for case, result in zip(cases, results, strict=True):
        fault = differ(result.output, case.args[0])
        if fault and fault[0] != "value":
            return wrong(fault[0], f"{fault[1]} (for {case.note})")
    found = [shares(case, result) for case, result in zip(cases, results, strict=True)]
    each = [epsilon[:, 0] for epsilon in found]
    if any((epsilon - epsilon[:, :1]).abs().max() > 0.01 for epsilon in found):
        return wrong(
            "off-the-segment",
            "some points lie off the segment of their pair. They are ε x + (1 - ε) x̃, with one ε for all numbers of a "
            "sample, whatever its shape",
        )
    if any(epsilon.min() < -0.001 or epsilon.max() > 1.001 for epsilon in each):
        return wrong("beyond-the-ends", "some points lie beyond an end of their segment: ε runs from 0 to 1")
    if torch.cat(each).std() < 0.001:
        return wrong("nothing-drawn", "every point divides its segment in the same way, call after call")
    for case, many in zip(cases[:2], each[:2], strict=True):
        if many.std() < 0.001:
            return wrong("one-for-all", f"the whole batch shares one ε; each pair draws its own (for {case.note})")
        off = (many.sort().values - torch.linspace(0, 1, len(many), dtype=DOUBLE)).abs().max()
        if off > 0.08 or len(many.mul(1000).round().unique()) < 300:
            told = "ε is not uniform: some parts of a segment are met more often than others"
            return wrong("not-uniform", f"{told} (for {case.note})")
    again = [each[0] - each[1], *(each[i] - each[j] for i, j in combinations(range(4, 8), 2))]
    if any(difference.abs().max() < 1e-4 for difference in again):
        return wrong("seeded", "two batches of one size get the same ε: they are drawn anew in every call")
    return right()


PENALTY_POINTS = Exercise(
    name="wgan_gp.penalty_points",
    title="Where the slope is held",
    tier="implement",
    points=2,
    answer="penalty_points",
    cases=pair_cases,
    judge=judge_points,
)


# 2 The penalty, two-sided and one-sided --------------------------------------------------------------


def slope_of(critic, x, add=torch.sum):
    """Return the gradient of a critic's scores at x, of the shape of x, with its graph."""
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(add(critic(x)), x, create_graph=True)[0]


def length(slope):
    """Return the norm of each sample's slope: (B, …) → (B,)."""
    return slope.flatten(1).norm(dim=1)


def _squared(slope):
    return slope.flatten(1).square().sum(dim=1)


def _absolute(slope):
    return slope.flatten(1).abs().sum(dim=1)


def critic_at(draws: torch.Generator, x: Tensor, sizes: list[int]) -> Spec:
    """Return a critic of samples (B, …) with slopes below and above 1 at x, whose first sample is near 0."""
    for seed in torch.randint(10**6, (200,), generator=draws).tolist():
        net = build_mlp((), sizes, seed=seed)
        slopes = length(slope_of(net, x.flatten(1)))
        if slopes.max() > 1.25 and slopes.min() < 0.75:
            break
    return Spec("critic", {"sizes": sizes, "seed": seed})


def spread(draws: torch.Generator, *shape: int) -> Tensor:
    """Return samples from near 0, where a critic with tanh is steep, to far off, where it is flat."""
    far = torch.linspace(0.1, 2.5, shape[0]).view(-1, *[1] * (len(shape) - 1))
    return far * torch.randn(shape, generator=draws)


@functools.lru_cache(32)
def penalty_cases(seed: int) -> list[Case]:
    """Pictures and vectors, two-sided and one-sided; a critic that is dead for some samples, and one for all."""
    draws = generator_of(seed)
    cases = []
    for shape, one_sided in (((5, 2, 1, 2), False), ((4, 1, 2, 3), True), ((6, 3), False)):
        x = spread(draws, *shape)
        critic = critic_at(draws, x, [math.prod(shape[1:]), 12, 1])
        words = f"points {shape}, {'one' if one_sided else 'two'}-sided"
        cases.append(Case((critic, x, one_sided), grads=(0,), note=words))
    for number in torch.randint(10**6, (200,), generator=draws).tolist():
        x, options = spread(draws, 5, 3), {"sizes": [3, 4, 1], "activation": "relu", "seed": number}
        slopes = length(slope_of(build_mlp((), **options), x))
        if slopes.min() == 0 and slopes.max() > 1.3:
            break
    partly = Case((Spec("critic", options), x, True), grads=(0,), note="a critic whose slope is 0 for some samples")
    dead = Spec("linear", {"weight": torch.zeros(1, 3), "bias": torch.ones(1)})
    for one_sided in (False, True):
        words = f"a critic whose slope is 0, {'one' if one_sided else 'two'}-sided"
        cases.append(Case((dead, spread(draws, 4, 3), one_sided), grads=(0,), note=words))
    return [*cases, partly]


def _steep(excess, one_sided):
    return relu(excess) if one_sided else excess


def gradient_penalty(
    critic, x_hat, one_sided, *, add=torch.sum, norm=length, off=1, cut=_steep, price=torch.square, mean=torch.mean
):
    """E[(‖∇D(x̂)‖ - 1)²], or of max(0, ‖∇D(x̂)‖ - 1) alone; Gulrajani et al. 2017, (3), Petzka et al. 2018."""
    return mean(price(cut(norm(slope_of(critic, x_hat, add)) - off, one_sided)))


GRADIENT_PENALTY = function(
    "wgan_gp.gradient_penalty",
    "The penalty, two-sided and one-sided",
    points=4,
    cases=penalty_cases,
    reference=gradient_penalty,
    probe="kept",
    tol=1e-3,
    let={
        "abs": torch.abs,
        "average": torch.mean,
        "total": torch.sum,
        "channels": lambda slope: slope.norm(dim=1),
        "rows": lambda slope: slope.norm(dim=-1),
        "batch": torch.norm,
        "rms": lambda slope: slope.flatten(1).square().mean(dim=1).sqrt(),
        "square": _squared,
        "l1": _absolute,
        "largest": lambda slope: slope.flatten(1).abs().amax(dim=1),
        "first": lambda slope: length(slope).mean(),
        "by_hand": lambda slope: slope.flatten(1).square().sum(dim=1).sqrt(),
        "never": lambda excess, one_sided: excess,
        "swapped": lambda excess, one_sided: excess if one_sided else relu(excess),
        "always": lambda excess, one_sided: relu(excess),
        "flat": lambda excess, one_sided: relu(-excess) if one_sided else excess,
    },
    table="""
    per-pixel         norm=channels | the norm runs over dimension 1 alone, in pictures over the channels: each pixel is
                                    | held at 1. A picture is one sample, and has one slope
    per-row           norm=rows     | the norm runs over the last dimension alone. A picture is one sample, one slope
    of-the-batch      norm=batch    | it takes one norm of all gradients together; each sample has its own
    averaged-first    norm=first    | it averages the norms and then squares: one too steep hides one too flat
    root-mean-square  norm=rms      | the squares are averaged over the numbers of a sample; a norm adds them up
    no-root           norm=square   | the squared norm is held at 1, without the root
    absolute-values   norm=l1       | absolute values are added up; the Euclidean norm is meant
    largest           norm=largest  | the largest partial derivative is held at 1, and not the norm
    mean-of-scores    add=average   | the mean of the scores is differentiated: every slope is divided by the batch's
                                    | size, and the critic would grow that much steeper
    nan-at-zero       norm=by_hand  | the value is right, but where the slope is 0 the gradient is NaN: so is that of
                                    | a root at 0
    around-zero       off=0         | slopes are held at 0, and not at 1
    always-one-sided  cut=always    | flat slopes are never punished; two-sided they are
    always-two-sided  cut=never     | flat slopes are punished, one-sided as well
    sides-swapped     cut=swapped   | one-sided and two-sided have changed places
    wrong-side        cut=flat      | one-sided it punishes slopes below 1, and forgives those above
    unsquared         price=abs     | the distance from 1 is averaged unsquared
    summed            mean=total    | it adds up over the batch; an expectation is a mean
    """,
)


# 3 A loss, and a distance for the log ----------------------------------------------------------------


@functools.lru_cache(32)
def loss_cases(seed: int) -> list[Case]:
    """Pictures and vectors; the data are off to one side, and λ is never 10."""
    draws = generator_of(seed)
    cases = []
    for shape in ((4, 1, 2, 3), (5, 4), (3, 2, 2, 1)):
        real, fake = 0.8 + spread(draws, *shape), spread(draws, *shape) - 0.4
        epsilon = torch.rand(shape[0], *[1] * (len(shape) - 1), generator=draws)
        x_hat = epsilon * real + (1 - epsilon) * fake
        critic = critic_at(draws, spread(draws, *shape), [math.prod(shape[1:]), 12, 1])
        gp_weight = uniform(draws, 2.5, 4.5)
        words = f"batches of shape {shape}, λ = {gp_weight:.2f}"
        cases.append(Case((critic, real, fake, x_hat, gp_weight), grads=(0,), note=words))
    return cases


def critic_loss(
    critic,
    real,
    fake,
    x_hat,
    gp_weight,
    *,
    turn=1,
    see=same,
    at=2,
    weight=same,
    hold=same,
    one_sided=False,
    log=lambda w, loss: w.detach(),
):
    """(E[D(x̃)] - E[D(x)] + λ penalty, E[D(x)] - E[D(x̃)]); the second is cut off. Gulrajani et al. 2017, (3)."""
    distance = see(critic(real)).mean() - see(critic(fake)).mean()
    penalty = gradient_penalty(critic, (real, fake, x_hat)[at], one_sided)
    loss = weight(gp_weight) * hold(penalty) - turn * distance
    return loss, log(distance, loss)


def _penalty_alone(critic, real, fake, x_hat, gp_weight):
    penalty = gp_weight * gradient_penalty(critic, x_hat, False)
    return penalty - penalty.detach()


CRITIC_LOSS = function(
    "wgan_gp.critic_loss",
    "A loss, and a distance for the log",
    points=3,
    cases=loss_cases,
    reference=critic_loss,
    probe="kept",
    let={
        "sigmoid": torch.sigmoid,
        "none": lambda gp_weight: 0,
        "one": lambda gp_weight: 1,
        "ten": lambda gp_weight: 10,
        "minus": lambda gp_weight: -gp_weight,
        "half": lambda gp_weight: gp_weight / 2,
        "detach": Tensor.detach,
        "minus_loss": lambda w, loss: -loss.detach(),
        "loss": lambda w, loss: loss.detach(),
        "turned": lambda w, loss: -w.detach(),
        "attached": lambda w, loss: w,
        "order": lambda *args: critic_loss(*args)[::-1],
        "cut": lambda *args: (critic_loss(*args)[0].detach() + _penalty_alone(*args), critic_loss(*args)[1]),
    },
    table="""
    minus-the-loss  log=minus_loss      | the distance is the loss with its sign turned, and the penalty is still in it
    the-loss        log=loss            | the loss is given twice: as a distance it has the wrong sign and the penalty
    learns-distance log=attached        | the numbers are right, but the distance still carries a graph. Cut it off: it
                                        | is for the log, and nobody descends it
    lost-scores     cut                 | the numbers are right, but the loss has the gradient of the penalty alone:
                                        | what it says of the scores has lost its graph
    lost-graph      hold=detach         | the numbers are right, but the loss has the gradient of one without a penalty:
                                        | the penalty has lost its graph, and λ trains nothing
    both-turned     turn=-1 log=turned  | both signs are turned: data should score above fakes
    distance-turned log=turned          | the distance has the wrong sign: data minus fakes
    loss-turned     turn=-1             | this critic learns to score fakes above data
    no-penalty      weight=none         | the penalty is not in the loss; added, both are descended in one step
    unweighted      weight=one          | λ does not enter: the penalty weighs 1, whatever is given
    always-ten      weight=ten          | the penalty weighs 10, whatever is given
    one-sided       one_sided=True      | the penalty is the one-sided one; in this loss it has two sides
    order           order               | the loss and the distance have changed places
    rewarded        weight=minus        | the penalty is taken off the loss: it rewards slopes that are far from 1
    halved          weight=half         | the penalty comes with half its weight; a ½ belongs to R1, and not here
    at-the-data     at=0                | the slope is held at the data; it is asked for at x̂
    at-the-fakes    at=1                | the slope is held at the fakes; it is asked for at x̂
    sigmoid         see=sigmoid         | the scores go through a sigmoid first: a distance has no such bounds
    """,
)


# 4 What the log will show ----------------------------------------------------------------------------

# W = 6, λ = 10, D(x) = s x. The critic maximises 6 s - 10 (|s| - 1)²: s = 1 + W / 2λ, or locally -(1 - W / 2λ).
OVERSHOOT = numbers(
    "wgan_gp.overshoot",
    "What the log will show",
    points=3,
    right="1.3  7.8  -4.2  3  6",
    table="""
    exact              1    6     *     *  *  | where the slope is 1 a little more costs nothing yet, and already pays
    no-two             1.6  9.6   *     *  *  | the slope of a square: a 2 is missing
    with-the-penalty   1.3  6.9   *     *  *  | the second number still has the penalty in it
    minus-the-loss     1.3  -6.9  *     *  *  | the second number is the loss; the distance is asked for
    slope-again        1.3  1.3   *     *  *  | the second number is the slope; what does a critic report over 6 units
    sign-lost          1.3  7.8   4.2   *  *  | the third number: this critic scores fakes above data
    slope-for-distance 1.3  7.8   -0.7  *  *  | the third number is the slope; what does it report
    mirrored           1.3  7.8   -7.8  *  *  | the third is a mirror image, but the pull of W is not mirrored
    at-minus-one       1.3  7.8   -6    *  *  | the third takes the slope -1; W pulls this critic too
    thresholds-swapped *    *     *     6  3  | the last two have changed places
    always-trapped     1.3  7.8   -4.2  0  *  | the fourth: for a small λ, does W not pull the critic through 0
    twice-w            1.3  7.8   -4.2  12 *  | the fourth is W against 2λ the wrong way round
    squared-threshold  1.3  7.8   -4.2  3  3  | the last penalty is not squared: its own slope is λ, and not 2λ
    """,
)


# 5 Who looks at whom? --------------------------------------------------------------------------------


def influence_cases(seed: int) -> list[Case]:
    """A critic with BatchNorm, one without, one in eval mode, and a wider one with BatchNorm."""
    draws = generator_of(seed)

    def seeds() -> int:
        return int(torch.randint(10**6, (), generator=draws))

    def samples(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws)

    plain = Spec("critic", {"sizes": [4, 6, 1], "seed": seeds()})
    norms = [Spec("normed_mlp", {"sizes": [2, 8, 1], "seed": seeds(), "training": on}) for on in (True, False, True)]
    return [
        Case((norms[0], samples(4, 2)), note="BatchNorm, 4 samples"),
        Case((plain, samples(3, 1, 2, 2)), note="no BatchNorm, 3 pictures"),
        Case((norms[1], samples(5, 2)), note="BatchNorm in eval mode, 5 samples"),
        Case((norms[2], samples(6, 2)), note="BatchNorm, 6 samples"),
    ]


def influence(critic, x, *, mode=same, see=same, norm=length, last=same):
    """Norms of ∂D(x)_i / ∂x_j for every pair of samples: x (B, …) → (B, B)."""
    x = x.detach().requires_grad_(True)
    scores = see(mode(critic)(x).flatten())
    return last(torch.stack([norm(torch.autograd.grad(s, x, retain_graph=True)[0]) for s in scores]))


INFLUENCE = function(
    "wgan_gp.influence",
    "Who looks at whom?",
    points=3,
    cases=influence_cases,
    reference=influence,
    probe="kept",
    let={
        "eval": lambda critic: copy.deepcopy(critic).eval(),
        "pooled": lambda scores: scores.sum().expand(len(scores)),
        "averaged": lambda scores: scores.mean().expand(len(scores)),
        "T": lambda found: found.T,
        "diag": lambda found: found.diag().diag(),
        "yes": lambda found: (found > 1e-6).float(),
        "parts": lambda found: found / found.sum(dim=1, keepdim=True),
        "total": lambda slope: slope.flatten(1).sum(dim=1),
        "square": _squared,
        "l1": _absolute,
    },
    table="""
    sum-on-diagonal see=pooled last=diag | the summed scores are differentiated, and the result is put on the diagonal:
                                         | as if no score depended on another sample
    summed        see=pooled    | every row is the gradient of the summed scores: a sum cannot tell who looks at whom
    averaged      see=averaged  | every row is the gradient of the mean score: a mean cannot tell who looks at whom
    eval-mode     mode=eval     | it puts the critic into eval mode, and BatchNorm then uses stored statistics: the
                                | penalty meets the critic in the mode in which it trains
    diagonal      last=diag     | only a sample's influence on its own score is there; the question is about the others
    transposed    last=T        | rows and columns have changed places: a row belongs to a score
    yes-or-no     last=yes      | it says whether there is an influence; how large is it
    shares        last=parts    | each row is divided by its sum
    cancelling    norm=total    | the numbers of a gradient are added up with their signs, and can cancel
    no-root       norm=square   | these are squared norms
    absolute      norm=l1       | absolute values are added up; the Euclidean norm is meant
    """,
)


# 6 The discriminator's loss of R3GAN -----------------------------------------------------------------


@functools.lru_cache(32)
def r3gan_cases(seed: int) -> list[Case]:
    """Due and not due, scores (B,) and (B, 1); step 7 of 4 would be due for who counts from 1."""
    draws = generator_of(seed)
    cases = []
    steps = (0, 4), (5, 1), (7, 4), (6, 3), (1, 4), (2, 4)
    shapes = (4, 1, 2, 3), (5, 3), (3, 2, 2, 1), (4, 2, 1, 2), (3, 2), (2, 1, 2, 2)
    for shape, (step, interval) in zip(shapes, steps, strict=True):
        sizes = [math.prod(shape[1:]), 12, 1]
        critic = critic_at(draws, spread(draws, *shape), sizes)
        if len(shape) == 2:
            critic = Spec("mlp", critic.options)
        real, fake = 0.6 + spread(draws, *shape), spread(draws, *shape) - 0.3
        gamma = uniform(draws, 0.4, 0.9)
        words = f"batches {shape}, step {step}, interval {interval}"
        cases.append(Case((critic, real, fake, gamma, step, interval), grads=(0,), note=words))
    return cases


def _paired(real, fake):
    return softplus(fake - real).mean()


def r3gan_d_loss(
    critic,
    real,
    fake,
    gamma,
    step,
    interval,
    *,
    compare=_paired,
    every=False,
    early=0,
    at=(0.5, 0.5),
    cost=_squared,
    mean=torch.mean,
    heavy=same,
    hold=same,
):
    """E[log(1 + exp(D(x̃) - D(x)))] + γ/2 E‖∇D(x)‖² + γ/2 E‖∇D(x̃)‖², lazily; Huang et al. 2024, section 2."""
    loss = compare(critic(real), critic(fake))
    if every or (step + early) % interval == 0:
        for half, x in zip(at, (real, fake), strict=True):
            loss = loss + heavy(interval) * half * gamma * hold(mean(cost(slope_of(critic, x))))
    return loss


R3GAN_D_LOSS = function(
    "wgan_gp.r3gan_d_loss",
    "Pairs, R1 and R2, lazily",
    points=4,
    cases=r3gan_cases,
    reference=r3gan_d_loss,
    probe="kept",
    let={
        "swapped": lambda real, fake: softplus(real - fake).mean(),
        "alone": lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
        "averages": lambda real, fake: softplus(fake.mean() - real.mean()),
        "all_pairs": lambda real, fake: softplus(fake.reshape(-1, 1) - real.reshape(1, -1)).mean(),
        "wasserstein": lambda real, fake: fake.mean() - real.mean(),
        "norm": length,
        "pixels": lambda slope: slope.flatten(1).square().mean(dim=1),
        "one": lambda slope: (length(slope) - 1).square(),
        "unit": lambda interval: 1,
        "lighter": lambda interval: 1 / interval,
        "total": torch.sum,
        "detach": Tensor.detach,
    },
    table="""
    lost-graph     hold=detach    | the value is right, but the gradient is that of the pairs alone: the penalties have
                                  | lost their graph
    swapped        compare=swapped     | it rewards a D that scores fakes above data
    alone          compare=alone       | each score is judged by itself: the loss of chapter 1. Here pairs are compared
    averages       compare=averages    | averages are compared; here each pair is, and the mean comes last
    all-pairs      compare=all_pairs   | every real sample meets every fake; the i-th belongs to the i-th
    no-logarithm   compare=wasserstein | this is the critic's loss of WGAN: the difference goes through no softplus
    no-half        at=(1,1)       | the penalties are twice as heavy: γ comes with a ½
    unsquared      cost=norm      | the norms are averaged unsquared
    pixel-mean     cost=pixels    | the squares are averaged over the numbers of a sample. They are summed, and so γ
                                  | depends on the resolution
    held-at-one    cost=one       | the slopes are held at 1, as in WGAN-GP; R1 and R2 hold them at 0
    batch-sum      mean=total     | it adds up over the batch; an expectation is a mean
    r1-alone       at=(1/2,0)     | R2, the penalty at the fakes, is missing
    r2-alone       at=(0,1/2)     | R1, the penalty at the data, is missing
    r1-twice       at=(1,0)       | both penalties are taken at the data
    r2-twice       at=(0,1)       | both penalties are taken at the fakes
    not-heavier    heavy=unit     | a lazy penalty weighs no more than one in every step, and so pulls less on average
    lighter        heavy=lighter  | a lazy penalty is divided by its interval: it comes more rarely, and weighs less too
    every-step     every=True     | the penalties come in every step
    one-early      early=1        | the steps are counted from 1; the first one, 0, is due
    """,
)


# 7 The Dirac GAN -------------------------------------------------------------------------------------

# dψ/dt = -θ/2 - γψ, dθ/dt = ψ/2: eigenvalues -γ/2 ± √(γ²/4 - 1/4); here -0.3 ± 0.4i, of modulus 1/2.
DIRAC = numbers(
    "wgan_gp.dirac",
    "Two numbers that play",
    points=3,
    right="-0.3  0.4  1  2.4  sqrt(1.25)",
    table="""
    outwards        0.3   *    *  *  *   | the first number: a positive real part leads away from the equilibrium
    undamped        0     0.5  *  *  *   | these are the eigenvalues without a penalty
    no-half-in-f    -0.3  sqrt(0.91)  *  *  * | the second number: the slope of the loss at score 0 is a half, not 1
    gamma-unhalved  -0.6  *    *  *  *   | the real part is γ itself: both eigenvalues share it
    imag-unrooted   -0.3  0.16 *  *  *   | the second number is without its root
    whole-frequency -0.3  0.5  *  *  *   | the second number is that of the undamped circle; the penalty slows it down
    critical-half   *     *    0.5  *  * | the third: what is under the root vanishes; γ enters it halved and squared
    critical-double *     *    2  *  *   | the third: the slope of the loss at score 0 is a half, not 1
    real-part-only  *     *    *  2/0.3  * | the fourth comes from the real part alone; a step also goes sideways
    modulus-only    *     *    *  4  *   | the fourth comes from the modulus alone, as for a real eigenvalue
    half-the-step   *     *    *  1.2  * | the fourth: the length of 1 + hλ reaches 1 again later; a 2 is missing
    circles         *     *    *  *  1   | the fifth: the flow circles, but a step along the tangent leaves the circle
    not-rooted      *     *    *  *  1.25 | the fifth is the squared distance
    straight        *     *    *  *  1.5 | the fifth: the step is at a right angle to the radius
    unit-slope      *     *    *  *  sqrt(2) | the fifth: the slope of the loss at score 0 is a half, not 1
    """,
)


# 8 How heavy? -----------------------------------------------------------------------------------------

PENALTY_WEIGHT = essay(
    "wgan_gp.penalty_weight",
    "How heavy should the penalty be?",
    points=5,
    words=120,
    rubric=(
        "1 point: says before looking what each hypothesis predicts; A: with λ = 0.1 fewer clusters and good "
        "samples and a larger W₁ than with 10; B: these three alike, and only slope and reported distance grow as λ "
        "falls. 2 points: reads the table with its numbers: all eight clusters with 0.1 and 1, one or two with 10, "
        "so A points the wrong way, and B's equal samples fail too; and tells the report from the truth: too large, "
        "by about W²/2λ, where the slope is steep, and useless with 10, where a slope near 1 does not make the "
        "critic the best one (1 point for the clusters alone). 1 point: limits: one ring, two seeds, few steps, one "
        "rate, and a W₁ of 500 points that is not 0 for two batches of data either; a mechanism is called a guess. "
        "1 point: one further experiment with an outcome that would speak against the writer's own view."
    ),
)


SET = Set(
    "wgan_gp",
    "09_wgan_gp",
    "Penalties on the slope",
    (PENALTY_POINTS, GRADIENT_PENALTY, CRITIC_LOSS, OVERSHOOT, INFLUENCE, R3GAN_D_LOSS, DIRAC, PENALTY_WEIGHT),
)
