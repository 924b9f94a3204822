"""Chapter 1, two players: the objectives of the game, what they ask of D and G, and how a program plays it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import logsigmoid, softplus

from gancourse.checks.core import Case, Exercise, Result, Set, Spec, Verdict, right, wrong
from gancourse.checks.forms import RightBut, essay, function, generator_of, not_finite, numbers, same, uniform

# 1 The discriminator's loss --------------------------------------------------------------------------


def logit_cases(seed: int) -> list[Case]:
    """Batches of real and generated logits, of unequal sizes, no logit near 0; last a D that is very sure."""
    draws = generator_of(seed)

    def logits(n: int, centre: float) -> Tensor:
        return centre + 0.7 * torch.randn(n, generator=draws)

    sure = torch.tensor([25.0, -30.0, 20.0]) + torch.rand(3, generator=draws)
    return [
        Case((logits(5, 1.2), logits(3, -0.4)), grads=(0, 1), note="5 real and 3 generated logits"),
        Case((logits(4, -1.0)[:, None], logits(6, 1.5)[:, None]), grads=(0, 1), note="logits (4, 1) and (6, 1)"),
        Case((sure, -sure.flip(0)[:2]), grads=(0, 1), note="logits of up to ±31, in single precision"),
    ]


def d_loss(real_logits, fake_logits, *, see=same, targets=(1, 0), half=softplus, mean=torch.mean, on=(1, 1), factor=1):
    """The discriminator's loss, equation (1.8).

    Knobs: what the logits go through; the targets of data and fakes; the fakes' cost of a logit; how a batch becomes a
    number; the weights of both halves, and of the whole.
    """
    real, fake = see(real_logits) * (1 - 2 * targets[0]), see(fake_logits) * (1 - 2 * targets[1])
    return factor * (on[0] * mean(softplus(real)) + on[1] * mean(half(fake)))


def _as_given(real: Tensor, fake: Tensor) -> Tensor:
    """One bag, labels exchanged, through probabilities."""
    labels = torch.cat([torch.zeros_like(real), torch.ones_like(fake)])
    return F.binary_cross_entropy(torch.cat([real, fake]).sigmoid(), labels)


def _lost(case: Case, result: Result) -> bool:
    """Return whether a D that is very sure and wrong gets infinity, NaN, or next to no gradient."""
    real, fake = case.args[0] < 0, case.args[1] > 0  # data that D takes for fakes, and the other way round
    found = zip((result.gradient(0), result.gradient(1)), (real, fake), strict=True)
    return not_finite(case, result) or any(g is not None and g[mistaken].abs().max() < 1e-3 for g, mistaken in found)


D_LOSS = function(
    "game.d_loss",
    "Find the bugs: a discriminator's loss from one bag",
    points=2,
    cases=logit_cases,
    reference=d_loss,
    where="@0,1",
    let={
        "given": _as_given,
        "sum": torch.sum,
        "sigmoid": torch.sigmoid,
        "bag": lambda real, fake: torch.cat([softplus(-real), softplus(fake)]).mean(),
        "rounded": RightBut((2,), _lost),
    },
    table="""
    as-given             given      | this is the given code still. Try it on two real and six generated logits, then
                                    | exchange the two
    swapped-labels       targets=(0,1) | the labels are swapped: it rewards a D that calls data generated
    sign                 factor=-1  | the sign is turned: D maximises V, and minimises −V, which is never negative
    missing-mean         mean=sum   | it adds up over the batch, so the loss grows with it; an expectation is a mean
    halved               factor=1/2 | it is half of −V; the two expectations are added, not averaged
    fake-half-generator  targets=(1,1) | its second half is the generator's loss, and falls where fakes pass for data
    lost-parentheses     half=sigmoid | the second half reads log 1 − D, which is −D; parentheses are missing
    real-only            on=(1,0)   | the generated samples do not enter. A D that says 1 to everything would be perfect
    fake-only            on=(0,1)   | the real samples do not enter
    sigmoid-twice        see=sigmoid | a sigmoid is applied twice: σ belongs inside the loss, once
    pooled-mean          bag        | one mean is taken over both batches together; each batch has a mean of its own
    rounded-sigmoid      rounded    | right for moderate logits. But for a D that is very sure the sigmoid is rounded to
                                    | 0 or 1, and the logarithm or its gradient is lost; stay with logits
    """,
)


# 2 Which sentences are wrong? ------------------------------------------------------------------------

#: Number of the sentence in the notebook → whether it is wrong, hint id, hint.
SENTENCES: dict[int, tuple[bool, str, str]] = {
    1: (True, "median", "the pulls of L1 have equal strength, near and far. Where do they balance with three values"),
    2: (False, "push-forward", "p_g is defined by just this, through G(z) alone; an inverse of G is never used"),
    3: (True, "noise-prior", "check types: what goes into G has latent_dim entries; in which space does p_g live"),
    4: (False, "order", "the player inside answers, and to answer is an advantage. Who answers on the left"),
    5: (True, "two-losses", "both losses pull D(G(z)) up; compare how hard, where D is nearly 0"),
    6: (True, "attribution", "look at the end of section 3 of the paper of 2014"),
    7: (False, "zero-sum", "add up what the two players minimise; does the sum depend on D"),
    8: (True, "both-vanish", "there are two slopes against the logit, and they add up to −1. Can both be near 0"),
    9: (True, "likelihood", "ask what a classifier between data and noise, or matching the slope of log p, maximises"),
    10: (False, "half", "an untrained D says ½ as well"),
}
WRONG_SENTENCES = [number for number, (is_wrong, _, _) in SENTENCES.items() if is_wrong]


def judge_sentences(cases: list[Case], results: list[Result]) -> Verdict:
    """Judge a list of numbers in any order, and name the first sentence that is misjudged."""
    answer = results[0].output
    if answer is None:
        return wrong("not-done", "not written yet: the answer is still None")
    numbers = answer.tolist() if isinstance(answer, Tensor) else answer
    if not isinstance(numbers, (list, tuple)) or not all(type(number) is int for number in numbers):
        return wrong("type", "a list of whole numbers is expected, such as [2, 10]")
    if strange := [number for number in numbers if number not in SENTENCES]:
        return wrong("value", f"there is no sentence {strange[0]}")
    for number, (is_wrong, hint_id, hint) in SENTENCES.items():
        if (number in numbers) != is_wrong:
            return wrong(hint_id, f"think again about sentence {number}: {hint}")
    return right()


SENTENCES_EXERCISE = Exercise(
    name="game.wrong_sentences",
    title="Ten sentences from course notes",
    tier="predict",
    points=2,
    answer="wrong_sentences",
    kind="value",
    judge=judge_sentences,
)


# 3 Whose advice does the batch follow? ---------------------------------------------------------------


def _s(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def _one(here: float, there: float, others: int = 99) -> float:
    """The share of one sample with the slope `here`, among others with the slope `there`."""
    return here / (here + others * there)


LUCKY_SHARES = numbers(
    "game.lucky_shares",
    "Whose advice does the batch follow?",
    points=2,
    right="m  n",  # minimax, non-saturating: one sample at a = 2 among 99 at a = −6
    let={"m": _one(_s(2), _s(-6)), "n": _one(_s(-2), _s(6)), "one": _one, "s": _s},
    tol=0.02,
    table="""
    losses-swapped     n  m             | the two losses have changed places
    percent            100*m  100*n     | these are percent; give shares between 0 and 1
    by-d               one(1/s(-2),1/s(6))  one(1/s(2),1/s(-6)) | these are shares of slopes against D, not the logit
    by-value           one(-log(s(-2)),-log(s(6)))  one(-log(s(2)),-log(s(-6))) | these are shares of losses, not slopes
    one-against-one    one(s(2),s(-6),1)  one(s(-2),s(6),1) | this weighs one sample against one; there are 99 others
    odds               m/(1-m)  n/(1-n) | this is the one sample over the 99. A share divides by all 100
    equal              0.01  0.01       | every sample has the same weight in the mean, but not the same slope
    saturates-as-well  m  m             | the second number: how large is the slope of −log D where D is nearly 0
    """,
)


# 4 Stuck in one bump ---------------------------------------------------------------------------------

# Three quarters of the data lie in the bump that holds all fakes.
STUCK_LOSSES = numbers(
    "game.stuck_losses",
    "What the log says when G is stuck",
    points=2,
    right="D  loss  loss/2  -log(D)",
    let={"D": 3 / 7, "loss": -0.75 * math.log(3 / 7) - math.log(4 / 7)},
    tol=0.005,
    table="""
    bits             D  loss/log(2)  loss/2/log(2)  -log(D)/log(2) | the losses are in bits; the course measures in nats
    share-for-d      3/4  *  *  * | the first number is a share of the data. D is asked about a bag, half of it fakes
    half             1/2  *  *  * | the first number: in that bump there are more fakes than data, and D knows it
    d-swapped        4/7  *  *  * | the first number is the chance that a sample there is generated
    forgotten-share  *  -log(D)-log(4/7)  *  * | the second number takes all data to be in the left bump
    only-real        *  -0.75*log(D)  *  * | the second number holds the real half alone; what do the fakes cost D
    sign             *  -loss  *  * | the second number is V. A program prints −V, and a cross-entropy is never negative
    not-halved       *  *  loss  * | the third program takes one mean over a bag of equal halves; see (1.5)
    doubled          *  *  2*loss  * | the third number: a mean over the whole bag is smaller, not larger
    minimax          *  *  *  log(4/7);-log(4/7) | the last number is made of 1 − D; but on fakes the target is 1
    weighted-fakes   *  *  *  -0.75*log(D) | the last number averages over fakes; all are in the left bump
    """,
)


# 5 The generator's gradient by hand ------------------------------------------------------------------


def hint_cases(seed: int) -> list[Case]:
    """Noise, logits and hints of a few samples, for both losses; once as many outputs as inputs."""
    draws = generator_of(seed)
    cases = []
    for loss, m, d, n in (("nonsaturating", 5, 3, 2), ("minimax", 6, 3, 2), ("nonsaturating", 4, 2, 2)):
        z = torch.randn(m, d, generator=draws) + 0.5
        logits = 1.5 * torch.randn(m, generator=draws) - 0.8
        hints = torch.randn(m, n, generator=draws) + torch.linspace(-1.2, 0.9, n)
        cases.append(Case((z, logits, hints, loss), note=f"{loss!r}, {m} samples, {d} → {n} dimensions"))
    return cases


def _weight(D: Tensor, loss: str) -> Tensor:
    return D if loss == "minimax" else 1 - D


def g_gradient(z, logits, hints, loss, *, weight=_weight, sign=-1, total=False):
    """The gradients of G's loss with respect to A and b, for G(z) = A z + b; equation (1.13)."""
    pulls = sign * weight(logits.sigmoid(), loss)[:, None] * hints / (1 if total else len(z))
    return pulls.T @ z, pulls.sum(dim=0)


def _averaged(z, logits, hints, loss, *, first=True):
    """The noise is averaged before it meets the hints; with `first`, hints and weights are as well."""
    weight = _weight(logits.sigmoid(), loss)[:, None]
    pull = -weight.mean() * hints.mean(dim=0) if first else -(weight * hints).mean(dim=0)
    return torch.outer(pull, z.mean(dim=0)), pull


G_GRADIENT = function(
    "game.g_gradient",
    "The generator's gradient, finished by hand",
    points=3,
    cases=hint_cases,
    reference=g_gradient,
    let={
        "other": lambda D, loss: 1 - _weight(D, loss),
        "refused": lambda D, loss: 1 - D,
        "accepted": lambda D, loss: D,
        "by_d": lambda D, loss: 1 / (1 - _weight(D, loss)),
        "sigmoid": lambda D, loss: D * (1 - D),
        "one": lambda D, loss: torch.ones_like(D),
        "averaged": _averaged,
        "transposed": lambda *args: (g_gradient(*args)[0].mT, g_gradient(*args)[1]),
    },
    table="""
    names-swapped         weight=other   | the two losses have changed places. Which one pushes hardest where D rejects
    minimax-in-name-only  weight=refused | what it calls 'minimax' is the non-saturating loss. Published programs do the
                                         | same; test it with a logit far below 0
    only-minimax          weight=accepted | both names give the minimax gradient: the loss does not enter
    sign                  sign=1         | the sign is turned. G subtracts this gradient, and its logits should rise
    by-d                  weight=by_d    | the weight is the slope against D; between D and the hints stands the sigmoid
    sigmoid-slope         weight=sigmoid | the weight is the slope of the sigmoid alone, without the logarithm's
    no-weight             weight=one     | the hints are not weighted: D's verdict on each sample does not enter
    missing-mean          total=True     | it adds up over the samples; the loss is a mean
    means-first           averaged       | all three are averaged one by one: which sample got which hint is lost
    noise-averaged        averaged first=False | for A the noise is averaged before it meets the hints
    transposed            transposed     | the gradient with respect to A is transposed; A has a row for each output
    """,
)


# 6 The favourite of a frozen judge -------------------------------------------------------------------


def law_cases(seed: int) -> list[Case]:
    """Data and generator, both normal: narrow data twice, wide data, then equal widths on either side."""
    draws = generator_of(seed)
    width = uniform(draws, 0.6, 1.2)
    left, centre = uniform(draws, -1.2, -0.6), uniform(draws, 0.5, 1.2)
    far, wide = uniform(draws, -2.0, -1.4), uniform(draws, 1.1, 1.6)
    return [
        Case((centre, uniform(draws, 0.4, 0.6), left, uniform(draws, 1.0, 1.5)), note="narrow data, to the right"),
        Case((far, uniform(draws, 0.5, 0.7), centre, wide), note="narrow data, to the left"),
        Case((centre, uniform(draws, 1.1, 1.6), left, uniform(draws, 0.5, 0.8)), note="data wider than the fakes"),
        Case((left, width, centre, width), note="equal widths, data to the left"),
        Case((centre, width, left, width), note="equal widths, data to the right"),
    ]


def _stationary(m: float, s: float, mu: float, t: float) -> float:
    """The place where the slope of log p_data − log p_g vanishes."""
    return (m / s**2 - mu / t**2) / (1 / s**2 - 1 / t**2)


def _side(m: float, mu: float) -> float:
    return math.inf if m > mu else -math.inf


def favourite(data_mean, data_std, g_mean, g_std, *, wide=None, equal=_side) -> float:
    """The place where the best D against N(g_mean, g_std²) is largest, or the side on which it rises for ever."""
    if data_std > g_std:
        return wide(data_mean, data_std, g_mean, g_std) if wide else math.inf
    return equal(data_mean, g_mean) if data_std == g_std else _stationary(data_mean, data_std, g_mean, g_std)


def _largest_difference(m: float, s: float, mu: float, t: float) -> float:
    x = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    p, q = (torch.exp(-0.5 * ((x - mean) / std) ** 2) / std for mean, std in ((m, s), (mu, t)))
    return x[(p - q).argmax()].item()


FAVOURITE = function(
    "game.favourite",
    "The favourite of a frozen judge",
    points=3,
    cases=law_cases,
    reference=favourite,
    tol=1e-3,
    let={
        "data": lambda m, s, mu, t: m,
        "product": lambda m, s, mu, t: (m / s**2 + mu / t**2) / (1 / s**2 + 1 / t**2),
        "difference": _largest_difference,
        "no_square": lambda m, s, mu, t: (m / s - mu / t) / (1 / s - 1 / t) if s != t else math.inf,
        "halfway": lambda m, s, mu, t: (m + mu) / 2,
        "sign": lambda m, s, mu, t: (m / s**2 + mu / t**2) / (1 / s**2 - 1 / t**2) if s != t else math.inf,
        "stationary": _stationary,
        "wide": RightBut((2,)),
        "fakes": lambda m, mu: _side(mu, m),
        "right": lambda m, mu: math.inf,
        "edge": RightBut((2, 3, 4), lambda case, result: not not_finite(case, result)),
    },
    table="""
    data-mean        data @0,1    | it is where the data is densest. Beyond that place fakes thin out faster than data
    product          product @0,1 | it is the peak of the product of the densities; the logit is of their ratio
    difference       difference @0,1 | it is where p_data − p_g is largest. D depends on the ratio of the densities
    no-square        no_square @0,1 | a normal density has the variance in its exponent, not the standard deviation
    halfway          halfway @0,1 | halfway between the means D is no more than undecided, if at all
    wrong-sign       sign @0,1    | close: a sign is wrong where the two slopes are set equal
    least-favourite  wide=stationary | where the data is wider, D likes this place least: look at the curvature
    no-side          wide         | right, except where the data is wider. Which density wins far out
    side             equal=fakes  | for equal widths D rises for ever, towards the data; the sides are swapped
    one-side         equal=right  | for equal widths the logit is a line. If it falls on one side, it rises on the other
    edge             edge         | it gives the edge of the range that was searched; D rises beyond it for ever
    """,
)


# 7 Algorithm 1 ---------------------------------------------------------------------------------------


def loop_cases(seed: int) -> list[Case]:
    """Two small networks on the plane; k = 2 and k = 1 batches of data, and k + 1 of noise."""
    draws = generator_of(seed)
    cases = []
    for k, m, eta in ((2, 4, 0.2), (1, 5, 0.3)):
        G = Spec("mlp", {"sizes": [3, 5, 2], "activation": "tanh", "seed": seed + 1})
        D = Spec("mlp", {"sizes": [2, 6, 1], "activation": "tanh", "seed": seed + 2})
        real = torch.randn(k, m, 2, generator=draws) + torch.tensor([1.5, -1.0])
        noise = torch.randn(k + 1, m, 3, generator=draws)
        step = uniform(draws, eta, eta + 0.1)
        cases.append(Case((G, D, real, noise, step), changes=(0, 1), note=f"k = {k}, batches of {m}"))
    return cases


def _move(network: Any, value: Tensor, eta: float) -> None:
    """Climb `value` by one step, changing this network alone."""
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(value, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter += eta * gradient


def algorithm_1(
    G: Any,
    D: Any,
    real: Tensor,
    noise: Tensor,
    eta: float,
    *,
    d_rate: float | None = None,
    g_rate: float | None = None,
    d_sign: float = 1.0,
    g_sign: float = 1.0,
    score: Callable[[Tensor], Tensor] = lambda a: -logsigmoid(-a),
    inner: bool = False,
    g_first: bool = False,
    old_noise: bool = False,
    old_batch: bool = False,
    average: Callable[[Tensor], Tensor] = torch.mean,
    fakes: float = 1.0,
) -> None:
    """One step of Algorithm 1 of the 2014 paper; each knob brings back one mistake."""

    def generator_moves(z: Tensor) -> None:
        _move(G, g_sign * average(score(D(G(z)))), eta if g_rate is None else g_rate)

    if g_first:
        generator_moves(noise[-1])
    for i in range(len(real)):
        x, z = real[0 if old_batch else i], noise[0 if old_batch else i]
        value = average(logsigmoid(D(x))) + fakes * average(logsigmoid(-D(G(z).detach())))
        _move(D, d_sign * value, eta if d_rate is None else d_rate)
        if inner:
            generator_moves(noise[-1] if i == len(real) - 1 else noise[i])
    if not inner and not g_first:
        generator_moves(noise[-2 if old_noise else -1])


def _backward(G, D, real, noise, eta, *, clear_d=False, clear_g=False, g_sign=-1.0, d_rate=None) -> None:
    """The step as a program with `backward()` writes it; gradients pile up where they are not cleared."""
    for x, z in zip(real, noise[:-1], strict=True):
        if clear_d:
            D.zero_grad()
        (logsigmoid(D(x)).mean() + logsigmoid(-D(G(z))).mean()).backward()
        _add(D, d_rate or eta)
    if clear_g:
        G.zero_grad()
    logsigmoid(-D(G(noise[-1]))).mean().backward()
    _add(G, g_sign * eta)


def _add(network: Any, factor: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += factor * parameter.grad


ALGORITHM_1 = function(
    "game.algorithm_1",
    "Find the bugs: Algorithm 1",
    points=4,
    cases=loop_cases,
    reference=algorithm_1,
    let={"backward": _backward, "likely": logsigmoid, "sum": torch.sum},
    table="""
    as-given                 backward g_sign=1 d_rate=1 | all of the given bugs are still there. Take one move of one
                                     | player at a time: what should it change, in which direction, how far, and which
                                     | gradients does it use
    no-learning-rate         d_rate=1 | D moves by its whole gradient: the learning rate is missing there
    no-learning-rate-at-all  d_rate=1 g_rate=1 | both players move by the whole gradient: η does not enter
    g-no-learning-rate       g_rate=1 | G moves by its whole gradient: the learning rate is missing there
    g-climbs                 g_sign=-1 | G moves the wrong way: it learns to be recognised. The box lets it descend
    d-descends               d_sign=-1 | D moves the wrong way: it makes V small, and learns to call data generated
    nonsaturating            score=likely | this is what programs do; G's loss in the box is the minimax one
    left-over-gradients      backward | gradients pile up: backward() adds to what is there, in D and in G
    d-left-over              backward clear_g=True | D's gradients pile up over its k moves: backward() adds
    g-left-over              backward clear_d=True | D's half leaves gradients in G, and G's move uses them
    inner-loop               inner=True | G moves once for each move of D; the box has k moves of D, then one of G
    g-first                  g_first=True | G moves before D. In the box it is judged by the D that has just moved
    same-noise               old_noise=True | G's move uses the noise of D's last move again; the box draws fresh noise
    one-batch                old_batch=True | all k moves of D see the same batch; the box draws new ones for each
    missing-mean             average=sum | it adds up over the batch where the box has 1/m
    d-frozen                 d_rate=0 | D does not move at all: this is the frozen judge
    g-frozen                 g_rate=0 | G does not move at all
    data-only                fakes=0 | D learns from data alone; the generated half of V is missing
    """,
)


# 8 Does it matter that the minimax loss saturates? ---------------------------------------------------

SATURATION = essay(
    "game.saturation",
    "Does it matter that a loss saturates?",
    points=5,
    words=120,
    rubric=(
        "1 point: predictions for all four pairs of loss and optimiser are stated before the table is read, with a "
        "reason from the slopes of (1.11). "
        "2 points: reads the table correctly and quotes its numbers for both seeds: after the head start the minimax "
        "loss stands still under SGD and moves under Adam (1 point for this); says which prediction failed. "
        "1 point: explains it: D's logit on fakes is strongly negative, so the minimax slope is tiny; Adam divides "
        "each step by the size of recent gradients, so a tiny but steady gradient still makes a full step. "
        "1 point: limits (one dimension, one data law, two seeds, chosen learning rates, one head start) and one "
        "further experiment with an outcome that could prove the writer wrong."
    ),
)


SET = Set(
    "game",
    "01_two_players",
    "Two players, one game",
    (D_LOSS, SENTENCES_EXERCISE, LUCKY_SHARES, STUCK_LOSSES, G_GRADIENT, FAVOURITE, ALGORITHM_1, SATURATION),
)
