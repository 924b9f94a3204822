"""Chapter 5, measuring a GAN: what each number computes, who gets past it, and how a pipeline spoils it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gancourse.checks.core import (
    Case,
    Comparison,
    Exercise,
    Result,
    Set,
    Spec,
    Verdict,
    When,
    close,
    compare,
    written,
    wrong,
)
from gancourse.checks.forms import Like, RightBut, not_finite
from gancourse.checks.probes import build_normed_mlp

DOUBLE = torch.float64


def cloud(draws: torch.Generator, n: int, width: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """Return features with correlated columns and a mean of their own, float64 (n, width)."""
    mix = torch.randn(width, width, generator=draws, dtype=DOUBLE)
    mean = shift * torch.randn(width, generator=draws, dtype=DOUBLE)
    return scale * torch.randn(n, width, generator=draws, dtype=DOUBLE) @ mix + mean


# 1 Fréchet distance ----------------------------------------------------------------------------------


def frechet_cases(seed: int) -> list[Case]:
    """Clouds with more samples than features, and with fewer."""
    draws = torch.Generator().manual_seed(seed)
    return [
        Case((cloud(draws, 12, 4, 1.5), cloud(draws, 12, 4, 1.5, 0.7)), note="12 samples of 4 features"),
        Case((cloud(draws, 30, 3, 1.0), cloud(draws, 30, 3, 1.0, 1.6)), note="30 samples of 3 features"),
        Case((cloud(draws, 5, 8, 1.2), cloud(draws, 5, 8, 1.2, 1.4)), note="5 samples of 8 features"),
        Case((cloud(draws, 4, 14, 0.8), cloud(draws, 4, 14, 0.8)), note="4 samples of 14 features"),
    ]


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def _parts(x: Tensor, y: Tensor, correction: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return the squared distance of the means, the sum of both traces, and the cross term's trace."""
    c1, c2 = x.T.cov(correction=correction), y.T.cov(correction=correction)
    cross = torch.linalg.svdvals(_root(c1) @ _root(c2)).sum()
    return (x.mean(dim=0) - y.mean(dim=0)).square().sum(), c1.trace() + c2.trace(), cross


def frechet(x: Tensor, y: Tensor) -> float:
    """The squared Fréchet distance of the Gaussians fitted to two clouds."""
    means, traces, cross = _parts(x, y)
    return float(means + traces - 2 * cross)


def _distance(formula: Callable[..., Tensor], correction: int = 1) -> Callable[[Tensor, Tensor], float]:
    return lambda x, y: float(formula(*_parts(x, y, correction)))


def _commuting(x: Tensor, y: Tensor) -> float:
    means, traces, _ = _parts(x, y)
    return float(means + traces - 2 * (_root(x.T.cov()) @ _root(y.T.cov())).trace())


def _diagonal(x: Tensor, y: Tensor) -> float:
    means, _, _ = _parts(x, y)
    return float(means + (x.std(dim=0) - y.std(dim=0)).square().sum())


def _rows(x: Tensor, y: Tensor) -> float:
    means, _, _ = _parts(x, y)
    c1, c2 = x.cov(), y.cov()
    return float(means + c1.trace() + c2.trace() - 2 * torch.linalg.svdvals(_root(c1) @ _root(c2)).sum())


FRECHET = Exercise(
    name="measure.frechet",
    title="The Fréchet distance, also with few samples",
    tier="implement",
    points=4,
    answer="frechet",
    cases=frechet_cases,
    judge=compare(
        frechet,
        {
            "mean-not-squared": (
                _distance(lambda means, traces, cross: means.sqrt() + traces - 2 * cross),
                "the means enter by their distance; it is squared, like everything else in the sum",
            ),
            "no-means": (
                _distance(lambda means, traces, cross: traces - 2 * cross),
                "the means do not enter: two clouds of one shape may lie far apart",
            ),
            "no-covariances": (
                _distance(lambda means, traces, cross: means),
                "only the means enter: a cloud shrunk to a point would be perfect",
            ),
            "root-of-the-whole": (
                _distance(lambda means, traces, cross: (means + traces - 2 * cross).sqrt()),
                "it is the root of the answer: the FID is the squared distance",
            ),
            "factor-two": (
                _distance(lambda means, traces, cross: means + traces - cross),
                "the cross term comes twice, as in (a − b)² = a² + b² − 2ab. Try two equal clouds",
            ),
            "sign": (
                _distance(lambda means, traces, cross: means + traces + 2 * cross),
                "the cross term has the wrong sign: two equal clouds should have distance 0",
            ),
            "biased-covariance": (
                _distance(lambda means, traces, cross: means + traces - 2 * cross, correction=0),
                "the covariances are divided by N; the statement asks for N − 1",
            ),
            "roots-multiplied": (
                _commuting,
                "it multiplies the two roots and takes the trace. That is right when the covariances commute; in "
                "general the largest coupling is larger",
            ),
            "diagonal-only": (
                _diagonal,
                "only the variances enter: correlated and uncorrelated features look alike to it",
            ),
            "rows-for-features": (
                _rows,
                "rows and columns are mixed up: each row of x is a sample, and a covariance belongs to the columns",
            ),
            "tiny-negative": (
                RightBut((2, 3), not_finite),
                "with fewer samples than features it gives NaN: eigenvalues that should be 0 come out as −1e-17, and "
                "their root is taken",
            ),
        },
        tol=1e-4,
    ),
)


# 2 Inception Score -----------------------------------------------------------------------------------


def score_cases(seed: int) -> list[Case]:
    """Logits of a judge that wavers, and of one that is very sure."""
    draws = torch.Generator().manual_seed(seed)
    tilt = torch.randn(5, generator=draws)
    sure = torch.randint(4, (30,), generator=draws)
    extreme = 400.0 * torch.nn.functional.one_hot(sure, 4) + torch.randn(30, 4, generator=draws)
    return [
        Case((1.5 * torch.randn(40, 5, generator=draws) + tilt,), note="40 pictures, 5 classes"),
        Case((torch.cat([extreme, torch.randn(5, 4, generator=draws)]),), note="a judge that is very sure"),
        Case((1.2 * torch.randn(30, 5, generator=draws) - tilt,), note="30 pictures, 5 classes"),
    ]


def inception_score(logits: Tensor) -> float:
    """The Inception Score from a classifier's logits."""
    log_p = logits.double().log_softmax(dim=1)
    log_marginal = log_p.logsumexp(dim=0) - math.log(len(logits))
    return float((log_p.exp() * (log_p - log_marginal)).sum(dim=1).mean().exp())


def _score(formula: Callable[[Tensor, Tensor, Tensor], Any]) -> Callable[[Tensor], float]:
    """A wrong score: a formula of p(y|x), p(y), and the KL of each picture."""

    def score(logits: Tensor) -> float:
        p = logits.double().softmax(dim=1)
        marginal = p.mean(dim=0)
        kl = (torch.xlogy(p, p) - torch.xlogy(p, marginal)).sum(dim=1)
        return float(formula(p, marginal, kl))

    return score


def _entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum(dim=-1)


_reversed = _score(lambda p, marginal, kl: (marginal * (marginal / p).log()).sum(dim=1).mean().exp())


INCEPTION_SCORE = Exercise(
    name="measure.inception_score",
    title="The Inception Score from logits",
    tier="implement",
    points=3,
    answer="inception_score",
    cases=score_cases,
    judge=compare(
        inception_score,
        {
            "missing-exp": (
                _score(lambda p, marginal, kl: kl.mean()),
                "it is the mean KL in nats; the score is the exponential of that",
            ),
            "mean-of-exp": (
                _score(lambda p, marginal, kl: kl.exp().mean()),
                "the exponential is taken picture by picture; the mean comes first",
            ),
            "reversed-kl": (
                Like(_reversed, (0, 2)),  # the sure judge overflows
                "the KL is taken in the other order; it averages under the label shares of one picture",
            ),
            "bits": (
                _score(lambda p, marginal, kl: (kl.mean() / math.log(2)).exp()),
                "base 2 inside and base e outside; with one base in both places the base does not matter",
            ),
            "two-to-the-nats": (
                _score(lambda p, marginal, kl: 2 ** kl.mean()),
                "nats inside and a power of 2 outside; with one base in both places the base does not matter",
            ),
            "uniform-marginal": (
                _score(lambda p, marginal, kl: p.shape[1] * (-_entropy(p).mean()).exp()),
                "each picture is compared with equal shares of all classes; compare it with the shares that the "
                "samples have on average",
            ),
            "variety-only": (
                _score(lambda p, marginal, kl: _entropy(marginal).exp()),
                "only the variety of the labels enters; noise that the judge cannot read would get full marks",
            ),
            "sureness-only": (
                _score(lambda p, marginal, kl: (-_entropy(p).mean()).exp()),
                "only the judge's sureness enters; one picture shown again and again would get full marks",
            ),
            "marginal-of-mean-logits": (
                lambda logits: _score(
                    lambda p, marginal, kl: (
                        (torch.xlogy(p, p) - p * logits.double().mean(dim=0).log_softmax(dim=0)).sum(dim=1).mean().exp()
                    )
                )(logits),
                "the logits are averaged and then made into probabilities; average the probabilities",
            ),
            "wrong-axis": (
                lambda logits: inception_score(logits.double().softmax(dim=0).log()),
                "the softmax runs over the pictures; each row should sum to 1, not each column",
            ),
            "softmax-twice": (
                lambda logits: inception_score(logits.double().softmax(dim=1)),
                "a softmax is applied twice: what you pass on as logits are probabilities",
            ),
            "zero-log-zero": (
                RightBut((1,), not_finite),
                "where the judge is very sure it gives NaN or infinity: a probability has been rounded to 0, and "
                "0 · log 0 is not a number",
            ),
        },
    ),
)


# 3 KID -----------------------------------------------------------------------------------------------


def kid_cases(seed: int) -> list[Case]:
    """Unequal counts of samples, small and larger features; two equal laws whose estimate is negative."""
    draws = torch.Generator().manual_seed(seed)
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


def _kid(
    x: Tensor,
    y: Tensor,
    degree: int = 3,
    constant: float = 1.0,
    scaled: bool = True,
    diagonal: bool = False,
    divide: int = 1,
    cross: float = 2.0,
) -> float:
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / (a.shape[1] if scaled else 1) + constant) ** degree

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        total = k.sum() if diagonal else k.sum() - k.diagonal().sum()
        return total / (len(a) * (len(a) - divide))

    return float(within(x) + within(y) - cross * kernel(x, y).mean())


def kid(x: Tensor, y: Tensor) -> float:
    """The unbiased estimate of MMD² with the cubic kernel."""
    return _kid(x, y)


KID = Exercise(
    name="measure.kid",
    title="KID without bias",
    tier="implement",
    points=3,
    answer="kid",
    cases=kid_cases,
    judge=compare(
        kid,
        {
            "diagonal": (
                lambda x, y: _kid(x, y, diagonal=True, divide=0),
                "the pairs of a sample with itself are in the means. They are no independent pairs, and make the "
                "estimate too large",
            ),
            "diagonal-in-the-sum": (
                lambda x, y: _kid(x, y, diagonal=True),
                "it divides by the number of different pairs, but the pairs of a sample with itself are in the sum",
            ),
            "diagonal-in-the-count": (
                lambda x, y: _kid(x, y, divide=0),
                "the pairs of a sample with itself are taken out of the sum, but not out of the count",
            ),
            "cross-once": (
                lambda x, y: _kid(x, y, cross=1.0),
                "the cross term comes twice. Are equal clouds at distance 0 on average",
            ),
            "no-scale": (
                lambda x, y: _kid(x, y, scaled=False),
                "the inner product is not divided by the number of features",
            ),
            "no-constant": (
                lambda x, y: _kid(x, y, constant=0.0),
                "without the 1 the kernel sees third moments only; means and covariances pass by",
            ),
            "degree-two": (lambda x, y: _kid(x, y, degree=2), "the power is 2; it then misses the third moments"),
            "linear": (lambda x, y: _kid(x, y, degree=1), "the power is missing: a linear kernel compares means only"),
            "root": (
                lambda x, y: kid(x, y) ** 0.5 if kid(x, y) > 0 else math.nan,
                "a root is taken; KID is the squared distance, and its honest estimate may be negative",
            ),
            "never-negative": (
                lambda x, y: max(0.0, kid(x, y)),
                "negative values are cut off; then the mean over many estimates is too large, and the bias is back",
            ),
            "sign": (lambda x, y: -kid(x, y), "the sign is turned: clouds far apart should have a large distance"),
        },
    ),
)


# 4 Precision and recall ------------------------------------------------------------------------------


def ball_cases(seed: int) -> list[Case]:
    """Points on a lattice, where distances tie, and points in general position."""
    draws = torch.Generator().manual_seed(seed)

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


def _share(
    centres: Tensor,
    points: Tensor,
    k: int,
    itself: bool = False,
    closed: bool = True,
    radius: Callable[[Tensor], Tensor] = lambda r: r,
) -> float:
    """Return the share of the points that lie in a ball around one of the centres."""
    reach = radius(_pairs(centres, centres).kthvalue(k if itself else k + 1, dim=1).values)[:, None]
    distance = _pairs(centres, points)
    return ((distance <= reach) if closed else (distance < reach)).any(dim=0).double().mean().item()


def precision_recall(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """The shares of generated points near the data, and of real points near the samples."""
    return _share(real, fake, k), _share(fake, real, k)


def _both(**how: Any) -> Callable[..., tuple[float, float]]:
    return lambda real, fake, k: (_share(real, fake, k, **how), _share(fake, real, k, **how))


def _nearest_ball(centres: Tensor, points: Tensor, k: int) -> float:
    reach = _pairs(centres, centres).kthvalue(k + 1, dim=1).values
    closest, which = _pairs(points, centres).min(dim=1)
    return (closest <= reach[which]).double().mean().item()


def _holding_balls(centres: Tensor, points: Tensor, k: int) -> float:
    """Return the share of balls that hold a point."""
    reach = _pairs(centres, centres).kthvalue(k + 1, dim=1).values[:, None]
    return (_pairs(centres, points) <= reach).any(dim=1).double().mean().item()


PRECISION_RECALL = Exercise(
    name="measure.precision_recall",
    title="Find the bugs: a generator that is precise and has full recall",
    tier="implement",
    points=3,
    answer="precision_recall",
    cases=ball_cases,
    judge=compare(
        precision_recall,
        {
            "swapped-and-counts-itself": (
                lambda real, fake, k: _both(itself=True)(real, fake, k)[::-1],
                "both faults of the given code are left: the two numbers have changed places, and each ball is too "
                "small, since a point counts itself among its neighbours",
            ),
            "swapped": (
                lambda real, fake, k: precision_recall(real, fake, k)[::-1],
                "the two numbers have changed places: for precision, who is asked, and around whom are the balls",
            ),
            "counts-itself": (
                _both(itself=True),
                "each ball is too small: a point is its own nearest neighbour, at distance 0, and must not be counted",
            ),
            "open-balls": (
                _both(closed=False),
                "a point exactly on the rim of a ball is left out; the definition has ≤",
            ),
            "one-neighbour-further": (
                lambda real, fake, k: precision_recall(real, fake, k + 1),
                "the balls reach one neighbour too far",
            ),
            "mean-radius": (
                _both(radius=lambda r: r.mean().expand_as(r)),
                "all balls have one radius; each point has a radius of its own",
            ),
            "largest-radius": (
                _both(radius=lambda r: r.max().expand_as(r)),
                "all balls have the largest radius; each point has a radius of its own",
            ),
            "nearest-ball": (
                lambda real, fake, k: (_nearest_ball(real, fake, k), _nearest_ball(fake, real, k)),
                "only the ball of the nearest centre is looked at; any ball will do, and a far one may be larger",
            ),
            "balls-for-points": (
                lambda real, fake, k: (_holding_balls(real, fake, k), _holding_balls(fake, real, k)),
                "it counts balls that hold a point; count points that lie in a ball. (The other way is coverage)",
            ),
            "recall-of-precision": (
                lambda real, fake, k: (_share(real, fake, k), _holding_balls(real, fake, k)),
                "precision is right. Recall has balls of its own, around the generated points; this is coverage",
            ),
        },
    ),
)


# 5 The features of the samples -----------------------------------------------------------------------


def sample_cases(seed: int) -> list[Case]:
    """A generator with BatchNorm in train mode, features, and noise that does not fill the last batch."""
    draws = torch.Generator().manual_seed(seed)
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


def _features(
    change: Callable[[Tensor], Tensor] = _eight_bit, train: bool = False, whole: bool = False, last: bool = True
) -> Callable[..., Tensor]:
    @torch.no_grad()
    def sample_features(G: Any, features: Any, z: Tensor, batch_size: int) -> Tensor:
        G.train(train)
        batches = [batch for batch in z.split(len(z) if whole else batch_size) if last or len(batch) == batch_size]
        return torch.cat([features(change(G(batch))) for batch in batches])

    return sample_features


@dataclass(frozen=True)
class WithoutGraph(Comparison):
    """A judge that compares values first, and then asks whether the graph was left behind."""

    def __call__(self, cases: list[Case], results: list[Result]) -> Verdict:
        """Return the verdict on the values, or on the graph if they are right."""
        judged = super().__call__(cases, results)
        if judged.ok and not all(result.detached for result in results):
            text = (
                "the values are right, but each batch drags its graph along, and ten thousand samples fill the memory"
            )
            return wrong("keeps-graph", text)
        return judged

    def fault(self, cases: list[Case], results: list[Result], expected: list[Result]) -> tuple[str, str] | None:
        """Return the first difference of values."""
        pairs = zip(results, expected, strict=True)
        return super().fault(cases, [replace(r, detached=e.detached, grads=e.grads) for r, e in pairs], expected)


SAMPLE_FEATURES = Exercise(
    name="measure.sample_features",
    title="Find the bugs: a FID that depends on the batch size",
    tier="implement",
    points=3,
    answer="sample_features",
    cases=sample_cases,
    judge=WithoutGraph(
        _features(),
        {
            "untouched": (
                _features(lambda x: x, train=True),
                "samples depend on the batch that they are drawn in, and they reach the features without the "
                "preprocessing that real pictures had",
            ),
            "train-mode": (
                _features(train=True),
                "the generator is still in train mode: BatchNorm normalises by the batch, so a picture depends on its "
                "neighbours",
            ),
            "train-mode-whole": (
                _features(train=True, whole=True),
                "one large batch is another batch size, and no cure: the generator is still in train mode",
            ),
            "no-preprocessing": (
                _features(lambda x: x),
                "real pictures were 8-bit pictures once, generated ones were not: the two sides are treated "
                "differently, and features notice",
            ),
            "clipped-only": (
                _features(lambda x: x.clamp(-1, 1)),
                "the samples are clipped but not rounded to 256 levels as the real pictures were",
            ),
            "cut-not-rounded": (
                _features(lambda x: ((x.clamp(-1, 1) + 1) * 127.5).floor() / 127.5 - 1),
                "the levels are cut off where they should be rounded: every sample gets a little darker",
            ),
            "other-range": (
                _features(lambda x: (_eight_bit(x) + 1) / 2),
                "the features get pictures from 0 to 1; the real ones lay between −1 and 1",
            ),
            "last-batch": (
                _features(last=False),
                "the last batch, which is not full, is missing; fewer samples mean another FID",
            ),
        },
    ),
)


# 6 Figures that one can know in advance --------------------------------------------------------------

SIX_PICTURES = math.exp(math.log(3) / 3 + 4 * math.log(6) / 6)
KL_FLOOR = 9 / 2000
COVERAGE = 1 - 3**-3
FRAMES = [SIX_PICTURES, KL_FLOOR, COVERAGE]


def _item(position: int, *values: float) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(close(results[0].output[position], value, 0.01) for value in values))


FRAMES_IN_ADVANCE = Exercise(
    name="measure.frames",
    title="Three figures to know before measuring",
    tier="predict",
    points=3,
    answer="frames",
    kind="value",
    judge=compare(
        FRAMES,
        {
            "ten-classes": (
                _item(0, 10),
                "the first number: 10 is the best score of all, and five classes never appear",
            ),
            "counts-pictures": (
                _item(0, 6),
                "the first number: the score cannot tell two pictures of one class from one picture",
            ),
            "counts-classes": (
                _item(0, 5),
                "the first number: five classes appear, but not equally often",
            ),
            "no-exp": (_item(0, math.log(SIX_PICTURES)), "the first number is in nats; the score is the exponential"),
            "zero-floor": (
                _item(1, 0),
                "the second number: counts fluctuate, and the KL of fluctuating shares is never negative",
            ),
            "floor-twice": (
                _item(1, 9 / 1000),
                "the second number is twice too large: the KL is half of the chi-square sum, to second order",
            ),
            "all-classes-free": (
                _item(1, 10 / 2000),
                "the second number: the ten shares sum to 1, so fewer than ten of them are free",
            ),
            "bits": (_item(1, KL_FLOOR / math.log(2)), "the second number is in bits; the course measures in nats"),
            "perfect-is-one": (
                _item(2, 1),
                "the third number: even a perfect sampler leaves some balls empty by chance",
            ),
            "equal-counts": (
                _item(2, 7 / 8),
                "the third number holds for as many generated as real points; here there are twice as many",
            ),
            "empty-balls": (_item(2, 1 / 27, 8 / 27), "the third number is the share of empty balls, or of all full"),
            "shares-turned": (
                _item(2, 1 - 8 / 27),
                "the third number: a ball is empty if the k nearest of all other points are real. How likely is one "
                "point to be real",
            ),
        },
        tol=0.01,
    ),
)


# 7 The direction of a bias ---------------------------------------------------------------------------


def _wrong_item(position: int, expected: int) -> When:
    return When(lambda cases, results: results[0].output[position] != expected)


DIRECTIONS = Exercise(
    name="measure.directions",
    title="What more samples do to a number",
    tier="predict",
    points=2,
    answer="directions",
    kind="value",
    judge=compare(
        [-1, 0, -1, 1],
        {
            "turned": (
                [1, 0, 1, -1],
                "all directions are turned round: the question is how the number moves as N grows",
            ),
            "no-bias": (
                [0, 0, 0, 0],
                "only one of the four is an unbiased estimate. Put noise on the moments, or on the shares, and see "
                "where the formula takes it",
            ),
            "fid": (
                _wrong_item(0, -1),
                "the first: noise in estimated moments cannot bring two clouds nearer on average. And with more",
            ),
            "kid": (
                _wrong_item(1, 0),
                "the second: each of KID's three means runs over pairs of independent draws. What is the mean of such "
                "a mean",
            ),
            "label-kl": (
                _wrong_item(2, -1),
                "the third: a KL of estimated shares is at least 0, and (5.1) says what it is on average",
            ),
            "inception-score": (
                _wrong_item(3, 1),
                "the fourth: with few pictures p(y) is the mean of these few, so it lies too near to each of them. "
                "What does that do to the KL between them",
            ),
        },
        tol=0.01,
    ),
)


# 8 Which number tells which fault --------------------------------------------------------------------

TWO_GENERATORS = Exercise(
    name="measure.two_generators",
    title="Three suspects, four numbers",
    tier="investigate",
    points=5,
    answer="two_generators",
    kind="text",
    judge=written(120),
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
    (
        FRECHET,
        INCEPTION_SCORE,
        KID,
        PRECISION_RECALL,
        SAMPLE_FEATURES,
        FRAMES_IN_ADVANCE,
        DIRECTIONS,
        TWO_GENERATORS,
    ),
)
