"""Chapter 7, least squares: two losses with targets, the best scores, and what is and is not descended."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gancourse.checks.core import Case, Set
from gancourse.checks.forms import Places, essay, function, generator_of, numbers, same, uniform

DOUBLE = torch.float64


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


def square(off):
    """Return the mean square of how far scores are off their target."""
    return off.square().mean()


def ls_losses(real_scores, fake_scores, a, b, c, *, see=same, cut=same, price=square, d=0.5, g=0.5, on=(1, 1, 0)):
    """The two least-squares losses with the targets a (fakes), b (data) and c (what G wants); Mao et al. 2017, (2).

    Knobs: what scores go through, and D's fakes besides; the price of being off target; the factors of both losses; the
    weights of data and fakes in D's loss, and of data in G's.
    """
    real, fake = see(real_scores), see(fake_scores)
    d_loss = on[0] * price(real - b) + on[1] * price(cut(fake) - a)
    return d * d_loss, g * (price(fake - c) + on[2] * price(real - c))


def _one_bag(real, fake, a, b, c, *, half=1.0, table=False):
    """D's loss as one mean over both batches; with `table` each score is held against each target."""
    scores = torch.cat([real.flatten(), fake.flatten()])
    targets = torch.cat([torch.full((real.numel(),), b), torch.full((fake.numel(),), a)])
    return half * square(scores[:, None] - targets if table else scores - targets), ls_losses(real, fake, a, b, c)[1]


LS_LOSSES = function(
    "lsgan.ls_losses",
    "Two losses on a map of patches",
    points=3,
    cases=score_cases,
    reference=ls_losses,
    let={
        "sigmoid": torch.sigmoid,
        "mean": Tensor.mean,
        "picture": lambda scores: scores.flatten(1).mean(dim=1),
        "detach": Tensor.detach,
        "sum": lambda off: off.square().sum(),
        "pictures": lambda off: off.square().sum() / len(off),
        "absolute": lambda off: off.abs().mean(),
        "root": lambda off: off.square().mean().sqrt(),
        "swap": lambda real, fake, a, b, c: ls_losses(real, fake, b, a, c),
        "aim": lambda real, fake, a, b, c, *, at, g=0.5: ls_losses(real, fake, a, b, {"a": a, "b": b}[at], g=g),
        "bag": _one_bag,
        "order": lambda *args: ls_losses(*args)[::-1],
    },
    table="""
    sigmoid-first         see=sigmoid      | a sigmoid comes first; D's raw output is held against the targets
    averaged-first        see=mean         | it averages and then squares: a D right on average would learn nothing
    averaged-per-picture  see=picture      | each picture's map is averaged first; a patch is judged by itself
    targets-swapped       swap             | D's two targets have changed places; which of them is the data's
    no-halves             d=1 g=1          | the halves are missing. No optimum moves, but the numbers in a log do
    d-not-halved          d=1              | D's loss has no halves, and G's has one
    g-not-halved          g=1              | G's loss has no half, and D's has
    real-only             on=(1,0,0)       | the fakes do not enter D's loss: one constant would be perfect
    fake-only             on=(0,1,0)       | the data does not enter D's loss: one constant would be perfect
    summed                price=sum        | it adds up over batch and patches; an expectation is a mean
    summed-over-patches   price=pictures   | it divides by the number of pictures alone, and not of patches
    absolute              price=absolute   | it takes absolute differences, whose pull does not grow
    rooted                price=root       | a root is taken of the mean square; the square itself is the loss
    g-wants-fake          aim at='a'       | G's loss is lowest where D recognises every fake
    g-wants-b             aim at='b'       | G aims at D's target for data. Often so, but c is a number of its own
    g-minimax             aim at='a' g=-.5 | G's loss is D's with the sign turned; it has no lowest value
    g-on-data             on=(1,1,1)       | G's loss holds real scores. A proof adds them; G cannot lower them
    pooled                bag              | D's loss is one mean over both batches; each has a mean of its own
    pooled-and-halved     bag half=1/2     | D's loss is half of one mean over both batches; each has its own
    broadcast             bag table=True   | in D's loss every score meets every target: a column minus a row
    broadcast-and-halved  bag table=True half=1/2 | in D's loss every score meets every target: a table
    order                 order            | the two results have changed places
    cut-for-d             cut=detach       | D's loss is cut off from the fakes' scores. What is detached in a training
                                           | step is the picture, before D sees it
    """,
)


# 2 At equilibrium ------------------------------------------------------------------------------------

AT_EQUILIBRIUM = numbers(
    "lsgan.at_equilibrium",
    "What the log says at equilibrium",
    points=2,
    right="1/4  1/8  1  0",  # L_D and L_G for 0/1/1, then for -1/1/0
    tol=0.005,
    table="""
    no-halves        1/2  1/4  2  0     | the halves in front of the expectations are missing
    only-g-halved    1/2  1/8  2  0     | D's loss is without its halves
    fooled           1/2  0  2  1/2     | this D calls everything data. The best one cannot tell, and pays twice
    perfect-d        0  1/2  0  1/2     | this is a D that recognises every sample. Against a perfect G no D can
    one-term         1/8  1/8  1/2  0   | D's loss has two terms, and here each costs the same
    half-in-both     1/4  1/8  5/4  1/8 | ½ is the best score of the first coding only
    g-wants-b        1/4  1/8  1  1/2   | the last number: in the second coding G does not aim at D's target for data
    cross-entropy    2*log(2);log(2)  *  *  * | the first number is that of chapter 1; here are no logarithms
    codings-swapped  1  0  1/4  1/8     | the two codings have changed places
    g-first          1/8  1/4  0  1     | D's loss comes first, then G's
    """,
)


# 3 Far on the data's side ----------------------------------------------------------------------------

FAR_SLOPES = numbers(
    "lsgan.far_slopes",
    "A fake far inside the data's side",
    points=2,
    right="-D  D-1  4",  # minimax, non-saturating, least squares with 0/1/1
    let={"D": 1 / (1 + math.exp(-5))},
    table="""
    values           -log(1+exp(5))  log(1+exp(-5))  8 | these are the losses themselves; their slopes are asked for
    uphill           *  *  -4 | the sign of the third number: the score lies above its target
    no-half          *  *  8 | the third number is without the half in front of the square
    fake-target      *  *  5 | the third number measures from the target of fakes; G has its own
    squared-sigmoid  *  *  -D*(1-D)**2;D-1;0 | the third number saturates; a parabola of the raw score does not
    losses-swapped   D-1  -D  4 | the first two have changed places: which is steep where D is fooled
    sign             D  1-D  4 | the signs of the first two are turned: log losses fall when the score rises
    by-d             1/(D-1)  -1/D  4 | the first two are slopes against the probability, not the score
    at-minus-five    D-1  -D  -6 | these are the slopes of a fake that D rejects
    """,
)


# 4 One batch for both --------------------------------------------------------------------------------

ONE_BATCH = numbers(
    "lsgan.one_batch",
    "Find the bug: a perfect discriminator that pays",
    points=2,
    right="3/8  3/16  3/4",  # of a perfect D, of the best score, and that score; three quarters are data
    tol=0.005,
    table="""
    fine             0  *  *         | the first number holds for equal shapes; what is a column minus a row
    equal-halves     1/2  1/4  1/2   | these are the numbers for as many fakes as data; look at the counts
    halved           3/16  3/32  3/4 | PyTorch's mean squared error has no half
    summed           1536;24  *  *   | the squares are added up; PyTorch's is a mean, here over a square table
    perfect-is-best  3/8  0;3/8  *   | the second number is that of the perfect D. Each score is held against all
                                     | targets of the batch; which score suits all of them best
    fakes-for-data   3/8  3/16  1/4  | the best score is the share of the other kind; the data has the target 1
    median           3/8  1/4  1     | the last two belong to the majority's target; a square is settled by the mean
    middle           3/8  1/4  1/2   | the last two belong to the middle of the targets; but there is more data
    """,
)


# 5 The best scores -----------------------------------------------------------------------------------


def density_cases(seed: int) -> list[Case]:
    """Two densities with zeros and thin tails; a D without an end, one that ends in tanh, three in a sigmoid."""
    draws = generator_of(seed)
    cases = []
    codings = [
        (uniform(draws, -1.6, -1.2), uniform(draws, 1.5, 1.9), -math.inf, math.inf, "no last activation"),
        (uniform(draws, -0.4, -0.1), uniform(draws, 1.7, 2.0), -1.0, 1.0, "tanh at the end"),
        (-1.0, 1.0, 0.0, 1.0, "a sigmoid at the end"),
        (uniform(draws, 1.5, 1.9), uniform(draws, -1.2, -0.8), 0.0, 1.0, "a sigmoid at the end, and b below a"),
        (uniform(draws, 0.4, 0.6), uniform(draws, 1.8, 2.1), 0.0, 1.0, "a sigmoid at the end, half-way out of reach"),
    ]
    for n, (a, b, low, high, words) in zip((9, 11, 10, 8, 9), codings, strict=True):
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


def _mixed(p, q, a, b):
    total = p + q
    return torch.where(total == 0, (a + b) / 2, (b * p + a * q) / torch.where(total == 0, 1.0, total))


def best_scores(p, q, a, b, low, high, *, mix=_mixed, ends=None):
    """The scores that minimise D's loss at each place, among those between low and high; p, q of shape (n,)."""
    return mix(p, q, a, b).clamp(*(ends or (low, high)))


def _squeezed(p, q, a, b, low, high):
    return _mixed(p, q, a, b) if math.isinf(low) else low + (high - low) * _mixed(p, q, float(b < a), float(b > a))


BEST_SCORES = function(
    "lsgan.best_scores",
    "The best scores, and those that are out of reach",
    points=3,
    cases=density_cases,
    reference=best_scores,
    let={
        "share": lambda p, q, a, b: _mixed(p, q, 0.0, 1.0),
        "swap": lambda p, q, a, b: _mixed(p, q, b, a),
        "squeezed": _squeezed,
        "decide": lambda p, q, a, b: _mixed((p > q) + 0.5 * (p == q), (p < q) + 0.5 * (p == q), a, b),
        "distributions": lambda p, q, a, b: _mixed(p / p.sum(), q / q.sum(), a, b),
        "distribution": lambda *args: _mixed(*args) / _mixed(*args).sum(),
        "sum": lambda p, q, a, b: b * p + a * q,
        "nowhere": Places(lambda p, q, *_: p + q == 0),
        "in_tails": Places(lambda p, q, *_: p + q < 1e-6),
    },
    table="""
    gan-optimum           mix=share       | this is the share of data, the best D of chapter 1; the targets come in
    targets-swapped       mix=swap        | the targets have changed places: where only data is, its target is best
    not-clamped           ends=(-inf,inf) | some of these scores lie outside what D's last layer can give
    always-a-probability  ends=(0,1)      | every score is brought between 0 and 1, also where D has no sigmoid
    squeezed              squeezed        | the targets are moved to the ends of the range. D's loss still measures from
                                          | the targets: where in the range is it lowest
    more-probable         mix=decide      | it decides for the more probable kind. The other kind costs as well
    normalised            mix=distributions        | the densities are scaled to sum to 1; each place decides for itself
    scores-normalised     mix=distribution         | the scores are scaled to sum to 1. They are no distribution over
                                                   | the places
    not-divided           mix=sum         | it weighs the targets, but the weights do not add up to 1
    both-vanish           nowhere         | right, except where both densities are 0. Read what is wanted there
    small-constant        in_tails        | right, except where both densities are tiny or 0: a small constant, meant to
                                          | avoid a division by zero, decides there
    """,
)


# 6 Reading a divergence from D's loss ----------------------------------------------------------------


def log_cases(seed: int) -> list[Case]:
    """Losses of the best D along a training, in four codings: of separated, unequal and equal distributions."""
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


def chi_square(d_losses, a, b, *, start=2, slope=8, scale=lambda gap: gap**2, last=same):
    """Σ (p − q)² / (p + q) from the loss of the best D; d_losses of shape (n,)."""
    return last(start - slope * d_losses / scale(b - a))


CHI_SQUARE = function(
    "lsgan.chi_square",
    "A divergence, read from D's loss",
    points=4,
    cases=log_cases,
    reference=chi_square,
    let={
        "one": lambda gap: 1,
        "four": lambda gap: 4,
        "abs": abs,
        "same": same,
        "root": lambda x: x.clamp(min=0).sqrt(),
        "mean": Tensor.mean,
    },
    table="""
    no-targets         scale=one         | right for the targets 0 and 1. What does a D that cannot tell pay for others
    gap-not-squared    scale=abs         | the distance of the targets enters unsquared; the losses are squares
    signed-gap         scale=same        | the distance of the targets enters unsquared, and with its sign
    minus-one-and-one  scale=four        | right for the targets −1 and 1 only; others stretch the loss
    no-halves          slope=4           | the halves in D's loss are forgotten: at equilibrium it would not be 0
    scaled-to-one      start=1 slope=4   | 0 at equilibrium is right, but separated distributions give 1. What should
                                         | they give
    too-large          start=4 slope=16  | 0 at equilibrium is right, but separated distributions give 4. What should
                                         | they give
    upside-down        start=0 slope=-8  | it rises with D's loss. When the distributions are far apart D's work is easy
    sign               start=-2 slope=-8 | the sign is turned: a divergence is never negative
    no-start           start=0           | the slope is right, but equal distributions do not give 0: a constant is
                                         | missing
    jensen-shannon     start=log(2) slope=1/2 scale=one | this is how chapter 1 reads its divergence; here are squares
    rooted             last=root         | a root is taken; the divergence in the task is the sum itself
    one-number         last=mean         | it gives one number for the whole log; each loss has a divergence of its own
    """,
)


# 7 A discriminator that ends in a sigmoid ------------------------------------------------------------

# A quarter of the data lies where all fakes are. The best score there is −0.6, or 0 for a sigmoid.
SIGMOID_END = numbers(
    "lsgan.sigmoid_end",
    "Find the bug: a generator that believes it is done",
    points=3,
    right="0.4  0.18  0.625  0",
    tol=0.005,
    table="""
    no-halves          0.8  0.36  1.25  0   | the halves in front of the expectations are missing
    same-twice         0.4  0.18  0.4  0.18 | can a sigmoid give the score that the best D would give on the right
    reversed           0.625  0  0.4  0.18  | the two programs have changed places
    squeezed           0.4  0.18  0.8  0.02 | the last two squeeze the best score into the sigmoid's range. D minimises
                                            | what the targets ask for, and goes as low as it can
    probability        0.8  0.02  0.8  0.02 | these belong to shares of data. The best score lies between targets
    sure-on-the-right  0.5  *  *  *         | the first number takes D to be sure on the right; data is there too
    share-forgotten    1;1.36  *  *  *      | the first number takes all data to be on the right
    g-wants-b          *  1.28  *  0.5      | G's losses measure from D's target for data; here G aims elsewhere
    only-right         *  *  0.5  *         | the third number leaves out what the data on the right costs D
    half-at-best       0.4  0.18  1.25  1/8 | the last two belong to a D that cannot tell. It can, with half of its
                                            | range
    """,
)


# 8 Whose divergence? ---------------------------------------------------------------------------------

WHOSE_DIVERGENCE = essay(
    "lsgan.whose_divergence",
    "Does a step of G descend Pearson's χ²?",
    points=5,
    words=120,
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
    (LS_LOSSES, AT_EQUILIBRIUM, FAR_SLOPES, ONE_BATCH, BEST_SCORES, CHI_SQUARE, SIGMOID_END, WHOSE_DIVERGENCE),
)
