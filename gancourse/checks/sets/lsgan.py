"""Chapter 7, least squares: two losses with targets, the best scores, and what is and is not descended."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gancourse.checks.core import Case, Exercise, Result, Set, When, close, compare, written

DOUBLE = torch.float64


def generator_of(seed: int) -> torch.Generator:
    """Return a random generator for the cases of one seed."""
    return torch.Generator().manual_seed(seed)


def uniform(draws: torch.Generator, low: float, high: float) -> float:
    """Return one number, uniform between two."""
    return low + (high - low) * torch.rand((), generator=draws, dtype=DOUBLE).item()


def _item(position: int, *values: float) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(close(results[0].output[position], value, 0.01) for value in values))


# 1 Two losses on a map of patches --------------------------------------------------------------------


def score_cases(seed: int) -> list[Case]:
    """One score for each picture, then a map of scores; batches of unequal sizes, and targets without symmetry."""
    draws = generator_of(seed)

    def scores(*shape: int, centre: float) -> Tensor:
        return centre + 0.9 * torch.randn(*shape, generator=draws)

    def targets() -> tuple[float, float, float]:
        return uniform(draws, -0.9, -0.5), uniform(draws, 1.2, 1.5), uniform(draws, 0.6, 0.9)

    plain = (scores(5, 1, centre=1.6), scores(3, 1, centre=-1.4), *targets())
    maps = (scores(2, 1, 3, 4, centre=0.2), scores(4, 1, 3, 4, centre=1.9), *targets())
    return [
        Case(plain, grads=(0, 1), note="scores (5, 1) and (3, 1)"),
        Case(maps, grads=(0, 1), note="maps (2, 1, 3, 4) and (4, 1, 3, 4)"),
    ]


def _half(scores: Tensor, target: float) -> Tensor:
    return 0.5 * (scores - target).square().mean()


def ls_losses(real_scores: Tensor, fake_scores: Tensor, a: float, b: float, c: float) -> tuple[Tensor, Tensor]:
    """The two least-squares losses with the targets a (fakes), b (data) and c (what G wants); Mao et al. 2017, (2)."""
    return _half(real_scores, b) + _half(fake_scores, a), _half(fake_scores, c)


def _after(change: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Right losses of scores that were changed first."""
    return lambda real, fake, a, b, c: ls_losses(change(real), change(fake), a, b, c)


def _with(distance: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The losses with another price for being off target."""
    return lambda real, fake, a, b, c: (distance(real - b) + distance(fake - a), distance(fake - c))


def _pooled(factor: float) -> Callable[..., tuple[Tensor, Tensor]]:
    def losses(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> tuple[Tensor, Tensor]:
        squares = torch.cat([(real - b).flatten(), (fake - a).flatten()]).square()
        return factor * squares.mean(), _half(fake, c)

    return losses


def _broadcast(cases: list[Case], results: list[Result]) -> bool:
    """Return whether D's loss holds every score of the joined batch against every target."""
    for case, result in zip(cases, results, strict=True):
        real, fake, a, b, _ = case.args
        scores = torch.cat([real.flatten(), fake.flatten()])
        targets = torch.cat([torch.full((real.numel(),), b), torch.full((fake.numel(),), a)])
        crossed = (scores[:, None] - targets).square().mean()
        if not any(close(result.output[0], factor * crossed) for factor in (1.0, 0.5)):
            return False
    return True


LS_LOSSES = Exercise(
    name="lsgan.ls_losses",
    title="Two losses on a map of patches",
    tier="implement",
    points=3,
    answer="ls_losses",
    cases=score_cases,
    judge=compare(
        ls_losses,
        {
            "sigmoid-first": (
                _after(torch.sigmoid),
                "the scores go through a sigmoid first. They are not logits here: D's raw output is held against the "
                "targets",
            ),
            "averaged-first": (
                _after(lambda scores: scores.mean()),
                "it averages the scores and then squares. A D that is wrong everywhere, but right on average, would "
                "pay nothing and learn nothing",
            ),
            "averaged-per-picture": (
                _after(lambda scores: scores.flatten(1).mean(dim=1)),
                "it averages the map of each picture before it squares. Each patch is judged by itself",
            ),
            "targets-swapped": (
                lambda real, fake, a, b, c: ls_losses(real, fake, b, a, c),
                "D's two targets have changed places; which of a and b belongs to the data",
            ),
            "no-halves": (
                lambda real, fake, a, b, c: tuple(2 * loss for loss in ls_losses(real, fake, a, b, c)),
                "the halves are missing. No optimum moves, but the numbers in a log double",
            ),
            "d-not-halved": (
                lambda real, fake, a, b, c: (2 * ls_losses(real, fake, a, b, c)[0], _half(fake, c)),
                "D's loss has no halves, and G's has one",
            ),
            "g-not-halved": (
                lambda real, fake, a, b, c: (ls_losses(real, fake, a, b, c)[0], 2 * _half(fake, c)),
                "G's loss has no half, and D's has",
            ),
            "real-only": (
                lambda real, fake, a, b, c: (_half(real, b) + 0 * fake.sum(), _half(fake, c)),
                "the generated samples do not enter D's loss: one constant score would be perfect",
            ),
            "fake-only": (
                lambda real, fake, a, b, c: (_half(fake, a) + 0 * real.sum(), _half(fake, c)),
                "the data does not enter D's loss: one constant score would be perfect",
            ),
            "summed": (
                _with(lambda off: 0.5 * off.square().sum()),
                "it adds up over batch and patches; an expectation is a mean, or the loss grows with the picture",
            ),
            "summed-over-patches": (
                _with(lambda off: 0.5 * off.square().sum() / len(off)),
                "it divides by the number of pictures alone; the loss grows with the number of patches",
            ),
            "absolute": (
                _with(lambda off: 0.5 * off.abs().mean()),
                "it takes the absolute difference. Then the pull does not grow with the distance from the target",
            ),
            "rooted": (
                _with(lambda off: 0.5 * off.square().mean().sqrt()),
                "a root is taken of the mean square; the square itself is the loss",
            ),
            "g-wants-fake": (
                lambda real, fake, a, b, c: (ls_losses(real, fake, a, b, c)[0], _half(fake, a)),
                "G's loss is lowest where D recognises every fake. What does G want D to say",
            ),
            "g-wants-b": (
                lambda real, fake, a, b, c: (ls_losses(real, fake, a, b, c)[0], _half(fake, b)),
                "G aims at D's target for data. That is a common choice, but c is a number of its own",
            ),
            "g-minimax": (
                lambda real, fake, a, b, c: (ls_losses(real, fake, a, b, c)[0], -_half(fake, a)),
                "G's loss is D's with the sign turned. It has no lowest value: G would drive the scores to infinity",
            ),
            "g-on-data": (
                lambda real, fake, a, b, c: (ls_losses(real, fake, a, b, c)[0], _half(fake, c) + _half(real, c)),
                "G's loss holds a term of real scores. A proof adds it; no step of G can lower it",
            ),
            "pooled": (
                _pooled(1.0),
                "D's loss is one mean over both batches together, which weighs them by their sizes. Each batch has a "
                "mean of its own",
            ),
            "pooled-and-halved": (
                _pooled(0.5),
                "D's loss is half of one mean over both batches together, which weighs them by their sizes. Each batch "
                "has a mean of its own",
            ),
            "broadcast": (
                When(_broadcast),
                "in D's loss every score is held against every target of the batch: shapes that differ are spread "
                "into a table, and nobody complains",
            ),
            "order": (
                lambda real, fake, a, b, c: ls_losses(real, fake, a, b, c)[::-1],
                "the two results have changed places",
            ),
            "cut-for-d": (
                lambda real, fake, a, b, c: (_half(real, b) + _half(fake.detach(), a), _half(fake, c)),
                "the scores of generated samples are cut off in D's loss, so D does not learn from them. What is "
                "detached in a training step is the picture, before D sees it",
            ),
        },
    ),
)


# 2 At equilibrium ------------------------------------------------------------------------------------

BALANCE = [0.25, 0.125, 1.0, 0.0]  # L_D and L_G for 0/1/1, then for -1/1/0

AT_EQUILIBRIUM = Exercise(
    name="lsgan.at_equilibrium",
    title="What the log says at equilibrium",
    tier="predict",
    points=2,
    answer="at_equilibrium",
    kind="value",
    judge=compare(
        BALANCE,
        {
            "no-halves": ([2 * loss for loss in BALANCE], "the halves in front of the expectations are missing"),
            "only-g-halved": ([0.5, 0.125, 2.0, 0.0], "D's loss is without its halves"),
            "fooled": (
                [0.5, 0.0, 2.0, 0.5],
                "this is a D that calls everything data. The best D does not: it cannot tell, and pays on both sides",
            ),
            "perfect-d": (
                [0.0, 0.5, 0.0, 0.5],
                "this is a D that recognises every sample. Against a perfect G no D can",
            ),
            "one-term": ([0.125, 0.125, 0.5, 0.0], "D's loss has two terms, and here each costs the same"),
            "half-in-both": (
                [0.25, 0.125, 1.25, 0.125],
                "½ is the best score of the first coding only. Where is the best compromise of the other two targets",
            ),
            "g-wants-b": (
                [0.25, 0.125, 1.0, 0.5],
                "the last number: in the second coding G does not aim at D's target for data",
            ),
            "cross-entropy": (
                _item(0, 2 * math.log(2), math.log(2)),
                "the first number is the balance of the GAN of chapter 1; here squares are averaged, no logarithms",
            ),
            "codings-swapped": (BALANCE[2:] + BALANCE[:2], "the two codings have changed places"),
            "g-first": ([0.125, 0.25, 0.0, 1.0], "D's loss comes first, then G's"),
        },
        tol=0.005,
    ),
)


# 3 Far on the data's side ----------------------------------------------------------------------------

FAR = 5.0
D_FAR = 1 / (1 + math.exp(-FAR))
FAR_SLOPE = [-D_FAR, -(1 - D_FAR), FAR - 1]  # minimax, non-saturating, least squares with 0/1/1

FAR_SLOPES = Exercise(
    name="lsgan.far_slopes",
    title="A fake far inside the data's side",
    tier="predict",
    points=2,
    answer="far_slopes",
    kind="value",
    judge=compare(
        FAR_SLOPE,
        {
            "values": (
                [-math.log(1 + math.exp(FAR)), math.log(1 + math.exp(-FAR)), 0.5 * (FAR - 1) ** 2],
                "these are the losses themselves; their slopes are asked for",
            ),
            "uphill": (
                _item(2, -(FAR - 1)),
                "the third number has the wrong sign. The score is already above the target; which way does a square "
                "pull",
            ),
            "no-half": (_item(2, 2 * (FAR - 1)), "the third number is without the half in front of the square"),
            "fake-target": (_item(2, FAR), "the third number measures from the target of fakes; G has one of its own"),
            "squared-sigmoid": (
                _item(2, (D_FAR - 1) * D_FAR * (1 - D_FAR), D_FAR - 1, 0.0),
                "the third number belongs to a D that ends in a sigmoid, or to a loss that is content with every high "
                "score. Least squares takes the raw score, and its parabola has two arms",
            ),
            "losses-swapped": (
                [FAR_SLOPE[1], FAR_SLOPE[0], FAR_SLOPE[2]],
                "the first two have changed places: which of them has its steep part where D is fooled",
            ),
            "sign": (
                [-FAR_SLOPE[0], -FAR_SLOPE[1], FAR_SLOPE[2]],
                "the signs of the first two are turned: both logarithmic losses fall when the score rises",
            ),
            "by-d": (
                [-1 / (1 - D_FAR), -1 / D_FAR, FAR_SLOPE[2]],
                "the first two are slopes against the probability. All three are asked for against the score",
            ),
            "at-minus-five": (
                [-(1 - D_FAR), -D_FAR, -FAR - 1],
                "these are the slopes of a fake that D rejects; here D takes it for data",
            ),
        },
        tol=0.01,
    ),
)


# 4 One batch for both --------------------------------------------------------------------------------

SHARE = 48 / 64
CROSSED = [2 * SHARE * (1 - SHARE), SHARE * (1 - SHARE), SHARE]  # of a perfect D, of the best score, that score

ONE_BATCH = Exercise(
    name="lsgan.one_batch",
    title="Find the bug: a perfect discriminator that pays",
    tier="predict",
    points=2,
    answer="one_batch",
    kind="value",
    judge=compare(
        CROSSED,
        {
            "fine": (
                _item(0, 0.0),
                "the first number would be right for equal shapes. What does a column minus a row give",
            ),
            "equal-halves": ([0.5, 0.25, 0.5], "these are the numbers for as many fakes as data; look at the counts"),
            "halved": ([value / 2 for value in CROSSED[:2]] + [SHARE], "PyTorch's mean squared error has no half"),
            "summed": (
                _item(0, 64 * 64 * CROSSED[0], 64 * CROSSED[0]),
                "the squares are added up; PyTorch's mean squared error is a mean, here over a square table",
            ),
            "perfect-is-best": (
                When(
                    lambda cases, results: (
                        close(results[0].output[0], CROSSED[0], 0.01)
                        and any(close(results[0].output[1], value, 0.01) for value in (0.0, CROSSED[0]))
                    )
                ),
                "the second number takes the perfect D for the best one. Each score is held against all targets of "
                "the batch; which score suits all of them best",
            ),
            "fakes-for-data": (
                [CROSSED[0], CROSSED[1], 1 - SHARE],
                "the best score is the share of the other kind; the data has the target 1",
            ),
            "median": (
                [CROSSED[0], 1 - SHARE, 1.0],
                "the last two belong to the majority's target. A square is settled by the mean of the targets, not by "
                "the most frequent one",
            ),
            "middle": (
                [CROSSED[0], 0.25, 0.5],
                "the last two belong to the middle between the targets. There are more data than fakes",
            ),
        },
        tol=0.005,
    ),
)


# 5 The best scores -----------------------------------------------------------------------------------


def density_cases(seed: int) -> list[Case]:
    """Two densities with zeros and thin tails; a D without an end, one that ends in tanh, one in a sigmoid."""
    draws = generator_of(seed)
    cases = []
    codings = [
        (uniform(draws, -1.6, -1.2), uniform(draws, 1.5, 1.9), -math.inf, math.inf, "no last activation"),
        (uniform(draws, -0.4, -0.1), uniform(draws, 1.7, 2.0), -1.0, 1.0, "tanh at the end"),
        (-1.0, 1.0, 0.0, 1.0, "a sigmoid at the end"),
        (uniform(draws, 1.5, 1.9), uniform(draws, -1.2, -0.8), 0.0, 1.0, "a sigmoid at the end, and b below a"),
    ]
    for n, (a, b, low, high, words) in zip((9, 11, 10, 8), codings, strict=True):
        p, q = (0.05 + torch.rand(n, generator=draws, dtype=DOUBLE) for _ in range(2))
        p[0], q[0] = 0.9, 0.2
        p[1], q[1] = 0.2, 0.9
        p[2], q[2] = 0.0, 0.4
        p[3], q[3] = 0.3, 0.0
        p[4], q[4] = 0.0, 0.0
        p[5], q[5] = 3e-13, 1e-13
        order = torch.randperm(n, generator=draws)
        cases.append(Case((p[order], q[order], a, b, low, high), note=words))
    return cases


def _mixed(p: Tensor, q: Tensor, a: float, b: float) -> Tensor:
    total = p + q
    empty = total == 0
    mean = (b * p + a * q) / torch.where(empty, torch.ones_like(total), total)
    return torch.where(empty, torch.full_like(total, (a + b) / 2), mean)


def best_scores(p: Tensor, q: Tensor, a: float, b: float, low: float, high: float) -> Tensor:
    """The scores that minimise D's loss at each place, among those between low and high."""
    return _mixed(p, q, a, b).clamp(low, high)


def _places(cases: list[Case], results: list[Result], chosen: Callable[[Tensor, Tensor], Tensor]) -> tuple[bool, bool]:
    """Return whether the answers are right outside the chosen places, and whether they are right there."""
    outside, inside = True, True
    for case, result in zip(cases, results, strict=True):
        there = chosen(*case.args[:2])
        off = (result.output - best_scores(*case.args)).abs()
        off = torch.where(off.isnan(), torch.full_like(off, math.inf), off)
        outside &= bool((off[~there] < 1e-3).all())
        inside &= bool((off[there] < 1e-3).all())
    return outside, inside


def _only_off(chosen: Callable[[Tensor, Tensor], Tensor]) -> When:
    return When(lambda cases, results: _places(cases, results, chosen) == (True, False))


BEST_SCORES = Exercise(
    name="lsgan.best_scores",
    title="The best scores, and those that are out of reach",
    tier="implement",
    points=3,
    answer="best_scores",
    cases=density_cases,
    judge=compare(
        best_scores,
        {
            "gan-optimum": (
                lambda p, q, a, b, low, high: _mixed(p, q, 0.0, 1.0).clamp(low, high),
                "this is the share of data at each place, the best D of chapter 1. The targets decide where between "
                "them the best score lies",
            ),
            "targets-swapped": (
                lambda p, q, a, b, low, high: best_scores(p, q, b, a, low, high),
                "the targets have changed places: where there is only data, the best score is the data's target",
            ),
            "not-clamped": (
                lambda p, q, a, b, low, high: _mixed(p, q, a, b),
                "some of these scores lie outside what D's last layer can give",
            ),
            "always-a-probability": (
                lambda p, q, a, b, low, high: _mixed(p, q, a, b).clamp(0, 1),
                "every score is brought between 0 and 1, also where D has no sigmoid. Use the range that is given",
            ),
            "squeezed": (
                lambda p, q, a, b, low, high: (
                    _mixed(p, q, a, b)
                    if math.isinf(low)
                    else low + (high - low) * _mixed(p, q, float(b < a), float(b > a))
                ),
                "the scores are rescaled so that the targets fall on the ends of the range. D's loss still measures "
                "from the targets; at each place look for the point of the range where its parabola is lowest",
            ),
            "more-probable": (
                lambda p, q, a, b, low, high: (
                    torch.where(p > q, b, a).where(p != q, torch.full_like(p, (a + b) / 2)).clamp(low, high)
                ),
                "it decides for the more probable kind. A square charges for being wrong on the other kind as well, "
                "so the best score is a compromise",
            ),
            "normalised": (
                lambda p, q, a, b, low, high: _mixed(p / p.sum(), q / q.sum(), a, b).clamp(low, high),
                "the densities are scaled to sum to 1 first. They are densities already, and only their values at one "
                "place decide about that place",
            ),
            "scores-normalised": (
                lambda p, q, a, b, low, high: (_mixed(p, q, a, b) / _mixed(p, q, a, b).sum()).clamp(low, high),
                "the scores are scaled to sum to 1. They are no distribution over the places",
            ),
            "not-divided": (
                lambda p, q, a, b, low, high: (b * p + a * q).clamp(low, high),
                "it weighs the targets, but the weights do not add up to 1",
            ),
            "both-vanish": (
                _only_off(lambda p, q: p + q == 0),
                "right, except where both densities are 0. Read in the task what is wanted there",
            ),
            "small-constant": (
                _only_off(lambda p, q: p + q < 1e-6),
                "right, except where both densities are tiny or 0: a small constant, meant to avoid a division by "
                "zero, decides there instead of the densities",
            ),
        },
    ),
)


# 6 Reading a divergence from D's loss ----------------------------------------------------------------


def log_cases(seed: int) -> list[Case]:
    """Losses of the best D along a training, in three codings: between separated laws, unequal and equal ones."""
    draws = generator_of(seed)
    cases = []
    codings = [
        (0.0, 1.0),
        (-1.0, 1.0),
        (uniform(draws, -0.9, -0.6), uniform(draws, 0.8, 1.1)),
        (uniform(draws, 0.8, 1.1), uniform(draws, -1.9, -1.6)),
    ]
    for n, (a, b) in zip((4, 6, 5, 3), codings, strict=True):
        p, q = torch.rand(2, n, 7, generator=draws, dtype=DOUBLE).pow(2).unbind()
        p[0, :3], q[0, 3:] = 0.0, 0.0
        p, q = p / p.sum(dim=1, keepdim=True), q / q.sum(dim=1, keepdim=True)
        q[-1] = p[-1]
        D = _mixed(p, q, a, b)
        losses = 0.5 * (p * (D - b) ** 2 + q * (D - a) ** 2).sum(dim=1)
        cases.append(Case((losses, a, b), note=f"{n} losses, a = {a:.3g}, b = {b:.3g}"))
    return cases


def chi_square(d_losses: Tensor, a: float, b: float) -> Tensor:
    """Σ (p − q)² / (p + q) from the loss of the best D."""
    return 2 - 8 * d_losses / (b - a) ** 2


def _read(formula: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float, float], Tensor]:
    """A formula of the loss and of the distance of the targets."""
    return lambda d_losses, a, b: formula(d_losses, b - a)


CHI_SQUARE = Exercise(
    name="lsgan.chi_square",
    title="A divergence, read from D's loss",
    tier="implement",
    points=4,
    answer="chi_square",
    cases=log_cases,
    judge=compare(
        chi_square,
        {
            "no-targets": (
                _read(lambda loss, gap: 2 - 8 * loss),
                "right for the targets 0 and 1. When they are twice as far apart, what happens to the loss of a D that "
                "cannot tell",
            ),
            "gap-not-squared": (
                _read(lambda loss, gap: 2 - 8 * loss / abs(gap)),
                "the distance of the targets enters unsquared; the losses are squares",
            ),
            "signed-gap": (
                _read(lambda loss, gap: 2 - 8 * loss / gap),
                "the distance of the targets enters unsquared, and with its sign; the losses are squares",
            ),
            "minus-one-and-one": (
                _read(lambda loss, gap: 2 - 2 * loss),
                "right for the targets −1 and 1 only; others stretch the loss",
            ),
            "no-halves": (
                _read(lambda loss, gap: 2 - 4 * loss / gap**2),
                "the halves in D's loss are forgotten: at equilibrium it would not be 0",
            ),
            "scaled-to-one": (
                _read(lambda loss, gap: 1 - 4 * loss / gap**2),
                "0 at equilibrium is right, but separated laws give 1. What is the sum in the task when no place has "
                "both",
            ),
            "too-large": (
                _read(lambda loss, gap: 4 - 16 * loss / gap**2),
                "0 at equilibrium is right, but separated laws give 4. What is the sum in the task when no place has "
                "both",
            ),
            "upside-down": (
                _read(lambda loss, gap: 8 * loss / gap**2),
                "it rises with D's loss. When the laws are far apart D's work is easy, and the divergence is large",
            ),
            "sign": (
                _read(lambda loss, gap: 8 * loss / gap**2 - 2),
                "the sign is turned: a divergence is never negative",
            ),
            "no-start": (
                _read(lambda loss, gap: -8 * loss / gap**2),
                "the slope is right, but equal laws do not give 0: a constant is missing",
            ),
            "jensen-shannon": (
                _read(lambda loss, gap: math.log(2) - loss / 2),
                "this is how the Jensen–Shannon divergence is read from the loss of chapter 1; here D's loss is made "
                "of squares",
            ),
            "rooted": (
                _read(lambda loss, gap: (2 - 8 * loss / gap**2).clamp(min=0).sqrt()),
                "a root is taken; the divergence in the task is the sum itself",
            ),
            "one-number": (
                _read(lambda loss, gap: (2 - 8 * loss / gap**2).mean()),
                "it gives one number for the whole log; each loss has a divergence of its own",
            ),
        },
    ),
)


# 7 A discriminator that ends in a sigmoid ------------------------------------------------------------

HELD = 0.25  # the share of the data that lies where all fakes are


def _stuck(left: float, right: float, c: float = 0.0, held: float = HELD) -> list[float]:
    """The losses of D and G with the targets −1 and 1, for the scores on the left and on the right."""
    d_loss = 0.5 * ((1 - held) * (left - 1) ** 2 + held * (right - 1) ** 2) + 0.5 * (right + 1) ** 2
    return [d_loss, 0.5 * (right - c) ** 2]


BEST = (HELD - 1) / (HELD + 1)
ENDS = _stuck(1.0, BEST) + _stuck(1.0, 0.0)

SIGMOID_END = Exercise(
    name="lsgan.sigmoid_end",
    title="Find the bug: a generator that believes it is done",
    tier="predict",
    points=3,
    answer="sigmoid_end",
    kind="value",
    judge=compare(
        ENDS,
        {
            "no-halves": ([2 * loss for loss in ENDS], "the halves in front of the expectations are missing"),
            "same-twice": (
                ENDS[:2] * 2,
                "the sigmoid changes nothing in your answer. Which score would the best D give on the right, and can a "
                "sigmoid give it",
            ),
            "reversed": (ENDS[2:] + ENDS[:2], "the two programs have changed places"),
            "squeezed": (
                ENDS[:2] + _stuck(1.0, (BEST + 1) / 2),
                "the last two squeeze the best score into the sigmoid's range. D minimises what the targets ask for, "
                "and goes as low as it can",
            ),
            "probability": (
                _stuck(1.0, HELD / (1 + HELD)) * 2,
                "these belong to the share of data at each place. The best score lies between the targets, not between "
                "0 and 1",
            ),
            "sure-on-the-right": (
                _item(0, *_stuck(1.0, -1.0)[:1]),
                "the first number takes D to be sure on the right. A quarter of the data is there too, and a square "
                "makes D compromise",
            ),
            "share-forgotten": (
                _item(0, *_stuck(1.0, 0.0, held=1.0)[:1], 0.5 * (BEST - 1) ** 2 + 0.5 * (BEST + 1) ** 2),
                "the first number takes all data to be on the right. What of the data on the left costs D nothing",
            ),
            "g-wants-b": (
                When(
                    lambda cases, results: all(
                        close(results[0].output[i], 0.5 * (score - 1) ** 2, 0.01) for i, score in ((1, BEST), (3, 0.0))
                    )
                ),
                "G's losses measure from D's target for data; in this coding G aims elsewhere",
            ),
            "only-right": (
                _item(2, 0.5),
                "the third number leaves out what the data on the right costs D",
            ),
            "half-at-best": (
                ENDS[:2] + _stuck(0.5, 0.5),
                "the last two belong to a D that cannot tell. It can, and only part of its range is missing",
            ),
        },
        tol=0.005,
    ),
)


# 8 Whose divergence? ---------------------------------------------------------------------------------

WHOSE_DIVERGENCE = Exercise(
    name="lsgan.whose_divergence",
    title="Does a step of G descend Pearson's χ²?",
    tier="investigate",
    points=5,
    answer="whose_divergence",
    kind="text",
    judge=written(120),
    rubric=(
        "1 point: says before looking what each hypothesis predicts for the four rows; A: the coding −1/1/0 reaches "
        "χ² = 0 with a resting D too; B: it depends on whether a higher score is cheaper for G, so 0/1/1 does and "
        "−1/1/0 need not. "
        "2 points: reads the table with its numbers (both following rows and 0/1/1 at rest fall to 0, −1/1/0 at rest "
        "rises and loses cells) and names the gap: the term added in the proof has no parameter of G only while D "
        "rests, and depends on G once the best D is put in; or the equivalent, that at the midpoint c the squared "
        "distance is flat and charges the scores above c as much as those below (1 point for the table alone). "
        "1 point: limits: a table without neighbouring cells, a D that is the best at every step, few starts; "
        "networks may do better, and the paper reports that both codings work alike. "
        "1 point: one further experiment with an outcome that would speak against the writer's own view."
    ),
)


SET = Set(
    "lsgan",
    "07_lsgan",
    "Least squares",
    (
        LS_LOSSES,
        AT_EQUILIBRIUM,
        FAR_SLOPES,
        ONE_BATCH,
        BEST_SCORES,
        CHI_SQUARE,
        SIGMOID_END,
        WHOSE_DIVERGENCE,
    ),
)
