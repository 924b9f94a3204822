"""Chapter 4, why training fails: slopes, what a step descends, two ways to fit, and what is called collapse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import not_

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import softplus

from gancourse.checks.core import Case, Result, Set, Spec, When, close, given
from gancourse.checks.forms import RightBut, essay, function, generator_of, not_finite, numbers, same, uniform

DOUBLE = torch.float64

# 1 Four slopes ---------------------------------------------------------------------------------------

FOUR_SLOPES = numbers(
    "failure.four_slopes",
    "Two losses, two variables, four slopes",
    points=2,
    right="-1/(1-D)  -D  -1/D  D-1",  # minimax by D, by a; non-saturating by D, by a
    let={"D": 1 / (1 + math.exp(8))},
    table="""
    by-d-and-by-a     -D  -1/(1-D)  D-1  -1/D | the slopes against D and against the logit have changed places
    flat-in-d         -0.1..0.1  *  *  * | the first number is the slope against D itself. The curve of log(1 − D) is
                                         | not flat at D = 0; draw it
    sign              1/(1-D)  D  1/D  1-D | all signs are turned: both losses fall when D rises
    losses-swapped    -1/D  D-1  -1/(1-D)  -D | the two losses have changed places
    no-sigmoid-slope  -1/(1-D)  -1/(1-D)  -1/D  -1/D | the logit moves D through a sigmoid, whose slope is missing
    same-by-a         *  *  *  -D | the last number says that −log D saturates as well. One factor 1/D is large; what
                                  | does it do to the sigmoid's small slope
    inner-sign        1/(1-D)  D  -1/D  D-1 | for the minimax loss the sign of 1 − D's own slope is missing
    """,
)


# 2 A discriminator that stops learning ---------------------------------------------------------------


def soft_cases(seed: int) -> list[Case]:
    """Moderate logits, then logits of a D that is very sure, rightly and wrongly."""
    draws = generator_of(seed)

    def near(*centres: float) -> Tensor:
        centre = torch.tensor(centres)
        return centre + 0.8 * torch.rand(len(centre), generator=draws)

    first, second = (uniform(draws, 0.75, 0.95) for _ in range(2))
    columns = (near(-1, 2, -3, 0)[:, None], near(1, -2, 2.5, 0, -1)[:, None])
    sure = (near(-21, 1, -60, -95, 25), near(19, 62, -1, 96, 0.5, -40))
    return [
        Case((near(1, -2, 0.5, 2, 3), near(-1, 1.5, -2.5), first), grads=(0, 1), note="5 real and 3 generated logits"),
        Case((*sure, second), grads=(0, 1), note="logits of up to ±97, in single precision"),
        Case((*columns, second), grads=(0, 1), note="logits (4, 1) and (5, 1)"),
    ]


def _price(logits, label):
    return softplus(logits) - label * logits


def _zero(target):
    return 0.0


def _two_means(real, fake):
    return real.mean() + fake.mean()


def soft_d_loss(
    real_logits, fake_logits, target, *, see=same, real_label=same, fake_label=_zero, price=_price, join=_two_means
):
    """The discriminator's loss with a soft target for real data. Knobs: logits, labels, each price and their mean."""
    real = price(see(real_logits), real_label(target))
    return join(real, price(see(fake_logits), fake_label(target)))


def broken_soft_d_loss(real_logits, fake_logits, target):
    """As the notebook gives it: through probabilities."""
    real, fake = real_logits.sigmoid(), fake_logits.sigmoid()
    loss = F.binary_cross_entropy(real, torch.full_like(real, target))
    return loss + F.binary_cross_entropy(fake, torch.zeros_like(fake))


def _dead(*which: int) -> When:
    """Recognise a loss that is right to a percent, but gives these logits of the sure case next to no gradient."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        wanted = given(soft_d_loss, cases, "call")
        gradient = results[1].gradient(1)[list(which)]
        return close([results[i].output for i in (0, 2)], [wanted[i].output for i in (0, 2)], 0.01) and bool(
            gradient.abs().max() < 1e-3
        )

    return When(test)


SOFT_D_LOSS = function(
    "failure.soft_d_loss",
    "Find the bug: a discriminator that stops learning",
    points=3,
    cases=soft_cases,
    reference=soft_d_loss,
    let={
        "broken": broken_soft_d_loss,
        "infinite": RightBut((1,), not_finite),
        "sigmoid": torch.sigmoid,
        "rest": lambda target: 1 - target,
        "one": lambda target: 1.0,
        "half": lambda logits, label: label * softplus(-logits) if label else softplus(logits),
        "pool": lambda real, fake: torch.cat([real, fake]).mean(),
        "dead": _dead(0, 3),
        "dead_at_90": _dead(3),
    },
    table="""
    probabilities   broken         | the values look safe, but where D is very sure and wrong its gradient is gone: the
                                   | sigmoid has been rounded before the logarithm sees it
    log-of-zero     infinite       | for a D that is very sure it gives infinity or NaN: a logarithm meets a sigmoid
                                   | that was rounded to 0 or 1
    sigmoid-twice   see=sigmoid    | a sigmoid is applied twice: a loss on logits wants the logits themselves
    target-for-fakes fake_label=rest | the targets of generated samples are softened too; here only those of real data
    hard-target     real_label=one | target does not enter: this is the loss with the hard target 1
    half-a-cross-entropy price=half | a share of a soft target says real, the rest generated. One term is missing
    pooled-mean     join=pool      | one mean runs over both batches together; each batch has its own
    clamped         dead           | it is finite, but a D that is very sure and wrong still gets no gradient: a clamp
                                   | has slope zero beyond its edge, and so has a sigmoid that is rounded
    more-digits     dead_at_90     | more digits only move the cliff: at a logit of 20 the gradient is alive now, at 90
                                   | it is still dead
    """,
)


# 3 The price of lost modes ---------------------------------------------------------------------------

KEPT, BOTH = (
    1 / 3,
    (1 / 10 + 1 / 3) / 2,
)  # the weight of a kept mode in the samples, and in the mixture of both distributions
JSD = (3 * (0.1 * math.log(0.1 / BOTH) + KEPT * math.log(KEPT / BOTH)) + 7 * 0.1 * math.log(2)) / 2

LOST_MODES = numbers(
    "failure.lost_modes",
    "What three divergences say about lost modes",
    points=2,
    right="inf  log(10/3)  JSD",
    let={"JSD": JSD},
    table="""
    order-swapped    log(10/3)  inf  JSD | the two KL have changed places. KL(p ‖ q) averages under p: for which order
                                | does p have mass where q has none
    finite           !  *  *    | the first number: what is log(p/q) at a data point from a mode that G never draws
    reverse-infinite *  inf  *  | the second number averages over generated samples only; is there one that the data
                                | could not have produced
    bits             inf  log2(10/3)  JSD/log(2) | these are bits; the course measures in nats
    all-modes        *  log(10);log(3);log(7)  * | the second number: inside the kept modes, by which factor is the
                                | generator's density above the data's
    jsd-at-its-bound *  *  log(2) | JSD is log 2 only when nothing overlaps; here three modes do
    jsd-without-half *  *  2*JSD | the two halves of the JSD are averaged, not added
    jsd-as-overlap   *  *  0.7*log(2) | for the JSD the kept modes count too: they have other weights
    """,
)


# 4 What a step descends ------------------------------------------------------------------------------


def slope_cases(seed: int) -> list[Case]:
    """A mixture of two normals as data, a normal as generator; D at rest and D that follows."""
    draws = generator_of(seed)
    cases: list[Case] = []
    for frozen, n in ((True, 1401), (False, 1201), (True, 1001), (False, 1301)):
        x = torch.linspace(-7, 7, n, dtype=DOUBLE)
        weight = uniform(draws, 0.25, 0.4)
        means = [uniform(draws, -2.0, -1.0), uniform(draws, 0.5, 1.5)]
        options = {"means": means, "stds": [uniform(draws, 0.8, 1.0), uniform(draws, 0.8, 1.0)]}
        data = Spec("mixture", {**options, "weights": [weight, 1 - weight]})
        theta = uniform(draws, 1.2, 1.8) * (1 if len(cases) < 2 else -1)
        note = "D at rest" if frozen else "a D that follows theta"
        cases.append(Case((theta, uniform(draws, 0.95, 1.1), data, x, frozen), note=note))
    return cases


def _minus_log_d(p, q, D):
    return -q * D.log()


def _step(x):
    return x[1] - x[0]


def loss_slope(theta, std, data, x, frozen, *, integrand=_minus_log_d, rests=same, step=_step):
    """The derivative of E[−log D] in theta, with D* at rest or following. Knobs: the integral, and when D rests."""
    t = torch.tensor(theta, dtype=DOUBLE, requires_grad=True)
    p = data(x)
    q = torch.exp(-0.5 * ((x - t) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    D = p / (p + q)
    integral = (integrand(p, q, D.detach() if rests(frozen) else D) * step(x)).sum()
    return torch.autograd.grad(integral, t)[0].item()


def _divergences(theta, std, data, x, frozen, *, js, forward=False):
    """The derivative of KL + js · JSD where D rests; the right one where it follows."""

    def integrand(p, q, D):
        m = (p + q) / 2
        one = p * (p / q).log() if forward else q * (q / p).log()
        return one + js / 2 * (p * (p / m).log() + q * (q / m).log())

    return loss_slope(theta, std, data, x, frozen, integrand=integrand if frozen else _minus_log_d)


LOSS_SLOPE = function(
    "failure.loss_slope",
    "The slope of −log D, with a D that rests and a D that follows",
    points=4,
    cases=slope_cases,
    reference=loss_slope,
    tol=1e-3,
    let={
        "never": lambda frozen: False,
        "always": lambda frozen: True,
        "inverted": not_,
        "plus": lambda p, q, D: q * D.log(),
        "minimax": lambda p, q, D: q * (1 - D).log(),
        "turned": lambda p, q, D: -q * (1 - D).log(),
        "data": lambda p, q, D: -p * D.log() + 0 * q,
        "unweighted": lambda p, q, D: -D.log() + 0 * q,
        "one": lambda x: 1.0,
        "divergences": _divergences,
    },
    table="""
    never-frozen     rests=never        | with frozen=True D still moves along with theta: D contains p_g, and autograd
                                        | follows it there. A program differentiates G's loss while D rests
    always-frozen    rests=always       | with frozen=False D should be the best answer at every theta, and so have a
                                        | slope too
    flag-inverted    rests=inverted     | the two cases of frozen have changed places
    sign             integrand=plus     | the sign is turned: the loss is −log D, and its derivative is asked for
    minimax          integrand=minimax  | this is the slope of the minimax loss, log(1 − D)
    d-swapped        integrand=turned   | D is turned round: it should be near 1 where the data is
    under-data       integrand=data     | the expectation is taken under the data; G's loss averages over its samples
    no-density       integrand=unweighted | it adds up −log D over the grid; an expectation weighs each place
    no-step          step=one           | a sum over a grid becomes an integral by the distance of the points
    jsd-once         divergences js=-1  | close: KL comes with the JSD, but with another factor. V at its top holds the
                                        | JSD how many times
    jsd-climbed-down divergences js=2   | the JSD enters with the wrong sign; (4.8) has a surprise there
    kl-alone         divergences js=0   | the step follows more than the reverse KL: a second term is missing
    forward-kl       divergences js=-2 forward=True | the KL is taken in the other order; samples are drawn from p_g
    """,
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


def _ratio(logits):
    return -logits.exp()


def _half_minimax(logits):
    return -softplus(logits) / 2


def divergence_loss(
    fake_logits, divergence, *, forward=_ratio, reverse=torch.neg, js=_half_minimax, mean=torch.mean, sign=1
):
    """The generator loss whose step, with the best D at rest, descends the named divergence."""
    return sign * mean({"forward": forward, "reverse": reverse, "js": js}[divergence](fake_logits))


DIVERGENCE_LOSS = function(
    "failure.divergence_loss",
    "A loss for each divergence",
    points=3,
    cases=divergence_cases,
    reference=divergence_loss,
    values=False,
    let={
        "ratio": _ratio,
        "minus": torch.neg,
        "sum": torch.sum,
        "minimax": lambda a: -softplus(a),
        "ns": lambda a: softplus(-a),
        "inverse": lambda a: a.neg().exp(),
        "minus_d": lambda a: -a.sigmoid(),
    },
    table="""
    orders-swapped     forward=minus reverse=ratio | the two KL have changed places; write the ratio of densities
                                       | through the logit, and see under which distribution the average is taken
    sign               sign=-1         | every sign is turned: G is rewarded for samples that D calls generated
    missing-mean       mean=sum        | it adds up over the batch; an expectation is a mean
    two-jsd            js=minimax      | for 'js' the minimax loss descends a multiple of the JSD; see chapter 3
    nonsaturating-js   js=ns           | for 'js' it uses −log D. By (4.8) a step on that does not descend the JSD
    nonsaturating-reverse reverse=ns   | for 'reverse' it uses −log D, but a step on that descends the reverse KL less
                                       | something; see (4.8)
    ratio-upside-down  forward=inverse | for 'forward' the ratio is upside down: the best D is large where data is
    d-for-ratio        forward=minus_d | for 'forward' it uses D where the ratio p_data/p_g belongs; D stays below 1
    forward-log        forward=ns      | for 'forward' it uses log D. Maximum likelihood takes the log of p_g at data;
                                       | through samples of p_g it needs a weight
    """,
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


def _moments(data, x, *, centred=True):
    p = data(x) * (x[1] - x[0])
    mean = (p * x).sum()
    return mean.item(), (p * (x - (mean if centred else 0)) ** 2).sum().sqrt().item()


def _reverse_kl(mean: Tensor, std: Tensor, log_p: Tensor, x: Tensor) -> Tensor:
    """Return KL(q ‖ p) for every pair of a mean and a std: (means, stds)."""
    z = (x - mean[:, None, None]) / std[:, None]
    weight = torch.exp(-0.5 * z**2) / std[:, None] * ((x[1] - x[0]) / math.sqrt(2 * math.pi))
    return -(weight @ log_p) - std.log() - 0.5 * math.log(2 * math.pi * math.e)


def _seek(data, x):
    """Return the best Gaussian by reverse KL: a search on a finer and finer grid."""
    x = x[::2]
    log_p = data(x).log()
    mean, std = torch.linspace(-5, 5, 41, dtype=DOUBLE), torch.linspace(0.3, 4, 38, dtype=DOUBLE)
    for _ in range(4):
        best = int(_reverse_kl(mean, std, log_p, x).argmin())
        m, s = mean[best // len(std)], std[best % len(std)]
        reach_m, reach_s = mean[1] - mean[0], std[1] - std[0]
        mean = m + reach_m * torch.linspace(-1, 1, 9, dtype=DOUBLE)
        std = (s + reach_s * torch.linspace(-1, 1, 9, dtype=DOUBLE)).clamp(min=0.05)
    return m.item(), s.item()


def best_gaussian(data, x, order, *, forward=_moments, reverse=_seek):
    """The mean and standard deviation of the Gaussian nearest to a density, by the KL of this order."""
    return forward(data, x) if order == "forward" else reverse(data, x)


def _reverse(cases: list[Case], results: list[Result]) -> Iterator[tuple[Case, float, float]]:
    for case, result in zip(cases, results, strict=True):
        if case.args[2] == "reverse":
            mean, std = (float(number) for number in result.output)
            yield case, mean, std


def _squared_stds(cases: list[Case], results: list[Result]) -> bool:
    rooted = [(float(result.output[0]), math.sqrt(result.output[1])) for result in results]
    wanted = [tuple(result.output) for result in given(best_gaussian, cases, "call")]
    return close(rooted, wanted, 0.0, NEAR)


def _at_lighter_mode(cases: list[Case], results: list[Result]) -> bool:
    """Return whether some reverse fit sits on the lighter mode."""
    for case, mean, std in _reverse(cases, results):
        options = case.args[0].options
        lighter = min(range(2), key=lambda i: options["weights"][i])
        if "far apart" in case.note and abs(mean - options["means"][lighter]) < 0.2:
            if abs(std - options["stds"][lighter]) < 0.2:
                return True
    return False


def _on_one_of_two_that_touch(cases: list[Case], results: list[Result]) -> bool:
    fits = list(_reverse(cases, results))
    apart = all(abs(mean) > 2 for case, mean, _ in fits if "apart" in case.note)
    return apart and all(abs(mean) < 1.5 and 0.25 < std < 1.05 for case, mean, std in fits if "touch" in case.note)


BEST_GAUSSIAN = function(
    "failure.best_gaussian",
    "One Gaussian, two orders of KL",
    points=4,
    cases=gaussian_cases,
    reference=best_gaussian,
    tol=0.0,
    margin=NEAR,
    trains=True,
    seconds=10.0,
    let={
        "seek": _seek,
        "moments": _moments,
        "from_zero": lambda data, x: _moments(data, x, centred=False),
        "variance": When(_squared_stds),
        "point": When(lambda cases, results: all(std < 0.25 for _, _, std in _reverse(cases, results))),
        "lighter": When(_at_lighter_mode),
        "one": When(_on_one_of_two_that_touch),
    },
    table="""
    orders-swapped  forward=seek reverse=moments | the two orders have changed places: forward is KL(p ‖ q), data first
    forward-twice   reverse=moments   | for 'reverse' it copies the moments as well; KL(q ‖ p) averages under the model
    reverse-twice   forward=seek      | for 'forward' it sits on a mode; KL(p ‖ q) charges the model for every place
                                      | where data is and q is not
    variance        variance          | the second number is the variance; the standard deviation is asked for
    not-centred     forward=from_zero | for 'forward' the spread is measured from 0 and not from the mean
    point           point             | for 'reverse' the model shrinks to a point on a peak: without E[log q], the
                                      | entropy, nothing keeps it wide
    local-optimum   lighter           | for 'reverse' it ends on the lighter mode. That is a local optimum: each mode
                                      | is one, and the start decides. Compare several starts by their KL
    always-one-mode one               | for 'reverse', when two modes touch, it still sits on one. 'Seeks modes' is a
                                      | matter of price: compare the KL of one mode with the KL of both
    """,
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
            places[0] + 0.5 * torch.tensor([[3.05, 0.0], [0.0, 3.05]]),  # off, by little
        ]
        cloud = torch.cat(points)
        order = torch.randperm(len(cloud), generator=draws)
        mixed = torch.randperm(len(centres), generator=draws)
        args = (cloud[order], centres[mixed], stds[mixed])
        cases.append(Case(args, note=f"{len(cloud)} points and {len(centres)} modes"))
    return cases


def mode_report(points, centres, stds, *, p=2, power=1, radius=True, own=True):
    """The modes that have a good point, and the share of good points. Knobs: the given code's bugs, and one more."""
    distance, nearest = torch.cdist(points, centres, p=p, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    good = distance**power <= 3 * (stds[nearest] if own else stds.mean())
    return len((nearest[good] if radius else nearest).unique()), good.double().mean().item()


def _any_centre(points, centres, stds):
    good = torch.cdist(points, centres) <= 3 * stds
    return int(good.any(dim=0).sum()), good.any(dim=1).double().mean().item()


def _in_widths(points, centres, stds):
    distance, nearest = (torch.cdist(points, centres) / stds).min(dim=1)
    return len(nearest[distance <= 3].unique()), (distance <= 3).double().mean().item()


MODE_REPORT = function(
    "failure.mode_report",
    "Find the bugs: modes that are not there",
    points=3,
    cases=cloud_cases,
    reference=mode_report,
    tol=1e-3,
    let={
        "any_centre": _any_centre,
        "in_widths": _in_widths,
        "modes": lambda *args: (mode_report(*args)[0], mode_report(*args)[0] / len(args[1])),
        "turned": lambda *args: mode_report(*args)[::-1],
    },
    table="""
    +l1-metric        p=1          | the distance is the sum of absolute differences; three standard deviations are a
                                   | circle
    +no-radius        radius=False | a mode counts although all its points lie far outside it; only good points count
    +one-radius       own=False    | one radius serves all modes; each mode has a standard deviation of its own
    squared           power=2      | a squared distance meets three standard deviations; square both or neither
    any-centre        any_centre   | a point counts for every mode that it is near to; it belongs to the nearest alone
    nearest-in-widths in_widths    | the nearest centre is chosen by distance over width, and not by plain distance
    share-of-modes    modes        | the second number is the share of modes; that of good points is asked for
    order             turned       | the two results have changed places
    """,
)


# 8 The cause -----------------------------------------------------------------------------------------

CAUSE = essay(
    "failure.cause",
    "What causes mode collapse?",
    points=5,
    words=120,
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
