"""Chapter 3, what the game optimises: the lemma, the push-forward, printed formulas, divergences, gradient steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gancourse.checks.core import Case, Set, Spec, When, close
from gancourse.checks.forms import (
    Places,
    RightBut,
    essay,
    function,
    generator_of,
    not_finite,
    numbers,
    uniform,
    uniforms,
)

DOUBLE = torch.float64


def same(value):
    """Return what is given; a knob that is not turned."""
    return value


# 1 The lemma, with its conditions --------------------------------------------------------------------


def lemma_cases(seed: int) -> list[Case]:
    """Two densities that are positive; densities with zeros; numbers of two signs; two negative numbers."""
    draws = generator_of(seed)
    tails = uniforms(draws, 2e-13, 8e-13, 2), uniforms(draws, 1e-12, 4e-12, 2)  # far from all mass
    a = torch.cat([tails[0][:1], tails[1][:1], uniforms(draws, 0.2, 0.7, 2), uniforms(draws, 1.5, 4.0, 2)])
    b = torch.cat([tails[1][1:], tails[0][1:], uniforms(draws, 0.8, 1.3, 2), uniforms(draws, 0.9, 3.0, 2)])
    some = uniforms(draws, 0.3, 2.0, 6)
    zero = torch.zeros((), dtype=DOUBLE)
    with_zeros = torch.stack([some[0], zero, zero, some[1]]), torch.stack([zero, some[2], zero, some[3]])
    low, high = some[:4], some[:4] + uniforms(draws, 0.4, 2.0, 4)
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
        Case((uniforms(draws, 0.2, 4.0, 5), uniforms(draws, 0.3, 3.0, 5)), note="densities, none of them 0"),
    ]


def best_answer(a, b, *, differing=None, negative=None):
    """The y at which a log y + b log(1 − y) is largest or grows without bound; ½ if there is no single one.

    Knobs: what it is where the signs differ, and where both are negative.
    """
    y = torch.where((a >= 0) & (b >= 0), a / (a + b), 0.5)
    y = torch.where((a >= 0) & (b < 0), 1.0, y)
    y = torch.where((a < 0) & (b >= 0), 0.0, y)
    y = torch.where((a == 0) & (b == 0), 0.5, y)
    if differing:
        y = torch.where((a < 0) != (b < 0), differing(a, b), y)
    return torch.where((a < 0) & (b < 0), negative(a, b), y) if negative else y


def _ratio(a, b):
    return a / (a + b)


def _only_in_tails(cases, results):
    """Return whether an answer is the ratio where both densities are positive, but for the far tails."""
    found, ratio = results[0].output, _ratio(*cases[0].args)
    others = close(found[2:], ratio[2:]) and close(results[4].output, _ratio(*cases[4].args))
    return others and not close(found, ratio)


BEST_ANSWER = function(
    "optimum.best_answer",
    "The lemma, with its conditions",
    points=2,
    cases=lemma_cases,
    reference=best_answer,
    where="@0,4",
    let={
        "swap": lambda a, b: b / (a + b),
        "label": lambda a, b: (a > b).double(),
        "a_itself": lambda a, b: a.clamp(max=1),
        "difference": lambda a, b: torch.sigmoid(a - b),
        "odds": lambda a, b: (a / b).clamp(max=1),
        "epsilon": When(_only_in_tails),
        "ratio": _ratio,
        "clamped": lambda a, b: _ratio(a, b).clamp(0, 1),
        "other_end": lambda a, b: (b > a).double(),
        "half": lambda a, b: torch.full_like(a, 0.5),
        "both_negative": Places(lambda a, b: (a < 0) & (b < 0)),
        "both_zero": Places(lambda a, b: (a == 0) & (b == 0)),
    },
    table="""
    sides-swapped      swap         | the two sides are swapped: where only data is (b = 0), D should say 1
    label-for-probability label     | it gives a label, 0 or 1. The label Y belongs to a sample; D(x) is the probability
                                    | that Y = 1, and where both densities are positive, nobody can be sure
    density-as-probability a_itself | it takes a itself for the answer. A density is no probability (it may well be
                                    | above 1); only compared with b does it become one
    difference         difference   | it compares a and b by their difference. In a far tail both are tiny, and one can
                                    | still be ten times the other
    odds               odds         | a/b are the odds; they belong to a probability, but are not one
    epsilon            epsilon      | where both densities are tiny it is off. Is something added to keep the division
                                    | safe? Ask for the places where it really fails
    formula-everywhere ratio @2     | it trusts the formula for every sign, and gives numbers that are not between 0 and
                                    | 1. Its proof uses a, b ≥ 0; look at both ends where one of them is negative
    clamped            clamped @2   | the formula's number is pushed to the nearer end. Of a log y and b log(1 − y) one
                                    | goes to +∞ at one end; that end is not always the nearer one
    ends-swapped       differing=other_end @2 | with different signs it picks the end where h falls to −∞
    undecided          differing=half @2 | with different signs it gives up, but h grows without bound towards one end
    minimum            negative=ratio @3 | for two negative numbers the slope is 0 at a/(a + b), but how does h bend
                                    | there
    one-end            both_negative | for two negative numbers h grows without bound towards both ends, so no single y
                                    | is the best
    no-mass            both_zero    | where both densities are 0, h is 0 for every y; the exercise asks for ½ there
    """,
)


# 2 The density of c·z² -------------------------------------------------------------------------------


def square_cases(seed: int) -> list[Case]:
    """Noise of an unsymmetric distribution; places x that can be reached, and in one case some that cannot."""
    draws, cases = generator_of(seed), list[Case]()
    for n, below, low, high in ((7, 0, 0.3, 0.6), (6, 3, 1.6, 3.0), (5, 0, 1.6, 3.0)):
        distribution = {
            "means": uniforms(draws, 0.5, 1.2, 2).tolist(),
            "stds": uniforms(draws, 0.8, 1.4, 2).tolist(),
            "weights": [0.6, 0.4],
        }
        x = torch.cat([uniforms(draws, 0.1, 3.0, n - below), -uniforms(draws, 0.1, 3.0, below)])
        note = f"{n} places{f', {below} of them below 0' if below else ''}"
        cases.append(Case((x, Spec("mixture", distribution), uniform(draws, low, high)), note=note))
    return cases


def spread(z, c):
    """How much longer an interval of z is than its image."""
    return 1 / (2 * c * z)


def square_density(x, p_z, c, *, on=(1, 1), by=spread, in_root=True):
    """The density of c·z² at x when z has the density p_z.

    Knobs: how often the positive and the negative root count, the factor for the slope, and whether c is in the roots.
    """
    z = (x.clamp(min=1e-12) / (c if in_root else 1)).sqrt()
    return torch.where(x > 0, (on[0] * p_z(z) + on[1] * p_z(-z)) * by(z, c), 0.0)


SQUARE_DENSITY = function(
    "optimum.square_density",
    "The distribution of c·z²",
    points=3,
    cases=square_cases,
    reference=square_density,
    where="@0,2",
    let={
        "unchanged": lambda x, p_z, c: p_z(x),
        "forward": lambda x, p_z, c: p_z(c * x**2),
        "one": lambda z, c: 1.0,
        "slope": lambda z, c: 2 * c * z,
        "no_c": lambda z, c: spread(z, 1),
        "below_zero": Places(lambda x, p_z, c: x < 0),
    },
    table="""
    density-of-z      unchanged     | it evaluates the density of z at x. That is the slip of the printed proof: when
                                    | the variable changes, the density changes with it
    forward           forward       | it pushes x through G once more. x is already a sample; to find its density go
                                    | back to the z that it came from
    one-root          on=(1,0)      | only the positive root is counted. G cannot be inverted: two values of z land on
                                    | the same x
    negative-root     on=(0,1)      | only the negative root is counted; two values of z land on the same x
    symmetric         on=(2,0)      | one root is counted twice. That is right for noise that is symmetric about 0; this
                                    | one is not
    no-slope          by=one        | the roots are right, but a short interval of z becomes an interval of another
                                    | length in x
    slope-upside-down by=slope      | it multiplies by the slope of G. Where G is steep, the same mass is spread over
                                    | more x: is the density larger or smaller there
    signed-slope      on=(1,-1)     | the slope at the negative root enters with its sign, and mass is subtracted;
                                    | lengths have no sign
    slope-of-root     on=(2,2)      | a factor 2 is missing: what is the derivative of the square
    c-forgotten       by=no_c in_root=False | c does not enter: this is the distribution of z²
    c-in-root-only    by=no_c       | c is in the roots and not in the slope
    c-in-slope-only   in_root=False | c is in the slope and not in the roots
    averaged          on=(.5,.5)    | the two roots are averaged; their masses add up
    below-zero        below_zero    | right above 0. But no z lands below 0, so the density there is 0 (and not NaN)
    """,
)


# 3 Find the bugs in a printed loss -------------------------------------------------------------------


def players_cases(seed: int) -> list[Case]:
    """Two linear networks on the plane, and batches of unequal size; twice."""
    draws, cases = generator_of(seed), list[Case]()
    for n, m in ((4, 6), (5, 3)):
        slopes = uniforms(draws, 0.4, 1.1, 1, 2).float() * torch.tensor([1.0, -1.0])
        D = Spec("linear", {"weight": slopes, "bias": uniforms(draws, 0.2, 0.6, 1).float()})
        G = Spec("linear", {"weight": torch.randn(2, 2, generator=draws), "bias": torch.randn(2, generator=draws)})
        x = torch.randn(n, 2, generator=draws) + torch.tensor([1.5, -0.5])
        z = torch.randn(m, 2, generator=draws)
        cases.append(Case((D, G, x, z), grads=(0, 1), note=f"{n} data points and {m} noise vectors"))
    return cases


def value_loss(
    D, G, x, z, *, sign=-1, score=logsigmoid, data=False, on=(1, 1), side=-1, generator=True, cut=same, by=Tensor.mean
):
    """The estimate of −V from two batches.

    Knobs: the sign of V, the logarithm, whether G is given data, the factors of both terms, the side that the second
    one takes, whether there is a G, what its samples go through, and the mean.
    """
    given = x if data else z
    fake = cut(G(given)) if generator else given
    return sign * (on[0] * by(score(D(x))) + on[1] * by(score(side * D(fake))))


VALUE_LOSS = function(
    "optimum.value_loss",
    "Find the bugs: a loss as printed",
    points=3,
    cases=players_cases,
    reference=value_loss,
    let={
        "sigmoid": torch.sigmoid,
        "detach": Tensor.detach,
        "sum": Tensor.sum,
        "parentheses": lambda D, G, x, z: -logsigmoid(D(x)).mean() + torch.sigmoid(D(G(z))).mean(),
        "pooled": lambda D, G, x, z: -torch.cat([logsigmoid(D(x)), logsigmoid(-D(G(z)))]).mean(),
        "log_last": lambda D, G, x, z: -D(x).sigmoid().mean().log() - (-D(G(z))).sigmoid().mean().log(),
    },
    table="""
    +minus           sign=1             | an optimiser makes a loss small; think of where this one would lead D
    +logs            score=sigmoid      | without logarithms the best D is a hard yes or no, and the game measures
                                        | another distance
    +noise           data=True          | check the type of everything: what does G take, and which batch has not been
                                        | used
    no-generator     generator=False    | D looks at the noise itself; it should look at what G makes of it
    lost-parentheses parentheses        | the second term reads log 1 − D, which is just −D; parentheses are missing
    generator-term   side=1             | the second term is −log D(G(z)), G's loss; D would learn to call samples real
    joint-value      side=1 on=(1,-1)   | the second term is +log D(G(z)). This joint value has no best D: the loss goes
                                        | to −∞
    halved           on=(.5,.5)         | it is half of −V. The best D is the same, the number and every slope are not
    summed           by=sum             | it adds up over the batch; an expectation is a mean
    pooled           pooled             | one mean runs over both batches together; each expectation has its own
    log-of-mean      log_last           | the mean is taken first, the logarithm after it; the order matters (Jensen)
    detached         cut=detach         | the number is right, but the samples are cut off from G; here both players
                                        | need its gradient
    """,
)


# 4 A divergence for any share ------------------------------------------------------------------------


def distributions(draws: torch.Generator, *shape: int) -> Tensor:
    """Return distributions with full support in the last dimension."""
    return torch.softmax(1.3 * torch.randn(shape, generator=draws, dtype=DOUBLE), dim=-1)


def js_cases(seed: int) -> list[Case]:
    """Equal shares, unequal shares, then zeros: distributions without common ground, equal ones, some overlap."""
    draws = generator_of(seed)
    share = uniform(draws, 0.15, 0.35)
    left, right = distributions(draws, 2), distributions(draws, 3)
    p, q = torch.zeros(3, 5, dtype=DOUBLE), torch.zeros(3, 5, dtype=DOUBLE)
    p[0, :2], q[0, 2:] = left, right
    p[1, :3] = q[1, :3] = right
    p[2, 1:3], q[2, 2:] = left, right
    return [
        Case(
            (distributions(draws, 2, 6), distributions(draws, 2, 6), 0.5),
            note="two pairs of distributions on 6 points, share 0.5",
        ),
        Case(
            (distributions(draws, 3, 2, 4), distributions(draws, 3, 2, 4), share),
            note=f"distributions (3, 2, 4), share {share:.2f}",
        ),
        Case((p, q, 1 - share), note=f"distributions with zeros, share {1 - share:.2f}"),
    ]


def kl(p, q):
    """Σ p log(p / q) in nats; 0 · log 0 counts as 0."""
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(dim=-1)


def shares(share):
    """The weights of p and q."""
    return share, 1 - share


def js(p, q, share, *, on=shares, middle=shares, turned=False, last=same):
    """The Jensen–Shannon divergence with weights share and 1 − share.

    Knobs: the weights of the two KL and those of the mixture, whether this stands first, and what the result undergoes.
    """
    (s, t), (u, v) = on(share), middle(share)
    m = u * p + v * q
    return last(s * kl(m, p) + t * kl(m, q) if turned else s * kl(p, m) + t * kl(q, m))


def _nearly(cases, results):
    """Return whether an answer is nearly right everywhere, and not 0 for two equal distributions."""
    pairs = zip(cases, results, strict=True)
    nearly = all(close(result.output, js(*case.args), 0.1, margin=0.05) for case, result in pairs)
    return nearly and bool(results[2].output[1].abs() > 1e-12)


JS = function(
    "optimum.js",
    "Jensen–Shannon for any share",
    points=2,
    cases=js_cases,
    reference=js,
    where="@0,1",
    let={
        "first": lambda share: (1, 0),
        "ones": lambda share: (1, 1),
        "half": lambda share: (0.5, 0.5),
        "swap": lambda share: (1 - share, share),
        "jeffreys": lambda p, q, share: share * kl(p, q) + (1 - share) * kl(q, p),
        "bits": lambda nats: nats / math.log(2),
        "root": Tensor.sqrt,
        "sum": Tensor.sum,
        "mean": Tensor.mean,
        "per_point": lambda *args: js(*args) / args[0].shape[-1],
        "not_finite": RightBut((2,), not_finite),
        "nearly": When(_nearly),
    },
    table="""
    order-reversed    turned=True    | the mixture m stands in the first place of each KL. m covers both distributions
                                     | and no distribution covers m: in this order the divergence has no bound
    jeffreys          jeffreys       | it compares p with q directly; each is to be compared with the mixture of the two
    one-sided         on=first       | only p is compared with the mixture; q is missing
    bits              last=bits      | these are bits; the course measures in nats
    root              last=root      | this is the root of the divergence. Some libraries return it, because it is a
                                     | metric; C(G) contains the divergence itself
    unweighted        on=ones        | the two KL are added; they are averaged, with the shares as weights
    middle-not-halved middle=ones    | the denominator is p + q, which sums to 2 and is no distribution: this can be
                                     | negative
    share-ignored     on=half middle=half | share does not enter: this is the chapter's formula, with ½ and ½
    equal-middle      middle=half    | the two KL have their weights, but the mixture is half and half; the bag that D
                                     | sees is not
    equal-weights     on=half        | the mixture is right, but the two KL are weighed half and half
    shares-swapped    on=swap middle=swap | the shares have changed places: share is that of p, the data
    middle-swapped    middle=swap    | the two KL have their weights, but in the mixture the shares have changed places
    weights-swapped   on=swap        | the mixture is right, but the weights of the two KL have changed places
    rows-together     last=sum       | it adds up all pairs; each pair of distributions has a number of its own
    rows-averaged     last=mean      | it averages over the pairs; each pair of distributions has a number of its own
    mean-over-points  per_point      | it divides by the number of points. The sum over points is weighted by p already:
                                     | that is the mean
    zero-log-zero     not_finite     | where a probability is 0 it gives NaN or infinity: 0 · log 0 counts as 0
    smoothed          nearly         | for two equal distributions it is not exactly 0. The theorem needs the case of
                                     | equality, so nothing may be added to the probabilities
    """,
)


# 5 One step as a matrix ------------------------------------------------------------------------------


def step_cases(seed: int) -> list[Case]:
    """Four games, in turn with simultaneous and with alternating steps."""
    draws, cases = generator_of(seed), list[Case]()
    for alternating in (False, True, False, True):
        eta, a, b, c = (uniform(draws, low, high) for low, high in ((0.2, 0.5), (0.3, 0.9), (1.1, 1.9), (1, 1.6)))
        if len(cases) == 3:
            a = 0.0
        note = f"{'alternating' if alternating else 'simultaneous'} steps, η = {eta:.2f}"
        cases.append(Case((eta, a, b, c, alternating), note=note))
    return cases


def step_matrix(eta, a, b, c, alternating, *, turn=same, down=1, up=1, of_a=1, of_c=1, last=same):
    """The matrix of one step in the game f = ½ a x² + b x y − ½ c y².

    Knobs: what is made of alternating, the signs of both players' steps, factors of a and c, and what the matrix
    undergoes.
    """
    x = torch.tensor([1 - down * eta * of_a * a, -down * eta * b], dtype=DOUBLE)
    base = x if turn(alternating) else torch.tensor([1.0, 0.0], dtype=DOUBLE)
    y = torch.tensor([0.0, 1 - up * eta * of_c * c], dtype=DOUBLE) + up * eta * b * base
    return last(torch.stack([x, y]))


def _y_first(eta, a, b, c, alternating):
    y = torch.tensor([eta * b, 1 - eta * c], dtype=DOUBLE)
    base = y if alternating else torch.tensor([0.0, 1.0], dtype=DOUBLE)
    return torch.stack([torch.tensor([1 - eta * a, 0.0], dtype=DOUBLE) - eta * b * base, y])


def _incomplete(eta, a, b, c, alternating):
    matrix = step_matrix(eta, a, b, c, alternating)
    matrix[1, 1] = 1 - eta * c
    return matrix


STEP_MATRIX = function(
    "optimum.step_matrix",
    "One step as a matrix",
    points=3,
    cases=step_cases,
    reference=step_matrix,
    let={
        "never": lambda alternating: False,
        "always": lambda alternating: True,
        "inverted": lambda alternating: not alternating,
        "y_first": _y_first,
        "change": lambda matrix: matrix - torch.eye(2, dtype=DOUBLE),
        "transposed": Tensor.t,
        "flipped": lambda matrix: matrix.flip(0),
        "incomplete": _incomplete,
    },
    table="""
    never-alternating  turn=never      | with alternating=True, y still answers the old x; x has moved by then
    always-alternating turn=always     | with alternating=False, y answers the new x: was x overwritten before y was
                                       | computed
    flag-inverted      turn=inverted   | the two cases of alternating have changed places
    y-first            y_first         | with alternating=True, y moves first; the exercise lets x begin
    both-descend       up=-1           | both players descend. y wants f large
    both-ascend        down=-1         | both players ascend. x wants f small
    players-swapped    down=-1 up=-1   | the players are swapped: x descends f and y ascends it
    c-sign             of_c=-1         | the sign of c: f has −½ c y², so its slope pulls y back
    a-sign             of_a=-1         | the sign of a: x descends, so its own curvature pulls it back
    curvature-halved   of_a=.5 of_c=.5 | the factors ½ are still there; the derivative of ½ a x² has none
    change-only        last=change     | this is the change that a step makes. The matrix should give the new point
                                       | itself
    transposed         last=transposed | the matrix is transposed: its rows should give the new x and the new y
    y-before-x         last=flipped    | the rows have changed places: the new x is above, the new y below
    new-x-incomplete   incomplete      | with alternating=True the new x depends on the old y too, and through it y acts
                                       | on itself
    """,
)


# 6 Numbers of a perfect generator --------------------------------------------------------------------

EQUILIBRIUM = numbers(
    "optimum.equilibrium",
    "Five readings of a loss",
    points=2,
    answer="readings",
    right="log(4)  log(2)  bag  0  -inf",
    let={"bag": math.log(4) - 0.75 * math.log(3)},
    table="""
    printed-sign         -log(4) * * * *  | the first number is V. A program minimises −V, and every cross-entropy is
                                          | positive
    sum-and-mean-swapped log(2) log(4) bag 0 -inf | the first two have changed places: which program divides by 2
    bits                 2 1 * * *        | these are bits; the course measures in nats
    half-for-any-bag     * * log(2) * *   | the third number is that of a D which says ½. When three of four samples are
                                          | generated, the best D knows this before it has looked
    bag-unweighted       * * log(16/3) * * | the third number counts both terms fully; one mean over the bag gives each
                                          | term the share of its samples
    bag-sides-swapped    * * log(4)-log(3)/4 * * | the third number is that of a D which takes the shares the wrong way
                                          | round
    far-is-perfect       * * * log(4);log(2) * | the fourth number: with no common ground D is never in doubt. What does
                                          | a sure and right answer cost
    far-is-infinite      * * * inf;-inf * | the fourth number is infinite. The JSD has a bound, and the best loss of D
                                          | has one too
    far-is-bound         * * * 4*log(2);-log(4) * | the fourth number: C is −log 4 + 2 JSD, and the loss is −C. Which
                                          | JSD has a generator without common ground
    maximum-for-minimum  * * * * -log(4)  | the fifth number is the largest value of the printed formula; an optimiser
                                          | is told to make it small
    printed-finite       * * * * !        | the fifth number is finite. Let D say 0.01 to all data, then 0.0001: what
                                          | does the printed formula do
    printed-up           * * * * inf      | the fifth number: logarithms of probabilities are never positive, so it
                                          | cannot go up without bound
    """,
)


# 7 Other games on the same distributions ----------------------------------------------------------------------

P_DATA, P_G = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=DOUBLE), torch.tensor([0.1, 0.3, 0.2, 0.4], dtype=DOUBLE)

OTHER_GAMES = numbers(
    "optimum.other_games",
    "Four games on the same two distributions",
    points=2,
    answer="values",
    right="1+tv  soft  inf  -log(4)",
    let={
        "tv": ((P_DATA - P_G).abs().sum() / 2).item(),
        "soft": ((P_DATA**2 + P_G**2) / (P_DATA + P_G)).sum().item(),  # the unlogged value of D*
        "logs": 2 * js(P_DATA, P_G, 0.5).item() - math.log(4),
    },
    table="""
    soft-optimum    soft * * *   | the first number is what D* gets. D* is best for the logarithms; a straight line in D
                                 | has its maximum at an end
    distance-alone  tv * * *     | the first number is a distance; a D that says ½ everywhere beats it
    half-forgotten  1+2*tv * * * | the first number: total variation is half the sum of the absolute differences
    with-logs       logs * * *   | the first number is that of the game with logarithms
    undecided       1 * * *      | the first number is that of a D which says ½; D can do better
    same-twice      * 1+tv * *   | the second number is the maximum again; D* hesitates where both distributions have
                                 | mass, and that costs
    joint-zero      * * 0 *      | the third number: log D(x) is at most 0, but the second term has a minus sign before
                                 | it
    joint-bounded   * * ! *      | the third number is finite. There is a point where only samples are; let D go to 0
                                 | there
    joint-down      * * -inf *   | the third number: D makes it as large as it can
    order-ignored   * * * logs   | the fourth number belongs to this p_g. In that game G answers D, with any
                                 | distribution it likes
    order-unbounded * * * -inf   | the fourth number: a D that is sure somewhere can be punished without bound. But D
                                 | moves first, and need not be sure
    order-zero      * * * 0      | the fourth number: D cannot be right about data and about all that G might make;
                                 | whatever it calls real, G will make
    """,
)


# 8 Which assumption fails ----------------------------------------------------------------------------

FINITE = essay(
    "optimum.finite",
    "Which assumption fails?",
    points=5,
    words=80,
    rubric=(
        "1 point: states before looking, for each kind of row, whether both values will be above or below C(G), and "
        "why. "
        "2 points: reads the table correctly, with numbers and over the seeds. A narrow D has a V that is too low, "
        "although its expectations are exact; a D on few samples has a V on them that is too high, and a V on the "
        "distributions that is too low, even below −log 4. With many samples the first of these is smaller than "
        "the scatter of the samples, so V where trained may fall below C(G) (1 point if one run is taken for a rule). "
        "1 point: names the assumption that fails in each kind of row, D is any function (capacity) and expectations "
        "are exact (samples), and a statement that still holds: on the distributions V(D) ≤ C(G) for every D. "
        "Says how a D that is not the best of its family was told from a family that is too small, or that it was not. "
        "1 point: draws a consequence for reading a loss curve, and names a measurement that would speak against it."
    ),
)


SET = Set(
    "optimum",
    "03_what_the_game_optimises",
    "What the game optimises",
    (BEST_ANSWER, SQUARE_DENSITY, VALUE_LOSS, JS, STEP_MATRIX, EQUILIBRIUM, OTHER_GAMES, FINITE),
)
