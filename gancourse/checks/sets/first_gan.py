"""Chapter 2, the first GAN on digits: pictures, bookkeeping, logs, and the step with all that a program adds to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gancourse.checks.core import Case, Comparison, Result, Set, Spec, Verdict, When, close, given, right, wrong
from gancourse.checks.forms import essay, function, generator_of, numbers, same, uniform

# 1 From the generator to a picture -------------------------------------------------------------------


def picture_cases(seed: int) -> list[Case]:
    """Grey and coloured pictures that are a little off the 256 levels; none of them uses the whole range."""
    draws = generator_of(seed)
    cases = []
    for shape, low, high in (((3, 1, 5, 4), 20, 200), ((2, 3, 4, 6), 90, 256)):
        levels = torch.randint(low, high, shape, generator=draws) + 0.8 * torch.rand(shape, generator=draws) - 0.4
        x = levels / 127.5 - 1
        x[0, 0, 0, :2] = torch.tensor([1.02, -1.03])  # a network without a tanh may go a little beyond
        cases.append(Case((x,), note=f"float {shape}, with a few values a little outside [-1, 1]"))
    x = torch.randint(60, 180, (2, 1, 3, 5), generator=draws) / 127.5 - 1
    return [*cases, Case((x,), note="pale pictures, float (2, 1, 3, 5)")]


def _clamped(levels):
    return levels.clamp(0, 255).to(torch.uint8)


def _last(x):
    return x.permute(0, 2, 3, 1)


def to_pixels(x, *, see=same, zero=-1.0, one=1.0, stretch=(), whole=torch.round, fit=_clamped, turn=_last):
    """Float (B, C, H, W) in [-1, 1] to bytes (B, H, W, C).

    Knobs: what becomes 0 and 255, or over which axes the range is taken; how levels become bytes; the order of axes.
    """
    x = see(x)
    if stretch:
        zero, one = x.amin(dim=stretch, keepdim=True), x.amax(dim=stretch, keepdim=True)
    return turn(fit(whole(255 * (x - zero) / (one - zero))))


class Bytes(Comparison):
    """Asks for bytes as well, and not only for the numbers."""

    def __call__(self, cases: list[Case], results: list[Result]) -> Verdict:
        """Return the verdict on the results of these cases."""
        judged = super().__call__(cases, results)
        if judged.ok and any(result.output.dtype != torch.uint8 for result in results):
            return wrong("dtype", "the numbers are right, and their type is not: bytes (torch.uint8) are asked for")
        return judged


TO_PIXELS = function(
    "first_gan.to_pixels",
    "Find the bugs: from the generator to a picture",
    points=2,
    cases=picture_cases,
    reference=to_pixels,
    judge=Bytes,
    let={
        "abs": torch.abs,
        "same": same,
        "byte": lambda levels: levels.to(torch.uint8),
        "wrap": lambda levels: levels.to(torch.int64).remainder(256),
        "view": lambda x: x.reshape(x.shape[0], *x.shape[2:], x.shape[1]),
        "columns": lambda x: x.permute(0, 3, 2, 1),
        "single": lambda x: _last(x)[..., 0],
    },
    table="""
    as-given          stretch=(0,1,2,3) whole=same fit=byte turn=view | all given bugs are still there: what does the
                      | scale depend on, what becomes of the digits behind the point, what does reshape do to the order
    stretched-batch   stretch=(0,1,2,3) | the batch is stretched from its smallest to its largest value: a picture looks
                      | different in another batch; the inverse of (2.1) has fixed numbers
    stretched-picture stretch=(1,2,3)  | each picture is stretched to the full range: a pale one gets full contrast
    unit-range        zero=0           | it takes the values for [0, 1]. A tanh gives values down to −1; they turn black
    variance          zero=-2 one=2    | Normalize takes a standard deviation of 0.5, not a variance of 0.25
    no-shift          zero=-.5 one=.5  | the shift is undone, the scale is not
    absolute          see=abs zero=0   | the sign of the values is lost
    times-128         one=255/128-1    | it multiplies by 128; between 256 levels there are 255 steps
    truncated         whole=same       | the digits behind the point are cut off. A byte that goes to float and back may
                      | then come out one lower; round first
    wrapped           fit=wrap         | values beyond the range wrap round: white specks on black, black ones on white.
                      | Clamp before the conversion to bytes
    both-truncated-and-wrapped whole=same fit=wrap | values beyond the range wrap round, and the others are cut off
    channels-first    turn=same        | the channels stand before rows and columns still; picture files have them last
    scrambled         turn=view        | the shape is right and the pixels are scrambled: reshape keeps the order of the
                      | numbers, and moving an axis needs another one
    columns-and-rows  turn=columns     | rows and columns have changed places
    no-channel        turn=single      | the channel axis is gone; a grey picture has one channel, and keeps its axis
    """,
)


# 2 Bookkeeping ---------------------------------------------------------------------------------------

WIDTHS = (100, 256, 512, 784)
LINEAR = sum((a + 1) * b for a, b in zip(WIDTHS[:-1], WIDTHS[1:], strict=True))

BOOKKEEPING = numbers(
    "first_gan.bookkeeping",
    "Bookkeeping before the first run",
    points=2,
    right="W+2*H  2*H  235  96  234*30*3",  # BatchNorm: a scale and a shift, a mean and a variance for each unit
    let={"W": LINEAR, "H": sum(WIDTHS[1:-1])},
    tol=1e-8,
    table="""
    no-norm            W * * * *       | the first number holds linear layers alone. BatchNorm has learned numbers too
    no-bias            W+2*H-256-512-784 * * * * | in the first number the biases are missing
    statistics-learned W+4*H * * * *   | the first number holds running statistics as well. No gradient moves them
    one-per-unit       W+H * * * *     | the first number: BatchNorm scales and shifts; how many numbers is that a unit
    norm-at-the-end    W+2*H+2*784 * * * * | the first number: after a generator's last layer there is no BatchNorm
    one-statistic      * H;H+2 * * *   | the second number: what has to be known of each unit to normalise one picture
    counters           * 2*H+2 * * *   | close: the counters of batches are stored as well, but they are no statistics
    no-statistics      * 0 * * *       | the second number: in eval mode BatchNorm uses numbers that it has stored
    zero-based         * * 234 * *     | the third number: count from 1; the small batch comes after the last full one
    never              * * 0;inf * *   | the third number: 60,000 is no multiple of 256, so one batch is too small
    missing-pictures   * * * 160 *     | the fourth number says how many pictures that batch lacks, not how many it has
    per-epoch          * * * * 30*3    | the last number is what the author meant. The lines stand in the inner loop
    last-batch-saved   * * * * 235*30*3 | the last number: with drop_last=True there is no smaller batch
    one-file           * * * * 234*30;234*30*2 | the last number: each time three files are written
    one-epoch          * * * * 234*3   | the last number is that of one epoch
    """,
)


# 3 Two silent bugs -----------------------------------------------------------------------------------

SILENT_BUGS = numbers(
    "first_gan.silent_bugs",
    "Two bugs that raise no error",
    points=2,
    right="3/8  3/4  1/3",  # of pairs that differ; the mean of the labels; 0.4 / (0.4 + 0.8)
    tol=0.005,
    table="""
    no-broadcasting    0 * *     | the first number: a column minus a row is a square. Which answers meet which labels
    half-the-pairs     3/16 * *  | the first number: pairs of different labels come in two kinds, (1, 0) and (0, 1)
    share-of-zeros     1/4 * *   | the first number: not every answer meets only one wrong label; count pairs
    half-wrong         1/2 * *   | the first number: with as many zeros as ones it would be this; here not
    undecided          * 1/2 *   | the second number: it is the best answer only if half of the labels are ones
    the-majority       * 1 *     | the second number: L2 asks for the mean of the labels, L1 for their median
    as-momentum        * * 1     | the third number: look up the second argument of BatchNorm1d; it is not the momentum
    standard-deviation * * 3**-.5 | the third number is the standard deviation; the variance is asked for
    not-in-the-root    * * .4/(.4**.5+.8)**2 | the third number: eps is added to the variance, under the root
    ratio              * * 1/2   | the third number: eps is added to the variance, it does not replace it
    """,
)


# 4 Auditing a log ------------------------------------------------------------------------------------


def log_cases(seed: int) -> list[Case]:
    """Rows of logs: honest ones, then each kind of impossible one; shuffled."""
    draws = generator_of(seed)

    def between(low: float, high: float) -> float:
        return uniform(draws, low, high)

    def honest(width: float) -> list[float]:
        """The averages of a batch of logits that differ by about `width`."""
        centres = between(0.3, 1.5), between(-1.5, -0.3), between(-2.0, -0.5)
        real, fake, after = (centre + width * torch.randn(8, generator=draws) for centre in centres)
        losses = softplus(-real).mean() + softplus(fake).mean(), softplus(-after).mean()
        return [float(v) for v in (*losses, real.sigmoid().mean(), fake.sigmoid().mean(), after.sigmoid().mean())]

    def row(d_loss: float, g_loss: float, *, d: tuple[float, float, float]) -> list[float]:
        """A row whose losses are given as multiples of their smallest values."""
        real, fake, after = d
        return [d_loss * (-math.log(real) - math.log(1 - fake)), g_loss * -math.log(after), real, fake, after]

    def opinions() -> tuple[float, float, float]:
        return between(0.55, 0.8), between(0.2, 0.45), between(0.1, 0.35)

    def one(**changes: float) -> list[float]:
        names = ("d_loss", "g_loss", "d_real", "d_fake", "d_fake_after")
        return [changes.get(name, value) for name, value in zip(names, honest(0.6), strict=True)]

    def scaled() -> list[float]:
        d_loss, *rest = honest(0.05)
        return [d_loss / 2, *rest]

    rows = [
        honest(0.6),
        honest(2.5),
        row(1.02, 1.02, d=opinions()),
        row(4.0, 1.1, d=(between(0.8, 0.95), between(0.05, 0.2), between(0.3, 0.5))),  # few, but very wrong answers
        row(1.2, 5.0, d=opinions()),
        row(1.3, 1.2, d=(between(0.55, 0.8), between(0.05, 0.12), between(0.4, 0.6))),  # D moved a great deal
        row(1.1, 1.2, d=(between(0.5, 0.57), between(0.6, 0.7), between(0.3, 0.45))),  # the fakes have fooled D
        row(1.1, 1.2, d=(between(0.3, 0.4), between(0.2, 0.3), between(0.45, 0.55))),  # and fool it after its move
        row(1.2, 9.0, d=(between(0.985, 0.99), between(0.004, 0.006), between(0.03, 0.06))),  # a very good D
        row(0.9, 1.2, d=opinions()),
        row(0.75, 1.2, d=(between(0.55, 0.6), between(0.4, 0.45), 0.3)),  # enough for each half, not for both
        row(1.2, 0.9, d=opinions()),
        row(1.2, 0.5, d=(between(0.6, 0.8), between(0.75, 0.8), between(0.2, 0.25))),  # right before D moved, not after
        row(0.15, 1.3, d=(between(0.9, 0.95), between(0.7, 0.75), between(0.6, 0.75))),  # minus a mean pixel
        row(0.6, 0.6, d=opinions()),
        [between(0.3, 0.4), 1.5, between(0.28, 0.32), between(0.08, 0.12), 0.4],  # enough for the fakes alone
        [between(0.8, 0.9), 1.5, between(0.28, 0.32), between(0.08, 0.12), 0.4],  # and for half of the sum
        [between(0.3, 0.4), 1.5, between(0.88, 0.92), between(0.68, 0.72), 0.4],  # enough for the data alone
        scaled(),
        one(d_loss=-between(0.5, 1.3)),
        one(g_loss=-between(0.3, 1.0)),
        one(d_real=between(1.2, 2.5)),  # a mean logit
        one(d_real=between(1.01, 1.04)),  # no probability either
        one(d_fake=-between(0.3, 1.5)),
        one(d_fake_after=between(1.1, 1.6)),
    ]
    order = torch.randperm(len(rows), generator=draws)
    columns = torch.tensor(rows)[order].T
    return [
        Case(tuple(columns[:, :10].clone()), note="10 rows of a log"),
        Case(tuple(columns[:, 10:].clone()), note=f"{len(rows) - 10} rows of a log"),
    ]


def _least(real, fake, after):
    """The smallest loss of D for these opinions, by Jensen's inequality."""
    return -real.log() - (1 - fake).log()


def _g_least(real, fake, after):
    return -after.log()


def possible(L, g, real, fake, after, *, d_least=_least, g_least=_g_least, fits=torch.ge, inside=True):
    """Whether five averages can come from one step. Knobs: the smallest losses, and what is asked of the losses."""
    opinions = real, fake, after
    found = fits(L, d_least(*opinions)) & fits(g, g_least(*opinions))
    return found & torch.stack([(d > 0) & (d < 1) for d in opinions]).all(dim=0) if inside else found


POSSIBLE = function(
    "first_gan.possible",
    "Auditing a log",
    points=3,
    cases=log_cases,
    reference=possible,
    let={
        "none": lambda real, fake, after: torch.full_like(real, -math.inf),
        "zero": lambda real, fake, after: torch.zeros_like(real),
        "less": torch.le,
        "about": lambda loss, least: (loss - least).abs() < 0.1,
        "below": lambda loss, least: (loss >= least) & (loss <= 3 * least),
        "by_real": lambda real, fake, after: -real.log(),
        "by_fake": lambda real, fake, after: -(1 - fake).log(),
        "either": lambda real, fake, after: torch.maximum(-real.log(), -(1 - fake).log()),
        "half": lambda *opinions: _least(*opinions) / 2,
        "wrong_half": lambda real, fake, after: -real.log() - fake.log(),
        "before": lambda real, fake, after: -fake.log(),
        "after": lambda real, fake, after: _least(real, after, fake),
        "inverted": lambda *columns: ~possible(*columns),
    },
    table="""
    d-only           g_least=none    | the loss of G is not audited: it has a smallest value as well
    g-only           d_least=none    | the loss of D is not audited: it has a smallest value as well
    reversed         fits=less       | the inequality is turned round. −log bends upwards: compare the mean of −log D
                                     | for D = 0.1 and 0.9 with −log of their mean
    equality         fits=about      | it demands equality. A mean of logarithms is no logarithm of a mean
    upper-bound      fits=below      | honest rows are refused. A few very wrong answers make a loss very large
    real-half        d_least=by_real | of L_D only the real half is looked at
    fake-half        d_least=by_fake | of L_D only the generated half is looked at
    each-half        d_least=either  | L_D is compared with each of its halves; it has to make room for both
    halved           d_least=half    | the bound is that of a program that averages the two halves; this log adds them
    d-fake-not-complemented d_least=wrong_half | the generated half of L_D is −log(1 − D): small where D(G(z)) is
    before-for-after g_least=before  | L_G is compared with D(G(z)) before D's move. G is judged by the D that has moved
    after-for-before d_least=after   | L_D is compared with D(G(z)) after D's move; its own batch was judged before
    signs-only       d_least=zero g_least=zero | only signs and ranges are checked. The opinions say how large a loss is
    no-range         inside=False    | a column that is no probability gets through: the mean of D lies between 0 and 1
    inverted         inverted        | it is True for the impossible rows; True should mean possible
    """,
)


# 5 Sampling without traces ---------------------------------------------------------------------------


def sampling_cases(seed: int) -> list[Case]:
    """A generator with BatchNorm in train mode, and one in eval mode; the last case is the first with another seed."""
    cases = []
    for n, d, training, own in ((4, 3, True, 1), (3, 5, False, 2), (6, 4, True, 3), (4, 3, True, 4)):
        options = {"sizes": [d, 6, 4], "seed": seed + n, "training": training, "nested": n == 6}
        G = Spec("normed_mlp", options)
        note = f"{n} samples, latent_dim {d}, G in {'train' if training else 'eval'} mode"
        cases.append(Case((G, n, d, seed + 17 * own), seed=seed + own, note=note))
    return cases


def _own_noise(n, latent_dim, seed):
    return torch.randn(n, latent_dim, generator=generator_of(seed))


def _reset(n, latent_dim, seed):
    torch.manual_seed(seed)
    return torch.randn(n, latent_dim)


def sample(G, n, latent_dim, seed, *, noise=_own_noise, evaluate=True, grad=False, back=same):
    """n samples in eval mode, of noise from `seed`, without a trace. Knobs: how, and the mode that is left behind."""
    z, was_training = noise(n, latent_dim, seed), G.training
    with torch.set_grad_enabled(grad):
        samples = G.train(was_training and not evaluate)(z)
    G.train(back(was_training))
    return samples


def _same_for_two_seeds(cases: list[Case], results: list[Result]) -> bool:
    return close(results[0].output["output"], results[3].output["output"])


SAMPLE = function(
    "first_gan.sample",
    "Sampling without a trace",
    points=3,
    cases=sampling_cases,
    reference=sample,
    probe="aftermath",
    let={
        "eval": lambda training: False,
        "train": lambda training: True,
        "reset": _reset,
        "shared": lambda n, latent_dim, seed: torch.randn(n, latent_dim),
        "rand": lambda n, latent_dim, seed: torch.rand(n, latent_dim, generator=generator_of(seed)),
        "both": lambda n, latent_dim, seed: torch.rand(n, latent_dim),
        "no_seed": When(_same_for_two_seeds),
    },
    table="""
    train-mode        evaluate=False .output | G samples in the mode in which it happens to be. In train mode a sample
                      | depends on its neighbours, the stored statistics change, and one sample alone is an error
    mode-not-restored back=eval .training | G is left in eval mode: the training goes on with frozen statistics
    always-train      back=train .training | G is left in train mode, also where it was in eval mode before
    graph             grad=True .graph | the samples carry their graph, and with it the memory of every layer
    global-seed       noise=reset .output,untouched | right samples, but the global random generator is not what it
                      | was: set to a seed it would draw the same noise after each look
    unseeded          noise=shared .output | the noise comes from the global random generator, so the samples differ
                      | from call to call and the training goes on with other noise
    not-your-own      noise=both .untouched | the global random generator is used; the training goes on with other noise
    constant-seed     no_seed         | the seed does not enter: two seeds give the same samples
    uniform           noise=rand .output | the noise is uniform; G was trained with noise from a normal distribution
    """,
)


# 6 The averaged generator ----------------------------------------------------------------------------


def average_cases(seed: int) -> list[Case]:
    """Two generators with BatchNorm, one of which is the average; the second case has a slower average."""
    draws = generator_of(seed)
    cases = []
    for sizes, low, high in (([3, 5, 2], 0.6, 0.7), ([2, 4, 3, 1], 0.85, 0.95)):
        beta = uniform(draws, low, high)
        options = {"sizes": sizes, "training": low < 0.8, "nested": low > 0.8}
        average, G = (
            Spec("normed_mlp", options | {"seed": seed + shift, "batches": batches, "frozen": shift == 1 and low > 0.8})
            for shift, batches in ((1, 12), (2, 90))
        )
        words = f"beta = {beta:.2f}" + (", a frozen average with parts in parts" if low > 0.8 else "")
        cases.append(Case((average, G, beta), changes=(0,), note=words))
    return cases


@torch.no_grad()
def update_average(average, G, beta, *, share=lambda beta: 1 - beta, forget=True, buffers="averaged"):
    """The running average (2.6), of weights and running statistics; counters are copied.

    Knobs: the share of the new, whether the old shrinks, and what becomes of buffers: averaged, copied or left.
    """
    new = share(beta)
    for old, now in zip(average.parameters(), G.parameters(), strict=True):
        old.copy_((1 - new if forget else 1) * old + new * now)
    for old, now in zip(average.buffers(), G.buffers(), strict=True):
        if buffers == "copied" or (buffers == "averaged" and not old.is_floating_point()):
            old.copy_(now)
        elif buffers == "averaged":
            old.lerp_(now, new)


def _buffers(result: Result, owner: int) -> list[Tensor]:
    """Return the buffers of one of the modules, without counters."""
    return [tensor for tensor in result.output["buffers"][owner] if tensor.is_floating_point()]


def _changes_g(cases: list[Case], results: list[Result]) -> bool:
    pairs = zip(results, given(update_average, cases, "aftermath"), strict=True)
    return any(not close(got.output["buffers"][1], want.output["buffers"][1]) for got, want in pairs)


def _counters_only(cases: list[Case], results: list[Result]) -> bool:
    pairs = zip(results, given(update_average, cases, "aftermath"), strict=True)
    return all(
        close([r.changed(0), *_buffers(r, 0)], [w.changed(0), *_buffers(w, 0)])
        and close(r.output["training"], w.output["training"])
        for r, w in pairs
    )


UPDATE_AVERAGE = function(
    "first_gan.update_average",
    "Find the bugs: a running average of a generator",
    points=3,
    cases=average_cases,
    reference=update_average,
    probe="aftermath",
    let={
        "same": same,
        "none": lambda beta: 0.0,
        "all": lambda beta: 1.0,
        "half": lambda beta: 0.5,
        "changes_g": When(_changes_g),
        "counters": When(_counters_only),
    },
    table="""
    changes-g         changes_g       | the running statistics of G itself change; only the average should
    as-given          share=same buffers='left' | both given bugs are still there. With β = 0.999, how much of the
                      | average should survive one step? And what does BatchNorm use in eval mode besides its weights
    nothing           share=none buffers='left' | the average is what it was. An assignment to the name of a loop
                      | variable changes no network
    buffers-forgotten buffers='left'  | the weights are right; the running statistics of BatchNorm are those of the
                      | beginning. They are no parameters, and without them averaged weights give broken pictures
    buffers-copied    buffers='copied' | the running statistics are copied from G, and fit G's last weights; the
                      | averaged weights need averaged ones
    beta-swapped      share=same      | β and 1 − β have changed places: the average forgets nearly all at each step
    copy              share=all .0    | it is a copy of G, not an average
    half              share=half .0   | it is the mean of both; β does not enter
    sum               forget=False .0 | nothing of the old weights is forgotten: the shares do not add up to 1
    buffers-only      share=none .0   | the weights do not move
    counters          counters        | weights and statistics are right; the counters of batches should be G's
    """,
)


# 7 The training step ---------------------------------------------------------------------------------

LONG, BATCH_OF_LONG = 12, 64
APART = 0.02
"""After the long case the weights may be this far from the reference's, in units of the way that those have gone. Right
steps, written differently, stayed below 0.0001 with 150 seeds (Adam enlarges rounding errors); wrong ones above 0.1."""


def step_cases(seed: int) -> list[Case]:
    """One step of small networks, two and three of others; then a longer run of larger ones, with larger batches."""
    draws = generator_of(seed)
    cases = []
    for steps, m, widths, lr in ((1, 6, (3, 4), 0.04), (2, 4, (3, 5), 0.03), (3, 5, (4, 3), 0.05)):
        G = Spec("mlp", {"sizes": [3, widths[0], 2], "seed": seed + 1})
        D = Spec("mlp", {"sizes": [2, widths[1], 1], "seed": seed + 2})
        real = 0.8 * torch.randn(steps, m, 2, generator=draws) + torch.tensor([1.5, -1.0])
        note = f"{steps} step{'s' * (steps > 1)} with batches of {m}"
        cases.append(_step_case(G, D, (lr, 2 * lr), real, torch.randn(steps, m, 3, generator=draws), note, seed))
    G = Spec("mlp", {"sizes": [2, 32, 32, 2], "activation": "leaky_relu", "seed": seed + 3})
    D = Spec("mlp", {"sizes": [2, 32, 32, 1], "activation": "leaky_relu", "seed": seed + 4})
    real = torch.randn(LONG, BATCH_OF_LONG, 2, generator=draws).sign() + 0.1
    z = torch.randn(LONG, BATCH_OF_LONG, 2, generator=draws)
    note = f"{LONG} steps with batches of {BATCH_OF_LONG}"
    return [*cases, _step_case(G, D, (2e-3, 4e-3), real, z, note, seed)]


def _step_case(G: Spec, D: Spec, rates: tuple[float, float], real: Tensor, z: Tensor, note: str, seed: int) -> Case:
    g_adam, d_adam = (
        Spec("optimizer", {"of": of, "name": "Adam", "lr": lr, "betas": (0.5, 0.999)}) for of, lr in enumerate(rates)
    )
    return Case((G, D, g_adam, d_adam, real, z), changes=(0, 1), note=note, seed=seed)


def train_step(
    G,
    D,
    g_adam,
    d_adam,
    real,
    z,
    *,
    wanted=(1.0, 0.0),
    g_loss=lambda a: softplus(-a),
    mean=torch.mean,
    scale=1.0,
    detach=True,
    clear="dg",
    early="",
    in_d="d",
    in_g="g",
    order="dg",
    number=Tensor.item,
    log=None,
):
    """One step of the first GAN, with the four numbers of its log.

    Knobs: the labels of data and of fakes, G's loss, how losses are averaged, and a factor of D's; whether D's half is
    cut off; whose gradients are cleared, and whose at the top; whose optimisers step in each half; the order of the
    halves; in what form the log is, and what stands in it instead.
    """
    adams, seen = {"d": d_adam, "g": g_adam}, {}

    def move(who, loss, steps):
        if who in clear and who not in early:
            adams[who].zero_grad()
        loss.backward()
        for name in steps:
            adams[name].step()
        seen[f"{who}_loss"] = loss

    for who in early:
        adams[who].zero_grad()
    for half in order:
        fake = G(z)
        if half == "g":
            move("g", mean(g_loss(D(fake))), in_g)
        else:
            shown, a, b = fake, D(real), D(fake.detach() if detach else fake)
            losses = (softplus(logits) - y * logits for logits, y in zip((a, b), wanted, strict=True))
            move("d", scale * sum(mean(loss) for loss in losses), in_d)
    seen |= {"d_real": a.sigmoid().mean(), "d_fake": b.sigmoid().mean()}
    told = log({**seen, "a": a, "b": b, "fake": shown, "D": D}) if log else {}
    return {name: number(value) for name, value in (seen | told).items()}


def _stand_still(G, D, g_adam, d_adam, real, z):
    """A step that does nothing."""


def _also(name: str, value: Callable[[dict[str, Any]], Tensor]) -> Callable[[dict[str, Any]], dict[str, Tensor]]:
    """Log something else under this name."""
    return lambda seen: {name: value(seen)}


class FewAndMany(Comparison):
    """Compares the short cases with the reference number by number, then where both players are after the long one."""

    def __call__(self, cases: list[Case], results: list[Result]) -> Verdict:
        """Return the verdict on the results of these cases."""
        judged = super().__call__(cases[:-1], results[:-1])
        if not judged.ok:
            return judged
        (expected,), (start,) = (given(formula, cases[-1:], "train") for formula in (train_step, _stand_still))
        for player, name in enumerate("GD"):
            away = _distance(results[-1].changed(player), expected.changed(player))
            if not away <= APART * _distance(start.changed(player), expected.changed(player)):
                return wrong(
                    "parts-later",
                    f"a few steps with small batches are right, but after {cases[-1].note} {name} is somewhere else. "
                    "Does every example of the batch count, and does nothing stay from one call to the next",
                )
        return right()


def _distance(a: list[Tensor], b: list[Tensor]) -> float:
    """Return the distance of two networks: the root of the summed squares over all weights."""
    return math.sqrt(sum((x - y).double().square().sum().item() for x, y in zip(a, b, strict=True)))


TRAIN_STEP = function(
    "first_gan.train_step",
    "The step, from memory, with its log",
    points=5,
    cases=step_cases,
    reference=train_step,
    probe="train",
    judge=FewAndMany,
    let={
        "same": same,
        "sum": torch.sum,
        "rise": softplus,
        "minimax": lambda a: -softplus(a),
        "minus_pixel": _also("d_fake", lambda seen: -seen["fake"].mean()),
        "pixel": _also("d_fake", lambda seen: seen["fake"].mean()),
        "logit": _also("d_fake", lambda seen: seen["b"].mean()),
        "real_logit": _also("d_real", lambda seen: seen["a"].mean()),
        "later": _also("d_fake", lambda seen: seen["D"](seen["fake"]).sigmoid().mean()),
        "first": _also("d_fake", lambda seen: seen["b"].mean().sigmoid()),
        "swap": lambda seen: {"d_real": seen["d_fake"], "d_fake": seen["d_real"]},
        "value": _also("d_loss", lambda seen: -seen["d_loss"]),
    },
    table="""
    g-frozen        in_g='' .0       | G does not move: either nothing of the verdict reaches it (a detach() too many),
                    | or its optimiser never steps. A D that nobody fools says nothing about G
    d-frozen        in_d='' .1       | D does not move: G plays against a judge who has stopped learning
    keeps-graph     number=same .graph | the log holds tensors with their graph: a list of logs keeps the memory of all
    swapped-labels  wanted=(0,1) .0,1 | D's targets are swapped: it learns to call data generated
    g-target-zero   g_loss=rise .0,1 | in G's half the target of fakes is 0 still. A target says what the player wants
    minimax         g_loss=minimax .0,1 | G descends the minimax loss; (2.4) is asked for
    taught-to-be-recognised detach=False early='g' .0,1 | D's half leaves gradients in G, since nothing cuts the graph
                    | there, and they are not cleared before G's move: G is also taught to be recognised
    no-clearing     clear='' .0,1    | no gradient is ever cleared; backward() adds to those of all earlier steps
    d-not-cleared   clear='g' .0,1   | D's gradients are not cleared before its move. G's half has filled them before
    g-not-cleared   clear='d' .0,1   | G's gradients pile up from step to step: they are not cleared
    everything-wrong clear='' detach=False .0,1 | no gradient is ever cleared, and nothing cuts the graph in D's half
    both-move-in-g  in_g='gd' .0,1   | in G's half D's optimiser steps too: D is taught to be fooled
    both-move-in-d  in_d='dg' detach=False .0,1 | in D's half G's optimiser steps too
    g-first         order='gd' .0,1  | G moves before D; here D moves first, and the D that moved judges
    halved          scale=0.5 .log   | L_D is the mean of its halves; (2.3) adds them. A log of 0.69 means another D
    summed          mean=sum .log    | the losses add up over the batch; they are means, or they grow with the batch
    mean-pixel      log=minus_pixel  | d_fake is minus the mean of the fakes themselves. On digits that is a plausible
                    | number between 0.5 and 0.8, and it has nothing to do with D
    mean-sample     log=pixel        | d_fake is the mean of the fakes themselves
    mean-logit      log=logit        | d_fake is a mean of logits; D(G(z)) is a probability
    real-mean-logit log=real_logit   | d_real is a mean of logits; D(x) is a probability
    logged-after    log=later        | d_fake is what D says after its move; d_loss belongs to what it said before
    mean-first      log=first        | d_fake is the sigmoid of a mean logit; D(G(z)) is a mean of probabilities
    log-swapped     log=swap         | d_real and d_fake have changed places in the log
    negative-loss   log=value        | the log has V where it should have L_D. No cross-entropy is negative
    """,
)


# 8 Which run has collapsed? --------------------------------------------------------------------------

COLLAPSED = essay(
    "first_gan.collapsed",
    "Which runs have collapsed?",
    points=5,
    words=120,
    rubric=(
        "1 point: names two runs from the logs alone, with a reason, before the samples are looked at; a wrong guess "
        "with a clear reason gets the point. "
        "2 points: compares guess and truth with numbers of both tables: the collapsed runs have losses near 2 log 2 "
        "and log 2 and opinions near ½, the healthy ones do not; says what these values mean and why they do not mean "
        "that p_g = p_data (1 point if the numbers are read but not explained). "
        "1 point: adds a number to the log that would have told, computed from samples and not from D, and reports "
        "what it shows for the four runs. "
        "1 point: limits: a toy ring, one seed for each run, logs averaged over 100 steps; and a case in which the "
        "writer's own number would be fooled."
    ),
)


SET = Set(
    "first_gan",
    "02_first_gan",
    "The first GAN on digits",
    (TO_PIXELS, BOOKKEEPING, SILENT_BUGS, POSSIBLE, SAMPLE, UPDATE_AVERAGE, TRAIN_STEP, COLLAPSED),
)
