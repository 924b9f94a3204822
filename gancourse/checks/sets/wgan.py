"""Chapter 8, WGAN: two bounds of one distance, a critic with clipped weights, and what its log says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gancourse.checks.core import Case, Set, Spec
from gancourse.checks.forms import RightBut, essay, function, generator_of, not_finite, numbers, same, uniform, uniforms

DOUBLE = torch.float64


# 1 On the line ---------------------------------------------------------------------------------------


def line_cases(seed: int) -> list[Case]:
    """Samples on the line, as many of both kinds and unequal numbers; a place that both share, some twice in one."""
    draws = generator_of(seed)
    cases = []
    for n, m, side in ((5, 5, 1), (4, 7, -1), (8, 3, 1), (6, 6, -1)):
        while True:
            x, y = (torch.randn(k, generator=draws, dtype=DOUBLE) for k in (n, m))
            x, y = 2 * x + side * uniform(draws, 0.3, 0.6), y - side * uniform(draws, 0.3, 0.6)
            y[0] = x[2]
            if n > 5:  # places that a sample has twice
                x[4], y[2] = x[3], y[1]
            gap = side * (x.mean() - y.mean())
            if 0.3 < gap < w1_line(x, y) - 0.2 and bool((x.diff() < 0).any()):  # mass has to move both ways
                break
        cases.append(Case((x, y), note=f"{n} and {m} samples"))
    return cases


def w1_line(x, y, *, price=Tensor.abs):
    """W1 = ∫ |F(t) − G(t)| dt, from the steps of both distribution functions. The knob: what a gap costs."""
    ends = torch.cat([x, y]).sort().values
    F, G = ((samples[:, None] <= ends[:-1]).double().mean(dim=0) for samples in (x, y))
    return (price(F - G) * ends.diff()).sum()


def _in_order(samples):
    return samples.sort().values


def _paired(x, y, *, order=_in_order, reduce=torch.mean):
    """Sample i of the one goes to sample i of the other, as long as there are both."""
    k = min(len(x), len(y))
    return reduce((order(x)[:k] - order(y)[:k]).abs())


def _largest_gap(x, y):
    ends = torch.cat([x, y])
    F, G = ((samples[:, None] <= ends).double().mean(dim=0) for samples in (x, y))
    return (F - G).abs().max()


def _at_ranks(x, y):
    """Quantiles at equal steps, instead of where they jump."""
    at = torch.linspace(0, 1, 101, dtype=DOUBLE)
    return (x.quantile(at) - y.quantile(at)).abs().mean()


W1_LINE = function(
    "wgan.w1_line",
    "The distance of samples on the line",
    points=3,
    cases=line_cases,
    reference=w1_line,
    let={
        "paired": _paired,
        "given": same,
        "sum": torch.sum,
        "square": Tensor.square,
        "root": lambda values: values.square().mean().sqrt(),
        "all_pairs": lambda x, y: (x[:, None] - y).abs().mean(),
        "means": lambda x, y: (x.mean() - y.mean()).abs(),
        "turned": lambda x, y: x.mean() - y.mean(),
        "nearest": lambda x, y: (x[:, None] - y).abs().amin(dim=1).mean(),
        "largest": _largest_gap,
        "ranks": _at_ranks,
        "some": RightBut((1, 2)),
    },
    table="""
    unsorted      paired order=given | sample i goes to sample i as they come. The best plan keeps the order on the line
    signed        price=given        | this is a difference of the means (so is a gap of the distribution functions that
                                     | keeps its sign), and mass that moves both ways cancels
    signed-turned turned             | this is a difference of the means, and mass that moves both ways cancels
    cut-off       paired             | with unequal numbers the largest samples of one side are left out. Every sample
                                     | has its share of the mass, 1/n or 1/m
    summed        paired reduce=sum  | the ways are added up; each carries a share of the mass
    w2            paired reduce=root | this is W₂: ways are squared, and a root is taken at the end
    means         means              | it compares the means, and mass that moves both ways cancels there
    all-pairs     all_pairs          | each sample of the one goes to all of the other: that is one plan, and a dear one
    nearest       nearest            | every sample goes to the nearest of the other kind, so some receive too much
    kolmogorov    largest            | this is the largest gap of the distribution functions (Kolmogorov and Smirnov).
                                     | It cannot tell near from far
    cramer        price=square       | the gap of the distribution functions is squared; W₁ integrates the gap itself
    interpolated  ranks              | the quantiles are interpolated; those of samples jump from one to the next
    equal-only    some               | right for as many samples of both kinds, and not for unequal numbers
    """,
)


# 2 Two bounds ----------------------------------------------------------------------------------------


def _steepest(places, f):
    """The secant slopes between all places, and which pair has the steepest."""
    slopes = (f[:, None] - f).abs() / (torch.cdist(places, places) + torch.eye(len(f), dtype=DOUBLE))
    return slopes, divmod(int(slopes.argmax()), len(f))


def bound_cases(seed: int) -> list[Case]:
    """A coupling with steep, flat and constant scores, then tables that are none: sums, signs, much and little."""
    draws = generator_of(seed)
    cases = []
    kinds = (
        "",
        "",
        "constant scores",
        "wrong columns, and scores that have the sides wrong",
        "wrong rows",
        "a negative entry",
        "too little mass",
        "a sum that is 0.0003 off",
        "an entry of -0.0003",
    )
    sizes = (4, 3, 5, 3, 5, 4, 3, 4, 4), (3, 5, 4, 4, 3, 5, 4, 3, 4)
    for number, (kind, n, m) in enumerate(zip(kinds, *sizes, strict=True)):
        while True:
            x, y = (torch.randn(k, 2 + number % 2, generator=draws, dtype=DOUBLE) for k in (n, m))
            p, q = (uniforms(draws, 0.2, 1.0, k) for k in (n, m))
            p, q = p / p.sum(), q / q.sum()
            f = (0.15 if number == 1 else 2.0) * torch.randn(n + m, generator=draws, dtype=DOUBLE)
            f = f + (0.6 if number == 1 else 2.5) * (torch.arange(n + m) < n)
            slopes, (i, j) = _steepest(torch.cat([x, y]), f)
            within = (i < n) == (j < n)
            steep = slopes[i, j] > 1.5 if number != 1 else slopes[i, j] < 0.8
            if steep and within == (number % 2 == 0) and p @ f[:n] - q @ f[n:] > 0.1:
                break
        plan, turn = p[:, None] * q, torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=DOUBLE)
        if kind != "constant scores":  # everywhere else one way stays empty
            plan[:2, :2] += min(float(plan[0, 1]), float(plan[1, 0])) * turn
        if kind.startswith("wrong columns"):
            plan = p[:, None] * q.roll(1)
        elif kind == "wrong rows":
            plan = p.roll(1)[:, None] * q
        elif kind == "a negative entry":
            plan[2:4, 2:4] -= (float(plan[2, 2]) + 0.05) * turn
        elif kind == "too little mass":
            plan = 0.9 * plan
        elif kind.startswith("a sum"):
            plan[2, 2] += 3e-4
        elif kind.startswith("an entry"):
            plan[2:4, 2:4] -= (float(plan[2, 2]) + 3e-4) * turn
        f = torch.full_like(f, 0.7) if kind == "constant scores" else -f if kind.startswith("wrong columns") else f
        note = kind or ("steep scores" if number == 0 else "flat scores")
        cases.append(Case((x, p, y, q, plan, f[:n], f[n:]), note=note))
    return cases


_FITS = {
    "rows": lambda p, q, plan: torch.allclose(plan.sum(dim=1), p),
    "columns": lambda p, q, plan: torch.allclose(plan.sum(dim=0), q),
    "total": lambda p, q, plan: torch.allclose(plan.sum(), p.sum()),
    "signs": lambda p, q, plan: bool((plan >= 0).all()),
    "strict": lambda p, q, plan: bool((plan > 0).all()),
}


def bounds(
    x, p, y, q, plan, f_x, f_y, *, asked=("rows", "columns", "signs"), way=torch.cdist, slope=None, value=None,
    last=same,
):  # fmt: skip
    """A critic's value by its steepest secant, and the cost of a plan: W1 lies between. Knobs: see their names."""
    fits = all(_FITS[word](p, q, plan) for word in asked)
    upper = (plan * way(x, y)).sum() if fits else torch.tensor(math.inf)
    K = (slope or _lipschitz)(x, y, f_x, f_y)
    gain = value(p, q, f_x, f_y) if value else p @ f_x - q @ f_y
    return last((gain / K if K > 0 else torch.zeros(()), upper))


def _lipschitz(x, y, f_x, f_y):
    return _steepest(torch.cat([x, y]), torch.cat([f_x, f_y]))[0].max()


def _cross(x, y, f_x, f_y):
    return ((f_x[:, None] - f_y).abs() / torch.cdist(x, y)).max()


BOUNDS = function(
    "wgan.bounds",
    "A distance between two bounds",
    points=4,
    cases=bound_cases,
    reference=bounds,
    let={
        "one": lambda *_: torch.ones(()),
        "at_least_one": lambda *args: _lipschitz(*args).clamp(min=1),
        "cross": _cross,
        "turned": lambda p, q, f_x, f_y: q @ f_y - p @ f_x,
        "size": lambda p, q, f_x, f_y: (p @ f_x - q @ f_y).abs(),
        "plain": lambda p, q, f_x, f_y: f_x.mean() - f_y.mean(),
        "square": lambda x, y: torch.cdist(x, y).square(),
        "order": lambda pair: pair[::-1],
        "cut": lambda pair: (torch.as_tensor(pair[0]).clamp(min=0), pair[1]),
        "infinite": lambda pair: (pair[0], torch.tensor(math.inf)),
        "not_finite": RightBut((2,), not_finite),
        "constant": RightBut((2,)),
        "nothing": (),
        "rows": ("rows", "signs"),
        "columns": ("columns", "signs"),
        "sums": ("rows", "columns"),
        "positive": ("signs",),
        "total": ("total", "signs"),
        "strict": ("rows", "columns", "strict"),
    },
    table="""
    not-divided   slope=one          | the value is not divided by the steepest slope: any multiple of the scores would
                                     | then give another "bound"
    only-if-steep slope=at_least_one | flat scores are not divided. K may be below 1, and then the bound is too low
    cross-only    slope=cross        | only slopes between a place of x and one of y are looked at. The steepest may lie
                                     | between two places of one kind
    sign          value=turned       | the lower bound has the sign turned: the critic is to be high on p, the data
    absolute      value=size         | the lower bound is never negative here. A critic that has the sides wrong proves
                                     | nothing, and a negative bound says so
    never-below-0 last=cut           | a negative lower bound is cut off at 0. That is true of W₁, but not what these
                                     | scores prove
    unweighted    value=plain        | the scores are averaged without the weights p and q
    always-inf    last=infinite      | no plan is taken for one: the upper bound is never finite
    anything-goes asked=nothing      | a plan is not asked whether it is one: wrong sums and negative masses pass
    sums-unasked  asked=positive     | the sums of rows and columns are not looked at: a plan has to carry off p and
                                     | bring q
    total-only    asked=total        | only the sum of all is looked at: a plan has to carry off p and bring q
    rows-only     asked=rows         | the sums of the columns are not looked at: what arrives has to be q
    columns-only  asked=columns      | the sums of the rows are not looked at: what leaves has to be p
    signs-unasked asked=sums         | a negative mass passes, and may make a plan as cheap as one likes
    no-empty-way  asked=strict       | a plan with an empty way is refused. Most ways of a good plan are empty
    squared       way=square         | the cost squares the distances; that belongs to W₂
    order         last=order         | the two bounds have changed places: a value bounds from below, a plan from above
    constant-nan  not_finite         | with constant scores, where K = 0, the lower bound is 0; it is not finite here
    at-constant   constant           | right, except for constant scores, which prove the bound 0
    """,
)


# 3 Two losses ----------------------------------------------------------------------------------------


def loss_cases(seed: int) -> list[Case]:
    """Scores of unequal numbers, of both signs; the second time D has the sides wrong."""
    draws = generator_of(seed)
    cases = []
    for n, m, up, down in ((5, 3, 1.4, -0.8), (2, 6, -2.0, 1.1), (4, 4, 0.9, 0.4)):
        real, fake = (torch.randn(k, 1, generator=draws) + shift for k, shift in ((n, up), (m, down)))
        cases.append(Case((real, fake), grads=(0, 1), note=f"{n} real and {m} generated scores"))
    return cases


def critic_losses(real_scores, fake_scores, *, see=same, by=torch.mean, on=(-1, 1), g=-1, d=same):
    """Arjovsky et al. 2017, algorithm 1. Knobs: what scores go through, the mean, the signs, and both results."""
    real, fake = see(real_scores), see(fake_scores)
    return d(on[0] * by(real) + on[1] * by(fake)), g * by(fake)


CRITIC_LOSSES = function(
    "wgan.critic_losses",
    "Two losses, two signs",
    points=2,
    cases=loss_cases,
    reference=critic_losses,
    let={
        "sigmoid": torch.sigmoid,
        "sum": torch.sum,
        "abs": Tensor.abs,
        "pooled": lambda real, fake: (torch.cat([-real, fake]).mean(), -fake.mean()),
        "order": lambda real, fake: critic_losses(real, fake)[::-1],
        "with_data": lambda real, fake: (fake.mean() - real.mean(), real.mean() - fake.mean()),
        "cut": lambda real, fake: (fake.detach().mean() - real.mean(), -fake.mean()),
    },
    table="""
    estimate      on=(1,-1)      | the critic's loss has the sign of the estimate. The critic makes the estimate large,
                                 | and an optimiser makes a loss small
    both-turned   on=(1,-1) g=1  | both signs are turned, as in the authors' program, whose critic is low on data. The
                                 | game is the same; here D is high on data
    g-sign        g=1            | G's loss has the wrong sign: G would make its samples score low
    g-on-data     with_data      | G's loss holds the real scores. They make it minus the critic's, and G cannot move
                                 | them
    real-only     on=(-1,0)      | the fakes do not enter the critic's loss
    fake-only     on=(0,1)       | the data does not enter the critic's loss
    sigmoid       see=sigmoid    | a sigmoid comes first; a critic's score is any number, and it saturates nowhere
    summed        by=sum         | it adds up over the batch; with unequal batches the larger one would count more
    pooled        pooled         | the critic's loss is one mean over both batches; each has a mean of its own
    absolute      d=abs          | the critic's loss is an absolute value: it could not tell its two sides apart
    order         order          | the two losses have changed places
    cut-for-d     cut            | the value is right, and the critic learns nothing from the fakes' scores. What is
                                 | detached in a training step is the sample, before the critic sees it
    """,
)


# 4 Clipping ------------------------------------------------------------------------------------------


def clip_cases(seed: int) -> list[Case]:
    """Networks without and with BatchNorm, one in a module; boxes that cut off much and little; a number at c."""
    draws = generator_of(seed)
    cases = []
    for kind, sizes, low in (("mlp", [3, 6, 4, 1], 8), ("normed_mlp", [2, 5, 4, 1], 16), ("normed_mlp", [4, 3, 1], 70)):
        c = int(torch.randint(low, low + 8, (), generator=draws)) / 64  # a number that float32 holds exactly
        note = f"c = {c:.3f}, {'with' if kind == 'normed_mlp' else 'without'} BatchNorm"
        cases.append(Case((Spec(kind, {"sizes": sizes, "seed": seed % 2**30 + low}), c), changes=(0,), note=note))
    c = int(torch.randint(16, 32, (), generator=draws)) / 64
    options = {"sizes": [2, 3, 1], "seed": seed % 2**30, "gain": [c, 3 * c]}
    note = f"c = {c:.3f}, a network in a module with a parameter of its own"
    return [*cases, Case((Spec("gained_mlp", options), c), changes=(0,), note=note)]


@torch.no_grad()
def clip_weights(D, c, *, which=None, change=None, buffers=None, told=None):
    """Every parameter of D back into [-c, c]; the share that was outside. Knobs: which, how, and what is told."""
    share = (told or _share)(torch.cat([w.flatten() for w in D.parameters()]), c, D)
    chosen = list(which(D) if which else D.parameters())
    norm = sum(float(w.square().sum()) for w in chosen) ** 0.5
    for w in chosen:
        w.copy_(change(w, c, norm) if change else w.clamp(-c, c))
    for stored in D.buffers() if buffers else ():
        if stored.is_floating_point():
            stored.clamp_(-c, c)
    return share


def _share(flat, c, D):
    return (flat.abs() > c).float().mean()


def _of_linear(D):
    return [w for module in D.modules() if isinstance(module, torch.nn.Linear) for w in module.parameters()]


CLIP_WEIGHTS = function(
    "wgan.clip_weights",
    "A critic in a box",
    points=2,
    cases=clip_cases,
    reference=clip_weights,
    probe="in_place",
    let={
        "matrices": lambda D: [w for w in D.parameters() if w.ndim > 1],
        "linear": _of_linear,
        "weights": lambda D: [w for name, w in D.named_parameters() if "weight" in name],
        "reached": lambda flat, c, D: (flat.abs() >= c).float().mean(),
        "percent": lambda flat, c, D: 100 * _share(flat, c, D),
        "upper": lambda w, c, norm: w.clamp(max=c),
        "positive": lambda w, c, norm: w.clamp(0, c),
        "tanh": lambda w, c, norm: c * torch.tanh(w / c),
        "scaled": lambda w, c, norm: w * min(1.0, c / norm),
        "stay": lambda w, c, norm: w,
        "outside": lambda w, c, norm: torch.where(w.abs() > c, torch.zeros_like(w), w),
        "count": lambda flat, c, D: (flat.abs() > c).sum().float(),
        "inside": lambda flat, c, D: 1 - _share(flat, c, D),
        "upper_end": lambda flat, c, D: (flat > c).float().mean(),
    },
    table="""
    not-clipped     change=stay .0    | the parameters are what they were: a new tensor changes no network
    no-biases       which=matrices .0 | biases, or the scale and shift of BatchNorm, are left out. Algorithm 1 clips w,
                                      | which is every parameter
    weights-only    which=weights .0  | what is not called `weight` is left out: biases, and a module's own parameters.
                                      | Algorithm 1 clips every parameter
    spares-batchnorm which=linear .0  | scale and shift of BatchNorm are spared. Algorithm 1 clips every parameter, and
                                      | the authors' program does so too
    upper-only      change=upper .0   | only what lies above c is brought back; the box has two ends
    positive        change=positive .0 | the box runs from 0 to c, and loses all negative weights
    squashed        change=tanh .0    | the weights are squeezed into the box; clipping leaves alone what lies inside
    norm            change=scaled .0  | all parameters are scaled by their norm, as gradients are sometimes clipped; the
                                      | box holds each number by itself
    zeroed          change=outside .0 | what lies outside becomes 0; clipping puts it at the nearer end
    buffers-too     buffers=True .buffers | the running statistics of BatchNorm are clipped as well. They are no
                                      | parameters: they tell what the data was like
    border-outside  told=reached .output | a number at c itself counts as outside; the box holds its ends
    percent         told=percent .output | the share is in percent; a number from 0 to 1 is asked for
    count           told=count .output | it returns a number of parameters, and a share is asked for
    share-inside    told=inside .output | it returns the share of those that were inside the box
    upper-end       told=upper_end .output | only the parameters above c are counted; the box has two ends
    """,
)


# 5 Algorithm 1, the critic's half --------------------------------------------------------------------


def step_cases(seed: int) -> list[Case]:
    """Two, three and four moves of RMSProp by critics, one with old gradients; the box is narrower than weights."""
    draws = generator_of(seed)
    cases = []
    for k, m, n, width, lr in ((2, 5, 4, 4, 0.02), (3, 3, 6, 5, 0.01), (4, 4, 4, 3, 0.03)):
        options = {"sizes": [2, width, width, 1], "activation": "leaky_relu", "seed": seed % 2**30 + k}
        D = Spec("gained_mlp", options | {"gain": [0.7, 0.5], "stale": True}) if k == 3 else Spec("mlp", options)
        options = {"name": "RMSprop", "lr": lr, "eps": 1e-3}  # a small eps lets rounding move the last bias
        optimizer = Spec("optimizer", {"of": 0, **options})
        reals = 1.5 + torch.randn(k, m, 2, generator=draws)
        fakes = 0.7 * torch.randn(k, n, 2, generator=draws) - 0.5
        c = uniform(draws, 0.25, 0.35)
        note = f"{k} moves with batches of {m} and {n}"
        cases.append(Case((D, optimizer, reals, fakes, c), changes=(0,), note=note))
    return cases


def critic_steps(
    D, optimizer, reals, fakes, c, *, sign=-1, by=torch.mean, see=same, clip="after", what=None, clear=True, log=1,
    late=False, order=same, slopes=False, cut=same,
):  # fmt: skip
    """The loop over t of algorithm 1, with the estimates E D(x) - E D(G(z)) before each move.

    Knobs: the sign of the loss in the estimate, the mean, what scores go through; when the box acts, on what; whether
    gradients are cleared; the sign in the log, whether it is of after the move; the batches; the slopes in the box;
    what the fakes' scores go through.
    """

    def box():
        with torch.no_grad():
            for w in what(D) if what else D.parameters():
                w.clamp_(-c, c)

    def estimate(x, fake):
        return by(see(D(x))) - by(see(cut(D(fake))))

    told = []
    for x, fake in zip(order(reals), order(fakes), strict=True):
        if clip == "before":
            box()
        value = estimate(x, fake)
        if clear:
            optimizer.zero_grad()
        (sign * value).backward()
        if slopes:
            for w in D.parameters():
                w.grad.clamp_(-c, c)
        optimizer.step()
        if clip == "after":
            box()
        told.append(log * (estimate(x, fake) if late else value).item())
    if clip == "once":
        box()
    return told


CRITIC_STEPS = function(
    "wgan.critic_steps",
    "Algorithm 1: the critic's moves",
    points=4,
    cases=step_cases,
    reference=critic_steps,
    probe="in_place",
    let={
        "linear": _of_linear,
        "detach": Tensor.detach,
        "swapped": lambda D, optimizer, reals, fakes, c: critic_steps(D, optimizer, fakes, reals, c),
        "sum": torch.sum,
        "sigmoid": torch.sigmoid,
        "matrices": lambda D: [w for w in D.parameters() if w.ndim > 1],
        "none": "",
        "before": "before",
        "once": "once",
        "first": lambda batches: batches[:1].expand_as(batches),
    },
    table="""
    descends      sign=1          | the critic makes the estimate small: data would score low, and G be led away from it
    swapped       swapped         | data and fakes have changed places, in the loss and in the log
    fakes-cut     cut=detach      | the fakes' scores are detached, so that the critic learns from data alone. What is
                                  | cut off in a training step is the sample, before the critic sees it
    gradients     clip=none slopes=True | the gradients are clipped; the box is for the parameters, after the move
    not-clipped   clip=none       | no parameter is clipped: without the box the estimate grows for ever
    clips-first   clip=before     | the box acts before each move, as in the authors' program, so that the last move
                                  | stays unclipped. Algorithm 1 clips after it
    clips-once    clip=once       | the box acts once, after all moves; in algorithm 1 it acts after each
    no-biases     what=matrices   | the biases are not clipped; algorithm 1 clips every parameter
    linear-only   what=linear     | parameters of linear layers alone are clipped; algorithm 1 clips every parameter
    not-cleared   clear=False     | gradients are not cleared: each move adds those of all moves before
    one-batch     order=first     | all moves use the first batch; each has a batch of its own
    sigmoid       see=sigmoid     | a sigmoid comes first; a critic's score is any number
    summed        by=sum          | it adds up over the batch; with unequal batches the larger one counts more
    logs-the-loss log=-1          | the log holds the critic's loss; the estimate is minus that
    logged-after  late=True       | an estimate is of after its move; it should be the one that the move was made by
    """,
)


# 6 Parallel lines ------------------------------------------------------------------------------------

PARALLEL_LINES = numbers(
    "wgan.parallel_lines",
    "Parallel lines, a quarter apart",
    points=2,
    right="1/4  -1  log(2)  0  1",
    table="""
    all-distances  1/4 -1 1/4 -1 1/4 | Jensen–Shannon and total variation do not see how far apart two lines are
    signed         -1/4;-1/4 1;-1 * * * | the first number is a distance, and never negative
    wrong-way      1/4 1 * * *       | the second number has the wrong sign: θ is on the left, and a larger θ is nearer
    no-slope       * 0 * * *         | the second number: W₁ is |θ|, which has a slope wherever θ is not 0
    bits           * * 1 * *         | the third number is in bits; the course measures in nats
    value-function * * 2*log(2) * *  | the third number is the constant of chapter 3; the divergence itself is half
    infinite       * * inf * *       | the third number: it is the Kullback–Leibler divergence that is infinite here
    no-divergence  * * 0 * *         | the third number would be 0 only for θ = 0
    pulls          * * log(2) ! *    | the fourth number: does the divergence change when the line moves a little
    l1             * * * * 2         | the last number is Σ|p − q|; total variation is half of it
    half           * * * * 1/2       | the last number: the largest difference of probabilities of one set. Take the
                                     | line of the data for the set
    """,
)


# 7 The estimate of a clipped critic ------------------------------------------------------------------

# 1 → 128 → 128 → 1 without biases: the steepest slope is c³ · 128², and two layers more multiply by (128 c)².
CLIPPED = numbers(
    "wgan.clipped",
    "What a clipped critic reports",
    points=3,
    right="5*K  5000*K  5*K*1.28**2  5  3",
    let={"K": 0.01**3 * 128**2},
    table="""
    calibrated    5 5 5 5 *              | a clipped critic reports a multiple of the distance, not the distance: c
                                         | bounds its weights and not its slope
    slope-alone   K 1000*K K*1.28**2 * * | these are slopes; the data lies 5 away
    slope-is-c    0.05 0.5 * * *         | c bounds each weight. A slope adds up 128 ways and multiplies three layers
    no-widths     5*0.01**3 5*0.1**3 * * * | the layers multiply, and each hidden layer also adds up 128 ways
    one-width     5*0.01**3*128 5*0.1**3*128 * * * | both hidden layers add up 128 ways, not one of them
    three-widths  5*1.28**3 5*12.8**3 * * * | the input has one unit; only the two hidden layers add up
    linear-in-c   5*K 50*K * * *         | the second number: c enters once for each of the three layers
    squared-in-c  5*K 500*K * * *        | the second number: c enters once for each of the three layers
    depth-free    * * 5*K * *            | the third number: two layers more multiply the slope twice
    depth-by-c    * * 5*K*0.0001 * *     | the third number: a layer multiplies by c, and also adds up 128 ways
    raw           * * * 5*K *            | the fourth number: divide by the slope, and the distance is left
    unit          * * * 1 *              | the fourth number: it is the estimate that is divided, not the slope
    sign          * * * * -3             | the last number: the log holds the loss, and a distance is not negative
    loss-itself   * * * * 3*K;-3*K       | the last number: the loss is in units of the critic's slope
    """,
)


# 8 Is c only a unit? ---------------------------------------------------------------------------------

ONLY_A_UNIT = essay(
    "wgan.only_a_unit",
    "Does a small c make a bad critic?",
    points=5,
    words=120,
    rubric=(
        "1 point: says before looking what each hypothesis predicts for the four rows; A: the rows with one c are "
        "alike; B: the rows with one ratio of rate to c are alike. "
        "2 points: reads the table with its numbers: the two rows of one ratio are close together and the two of one c "
        "far apart, against the spread of the seeds, although the estimates of equally good rows differ by about a "
        "thousand; and gives a reason: scaled weights give a scaled critic, the division in RMSProp takes the scale "
        "out of both moves, and what is left is how many moves the critic needs across its box (1 point for the table "
        "alone). "
        "1 point: limits: one small network, one data set, few seeds and steps; biases and the small constant of "
        "RMSProp break the exact scaling; nothing here says that clipping itself is harmless. "
        "1 point: one further experiment with an outcome that would speak against the writer's own view."
    ),
)


SET = Set(
    "wgan",
    "08_wgan",
    "Wasserstein GAN",
    (W1_LINE, BOUNDS, CRITIC_LOSSES, CLIP_WEIGHTS, CRITIC_STEPS, PARALLEL_LINES, CLIPPED, ONLY_A_UNIT),
)
