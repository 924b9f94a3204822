"""Chapter 2, the first GAN on digits: pictures, bookkeeping, logs, and the step with all that a program adds to it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import softplus

from gancourse.checks.core import (
    Case,
    Exercise,
    Judge,
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


def _item(position: int, *values: float) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(close(results[0].output[position], value, 1e-6) for value in values))


# 1 From the generator to a picture -------------------------------------------------------------------


def picture_cases(seed: int) -> list[Case]:
    """Grey and coloured pictures that are a little off the 256 levels; none of them uses the whole range."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for shape, low, high in (((3, 1, 5, 4), 20, 200), ((2, 3, 4, 6), 90, 256)):
        levels = torch.randint(low, high, shape, generator=draws) + 0.8 * torch.rand(shape, generator=draws) - 0.4
        x = levels / 127.5 - 1
        x[0, 0, 0, :2] = torch.tensor([1.02, -1.03])  # a network without a tanh may go a little beyond
        note = f"float {shape}, with a few values a little outside [-1, 1]"
        cases.append(Case((x,), note=note))
    x = torch.randint(60, 180, (2, 1, 3, 5), generator=draws) / 127.5 - 1
    return [*cases, Case((x,), note="pale pictures, float (2, 1, 3, 5)")]


def to_pixels(x: Tensor) -> Tensor:
    """Float (B, C, H, W) in [-1, 1] to bytes (B, H, W, C)."""
    return _bytes((x + 1) * 127.5)


def _bytes(levels: Tensor) -> Tensor:
    return levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _stretched(x: Tensor, *dims: int) -> Tensor:
    low, high = x.amin(dim=dims, keepdim=True), x.amax(dim=dims, keepdim=True)
    return _bytes(255 * (x - low) / (high - low))


def _last(x: Tensor) -> tuple[int, ...]:
    """Return the shape with the channels last."""
    return (x.shape[0], *x.shape[2:], x.shape[1])


def _pixel_judge() -> Judge:
    inner = compare(
        to_pixels,
        {
            "as-given": (
                lambda x: (255 * (x - x.min()) / (x.max() - x.min())).to(torch.uint8).reshape(_last(x)),
                "all given bugs are still there: what does the scale depend on, what happens to the digits behind the "
                "point, and what does reshape do to the order of the pixels",
            ),
            "stretched-batch": (
                lambda x: _stretched(x, 0, 1, 2, 3),
                "the batch is stretched from its smallest to its largest value. The same picture then looks different "
                "in another batch; the inverse of (2.1) has fixed numbers",
            ),
            "stretched-picture": (
                lambda x: _stretched(x, 1, 2, 3),
                "each picture is stretched to the full range: a pale one comes out with full contrast",
            ),
            "unit-range": (
                lambda x: _bytes(255 * x),
                "it takes the values for [0, 1]. A tanh gives values down to −1, and they all turn black",
            ),
            "variance": (
                lambda x: _bytes(255 * (0.25 * x + 0.5)),
                "it undoes another transform: Normalize takes a standard deviation of 0.5, not a variance of 0.25",
            ),
            "no-shift": (
                lambda x: _bytes(255 * (x + 0.5)),
                "the shift is undone, the scale is not",
            ),
            "absolute": (lambda x: _bytes(255 * x.abs()), "the sign of the values is lost"),
            "truncated": (
                lambda x: ((x + 1) * 127.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1),
                "the digits behind the point are cut off. A byte that goes to float and back may then come out one "
                "lower; round first",
            ),
            "wrapped": (
                lambda x: ((x + 1) * 127.5).round().to(torch.int64).remainder(256).permute(0, 2, 3, 1),
                "values beyond the range wrap round: white specks on black, black ones on white. Clamp before the "
                "conversion to bytes",
            ),
            "both-truncated-and-wrapped": (
                lambda x: ((x + 1) * 127.5).to(torch.int64).remainder(256).permute(0, 2, 3, 1),
                "values beyond the range wrap round, and all others are cut off where they should be rounded",
            ),
            "channels-first": (
                lambda x: to_pixels(x).permute(0, 3, 1, 2),
                "the channels stand before rows and columns still; picture files have them last",
            ),
            "scrambled": (
                lambda x: to_pixels(x).permute(0, 3, 1, 2).reshape(_last(x)),
                "the shape is right and the pixels are scrambled: reshape keeps the order of the numbers, and "
                "moving an axis needs another one",
            ),
            "columns-and-rows": (
                lambda x: to_pixels(x).permute(0, 2, 1, 3),
                "rows and columns have changed places",
            ),
            "no-channel": (
                lambda x: to_pixels(x)[..., 0],
                "the channel axis is gone; a grey picture has one channel, and keeps its axis",
            ),
        },
    )

    def judge(cases: list[Case], results: list[Result]) -> Verdict:
        judged = inner(cases, results)
        if judged.ok and any(result.output.dtype != torch.uint8 for result in results):
            return wrong("dtype", "the numbers are right, and their type is not: bytes (torch.uint8) are asked for")
        return judged

    return judge


TO_PIXELS = Exercise(
    name="first_gan.to_pixels",
    title="Find the bugs: from the generator to a picture",
    tier="implement",
    points=2,
    answer="to_pixels",
    cases=picture_cases,
    judge=_pixel_judge(),
)


# 2 Bookkeeping ---------------------------------------------------------------------------------------

PICTURES, BATCH, EPOCHS = 60_000, 256, 30
WIDTHS = (100, 256, 512, 784)
HIDDEN = sum(WIDTHS[1:-1])
LINEAR = sum((a + 1) * b for a, b in zip(WIDTHS[:-1], WIDTHS[1:], strict=True))
FULL = PICTURES // BATCH
BOOKS = [LINEAR + 2 * HIDDEN, 2 * HIDDEN, FULL + 1, PICTURES - FULL * BATCH, FULL * EPOCHS * 3]

BOOKKEEPING = Exercise(
    name="first_gan.bookkeeping",
    title="Bookkeeping before the first run",
    tier="predict",
    points=2,
    answer="bookkeeping",
    kind="value",
    judge=compare(
        BOOKS,
        {
            "no-norm": (
                _item(0, LINEAR),
                "the first number holds the linear layers alone. BatchNorm has learned numbers, too",
            ),
            "no-bias": (_item(0, BOOKS[0] - sum(WIDTHS[1:])), "in the first number the biases are missing"),
            "statistics-learned": (
                _item(0, LINEAR + 4 * HIDDEN),
                "the first number holds the running statistics as well. They follow the data; no gradient moves them",
            ),
            "one-per-unit": (
                _item(0, LINEAR + HIDDEN),
                "the first number: how many learned numbers does BatchNorm have for each unit? It scales and shifts",
            ),
            "norm-at-the-end": (
                _item(0, BOOKS[0] + 2 * WIDTHS[-1]),
                "the first number: BatchNorm stands after the hidden layers only; a generator's last layer has none",
            ),
            "one-statistic": (
                _item(1, HIDDEN, HIDDEN + 2),
                "the second number: to normalise a single picture in eval mode, what has to be known of each unit",
            ),
            "counters": (
                _item(1, 2 * HIDDEN + 2),
                "close: the counters of batches are stored as well, but they are no statistics",
            ),
            "no-statistics": (_item(1, 0), "the second number: in eval mode BatchNorm uses numbers that it has stored"),
            "zero-based": (
                _item(2, FULL),
                "the third number: steps are counted from 1, and the small batch comes after the last full one",
            ),
            "never": (
                _item(2, 0, math.inf),
                "the third number: 60,000 is not a multiple of 256, so one batch is smaller than the constant",
            ),
            "missing-pictures": (
                _item(3, (FULL + 1) * BATCH - PICTURES),
                "the fourth number says how many pictures are missing from the last batch; how many are in it",
            ),
            "per-epoch": (
                _item(4, EPOCHS * 3),
                "the last number is what the author meant to write, once an epoch. The lines stand in the inner loop",
            ),
            "last-batch-saved": (
                _item(4, (FULL + 1) * EPOCHS * 3),
                "the last number: with drop_last=True there is no smaller batch",
            ),
            "one-file": (
                _item(4, FULL * EPOCHS, FULL * EPOCHS * 2),
                "the last number: each time three files are written",
            ),
            "one-epoch": (_item(4, FULL * 3), "the last number is that of one epoch"),
        },
        tol=1e-8,
    ),
)


# 3 Two silent bugs -----------------------------------------------------------------------------------

ONES = 0.75  # the share of labels 1
SILENT = [2 * ONES * (1 - ONES), ONES, 0.4 / (0.4 + 0.8)]


def _near(position: int, *values: float) -> When:
    return When(lambda cases, results: any(close(results[0].output[position], value, 0.005) for value in values))


SILENT_BUGS = Exercise(
    name="first_gan.silent_bugs",
    title="Two bugs that raise no error",
    tier="predict",
    points=2,
    answer="silent_bugs",
    kind="value",
    judge=compare(
        SILENT,
        {
            "no-broadcasting": (
                _near(0, 0.0),
                "the first number: a column minus a row is a square. Which answers meet which labels there",
            ),
            "half-the-pairs": (
                _near(0, ONES * (1 - ONES)),
                "the first number: pairs of different labels come in two kinds, (1, 0) and (0, 1)",
            ),
            "share-of-zeros": (
                _near(0, 1 - ONES),
                "the first number: not every answer meets only one wrong label; count pairs",
            ),
            "half-wrong": (_near(0, 0.5), "the first number: with as many zeros as ones it would be this; here not"),
            "undecided": (
                _near(1, 0.5),
                "the second number: it is the best answer only if half of the labels are ones",
            ),
            "the-majority": (
                _near(1, 1.0),
                "the second number: L2 asks for the mean of the labels, L1 for their median",
            ),
            "as-momentum": (
                _near(2, 1.0),
                "the third number: look up the second argument of BatchNorm1d; it is not the momentum",
            ),
            "standard-deviation": (
                _near(2, math.sqrt(SILENT[2])),
                "the third number is the standard deviation; the variance is asked for",
            ),
            "not-in-the-root": (
                _near(2, 0.4 / (math.sqrt(0.4) + 0.8) ** 2),
                "the third number: eps is added to the variance, under the root",
            ),
            "ratio": (_near(2, 0.4 / 0.8), "the third number: eps is added to the variance, it does not replace it"),
        },
        tol=0.005,
    ),
)


# 4 Auditing a log ------------------------------------------------------------------------------------


def log_cases(seed: int) -> list[Case]:
    """Rows of logs: honest ones, then each kind of impossible one; shuffled."""
    draws = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=draws).item()

    def honest(width: float) -> list[float]:
        """The averages of a batch of logits that differ by about `width`."""
        centres = uniform(0.3, 1.5), uniform(-1.5, -0.3), uniform(-2.0, -0.5)
        real, fake, after = (centre + width * torch.randn(8, generator=draws) for centre in centres)
        losses = softplus(-real).mean() + softplus(fake).mean(), softplus(-after).mean()
        return [float(v) for v in (*losses, real.sigmoid().mean(), fake.sigmoid().mean(), after.sigmoid().mean())]

    def row(d_loss: float, g_loss: float, *, d: tuple[float, float, float]) -> list[float]:
        """A row whose losses are given as multiples of their smallest values."""
        real, fake, after = d
        return [d_loss * (-math.log(real) - math.log(1 - fake)), g_loss * -math.log(after), real, fake, after]

    def opinions() -> tuple[float, float, float]:
        return uniform(0.55, 0.8), uniform(0.2, 0.45), uniform(0.1, 0.35)

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
        row(4.0, 1.1, d=(uniform(0.8, 0.95), uniform(0.05, 0.2), uniform(0.3, 0.5))),  # few, but very wrong answers
        row(1.2, 5.0, d=opinions()),
        row(1.3, 1.2, d=(uniform(0.55, 0.8), uniform(0.05, 0.12), uniform(0.4, 0.6))),  # D moved a great deal
        row(1.1, 1.2, d=(uniform(0.55, 0.8), uniform(0.6, 0.7), uniform(0.3, 0.5))),  # the fakes have fooled D
        row(0.9, 1.2, d=opinions()),
        row(0.75, 1.2, d=(uniform(0.55, 0.6), uniform(0.4, 0.45), 0.3)),  # enough for each half, not for both
        row(1.2, 0.9, d=opinions()),
        row(1.2, 0.5, d=(uniform(0.6, 0.8), uniform(0.75, 0.8), uniform(0.2, 0.25))),  # right before D moved, not after
        row(0.15, 1.3, d=(uniform(0.9, 0.95), uniform(0.7, 0.75), uniform(0.6, 0.75))),  # minus a mean pixel
        row(0.6, 0.6, d=opinions()),
        [uniform(0.3, 0.4), 1.5, uniform(0.28, 0.32), uniform(0.08, 0.12), 0.4],  # enough for the fakes alone
        [uniform(0.8, 0.9), 1.5, uniform(0.28, 0.32), uniform(0.08, 0.12), 0.4],  # and for half of the sum
        [uniform(0.3, 0.4), 1.5, uniform(0.88, 0.92), uniform(0.68, 0.72), 0.4],  # enough for the data alone
        scaled(),
        one(d_loss=-uniform(0.5, 1.3)),
        one(g_loss=-uniform(0.3, 1.0)),
        one(d_real=uniform(1.2, 2.5)),  # a mean logit
        one(d_fake=-uniform(0.3, 1.5)),
        one(d_fake_after=uniform(1.1, 1.6)),
    ]
    order = torch.randperm(len(rows), generator=draws)
    columns = torch.tensor(rows)[order].T
    return [
        Case(tuple(columns[:, :11].clone()), note="11 rows of a log"),
        Case(tuple(columns[:, 11:].clone()), note=f"{len(rows) - 11} rows of a log"),
    ]


def _inside(*opinions: Tensor) -> Tensor:
    return torch.stack([(d > 0) & (d < 1) for d in opinions]).all(dim=0)


def possible(d_loss: Tensor, g_loss: Tensor, d_real: Tensor, d_fake: Tensor, d_fake_after: Tensor) -> Tensor:
    """Whether five averages can come from one step; the losses by Jensen's inequality."""
    enough = (d_loss >= _least(d_real, d_fake)) & (g_loss >= -d_fake_after.log())
    return enough & _inside(d_real, d_fake, d_fake_after)


def _least(d_real: Tensor, d_fake: Tensor) -> Tensor:
    return -d_real.log() - (1 - d_fake).log()


def _audit(test: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor], inside: bool = True) -> Any:
    """Another test of the losses, with the right one of the opinions."""

    def audit(d_loss: Tensor, g_loss: Tensor, d_real: Tensor, d_fake: Tensor, after: Tensor) -> Tensor:
        found = test(d_loss, g_loss, d_real, d_fake, after)
        return found & _inside(d_real, d_fake, after) if inside else found

    return audit


def _about(got: Tensor, expected: Tensor) -> Tensor:
    return (got - expected).abs() < 0.1


POSSIBLE = Exercise(
    name="first_gan.possible",
    title="Auditing a log",
    tier="implement",
    points=3,
    answer="possible",
    cases=log_cases,
    judge=compare(
        possible,
        {
            "d-only": (
                _audit(lambda L, g, real, fake, after: L >= _least(real, fake)),
                "the loss of G is not audited: it has a smallest value as well",
            ),
            "g-only": (
                _audit(lambda L, g, real, fake, after: g >= -after.log()),
                "the loss of D is not audited: it has a smallest value as well",
            ),
            "reversed": (
                _audit(lambda L, g, real, fake, after: (L <= _least(real, fake)) & (g <= -after.log())),
                "the inequality is turned round. −log bends upwards: compare the mean of −log D for D = 0.1 and 0.9 "
                "with −log of their mean",
            ),
            "equality": (
                _audit(lambda L, g, real, fake, after: _about(L, _least(real, fake)) & _about(g, -after.log())),
                "it demands equality. A mean of logarithms is no logarithm of a mean; a few very wrong answers make a "
                "loss large, and honest",
            ),
            "upper-bound": (
                _audit(
                    lambda L, g, real, fake, after: (
                        (L >= _least(real, fake))
                        & (g >= -after.log())
                        & (L <= 3 * _least(real, fake))
                        & (g <= 3 * -after.log())
                    )
                ),
                "honest rows with a large loss are refused. A few very wrong answers can make a loss as large as you "
                "like",
            ),
            "real-half": (
                _audit(lambda L, g, real, fake, after: (L >= -real.log()) & (g >= -after.log())),
                "of L_D only the real half is looked at",
            ),
            "fake-half": (
                _audit(lambda L, g, real, fake, after: (L >= -(1 - fake).log()) & (g >= -after.log())),
                "of L_D only the generated half is looked at",
            ),
            "each-half": (
                _audit(
                    lambda L, g, real, fake, after: (L >= -real.log()) & (L >= -(1 - fake).log()) & (g >= -after.log())
                ),
                "L_D is compared with each of its halves; it is their sum, so it has to make room for both",
            ),
            "halved": (
                _audit(lambda L, g, real, fake, after: (L >= _least(real, fake) / 2) & (g >= -after.log())),
                "the bound is that of a program that averages the two halves; this log adds them",
            ),
            "d-fake-not-complemented": (
                _audit(lambda L, g, real, fake, after: (L >= -real.log() - fake.log()) & (g >= -after.log())),
                "the generated half of L_D is −log(1 − D): small where D(G(z)) is small",
            ),
            "before-for-after": (
                _audit(lambda L, g, real, fake, after: (L >= _least(real, fake)) & (g >= -fake.log())),
                "L_G is compared with D(G(z)) before D's move. G is judged by the D that has moved",
            ),
            "after-for-before": (
                _audit(lambda L, g, real, fake, after: (L >= _least(real, after)) & (g >= -after.log())),
                "L_D is compared with D(G(z)) after D's move; its own batch was judged before",
            ),
            "signs-only": (
                _audit(lambda L, g, real, fake, after: (L >= 0) & (g >= 0)),
                "only signs and ranges are checked. The opinions say how large each loss is at least",
            ),
            "no-range": (
                _audit(
                    lambda L, g, real, fake, after: (L >= _least(real, fake)) & (g >= -after.log()),
                    inside=False,
                ),
                "a column that is no probability gets through: the mean of D lies between 0 and 1",
            ),
            "inverted": (
                lambda *columns: ~possible(*columns),
                "it is True for the impossible rows; True should mean possible",
            ),
        },
    ),
)


# 5 Sampling without traces ---------------------------------------------------------------------------


def sampling_cases(seed: int) -> list[Case]:
    """A generator with BatchNorm in train mode, and one in eval mode."""
    cases = []
    for n, d, training in ((4, 3, True), (3, 5, False), (6, 2, True)):
        G = Spec("normed_mlp", {"sizes": [d, 6, 4], "seed": seed + n, "training": training})
        note = f"{n} samples, latent_dim {d}, G in {'train' if training else 'eval'} mode"
        cases.append(Case((G, n, d, seed + 17 * n), seed=seed, note=note))
    return cases


def sample(G: nn.Module, n: int, latent_dim: int, seed: int) -> Tensor:
    """n samples in eval mode, of noise from `seed`, without a trace."""
    z = torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(seed))
    training = G.training
    G.eval()
    with torch.no_grad():
        samples = G(z)
    G.train(training)
    return samples


def _sample(
    *, evaluate: bool = True, uniform: bool = False, restore: bool | None = True, seeded: bool = True
) -> Callable[..., Tensor]:
    """Return the sampler with other choices; a `restore` of None leaves the mode as it is after sampling."""

    def sampler(G: nn.Module, n: int, latent_dim: int, seed: int) -> Tensor:
        draws = torch.Generator().manual_seed(seed if seeded else 0)
        z = (torch.rand if uniform else torch.randn)(n, latent_dim, generator=draws)
        training = G.training
        if evaluate:
            G.eval()
        with torch.no_grad():
            samples = G(z)
        if restore is not None:
            G.train(training or not restore)
        return samples

    return sampler


def _outputs(formula: Callable[..., Tensor]) -> When:
    """Recognise the samples of a formula, whatever the answer leaves behind."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        expected = run(formula, cases, "aftermath")
        pairs = zip(results, expected, strict=True)
        return all(close(got.output["output"], want.output["output"]) for got, want in pairs)

    return When(test)


def _left(key: str, *wanted: Any) -> When:
    """Recognise an answer with the right samples that leaves something else behind, under this key."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        right_samples = _outputs(sample).test(cases, results)
        return right_samples and [result.output[key] for result in results] == list(wanted)

    return When(test)


def _touched(cases: list[Case], results: list[Result]) -> bool:
    return not all(result.output["untouched"] for result in results)


SAMPLE = Exercise(
    name="first_gan.sample",
    title="Sampling without a trace",
    tier="implement",
    points=3,
    answer="sample",
    cases=sampling_cases,
    probe="aftermath",
    judge=compare(
        sample,
        {
            "train-mode": (
                _outputs(_sample(evaluate=False)),
                "G samples in the mode in which it happens to be. In train mode BatchNorm takes the statistics of the "
                "batch: a sample depends on its neighbours, the stored statistics change, and one sample alone is an "
                "error",
            ),
            "mode-not-restored": (
                _left("training", [False], [False], [False]),
                "G is left in eval mode. The training that goes on afterwards would go on with frozen statistics",
            ),
            "always-train": (
                _left("training", [True], [True], [True]),
                "G is left in train mode, also where it was in eval mode before; put back what you found",
            ),
            "graph": (
                When(lambda cases, results: all(result.output["graph"] for result in results)),
                "the samples carry their graph, and with it the memory of every layer; nobody will differentiate them",
            ),
            "global-seed": (
                When(lambda cases, results: _outputs(sample).test(cases, results) and _touched(cases, results)),
                "right samples, but they reset the global random generator: after each look at samples, the training "
                "would draw the same noise again. Use a generator of random numbers of your own",
            ),
            "unseeded": (
                When(_touched),
                "the noise comes from the global random generator, so the samples differ from call to call and the "
                "training goes on with other noise",
            ),
            "constant-seed": (_outputs(_sample(seeded=False)), "the seed does not enter"),
            "uniform": (
                _outputs(_sample(uniform=True)),
                "the noise is uniform; G was trained with noise from a standard normal distribution",
            ),
        },
        probe="aftermath",
    ),
)


# 6 The averaged generator ----------------------------------------------------------------------------


def average_cases(seed: int) -> list[Case]:
    """Two generators with BatchNorm, one of which is the average; the second case has a slower average."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for sizes, low, high in (([3, 5, 2], 0.6, 0.7), ([2, 4, 3, 1], 0.85, 0.95)):
        beta = low + (high - low) * torch.rand((), generator=draws).item()
        average, G = (Spec("normed_mlp", {"sizes": sizes, "seed": seed + shift}) for shift in (1, 2))
        cases.append(Case((average, G, beta), changes=(0,), note=f"beta = {beta:.2f}"))
    return cases


def _average(share: Callable[[float], float] = lambda beta: 1 - beta, buffers: str = "averaged") -> Callable[..., None]:
    """Return the update with this share of the new weights; the buffers are averaged, copied, or left."""

    @torch.no_grad()
    def update(average: nn.Module, G: nn.Module, beta: float) -> None:
        for old, new in zip(average.parameters(), G.parameters(), strict=True):
            old.lerp_(new, share(beta))
        for kept, seen in zip(average.buffers(), G.buffers(), strict=True):
            if buffers == "copied" or (buffers != "left" and not kept.is_floating_point()):
                kept.copy_(seen)
            elif buffers == "averaged":
                kept.lerp_(seen, share(beta))

    return update


update_average = _average()
"""The running average (2.6), of weights and running statistics; counters are copied."""


@torch.no_grad()
def _added(average: nn.Module, G: nn.Module, beta: float) -> None:
    """Add a share of the new weights to all of the old ones."""
    for old, new in zip(average.parameters(), G.parameters(), strict=True):
        old.add_(new, alpha=1 - beta)


def _after(formula: Callable[..., None], *, buffers: bool = True, counters: bool = False) -> When:
    """Recognise what a formula leaves of the average: its weights, its buffers; without `counters` not those."""

    def state(result: Result) -> list[Any]:
        weights, (stored, _) = result.changed(0), result.output["buffers"]
        kept = [tensor for tensor in stored if tensor.is_floating_point() or counters]
        return [weights, kept if buffers else []]

    def test(cases: list[Case], results: list[Result]) -> bool:
        pairs = zip(results, run(formula, cases, "aftermath"), strict=True)
        return all(close(state(got), state(want)) for got, want in pairs)

    return When(test)


def _g_changed(cases: list[Case], results: list[Result]) -> bool:
    expected = run(update_average, cases, "aftermath")
    pairs = zip(results, expected, strict=True)
    return any(not close(got.output["buffers"][1], want.output["buffers"][1]) for got, want in pairs)


UPDATE_AVERAGE = Exercise(
    name="first_gan.update_average",
    title="Find the bugs: a running average of a generator",
    tier="implement",
    points=3,
    answer="update_average",
    cases=average_cases,
    probe="aftermath",
    judge=compare(
        update_average,
        {
            "changes-g": (
                When(_g_changed),
                "the running statistics of G itself change; only the average should",
            ),
            "as-given": (
                _after(_average(lambda beta: beta, "left")),
                "both given bugs are still there. With β = 0.999, how much of the average should survive one step? And "
                "what does BatchNorm use in eval mode besides its weights",
            ),
            "nothing": (
                _after(_average(lambda beta: 0.0, "left")),
                "the average is what it was. An assignment to the name of a loop variable changes no network",
            ),
            "buffers-forgotten": (
                _after(_average(buffers="left")),
                "the weights are right; the running statistics of BatchNorm are those of the beginning. They are no "
                "parameters, and without them averaged weights give broken pictures",
            ),
            "buffers-copied": (
                _after(_average(buffers="copied")),
                "the running statistics are copied from G. They fit G's last weights; the averaged weights need "
                "averaged ones",
            ),
            "beta-swapped": (
                _after(_average(lambda beta: beta)),
                "β and 1 − β have changed places: the average forgets nearly everything at each step",
            ),
            "copy": (_after(_average(lambda beta: 1.0)), "it is a copy of G, not an average"),
            "half": (_after(_average(lambda beta: 0.5)), "it is the mean of both; β does not enter"),
            "sum": (
                _after(_added, buffers=False),
                "a share of the new weights is added, and nothing of the old ones is forgotten: the shares do not add "
                "up to 1",
            ),
            "buffers-only": (
                When(
                    lambda cases, results: all(
                        close(got.changed(0), want.changed(0))
                        for got, want in zip(results, run(_average(lambda beta: 0.0), cases, "aftermath"), strict=True)
                    )
                ),
                "the weights do not move",
            ),
            "counters": (
                _after(update_average),
                "weights and statistics are right; the counters of batches (whole numbers) should be G's",
            ),
        },
        probe="aftermath",
    ),
)


# 7 The training step ---------------------------------------------------------------------------------

LONG, BATCH_OF_LONG = 12, 64
APART = 0.02
"""After the long case the weights may be this far from the reference's, in units of the way that those have gone. Right
steps, written differently, stayed below 0.0001 with 150 seeds (Adam enlarges rounding errors); wrong ones above 0.1."""


def step_cases(seed: int) -> list[Case]:
    """Three steps of small networks, two of others; then a longer run of larger ones, with larger batches."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for steps, m, widths, lr in ((3, 5, (4, 3), 0.05), (2, 4, (3, 5), 0.03)):
        G = Spec("mlp", {"sizes": [3, widths[0], 2], "seed": seed + 1})
        D = Spec("mlp", {"sizes": [2, widths[1], 1], "seed": seed + 2})
        real = 0.8 * torch.randn(steps, m, 2, generator=draws) + torch.tensor([1.5, -1.0])
        note = f"{steps} steps with batches of {m}"
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


def _step(
    *,
    real_target: float = 1.0,
    fake_target: float = 0.0,
    g_loss: Callable[[Tensor], Tensor] = lambda a: softplus(-a).mean(),
    detach: bool = True,
    clear_d: bool = True,
    clear_g: bool = True,
    clear_g_first: bool = False,
    g_cut: bool = False,
    g_steps: str = "g",
    d_steps: str = "d",
    g_first: bool = False,
    summed: bool = False,
    log: Callable[[dict[str, Tensor]], dict[str, float]] = lambda seen: {},
) -> Callable[..., dict[str, float]]:
    """Return the training step, right by default; each argument brings back one mistake."""

    def step(G: Any, D: Any, g_adam: Any, d_adam: Any, real: Tensor, z: Tensor) -> dict[str, float]:
        adams = {"g": g_adam, "d": d_adam}
        scale = len(real) if summed else 1.0
        if clear_g_first:
            g_adam.zero_grad()
        fake = G(z)

        def discriminator() -> tuple[Tensor, Tensor, Tensor]:
            a, b = D(real), D(fake.detach() if detach else fake)
            loss = F.binary_cross_entropy_with_logits(a, torch.full_like(a, real_target))
            loss = scale * (loss + F.binary_cross_entropy_with_logits(b, torch.full_like(b, fake_target)))
            if clear_d:
                d_adam.zero_grad()
            loss.backward(retain_graph=not detach)
            for name in d_steps:
                adams[name].step()
            return loss, a, b

        def generator() -> Tensor:
            value = scale * g_loss(D(fake.detach() if g_cut else fake))
            if clear_g and not clear_g_first:
                g_adam.zero_grad()
            value.backward()
            for name in g_steps:
                adams[name].step()
            return value

        if g_first:
            g_value = generator()
            fake = G(z)
            d_value, a, b = discriminator()
        else:
            d_value, a, b = discriminator()
            g_value = generator()
        with torch.no_grad():
            seen = {"d_loss": d_value, "g_loss": g_value, "a": a, "b": b, "fake": fake, "after": D(fake)}
            found = {"d_loss": d_value, "g_loss": g_value, "d_real": a.sigmoid().mean(), "d_fake": b.sigmoid().mean()}
            return {name: float(value) for name, value in (found | log(seen)).items()}

    return step


train_step = _step()
"""One step of the first GAN, with the four numbers of its log."""


@functools.lru_cache(64)
def _played(formula: Callable[..., Any], seed: int) -> list[Result]:
    """Return what a formula gives for the short cases of a seed."""
    return run(formula, step_cases(seed)[:-1], "train")


def _plays(formula: Callable[..., Any]) -> When:
    """Recognise a step by what it leaves of both players, whatever it logs."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        pairs = zip(results, _played(formula, cases[0].seed), strict=True)
        return all(close(got.changed(i), want.changed(i)) for got, want in pairs for i in (0, 1))

    return When(test)


def _logs(**changes: Callable[[dict[str, Tensor]], Tensor]) -> When:
    """Recognise a step that plays right and logs something else under these names."""
    formula = _step(log=lambda seen: {name: change(seen) for name, change in changes.items()})  # type: ignore[misc]

    def test(cases: list[Case], results: list[Result]) -> bool:
        if not _plays(train_step).test(cases, results):
            return False
        pairs = zip(results, _played(formula, cases[0].seed), strict=True)
        return all(close(got.output["log"][name], want.output["log"][name]) for got, want in pairs for name in changes)

    return When(test)


def _frozen(player: int) -> When:
    """Recognise a step that leaves one player as it was, in the first case."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        (start,) = run(_stand_still, cases[:1], "train")
        return close(results[0].changed(player), start.changed(player))

    return When(test)


def _stand_still(G: Any, D: Any, g_adam: Any, d_adam: Any, real: Tensor, z: Tensor) -> None:
    """A step that does nothing."""


SUMMED = _step(summed=True)

ONE_STEP = compare(
    train_step,
    {
        "g-frozen": (
            _frozen(0),
            "G does not move: either nothing of the verdict reaches it (a detach() too many), or its optimiser never "
            "steps. A D that nobody fools says nothing about G",
        ),
        "d-frozen": (_frozen(1), "D does not move: G plays against a judge who has stopped learning"),
        "keeps-graph": (
            When(lambda cases, results: results[0].output["graph"]),
            "the log holds tensors with their graph. A list of such logs keeps the memory of every step; log plain "
            "numbers",
        ),
        "swapped-labels": (
            _plays(_step(real_target=0.0, fake_target=1.0)),
            "D's targets are swapped: it learns to call data generated",
        ),
        "g-target-zero": (
            _plays(_step(g_loss=lambda a: softplus(a).mean())),
            "in G's half the target of fakes is 0 still. A target says what the player wants, and G wants 1",
        ),
        "minimax": (
            _plays(_step(g_loss=lambda a: -softplus(a).mean())),
            "G descends the minimax loss; (2.4) is asked for",
        ),
        "taught-to-be-recognised": (
            _plays(_step(detach=False, clear_g_first=True)),
            "D's half leaves gradients in G, since nothing cuts the graph there, and they are not cleared before G's "
            "move: G is also taught to be recognised",
        ),
        "no-clearing": (
            _plays(_step(clear_d=False, clear_g=False)),
            "no gradient is ever cleared; backward() adds to those of all earlier steps",
        ),
        "d-not-cleared": (
            _plays(_step(clear_d=False)),
            "D's gradients are not cleared before its move. G's half has filled them in the step before",
        ),
        "g-not-cleared": (
            _plays(_step(clear_g=False)),
            "G's gradients pile up from step to step: they are not cleared",
        ),
        "everything-wrong": (
            _plays(_step(detach=False, clear_d=False, clear_g=False)),
            "no gradient is ever cleared, and nothing cuts the graph in D's half",
        ),
        "both-move-in-g": (
            _plays(_step(g_steps="gd")),
            "in G's half D's optimiser steps too: D is taught to be fooled",
        ),
        "both-move-in-d": (
            _plays(_step(d_steps="dg", detach=False)),
            "in D's half G's optimiser steps too",
        ),
        "g-first": (_plays(_step(g_first=True)), "G moves before D; here D moves first, and the D that moved judges"),
        "halved": (
            When(
                lambda cases, results: close(
                    [2 * loss for loss in _log(results, "d_loss")],
                    _log(_played(train_step, cases[0].seed), "d_loss"),
                    0.002,  # Adam does not feel the factor, but for rounding
                )
            ),
            "L_D is the mean of its two halves; (2.3) adds them, and a log of 0.69 would mean something else",
        ),
        "summed": (
            When(lambda cases, results: close(_log(results, "g_loss"), _log(_played(SUMMED, cases[0].seed), "g_loss"))),
            "the losses add up over the batch; they are means, or they grow with the batch",
        ),
        "mean-pixel": (
            _logs(d_fake=lambda seen: -seen["fake"].mean()),
            "d_fake is minus the mean of the fakes themselves. On digits that is a plausible number between 0.5 and "
            "0.8, and it has nothing to do with D",
        ),
        "mean-sample": (_logs(d_fake=lambda seen: seen["fake"].mean()), "d_fake is the mean of the fakes themselves"),
        "mean-logit": (
            _logs(d_fake=lambda seen: seen["b"].mean()),
            "d_fake is a mean of logits; D(G(z)) is a probability",
        ),
        "real-mean-logit": (
            _logs(d_real=lambda seen: seen["a"].mean()),
            "d_real is a mean of logits; D(x) is a probability",
        ),
        "logged-after": (
            _logs(d_fake=lambda seen: seen["after"].sigmoid().mean()),
            "d_fake is what D says after its move; the number before it belongs to d_real and d_loss",
        ),
        "mean-first": (
            _logs(d_fake=lambda seen: seen["b"].mean().sigmoid()),
            "d_fake is the sigmoid of a mean logit; D(G(z)) is a mean of probabilities",
        ),
        "log-swapped": (
            _logs(d_real=lambda seen: seen["b"].sigmoid().mean()),
            "d_real and d_fake have changed places in the log",
        ),
        "negative-loss": (
            _logs(d_loss=lambda seen: -seen["d_loss"]),
            "the log has V where it should have L_D. No cross-entropy is negative",
        ),
    },
    probe="train",
)


def _log(results: list[Result], name: str) -> list[float]:
    return [result.output["log"][name] for result in results]


def judge_step(cases: list[Case], results: list[Result]) -> Verdict:
    """Compare the short cases with the reference number by number, then where both players are after the long one."""
    judged = ONE_STEP(cases[:-1], results[:-1])
    if not judged.ok:
        return judged
    (expected,), (start,) = (run(formula, cases[-1:], "train") for formula in (train_step, _stand_still))
    for player, name in enumerate("GD"):
        away = _distance(results[-1].changed(player), expected.changed(player))
        if not away <= APART * _distance(start.changed(player), expected.changed(player)):
            return wrong(
                "parts-later",
                f"a few steps with small batches are right, but after {cases[-1].note} {name} is somewhere else. Does "
                "every example of the batch count, and does nothing stay from one call to the next",
            )
    return right()


def _distance(a: list[Tensor], b: list[Tensor]) -> float:
    """Return the distance of two networks: the root of the summed squares over all weights."""
    return math.sqrt(sum((x - y).double().square().sum().item() for x, y in zip(a, b, strict=True)))


TRAIN_STEP = Exercise(
    name="first_gan.train_step",
    title="The step, from memory, with its log",
    tier="implement",
    points=5,
    answer="train_step",
    cases=step_cases,
    judge=judge_step,
    probe="train",
)


# 8 Which run has collapsed? --------------------------------------------------------------------------

COLLAPSED = Exercise(
    name="first_gan.collapsed",
    title="Which runs have collapsed?",
    tier="investigate",
    points=5,
    answer="collapsed",
    kind="text",
    judge=written(120),
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
