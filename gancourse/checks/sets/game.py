"""Chapter 1, two players: the objectives of the game, what they ask of D and G, and how a program plays it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import logsigmoid, softplus

from gancourse.checks.core import (
    Case,
    Exercise,
    Result,
    Set,
    Spec,
    Verdict,
    When,
    close,
    compare,
    right,
    run,
    written,
    wrong,
)

# 1 The discriminator's loss --------------------------------------------------------------------------


def logit_cases(seed: int) -> list[Case]:
    """Batches of real and generated logits, of unequal sizes, no logit near 0; last a D that is very sure."""
    generator = torch.Generator().manual_seed(seed)

    def logits(n: int, centre: float) -> Tensor:
        return centre + 0.7 * torch.randn(n, generator=generator)

    sure = torch.tensor([25.0, -30.0, 20.0]) + torch.rand(3, generator=generator)
    return [
        Case((logits(5, 1.2), logits(3, -0.4)), grads=(0, 1), note="5 real and 3 generated logits"),
        Case((logits(4, -1.0)[:, None], logits(6, 1.5)[:, None]), grads=(0, 1), note="logits (4, 1) and (6, 1)"),
        Case((sure, -sure.flip(0)[:2]), grads=(0, 1), note="logits of up to ±31, in single precision"),
    ]


def d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss, equation (1.8)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def broken_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """As the notebook gives it: one bag, labels exchanged, through probabilities."""
    bag = torch.cat([real_logits, fake_logits]).sigmoid()
    labels = torch.cat([torch.zeros_like(real_logits), torch.ones_like(fake_logits)])
    return F.binary_cross_entropy(bag, labels)


def _dead(cases: list[Case], results: list[Result]) -> bool:
    """Return whether a D that is very sure and wrong gets infinity, NaN, or next to no gradient."""
    if not bool(torch.isfinite(results[2].output)):
        return True
    real, fake = cases[2].args[0] < 0, cases[2].args[1] > 0  # data that D takes for fakes, and the other way round
    found = zip((results[2].gradient(0), results[2].gradient(1)), (real, fake), strict=True)
    return any(gradient is not None and gradient[mistaken].abs().max() < 1e-3 for gradient, mistaken in found)


def _first_two(formula: Callable[..., Any]) -> When:
    """Recognise a formula in the cases with moderate logits, whatever happens in the last."""
    return When(
        lambda cases, results: all(close(results[i].output, formula(*cases[i].args), 1e-3) for i in range(2)),
    )


D_LOSS = Exercise(
    name="game.d_loss",
    title="Find the bugs: a discriminator's loss from one bag",
    tier="implement",
    points=2,
    answer="d_loss",
    cases=logit_cases,
    judge=compare(
        d_loss,
        {
            "as-given": (
                _first_two(broken_d_loss),
                "this is the given code still. Try it on two real and six generated logits, then exchange the two",
            ),
            "swapped-labels": (
                _first_two(lambda real, fake: softplus(real).mean() + softplus(-fake).mean()),
                "the labels are swapped: it rewards a D that calls data generated and generated data real",
            ),
            "sign": (
                _first_two(lambda real, fake: -d_loss(real, fake)),
                "the sign is turned: D maximises V, so the loss that it minimises is −V, which is never negative",
            ),
            "missing-mean": (
                _first_two(lambda real, fake: softplus(-real).sum() + softplus(fake).sum()),
                "it adds up over the batch; an expectation is a mean, or the loss grows with the batch",
            ),
            "halved": (
                _first_two(lambda real, fake: d_loss(real, fake) / 2),
                "it is half of −V; the two expectations are added, not averaged",
            ),
            "fake-half-generator": (
                _first_two(lambda real, fake: softplus(-real).mean() + softplus(-fake).mean()),
                "its second half is the generator's loss: −log D(G(z)) where D needs −log(1 − D(G(z)))",
            ),
            "lost-parentheses": (
                _first_two(lambda real, fake: softplus(-real).mean() + fake.sigmoid().mean()),
                "the second half reads log 1 − D, which is −D; parentheses are missing",
            ),
            "real-only": (
                _first_two(lambda real, fake: softplus(-real).mean()),
                "the generated samples do not enter. A D that says 1 to everything would be perfect",
            ),
            "fake-only": (_first_two(lambda real, fake: softplus(fake).mean()), "the real samples do not enter"),
            "sigmoid-twice": (
                _first_two(lambda real, fake: d_loss(torch.sigmoid(real), torch.sigmoid(fake))),
                "a sigmoid is applied twice: the arguments are logits, and σ belongs inside the loss once",
            ),
            "pooled-mean": (
                _first_two(lambda real, fake: torch.cat([softplus(-real), softplus(fake)]).mean()),
                "one mean is taken over both batches together; each batch has a mean of its own, and the two are added",
            ),
            "rounded-sigmoid": (
                When(_dead),
                "right for moderate logits. But for a D that is very sure the sigmoid is rounded to 0 or 1, and the "
                "logarithm or its gradient is lost; stay with logits",
            ),
        },
    ),
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


def _sigma(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def _share(slope: Callable[[float], float], many: int = 99) -> float:
    """The share of the one sample at a = 2 among it and 99 samples at a = −6, by their slopes."""
    return slope(2.0) / (slope(2.0) + many * slope(-6.0))


BY_LOSS = [_share(_sigma), _share(lambda a: 1 - _sigma(a))]  # minimax, non-saturating

LUCKY_SHARES = Exercise(
    name="game.lucky_shares",
    title="Whose advice does the batch follow?",
    tier="predict",
    points=2,
    answer="lucky_shares",
    kind="value",
    judge=compare(
        BY_LOSS,
        {
            "losses-swapped": (BY_LOSS[::-1], "the two losses have changed places"),
            "percent": ([100 * share for share in BY_LOSS], "these are percent; give shares between 0 and 1"),
            "by-d": (
                [_share(lambda a: 1 / (1 - _sigma(a))), _share(lambda a: 1 / _sigma(a))],
                "these are shares of the slopes against D. The gradient goes on, through the sigmoid, to the logit",
            ),
            "by-value": (
                [_share(lambda a: -math.log(1 - _sigma(a))), _share(lambda a: -math.log(_sigma(a)))],
                "these are shares of the losses' values. A gradient asks for slopes",
            ),
            "one-against-one": (
                [_share(_sigma, many=1), _share(lambda a: 1 - _sigma(a), many=1)],
                "this weighs one sample against one; there are 99 of the other kind",
            ),
            "odds": (
                [share / (1 - share) for share in BY_LOSS],
                "this is the one sample over the 99. A share divides by all 100",
            ),
            "equal": ([0.01, 0.01], "every sample has the same weight in the mean, but not the same slope"),
            "saturates-as-well": (
                [BY_LOSS[0], BY_LOSS[0]],
                "the second number says that −log D listens to the lucky one as well. How large is its slope where D "
                "is nearly 0",
            ),
        },
        tol=0.02,
    ),
)


# 4 Stuck in one bump ---------------------------------------------------------------------------------

HELD = 0.75  # the share of the data in the bump that holds all fakes
D_HELD = HELD / (HELD + 1)
STUCK_D = -HELD * math.log(D_HELD) - math.log(1 - D_HELD)
STUCK = [D_HELD, STUCK_D, STUCK_D / 2, -math.log(D_HELD)]


def _item(position: int, *values: float) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(close(results[0].output[position], value, 0.01) for value in values))


STUCK_LOSSES = Exercise(
    name="game.stuck_losses",
    title="What the log says when G is stuck",
    tier="predict",
    points=2,
    answer="stuck_losses",
    kind="value",
    judge=compare(
        STUCK,
        {
            "bits": (
                [D_HELD, *(value / math.log(2) for value in STUCK[1:])],
                "the losses are in bits; the course measures in nats",
            ),
            "share-for-d": (
                _item(0, HELD),
                "the first number is the share of the data in that bump. D is asked about samples of the bag, and half "
                "of the bag are fakes",
            ),
            "half": (
                _item(0, 0.5),
                "D says ½ where data and fakes are equally dense. In that bump there are more fakes than data",
            ),
            "d-swapped": (_item(0, 1 - D_HELD), "the first number is the chance that a sample there is generated"),
            "forgotten-share": (
                _item(1, -math.log(D_HELD) - math.log(1 - D_HELD)),
                "the second number takes all data to be in the left bump, and even exceeds 2 log 2. Of the data on the "
                "right D is certain, and it costs nothing",
            ),
            "only-real": (
                _item(1, -HELD * math.log(D_HELD)),
                "the second number holds the real half alone; what do the fakes cost D",
            ),
            "sign": (
                _item(1, -STUCK_D),
                "the second number is V. A program prints −V, and a cross-entropy is never negative",
            ),
            "not-halved": (
                _item(2, STUCK_D),
                "the third program takes one mean over a bag of equal halves; (1.5) has a factor that changes no "
                "optimum and every log",
            ),
            "doubled": (_item(2, 2 * STUCK_D), "the third number: a mean over the whole bag is smaller, not larger"),
            "minimax": (
                _item(3, math.log(1 - D_HELD), -math.log(1 - D_HELD)),
                "the last number is made of 1 − D; the non-saturating loss asks for the target 1 on fakes",
            ),
            "weighted-fakes": (
                _item(3, -HELD * math.log(D_HELD)),
                "the last number is an average over fakes, and all of them are in the left bump",
            ),
        },
        tol=0.005,
    ),
)


# 5 The generator's gradient by hand ------------------------------------------------------------------


def hint_cases(seed: int) -> list[Case]:
    """Noise, logits and hints of a few samples, for both losses; once as many outputs as inputs."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for loss, m, d, n in (("nonsaturating", 5, 3, 2), ("minimax", 6, 3, 2), ("nonsaturating", 4, 2, 2)):
        z = torch.randn(m, d, generator=draws) + 0.5
        logits = 1.5 * torch.randn(m, generator=draws) - 0.8
        hints = torch.randn(m, n, generator=draws) + torch.linspace(-1.2, 0.9, n)
        cases.append(Case((z, logits, hints, loss), note=f"{loss!r}, {m} samples, {d} → {n} dimensions"))
    return cases


def _weight(logits: Tensor, loss: str) -> Tensor:
    return logits.sigmoid() if loss == "minimax" else 1 - logits.sigmoid()


def _pull(weight: Tensor, z: Tensor, hints: Tensor) -> tuple[Tensor, Tensor]:
    """Return minus the mean of weight · hint · (z, 1)ᵀ."""
    pulls = -weight[:, None] * hints
    return pulls.T @ z / len(z), pulls.mean(dim=0)


def g_gradient(z: Tensor, logits: Tensor, hints: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """The gradients of G's loss with respect to A and b, for G(z) = A z + b; equation (1.13)."""
    return _pull(_weight(logits, loss), z, hints)


def _by_D(z: Tensor, logits: Tensor, hints: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    D = logits.sigmoid()
    return _pull(1 / (1 - D) if loss == "minimax" else 1 / D, z, hints)


def _sigmoid_slope(z: Tensor, logits: Tensor, hints: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    D = logits.sigmoid()
    return _pull(D * (1 - D), z, hints)


def _means_first(z: Tensor, logits: Tensor, hints: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    return _pull(_weight(logits, loss).mean()[None], z.mean(dim=0)[None], hints.mean(dim=0)[None])


def _hint_means_first(z: Tensor, logits: Tensor, hints: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    pull = -(_weight(logits, loss)[:, None] * hints).mean(dim=0)
    return torch.outer(pull, z.mean(dim=0)), pull


def _each(change: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    return lambda *args: tuple(change(part) for part in g_gradient(*args))


G_GRADIENT = Exercise(
    name="game.g_gradient",
    title="The generator's gradient, finished by hand",
    tier="implement",
    points=3,
    answer="g_gradient",
    cases=hint_cases,
    judge=compare(
        g_gradient,
        {
            "names-swapped": (
                lambda z, logits, hints, loss: g_gradient(
                    z, logits, hints, "minimax" if loss == "nonsaturating" else "nonsaturating"
                ),
                "the two losses have changed places. Which one pushes hardest where D rejects",
            ),
            "minimax-in-name-only": (
                lambda z, logits, hints, loss: g_gradient(z, logits, hints, "nonsaturating"),
                "what it calls 'minimax' is the non-saturating loss. Published programs do the same; test it with a "
                "logit far below 0",
            ),
            "only-minimax": (
                lambda z, logits, hints, loss: g_gradient(z, logits, hints, "minimax"),
                "both names give the minimax gradient: the loss does not enter",
            ),
            "sign": (
                _each(torch.neg),
                "the sign is turned. G subtracts this gradient, and the logit of its samples should rise",
            ),
            "by-d": (
                _by_D,
                "the weight is the slope against D. The hints are gradients of the logit, and between the two stands "
                "the sigmoid",
            ),
            "sigmoid-slope": (
                _sigmoid_slope,
                "the weight is the slope of the sigmoid alone; the slope of the logarithm is missing",
            ),
            "no-weight": (
                lambda z, logits, hints, loss: _pull(torch.ones_like(logits), z, hints),
                "the hints are not weighted: D's verdict on each sample does not enter",
            ),
            "missing-mean": (
                lambda z, logits, hints, loss: tuple(len(z) * part for part in g_gradient(z, logits, hints, loss)),
                "it adds up over the samples; the loss is a mean",
            ),
            "means-first": (
                _means_first,
                "weights, hints and noise are averaged one by one. The mean of a product is not the product of means: "
                "which sample got which hint is lost",
            ),
            "noise-averaged": (
                _hint_means_first,
                "for A the noise is averaged before it meets the hints. The mean of a product is not the product of "
                "means",
            ),
            "transposed": (
                lambda *args: (g_gradient(*args)[0].mT, g_gradient(*args)[1]),
                "the gradient with respect to A is transposed; it has A's shape, a row for each output",
            ),
        },
    ),
)


# 6 The favourite of a frozen judge -------------------------------------------------------------------


def law_cases(seed: int) -> list[Case]:
    """Data and generator, both normal: narrow data twice, wide data, then equal widths on either side."""
    draws = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=draws, dtype=torch.float64).item()

    width = uniform(0.6, 1.2)
    left, centre = uniform(-1.2, -0.6), uniform(0.5, 1.2)
    return [
        Case((centre, uniform(0.4, 0.6), left, uniform(1.0, 1.5)), note="narrow data, to the right"),
        Case((left - 0.3, uniform(0.5, 0.7), centre, uniform(1.1, 1.6)), note="narrow data, to the left"),
        Case((centre, uniform(1.1, 1.6), left, uniform(0.5, 0.8)), note="data wider than the fakes"),
        Case((left, width, centre, width), note="equal widths, data to the left"),
        Case((centre, width, left, width), note="equal widths, data to the right"),
    ]


def favourite(data_mean: float, data_std: float, g_mean: float, g_std: float) -> float:
    """The place where the best D against N(g_mean, g_std²) is largest, or the side on which it rises for ever."""
    if data_std > g_std:
        return math.inf
    if data_std == g_std:
        return math.inf if data_mean > g_mean else -math.inf
    return _stationary(data_mean, data_std, g_mean, g_std)


def _stationary(m: float, s: float, mu: float, t: float) -> float:
    """The place where the slope of log p_data − log p_g vanishes."""
    return (m / s**2 - mu / t**2) / (1 / s**2 - 1 / t**2)


def _finite(formula: Callable[[float, float, float, float], float]) -> When:
    """Recognise a formula in the cases that have a finite favourite, whatever the answer does in the others."""
    return When(
        lambda cases, results: all(close(results[i].output, formula(*cases[i].args), 1e-3) for i in (0, 1)),
    )


def _peak(height: Callable[[Tensor, Tensor], Tensor]) -> Callable[[float, float, float, float], float]:
    """Return the function that finds the largest height(p_data, p_g) on a fine grid."""

    def place(m: float, s: float, mu: float, t: float) -> float:
        x = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
        p, q = (torch.exp(-0.5 * ((x - mean) / std) ** 2) / std for mean, std in ((m, s), (mu, t)))
        return x[height(p, q).argmax()].item()

    return place


def _only(which: int, value: Callable[..., float] | None = None) -> When:
    """Recognise an answer that is right except in one case, where it gives `value` or anything."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        others = [i for i in range(len(cases)) if i != which]
        if not all(close(results[i].output, favourite(*cases[i].args), 1e-3) for i in others):
            return False
        return value is None or close(results[which].output, value(*cases[which].args), 1e-3)

    return When(test)


def _is_finite(results: list[Result], *which: int) -> bool:
    return all(math.isfinite(float(results[i].output)) for i in which)


FAVOURITE = Exercise(
    name="game.favourite",
    title="The favourite of a frozen judge",
    tier="implement",
    points=3,
    answer="favourite",
    cases=law_cases,
    judge=compare(
        favourite,
        {
            "data-mean": (
                _finite(lambda m, s, mu, t: m),
                "it is where the data is densest. D compares two densities, and beyond that place fakes thin out "
                "faster than data",
            ),
            "product": (
                _finite(lambda m, s, mu, t: (m / s**2 + mu / t**2) / (1 / s**2 + 1 / t**2)),
                "it is the peak of the product of the two densities. The logit is the log of their ratio",
            ),
            "difference": (
                _finite(_peak(lambda p, q: p - q)),
                "it is where p_data − p_g is largest. D depends on the ratio of the densities, not on the difference",
            ),
            "no-square": (
                _finite(lambda m, s, mu, t: (m / s - mu / t) / (1 / s - 1 / t)),
                "a normal density has the variance in its exponent, not the standard deviation",
            ),
            "halfway": (
                _finite(lambda m, s, mu, t: (m + mu) / 2),
                "halfway between the means D is no more than undecided, if at all",
            ),
            "wrong-sign": (
                _finite(lambda m, s, mu, t: (m / s**2 + mu / t**2) / (1 / s**2 - 1 / t**2)),
                "close: a sign is wrong where the two slopes are set equal",
            ),
            "least-favourite": (
                _only(2, _stationary),
                "where the data is wider, the formula gives the place that D likes least: look at the curvature",
            ),
            "no-side": (
                _only(2),
                "right, except where the data is wider than the fakes. Which density wins far out, on both sides",
            ),
            "side": (
                When(
                    lambda cases, results: (
                        close(results[0].output, favourite(*cases[0].args), 1e-3)
                        and close([results[i].output for i in (3, 4)], [math.inf, -math.inf])
                    )
                ),
                "for equal widths D rises for ever, on the side where the data is; the sides are swapped",
            ),
            "one-side": (
                When(
                    lambda cases, results: (
                        close(results[0].output, favourite(*cases[0].args), 1e-3)
                        and close(results[3].output, math.inf)
                        and close(results[4].output, math.inf)
                    )
                ),
                "for equal widths the logit is a straight line. Where it falls to the right, it rises to the left",
            ),
            "edge": (
                When(
                    lambda cases, results: (
                        close(results[0].output, favourite(*cases[0].args), 0.02) and _is_finite(results, 2, 3, 4)
                    )
                ),
                "it gives the edge of the range that was searched. Where D rises for ever, no place is the best: the "
                "answer there is an infinity",
            ),
        },
        tol=1e-3,
    ),
)


# 7 Algorithm 1 ---------------------------------------------------------------------------------------


def loop_cases(seed: int) -> list[Case]:
    """Two small networks on the plane; k = 2 and k = 1 batches of data, and k + 1 of noise."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for k, m, eta in ((2, 4, 0.2), (1, 5, 0.3)):
        G = Spec("mlp", {"sizes": [3, 5, 2], "activation": "tanh", "seed": seed + 1})
        D = Spec("mlp", {"sizes": [2, 6, 1], "activation": "tanh", "seed": seed + 2})
        real = torch.randn(k, m, 2, generator=draws) + torch.tensor([1.5, -1.0])
        noise = torch.randn(k + 1, m, 3, generator=draws)
        step = eta + 0.1 * torch.rand((), generator=draws, dtype=torch.float64).item()
        cases.append(Case((G, D, real, noise, step), changes=(0, 1), note=f"k = {k}, batches of {m}"))
    return cases


def _move(network: Any, value: Tensor, eta: float) -> None:
    """Climb `value` by one step, changing this network alone."""
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(value, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter += eta * gradient


def _algorithm(
    *,
    d_sign: float = 1.0,
    g_sign: float = 1.0,
    d_eta: bool = True,
    g_eta: bool = True,
    nonsaturating: bool = False,
    inner: bool = False,
    g_first: bool = False,
    same_noise: bool = False,
    total: bool = False,
    d_moves: bool = True,
    g_moves: bool = True,
    one_batch: bool = False,
    other_half: bool = False,
) -> Callable[..., None]:
    """Return the training step, right by default; each argument brings back one mistake."""

    def average(values: Tensor) -> Tensor:
        return values.sum() if total else values.mean()

    def step(G: Any, D: Any, real: Tensor, noise: Tensor, eta: float) -> None:
        def generator_moves(z: Tensor) -> None:
            judged = D(G(z))
            score = logsigmoid(judged) if nonsaturating else -logsigmoid(-judged)
            if g_moves:
                _move(G, g_sign * average(score), eta if g_eta else 1.0)

        if g_first:
            generator_moves(noise[-1])
        for i, x in enumerate(real):
            data, z = (real[0], noise[0]) if one_batch else (x, noise[i])
            value = average(logsigmoid(D(data))) + average(logsigmoid(-D(G(z).detach())))
            if other_half:
                value = average(logsigmoid(D(data)))
            if d_moves:
                _move(D, d_sign * value, eta if d_eta else 1.0)
            if inner:
                generator_moves(noise[-1] if i == len(real) - 1 and not same_noise else noise[i])
        if not inner and not g_first:
            generator_moves(noise[len(real) - 1] if same_noise else noise[-1])

    return step


algorithm_1 = _algorithm()
"""One step of Algorithm 1 of the 2014 paper."""


def _backward(*, clear_d: bool, clear_g: bool, g_sign: float = -1.0, eta_d: bool = True) -> Callable[..., None]:
    """Return the step as a program with `backward()` writes it; gradients pile up where they are not cleared."""

    def step(G: Any, D: Any, real: Tensor, noise: Tensor, eta: float) -> None:
        for x, z in zip(real, noise[:-1], strict=True):
            if clear_d:
                D.zero_grad()
            (logsigmoid(D(x)).mean() + logsigmoid(-D(G(z))).mean()).backward()
            _add(D, eta if eta_d else 1.0)
        if clear_g:
            G.zero_grad()
        logsigmoid(-D(G(noise[-1]))).mean().backward()
        _add(G, g_sign * eta)

    return step


def _add(network: Any, factor: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += factor * parameter.grad


def _leaves(formula: Callable[..., None]) -> When:
    """Recognise a step by what it leaves of both players where D moves more than once; the other case costs time."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        (expected,) = run(formula, cases[:1])
        return all(close(results[0].changed(player), expected.changed(player)) for player in (0, 1))

    return When(test)


ALGORITHM_1 = Exercise(
    name="game.algorithm_1",
    title="Find the bugs: Algorithm 1",
    tier="implement",
    points=4,
    answer="algorithm_1",
    cases=loop_cases,
    judge=compare(
        algorithm_1,
        {
            "as-given": (
                _leaves(_backward(clear_d=False, clear_g=False, g_sign=1.0, eta_d=False)),
                "all of the given bugs are still there. Take one move of one player at a time: what should it change, "
                "in which direction, how far, and which gradients does it use",
            ),
            "no-learning-rate": (
                _leaves(_algorithm(d_eta=False)),
                "D moves by its whole gradient: the learning rate is missing there",
            ),
            "no-learning-rate-at-all": (
                _leaves(_algorithm(d_eta=False, g_eta=False)),
                "both players move by the whole gradient: η does not enter",
            ),
            "g-no-learning-rate": (
                _leaves(_algorithm(g_eta=False)),
                "G moves by its whole gradient: the learning rate is missing there",
            ),
            "g-climbs": (
                _leaves(_algorithm(g_sign=-1.0)),
                "G moves the wrong way: it learns to be recognised. The box lets it descend log(1 − D(G(z)))",
            ),
            "d-descends": (
                _leaves(_algorithm(d_sign=-1.0)),
                "D moves the wrong way: it makes V small, and learns to call data generated",
            ),
            "nonsaturating": (
                _leaves(_algorithm(nonsaturating=True)),
                "this is what programs do, but not what the box says: G's loss in the box is the minimax one",
            ),
            "left-over-gradients": (
                _leaves(_backward(clear_d=False, clear_g=False)),
                "gradients pile up: backward() adds to what earlier moves have left, in D and in G",
            ),
            "d-left-over": (
                _leaves(_backward(clear_d=False, clear_g=True)),
                "D's gradients pile up over its k moves: backward() adds to what is there",
            ),
            "g-left-over": (
                _leaves(_backward(clear_d=True, clear_g=False)),
                "D's half leaves gradients in G, because nothing cuts the graph there, and G's move uses them too",
            ),
            "inner-loop": (
                _leaves(_algorithm(inner=True)),
                "G moves once for each move of D. The two loops of the box are k moves of D, and then one of G",
            ),
            "g-first": (
                _leaves(_algorithm(g_first=True)),
                "G moves before D. In the box it is judged by the D that has just moved",
            ),
            "same-noise": (
                _leaves(_algorithm(same_noise=True)),
                "G's move uses the noise of D's last move again; the box draws fresh noise",
            ),
            "one-batch": (
                _leaves(_algorithm(one_batch=True)),
                "all k moves of D see the same batch; the box draws new ones for each",
            ),
            "missing-mean": (_leaves(_algorithm(total=True)), "it adds up over the batch where the box has 1/m"),
            "d-frozen": (_leaves(_algorithm(d_moves=False)), "D does not move at all: this is the frozen judge"),
            "g-frozen": (_leaves(_algorithm(g_moves=False)), "G does not move at all"),
            "data-only": (
                _leaves(_algorithm(other_half=True)),
                "D learns from data alone; the generated half of V is missing. It will say 1 to everything",
            ),
        },
    ),
)


# 8 Does it matter that the minimax loss saturates? ---------------------------------------------------

SATURATION = Exercise(
    name="game.saturation",
    title="Does it matter that a loss saturates?",
    tier="investigate",
    points=5,
    answer="saturation",
    kind="text",
    judge=written(120),
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
