"""Chapter 5, measuring a GAN: what each number computes, who gets past it, and how a pipeline spoils it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gancourse.checks.builders import build_normed_mlp
from gancourse.checks.core import Case, Set, Spec
from gancourse.checks.forms import RightBut, essay, function, generator_of, not_finite, numbers, same

DOUBLE = torch.float64


def cloud(draws: torch.Generator, n: int, width: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """Return features with correlated columns and a mean of their own, float64 (n, width)."""
    mix = torch.randn(width, width, generator=draws, dtype=DOUBLE)
    mean = shift * torch.randn(width, generator=draws, dtype=DOUBLE)
    return scale * torch.randn(n, width, generator=draws, dtype=DOUBLE) @ mix + mean


# 1 Fréchet distance ----------------------------------------------------------------------------------


def frechet_cases(seed: int) -> list[Case]:
    """Clouds with more samples than features, and with fewer."""
    draws = generator_of(seed)
    return [
        Case((cloud(draws, 12, 4, 1.5), cloud(draws, 12, 4, 1.5, 0.7)), note="12 samples of 4 features"),
        Case((cloud(draws, 30, 3, 1.0), cloud(draws, 30, 3, 1.0, 1.6)), note="30 samples of 3 features"),
        Case((cloud(draws, 5, 8, 1.2), cloud(draws, 5, 8, 1.2, 1.4)), note="5 samples of 8 features"),
        Case((cloud(draws, 4, 14, 0.8), cloud(draws, 4, 14, 0.8)), note="4 samples of 14 features"),
    ]


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def _coupling(c1: Tensor, c2: Tensor) -> Tensor:
    return torch.linalg.svdvals(_root(c1) @ _root(c2)).sum()


def _columns(x: Tensor) -> Tensor:
    return x.T.cov()


def frechet(x, y, *, apart=Tensor.square, means=1, traces=1, cross=-2, couple=_coupling, cov=_columns, last=same):
    """The squared Fréchet distance of the Gaussians fitted to two clouds.

    Knobs: what is done to the distance of the means, the weights of the three terms, the trace of the cross term, the
    covariance, and what is done to the sum.
    """
    c1, c2 = cov(x), cov(y)
    distance = apart((x.mean(dim=0) - y.mean(dim=0)).norm())
    return float(last(means * distance + traces * (c1.trace() + c2.trace()) + cross * couple(c1, c2)))


FRECHET = function(
    "measure.frechet",
    "The Fréchet distance, also with few samples",
    points=4,
    cases=frechet_cases,
    reference=frechet,
    let={
        "same": same,
        "root": Tensor.sqrt,
        "biased": lambda x: x.T.cov(correction=0),
        "roots": lambda c1, c2: (_root(c1) @ _root(c2)).trace(),
        "deviations": lambda c1, c2: (c1.diag() * c2.diag()).sqrt().sum(),
        "rows": Tensor.cov,
        "few": RightBut((2, 3), not_finite),
    },
    table="""
    mean-not-squared   apart=same   | the means enter by their distance; it is squared, like everything else in the sum
    no-means           means=0      | the means do not enter: two clouds of one shape may lie far apart
    no-covariances     traces=0 cross=0 | only the means enter: a cloud shrunk to a point would be perfect
    root-of-the-whole  last=root    | it is the root of the answer: the FID is the squared distance
    factor-two         cross=-1     | the cross term comes twice, as in (a − b)² = a² + b² − 2ab. Try two equal clouds
    sign               cross=2      | the cross term has the wrong sign: two equal clouds should have distance 0
    biased-covariance  cov=biased   | the covariances are divided by N; the statement asks for N − 1
    roots-multiplied   couple=roots | it multiplies the roots and takes the trace: right only if covariances commute
    diagonal-only      couple=deviations | only the variances enter: correlated features and others look alike to it
    rows-for-features  cov=rows     | rows and columns are mixed up: each row of x is a sample
    tiny-negative      few          | with fewer samples than features it gives NaN: eigenvalues that should be 0 come
                                    | out as −1e-17, and their root is taken
    """,
)


# 2 Inception Score -----------------------------------------------------------------------------------


def score_cases(seed: int) -> list[Case]:
    """Logits of a judge that wavers, twice, and of one that is very sure."""
    draws = generator_of(seed)
    tilt = torch.randn(5, generator=draws)
    sure = torch.randint(4, (30,), generator=draws)
    extreme = 400.0 * torch.nn.functional.one_hot(sure, 4) + torch.randn(30, 4, generator=draws)
    return [
        Case((1.5 * torch.randn(40, 5, generator=draws) + tilt,), note="40 pictures, 5 classes"),
        Case((torch.cat([extreme, torch.randn(5, 4, generator=draws)]),), note="a judge that is very sure"),
        Case((1.2 * torch.randn(30, 5, generator=draws) - tilt,), note="30 pictures, 5 classes"),
    ]


def _entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum(dim=-1)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(dim=1)


def _mean_law(p: Tensor, logits: Tensor) -> Tensor:
    return p.mean(dim=0)


def _exp_mean(kl: Tensor) -> Tensor:
    return kl.mean().exp()


def inception_score(logits, *, judge=lambda a: a.softmax(dim=1), against=_mean_law, apart=_kl, last=_exp_mean):
    """The Inception Score from a classifier's logits.

    Knobs: how logits become p(y|x), the law that each is compared with, how they are, and what is done to the results.
    """
    p = judge(logits.double())
    return float(last(apart(p, against(p, logits.double()))))


INCEPTION_SCORE = function(
    "measure.inception_score",
    "The Inception Score from logits",
    points=3,
    cases=score_cases,
    reference=inception_score,
    let={
        "mean": Tensor.mean,
        "exp_first": lambda kl: kl.exp().mean(),
        "other": lambda p, q: (q * (q / p).log()).sum(dim=1),
        "bits": lambda kl: (kl.mean() / math.log(2)).exp(),
        "two": lambda kl: 2 ** kl.mean(),
        "uniform": lambda p, logits: torch.full_like(p[0], 1 / p.shape[1]),
        "variety": lambda p, q: _entropy(q),
        "sureness": lambda p, q: -_entropy(p),
        "logits": lambda p, logits: logits.mean(dim=0).softmax(dim=0),
        "columns": lambda logits: logits.softmax(dim=0).log().softmax(dim=1),
        "twice": lambda logits: logits.softmax(dim=1).softmax(dim=1),
        "sure": RightBut((1,), not_finite),
    },
    table="""
    missing-exp              last=mean        | it is the mean KL in nats; the score is the exponential of that
    mean-of-exp              last=exp_first   | the exponential is taken picture by picture; the mean comes first
    reversed-kl              apart=other @0,2 | the KL is in the other order; it averages under one picture's shares
    bits                     last=bits        | base 2 inside and base e outside; one base in both places does no harm
    two-to-the-nats          last=two         | nats inside and a power of 2 outside; one base in both does no harm
    uniform-marginal         against=uniform  | each picture is compared with equal shares of all classes
    variety-only             apart=variety    | only the labels' variety enters; noise would get full marks
    sureness-only            apart=sureness   | only the judge's sureness enters; one picture would get full marks
    marginal-of-mean-logits  against=logits   | the logits are averaged; average the probabilities
    wrong-axis               judge=columns    | the softmax runs over the pictures; each row should sum to 1
    softmax-twice            judge=twice      | a softmax is applied twice: what you pass on as logits are probabilities
    zero-log-zero            sure             | where the judge is very sure it gives NaN or infinity: a probability is
                                              | rounded to 0, and 0 · log 0 is not a number
    """,
)


# 3 KID -----------------------------------------------------------------------------------------------


def kid_cases(seed: int) -> list[Case]:
    """Unequal counts of samples, small and larger features; two equal laws whose estimate is negative."""
    draws = generator_of(seed)
    x = y = torch.ones(2, 2, dtype=DOUBLE)
    while kid(x, y) > -0.05:
        x, y = (torch.randn(n, 3, generator=draws, dtype=DOUBLE) for n in (8, 6))

    def apart(n: int, m: int, width: int, shift: float, scale: float) -> tuple[Tensor, Tensor]:
        pair = cloud(draws, n, width, shift), cloud(draws, m, width, shift, scale)
        return pair if kid(*pair) > 0.05 else apart(n, m, width, shift, scale)

    return [
        Case(apart(7, 5, 4, 0.5, 0.8), note="7 real and 5 generated, 4 features"),
        Case(apart(9, 12, 3, 0.3, 1.2), note="9 real and 12 generated, 3 features"),
        Case((x, y), note="8 real and 6 generated of one law"),
    ]


def kid(x, y, *, degree=3, constant=1, scaled=True, diagonal=False, less=1, cross=2, last=same):
    """The unbiased estimate of MMD² with the cubic kernel.

    Knobs: those of the kernel; whether a sample meets itself, and how many others it counts; the factor of the cross
    term; what is done to the sum.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / (a.shape[1] if scaled else 1) + constant) ** degree

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() if diagonal else k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - less))

    return float(last(within(x) + within(y) - cross * kernel(x, y).mean()))


KID = function(
    "measure.kid",
    "KID without bias",
    points=3,
    cases=kid_cases,
    reference=kid,
    let={"root": Tensor.sqrt, "cut": lambda value: value.clamp(min=0), "minus": torch.neg},
    table="""
    diagonal               diagonal=True less=0 | the pairs of a sample with itself are in the means, and bias them
    diagonal-in-the-sum    diagonal=True | the pairs of a sample with itself are in the sum, not in the count
    diagonal-in-the-count  less=0 | the pairs of a sample with itself are taken out of the sum, but not out of the count
    cross-once             cross=1 | the cross term comes twice. Are equal clouds at distance 0 on average
    no-scale               scaled=False | the inner product is not divided by the number of features
    no-constant            constant=0 | without the 1 the kernel sees third moments only; means and covariances pass by
    degree-two             degree=2 | the power is 2; it then misses the third moments
    linear                 degree=1 | the power is missing: a linear kernel compares means only
    root                   last=root | a root is taken; KID is a squared distance, and its estimate may be negative
    never-negative         last=cut | negative values are cut off; then the mean over many estimates is too large
    sign                   last=minus | the sign is turned: clouds far apart should have a large distance
    """,
)


# 4 Precision and recall ------------------------------------------------------------------------------


def ball_cases(seed: int) -> list[Case]:
    """Points on a lattice, where distances tie, and points in general position."""
    draws = generator_of(seed)

    def lattice(n: int, side: int, shift: int) -> Tensor:
        return torch.randint(side, (n, 2), generator=draws).double() + shift

    def plain(n: int, scale: float, shift: float) -> Tensor:
        return scale * torch.randn(n, 3, generator=draws, dtype=DOUBLE) + shift

    return [
        Case((lattice(20, 9, 0), lattice(24, 6, 3), 2), note="20 real and 24 generated on a lattice, k = 2"),
        Case((lattice(24, 6, 0), lattice(18, 12, 0), 3), note="24 real and 18 generated on a lattice, k = 3"),
        Case((plain(22, 1.0, 0.0), plain(25, 0.5, 0.8), 3), note="22 real and 25 generated, k = 3"),
        Case((plain(25, 0.7, 0.0), plain(20, 1.5, 0.3), 1), note="25 real and 20 generated, k = 1"),
    ]


def _pairs(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _points(inside: Tensor, distance: Tensor) -> Tensor:
    return inside.any(dim=0)


def precision_recall(
    real, fake, k, *, skip=1, holds=torch.le, radius=same, count=_points, swap=False, turn=True
) -> tuple[float, float]:
    """The shares of generated points near the data, and of real points near the samples.

    Knobs: how many neighbours of a ball's centre are no neighbours; what is in a ball; its radius; what is counted of
    the table (centres, points); whether the numbers change places; whether recall has balls of its own.
    """

    def share(centres: Tensor, points: Tensor, count: Callable[[Tensor, Tensor], Tensor]) -> float:
        reach = radius(_pairs(centres, centres).kthvalue(k + skip, dim=1).values)[:, None]
        distance = _pairs(centres, points)
        return count(holds(distance, reach), distance).double().mean().item()

    found = share(real, fake, count), share(fake, real, count) if turn else share(real, fake, _balls)
    return found[::-1] if swap else found


def _balls(inside: Tensor, distance: Tensor) -> Tensor:
    return inside.any(dim=1)


PRECISION_RECALL = function(
    "measure.precision_recall",
    "Find the bugs: a generator that is precise and has full recall",
    points=3,
    cases=ball_cases,
    reference=precision_recall,
    let={
        "inside": torch.lt,
        "mean": lambda radii: radii.mean().expand_as(radii),
        "max": lambda radii: radii.max().expand_as(radii),
        "nearest": lambda inside, distance: inside.gather(0, distance.argmin(dim=0)[None]),
        "balls": _balls,
    },
    table="""
    +swapped               swap=True     | the two numbers have changed places: around whom are precision's balls
    +counts-itself         skip=0        | each ball is too small: a point is its own nearest neighbour, at distance 0
    open-balls             holds=inside  | a point exactly on the rim of a ball is left out; the definition has ≤
    one-neighbour-further  skip=2        | the balls reach one neighbour too far
    mean-radius            radius=mean   | all balls have one radius; each point has a radius of its own
    largest-radius         radius=max    | all balls have the largest radius; each point has a radius of its own
    nearest-ball           count=nearest | only the ball of the nearest centre is looked at; a far one may be larger
    balls-for-points       count=balls   | it counts balls that hold a point (that is coverage), not points in a ball
    recall-of-precision    turn=False    | precision is right. Recall has balls of its own; this is coverage
    """,
)


# 5 The features of the samples -----------------------------------------------------------------------


def sample_cases(seed: int) -> list[Case]:
    """A generator with BatchNorm in train mode, features, and noise that does not fill the last batch."""
    draws = generator_of(seed)
    cases = []
    for batch_size in (8, 10):
        first, second = (int(s) for s in torch.randint(2**30, (2,), generator=draws))
        G = build_normed_mlp((), sizes := [3, 12, 6], first).eval()
        z = torch.randn(80, 3, generator=draws)
        with torch.no_grad():  # no pixel near a rounding edge, or the batch size could decide about it
            level = (G(z).clamp(-1, 1) + 1) * 127.5
        clear = ((level - level.floor() - 0.5).abs() > 0.01).all(dim=1)
        features = Spec("mlp", {"sizes": [6, 16, 5], "activation": "relu", "seed": second})
        args = (Spec("normed_mlp", {"sizes": sizes, "seed": first}), features, z[clear][:27], batch_size)
        cases.append(Case(args, grads=(2,), note=f"27 noise vectors in batches of {batch_size}"))
    return cases


def _eight_bit(images: Tensor) -> Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def sample_features(G, features, z, batch_size, *, change=_eight_bit, train=False, whole=False, last=True, graph=False):
    """The features of samples, drawn in eval mode and without a graph, as 8-bit pictures."""
    G.train(train)
    with torch.set_grad_enabled(graph):
        batches = [batch for batch in z.split(len(z) if whole else batch_size) if last or len(batch) == batch_size]
        return torch.cat([features(change(G(batch))) for batch in batches])


SAMPLE_FEATURES = function(
    "measure.sample_features",
    "Find the bugs: a FID that depends on the batch size",
    points=3,
    cases=sample_cases,
    reference=sample_features,
    let={
        "nothing": same,
        "clip": lambda x: x.clamp(-1, 1),
        "floor": lambda x: ((x.clamp(-1, 1) + 1) * 127.5).floor() / 127.5 - 1,
        "unit": lambda x: (_eight_bit(x) + 1) / 2,
    },
    table="""
    untouched         change=nothing train=True | samples depend on the batch that they are drawn in, and they reach the
                                 | features without the preprocessing that real pictures had
    train-mode        train=True | G is still in train mode: with BatchNorm a picture depends on its neighbours
    train-mode-whole  train=True whole=True | one large batch is no cure: the generator is still in train mode
    no-preprocessing  change=nothing | real pictures were 8-bit pictures once, generated ones were not
    clipped-only      change=clip | the samples are clipped but not rounded to 256 levels as the real pictures were
    cut-not-rounded   change=floor | the levels are cut off where they should be rounded: samples get darker
    other-range       change=unit | the features get pictures from 0 to 1; the real ones lay between −1 and 1
    last-batch        last=False | the last batch, which is not full, is missing; fewer samples mean another FID
    keeps-graph       graph=True | each batch drags its graph along; ten thousand samples fill the memory
    """,
)


# 6 Figures that one can know in advance --------------------------------------------------------------

SIX = math.exp(math.log(3) / 3 + 4 * math.log(6) / 6)  # six pictures: two of one class, one each of four others

FRAMES_IN_ADVANCE = numbers(
    "measure.frames",
    "Three figures to know before measuring",
    points=3,
    right="six  9/2000  26/27",
    let={"six": SIX},
    table="""
    ten-classes       10  *  * | the first number: 10 is the best score of all, and five classes never appear
    counts-pictures   6  *  *  | the first number: the score cannot tell two pictures of one class from one picture
    counts-classes    5  *  *  | the first number: five classes appear, but not equally often
    no-exp            log(six)  *  * | the first number is in nats; the score is the exponential
    zero-floor        *  0  *  | the second number: counts fluctuate, and the KL of fluctuating shares is never negative
    floor-twice       *  9/1000  * | the second number is twice too large: the KL is half of the chi-square sum
    all-classes-free  *  1/200  * | the second number: the ten shares sum to 1, so fewer than ten of them are free
    bits              *  9/2000/log(2)  * | the second number is in bits; the course measures in nats
    perfect-is-one    *  *  1  | the third number: even a perfect sampler leaves some balls empty by chance
    equal-counts      *  *  7/8 | the third number holds for equal counts; here are twice as many generated
    empty-balls       *  *  1/27;8/27 | the third number is the share of empty balls, or of all full
    shares-turned     *  *  19/27 | the third number: a ball is empty if the k nearest of all other points are real. How
                               | likely is one point to be real
    """,
)


# 7 The direction of a bias ---------------------------------------------------------------------------

DIRECTIONS = numbers(
    "measure.directions",
    "What more samples do to a number",
    points=2,
    right="-1  0  -1  1",
    table="""
    turned           1  0  1  -1 | all directions are turned round: the question is how the number moves as N grows
    no-bias          0  0  0  0  | only one of the four is unbiased. Where does a formula take noisy moments
    fid              !  *  *  *  | the first: noise in moments cannot bring two clouds nearer. And with more
    kid              *  !  *  *  | the second: each of KID's three means runs over pairs of independent draws
    label-kl         *  *  !  *  | the third: a KL of estimated shares is at least 0, and (5.1) has its mean
    inception-score  *  *  *  !  | the fourth: of few pictures p(y) lies too near to each. And the KL between
    """,
)


# 8 Which number tells which fault --------------------------------------------------------------------

TWO_GENERATORS = essay(
    "measure.two_generators",
    "Three suspects, four numbers",
    points=5,
    words=120,
    rubric=(
        "1 point: names the fault of each suspect (A has lost a mode, B blurs, C replays a few real points) and gives "
        "for each the number that betrays it. "
        "2 points: explains from the definitions, for at least two suspects, why the other numbers do not betray it "
        "(why A and B have nearly the same Fréchet distance; why blur raises recall; why replaying has precision 1). "
        "1 point: quotes the row of the second real sample as the floor, and says that one seed and one N are shown. "
        "1 point: proposes a check that would confirm the verdict on C, or changes a setting (k, N, seed) and reports "
        "whether the verdicts stand."
    ),
)


SET = Set(
    "measure",
    "05_measuring",
    "Measuring a GAN",
    (FRECHET, INCEPTION_SCORE, KID, PRECISION_RECALL, SAMPLE_FEATURES, FRAMES_IN_ADVANCE, DIRECTIONS, TWO_GENERATORS),
)
