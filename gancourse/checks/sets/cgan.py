"""Chapter 6, conditional GANs: wrong pairs, what the log then shows, and where the condition enters both networks."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

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
    differ,
    right,
    run,
    written,
    wrong,
)
from gancourse.checks.probes import BUILDERS

CLASSES = 10


def _uniform(draws: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=draws)


def _normal(draws: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=draws)


def _labels(draws: torch.Generator, n: int, classes: int) -> Tensor:
    """Return n labels that are all different as far as there are enough classes, in no order."""
    return torch.cat([torch.randperm(classes, generator=draws) for _ in range(n // classes + 1)])[:n]


def _near(position: int, *values: float, tol: float = 0.003) -> When:
    """Recognise a list whose item at `position` is one of these values."""
    return When(lambda cases, results: any(close(results[0].output[position], value, tol) for value in values))


@functools.lru_cache(256)
def _results(formula: Callable[..., Any], cases_of: Callable[[int], list[Case]], seed: int) -> list[Result]:
    """Return what a formula gives for the cases of a seed, without gradients."""
    return run(formula, [replace(case, grads=()) for case in cases_of(seed)])


def _like(formula: Callable[..., Any], cases_of: Callable[[int], list[Case]], stop: int | None = None) -> When:
    """Recognise an answer that gives what a formula gives, in the first cases or in all of them."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        pairs = list(zip(results, _results(formula, cases_of, cases[0].seed), strict=True))[:stop]
        return all(close([a.output, a.changed(0)], [b.output, b.changed(0)], 1e-4) for a, b in pairs)

    return When(test)


def _by_value(
    cases_of: Callable[[int], list[Case]], misconceptions: Mapping[str, tuple[Any, str]], *by_gradient: str
) -> dict[str, tuple[Any, str]]:
    """Return misconceptions that are recognised by values alone, which is quicker; but those of these ids."""
    return {
        hint_id: (formula if isinstance(formula, When) or hint_id in by_gradient else _like(formula, cases_of), text)
        for hint_id, (formula, text) in misconceptions.items()
    }


# 1 Wrong labels --------------------------------------------------------------------------------------

MANY = 4000
SIGMAS = 6.0
"""A count may be this far from what is expected of it: a right answer is refused less than once in a million checks."""


def label_cases(seed: int) -> list[Case]:
    """The same large batch twice; two classes; a batch without most classes; a batch of one."""
    draws = torch.Generator().manual_seed(seed)
    order = torch.randperm(5, generator=draws)
    weights = torch.tensor([0.34, 0.26, 0.19, 0.13, 0.08])[order] + _uniform(draws, -0.01, 0.01, 5)
    weights = weights / weights.sum()
    shares = torch.tensor([0.12, 0.14, 0.18, 0.24, 0.32])[order]  # the batch has the rare classes most often
    c = torch.multinomial(shares, MANY, replacement=True, generator=draws)
    last = int(torch.randint(2, 6, (), generator=draws))
    sparse = torch.tensor([0.3, 0.0, 0.2, 0.1, 0.25, 0.15])
    few = torch.tensor([0, last])[torch.randint(0, 2, (60,), generator=draws)]
    two = torch.randint(0, 2, (7,), generator=draws)
    return [
        Case((c, weights), note=f"{MANY} labels of 5 classes", seed=seed),
        Case((c, weights), note="the same labels again", seed=seed + 1),
        Case((two, torch.tensor([0.8, 0.2])), note="7 labels of 2 classes", seed=seed),
        Case((few, sparse), note="60 labels, and class 1 has the weight 0", seed=seed),
        Case((torch.tensor([2]), torch.tensor([0.2, 0.3, 0.5])), note="a single label", seed=seed),
    ]


def _table(c: Tensor, other: Tensor, classes: int) -> Tensor:
    """Return how often each class (row) got each other label (column)."""
    return torch.bincount(c * classes + other, minlength=classes**2).reshape(classes, classes).double()


def _surprise(counts: Tensor, weights: Tensor) -> tuple[float, int, int]:
    """Return how many standard deviations off the worst count is, and its place, if labels are drawn by weights."""
    off = ~torch.eye(len(weights), dtype=torch.bool)
    p = weights.double() * off
    p = p / p.sum(dim=1, keepdim=True)
    n = counts.sum(dim=1, keepdim=True)
    z = (counts - n * p).abs() / ((n * p * (1 - p)).sqrt() + 1)
    worst = int((z * off).argmax())
    return float(z.flatten()[worst]), worst // len(weights), worst % len(weights)


def judge_labels(cases: list[Case], results: list[Result]) -> Verdict:
    """Look at what every right answer has: form, no accidents, and the frequencies. The draws themselves differ."""
    for case, result in zip(cases, results, strict=True):
        if fault := _form_of_labels(case, result.output):
            return fault
    (c, weights), first, second = cases[0].args, results[0].output, results[1].output
    fault = _accidents(c, first) or _patterns(c, first, second)
    if fault is None and (accidents := [case for case, r in zip(cases, results, strict=True) if _same(case, r)]):
        return wrong("coincide", f"some labels are right by accident (for {accidents[0].note})")
    if fault is None:
        counts = _table(c, first, len(weights)) + _table(c, second, len(weights))
        fault = _frequencies(counts, c, weights)
    if fault is None and bool((results[3].output == 1).any()):
        fault = wrong("weight-0", "a class that the weights rule out is drawn all the same")
    if fault is None and not bool((~torch.isin(results[3].output, cases[3].args[0])).any()):
        fault = wrong(
            "of-the-batch", "only classes that occur in the batch are drawn; the weights are those of the data"
        )
    return fault or right()


def _form_of_labels(case: Case, output: Any) -> Verdict | None:
    c, weights = case.args
    if not isinstance(output, Tensor) or output.shape != c.shape:
        found = differ(output, c) or ("type", "it returns something else than labels")
        return wrong(found[0], f"{found[1]} (for {case.note})")
    if output.dtype != torch.int64:
        return wrong("dtype", f"the labels are {str(output.dtype).removeprefix('torch.')}; an embedding wants int64")
    low, high = int(output.min()), int(output.max())
    if low < 0 or high >= len(weights):
        bad = low if low < 0 else high
        return wrong(
            "range", f"it gives the label {bad}; with {len(weights)} classes the last one is {len(weights) - 1}"
        )
    return None


def _same(case: Case, result: Result) -> bool:
    return bool((case.args[0] == result.output).any())


def _accidents(c: Tensor, other: Tensor) -> Verdict | None:
    if torch.equal(c, other):
        return wrong("unchanged", "the labels come back as they were: all pairs are right")
    if torch.equal(c.sort().values, other.sort().values):
        return wrong(
            "shuffled",
            "these are the labels of the batch in another order. Some meet a picture of their own class, and none "
            "follows the weights",
        )
    share = (c == other).double().mean().item()
    if share > 0.1:
        return wrong(
            "coincide",
            f"{share:.0%} of the labels are right by accident: a label drawn anew knows nothing of the one it replaces",
        )
    if share > 0:
        return wrong(
            "redrawn-once",
            f"{share:.1%} of the labels are still right: one that is drawn again may be right again",
        )
    return None


def _patterns(c: Tensor, first: Tensor, second: Tensor) -> Verdict | None:
    classes = int(c.max()) + 1
    moves = ((first - c) % classes).unique()
    per_class = (_table(c, first, classes) > 0).sum(dim=1).max()
    again = torch.equal(first, second)
    if len(moves) == 1:
        return wrong(
            "one-move",
            "the whole batch makes one move: each class gets one neighbour, and D learns to refuse this mistake only. "
            "Every label needs a draw of its own",
        )
    if per_class == 1:
        return wrong(
            "one-per-class", "all pictures of a class get the same wrong label; every picture needs a draw of its own"
        )
    if again:
        return wrong(
            "fixed", "two calls give the same labels: the seed is fixed inside, so D sees the same errors forever"
        )
    return None


def _frequencies(counts: Tensor, c: Tensor, weights: Tensor) -> Verdict | None:
    worst, row, column = _surprise(counts, weights)
    if worst <= SIGMAS:
        return None
    if _surprise(counts, torch.ones(len(weights)))[0] <= SIGMAS:
        return wrong("uniform", "the wrong labels are uniform over the other classes; the weights do not enter")
    if _surprise(counts, torch.bincount(c, minlength=len(weights)))[0] <= SIGMAS:
        return wrong("of-the-batch", "the wrong labels follow the frequencies of the batch; the weights do not enter")
    missing = ((counts == 0) & (weights > 0) & ~torch.eye(len(weights), dtype=torch.bool)).nonzero().tolist()
    if missing:
        return wrong("never", f"class {missing[0][0]} never gets the label {missing[0][1]}")
    share, p = counts[row, column] / counts[row].sum(), weights[column] / (1 - weights[row])
    return wrong("biased", f"class {row} gets the label {column} in {share:.0%} of its draws; {p:.0%} are expected")


WRONG_LABELS = Exercise(
    name="cgan.wrong_labels",
    title="Labels that are truly wrong",
    tier="implement",
    points=2,
    answer="wrong_labels",
    cases=label_cases,
    judge=judge_labels,
)


# 2 The three-term loss -------------------------------------------------------------------------------


def pair_cases(seed: int) -> list[Case]:
    """Pairs for a small D, and pairs of which D is very sure."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for n, inputs, classes, scale in ((4, 3, 5, 1.0), (5, 2, 4, 1.5), (6, 4, 3, 60.0)):
        options = {"sizes": [inputs, 6, 1], "classes": classes, "activation": "leaky_relu"}
        c = _labels(draws, n, classes)
        other = (c + torch.randint(1, classes, (n,), generator=draws)) % classes
        for start in range(seed % 2**30, seed % 2**30 + 1000):
            options["seed"] = start
            D = BUILDERS["conditional_mlp"]((), **options)
            x, fake = scale * (0.5 + _normal(draws, n, inputs)), scale * (_normal(draws, n, inputs) - 0.5)
            with torch.no_grad():
                if scale < 10 or (float(D(x, c).min()) < -25 and float(D(fake, c).max()) > 25):  # sure, and wrong
                    break
        note = f"{n} pairs" if scale < 10 else f"{n} pairs of which D is very sure"
        args = (Spec("conditional_mlp", options), x, c, fake, other)
        cases.append(Case(args, grads=(0,), note=note, seed=seed))
    return cases


def matching_loss(D: Any, x: Tensor, c: Tensor, x_fake: Tensor, wrong: Tensor) -> Tensor:
    """Reed et al. 2016, algorithm 1: log s_r + (log(1 - s_w) + log(1 - s_f)) / 2, as a loss on logits."""
    return softplus(-D(x, c)).mean() + (softplus(D(x_fake, c)).mean() + softplus(D(x, wrong)).mean()) / 2


def _sigmoid_twice(D: Any, x: Tensor, c: Tensor, x_fake: Tensor, wrong: Tensor) -> Tensor:
    return matching_loss(lambda *pair: D(*pair).sigmoid(), x, c, x_fake, wrong)


def _third_cut(D: Any, x: Tensor, c: Tensor, x_fake: Tensor, wrong: Tensor) -> Tensor:
    def judge(samples: Tensor, labels: Tensor) -> Tensor:
        return D(samples, labels).detach() if labels is wrong else D(samples, labels)

    return matching_loss(judge, x, c, x_fake, wrong)


@functools.lru_cache(8)
def _terms(seed: int) -> list[dict[str, float]]:
    """Return for each case the mean loss of each kind of pairs if D should accept it, and if D should refuse it."""
    found = []
    for case in pair_cases(seed):
        D = BUILDERS[case.args[0].kind]((), **case.args[0].options)
        x, c, fake, other = case.args[1:]
        terms = {"n": float(len(c))}
        for kind, pair in {"right": (x, c), "fake": (fake, c), "wrong": (x, other), "both": (fake, other)}.items():
            with torch.no_grad():
                logits = D(*pair)
            terms[f"accept_{kind}"], terms[f"refuse_{kind}"] = (softplus(s * logits).mean().item() for s in (-1, 1))
        found.append(terms)
    return found


def _adds(summed: bool = False, **weights: float) -> When:
    """Recognise a loss that is this sum of terms; if `summed`, over the batch as well."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        for got, terms in zip(results, _terms(cases[0].seed), strict=True):
            value = sum(weight * terms[name] for name, weight in weights.items())
            if not close(got.output, value * (terms["n"] if summed else 1.0)):
                return False
        return True

    return When(test)


def _right_until_sure(cases: list[Case], results: list[Result]) -> bool:
    """Return whether values and gradients are right where D is not very sure."""
    pairs = zip(results[:2], run(matching_loss, cases[:2]), strict=True)
    return all(close([a.output, a.gradient(0)], [b.output, b.gradient(0)], 1e-3) for a, b in pairs)


MATCHING_LOSS = Exercise(
    name="cgan.matching_loss",
    title="A discriminator that is shown wrong pairs",
    tier="implement",
    points=3,
    answer="matching_loss",
    cases=pair_cases,
    judge=compare(
        matching_loss,
        {
            "no-halves": (
                _adds(accept_right=1, refuse_fake=1, refuse_wrong=1),
                "all three terms have the same weight: refusals then count twice as much as acceptances",
            ),
            "two-terms": (
                _adds(accept_right=1, refuse_fake=1),
                "the wrong pairs do not enter: this is the loss of the original conditional GAN",
            ),
            "lost-third": (
                _adds(accept_right=1, refuse_fake=0.5),
                "generated pairs have their weight, and the wrong pairs are missing",
            ),
            "no-fakes": (_adds(accept_right=1, refuse_wrong=0.5), "the generated pairs are missing"),
            "third-right": (
                _adds(accept_right=1, refuse_fake=0.5, refuse_right=0.5),
                "the third term is fed with right pairs: D is taught to accept and to refuse the same pairs",
            ),
            "third-right-unit": (
                _adds(accept_right=1, refuse_fake=1, refuse_right=1),
                "the third term is fed with right pairs, and its weight is another one",
            ),
            "third-generated": (
                _adds(accept_right=1, refuse_fake=0.5, refuse_both=0.5),
                "the third term shows generated pictures with wrong labels. D may refuse those without a look at the "
                "label; what teaches it to look are real pictures",
            ),
            "third-accepted": (
                _adds(accept_right=1, refuse_fake=0.5, accept_wrong=0.5),
                "D is taught to accept wrong pairs: the target of the third term belongs to the first",
            ),
            "all-accepted": (
                _adds(accept_right=1, accept_fake=0.5, accept_wrong=0.5),
                "D is taught to accept all three kinds of pairs",
            ),
            "generator-target": (
                _adds(accept_right=1, accept_fake=0.5, refuse_wrong=0.5),
                "the generated pairs have the target that G wishes for; this is the loss of D",
            ),
            "swapped": (
                _adds(refuse_right=1, accept_fake=0.5, accept_wrong=0.5),
                "all targets are swapped: D learns to refuse what is real and fits",
            ),
            "value-sign": (
                _adds(accept_right=-1, refuse_fake=-0.5, refuse_wrong=-0.5),
                "this is the value, which D makes large; a loss is made small",
            ),
            "wrong-in-full": (
                _adds(accept_right=1, refuse_fake=0.5, refuse_wrong=1),
                "generated pairs have their weight of one half, and wrong pairs count in full",
            ),
            "generated-in-full": (
                _adds(accept_right=1, refuse_fake=1, refuse_wrong=0.5),
                "wrong pairs have their weight of one half, and generated pairs count in full",
            ),
            "half-of-all": (
                _adds(accept_right=0.5, refuse_fake=0.5, refuse_wrong=0.5),
                "the right pairs are halved as well",
            ),
            "half-on-right": (
                _adds(accept_right=0.5, refuse_fake=1, refuse_wrong=1),
                "the weights have changed places: the right pairs are halved",
            ),
            "pooled": (
                _adds(accept_right=1 / 3, refuse_fake=1 / 3, refuse_wrong=1 / 3),
                "one mean runs over all three kinds of pairs: each kind has a mean and a weight of its own",
            ),
            "missing-mean": (
                _adds(True, accept_right=1, refuse_fake=0.5, refuse_wrong=0.5),
                "it adds up over the batch; an expectation is a mean",
            ),
            "sigmoid-twice": (
                _sigmoid_twice,
                "a sigmoid is applied twice: D gives logits, and a loss on logits has the sigmoid in it",
            ),
            "not-finite": (
                When(lambda cases, results: not math.isfinite(float(results[2].output))),
                "where D is very sure it is infinite or NaN: a logarithm meets a probability that was rounded",
            ),
            "third-cut": (
                _third_cut,
                "the value is right, and the wrong pairs teach nothing: no gradient comes from them",
            ),
            "probabilities": (
                When(_right_until_sure),
                "where D is very sure and wrong, its loss is cut off and its gradient gone: the sigmoid has been "
                "rounded before the logarithm saw it",
            ),
        },
    ),
)


# 3 What the log shows at the end ---------------------------------------------------------------------

HALF_D = 1 / (1 + 0.5)
HALF_G = -math.log(HALF_D)
HALF_LOSS = HALF_G - 0.5 * math.log(1 - HALF_D)
NAIVE_G = math.log(2 + 1 / CLASSES)
RESTING = [HALF_D, HALF_G, HALF_LOSS, math.log(2), NAIVE_G]

RESTING_VALUES = Exercise(
    name="cgan.resting_values",
    title="What the log shows when G is perfect",
    tier="predict",
    points=3,
    answer="resting_values",
    kind="value",
    judge=compare(
        RESTING,
        {
            "always-a-half": (
                _near(0, 0.5),
                "the first number is that of the game with two terms of equal weight. Which kinds of pairs are found "
                "at the place of a right pair, and with which weights",
            ),
            "wrong-pairs-everywhere": (
                _near(0, 1 / 3),
                "the first number counts three kinds of pairs at one place. Can a truly wrong pair stand where a right "
                "pair stands",
            ),
            "redrawn-in-halves": (
                _near(0, 1 / (1.5 + 0.5 / CLASSES)),
                "the first number is that of labels drawn anew; here they are truly wrong",
            ),
            "bits": (
                [HALF_D, *(value / math.log(2) for value in RESTING[1:])],
                "the losses are in bits; the course measures in nats",
            ),
            "signs": ([HALF_D, *(-value for value in RESTING[1:])], "losses are asked for, and they are positive"),
            "minimax": (
                _near(1, math.log(1 / 3), math.log(3)),
                "the second number: the loss of G that the course trains with rises where D refuses a generated pair",
            ),
            "old-g-loss": (
                _near(1, math.log(2)),
                "the second number does not fit the first: what does D say to G's pairs",
            ),
            "old-d-loss": (
                _near(2, 2 * math.log(2)),
                "the third number is that of the game with two terms; D now says something else to each kind of pair",
            ),
            "wrong-pairs-cost": (
                _near(2, HALF_G + math.log(3)),
                "the third number is too large: either a weight is missing, or the wrong pairs are charged as if D "
                "could not tell them from right ones. What does the best D say to a pair that is never right",
            ),
            "first-term-only": (_near(2, HALF_G), "the third number holds the right pairs only"),
            "unit-as-half": (_near(3, HALF_G), "the fourth number: with unit weights generated pairs count in full"),
            "three-kinds": (
                _near(3, math.log(3)),
                "the fourth number counts three kinds of pairs at one place. Can a truly wrong pair stand where a "
                "right pair stands",
            ),
            "no-accidents": (
                _near(4, math.log(2)),
                "the fifth number: a label drawn anew is right from time to time, and then D is told to refuse a right "
                "pair",
            ),
            "always-right": (
                _near(4, math.log(3)),
                "the fifth number takes all redrawn labels for right ones; how many are",
            ),
            "share-of-wrong": (
                _near(4, math.log(2 + 1 - 1 / CLASSES)),
                "the fifth number uses the share of redrawn labels that are wrong; which of them meet right pairs",
            ),
            "one-of-the-others": (
                _near(4, math.log(2 + 1 / (CLASSES - 1))),
                "the fifth number: a label drawn anew has all classes to choose from, the right one included",
            ),
            "halves-again": (
                _near(4, math.log(1.5 + 0.5 / CLASSES)),
                "the fifth number is that of the halved weights; here all weights are 1",
            ),
        },
        tol=0.003,
    ),
)


# 4 The generator's step ------------------------------------------------------------------------------


def move_cases(seed: int) -> list[Case]:
    """One step of a small pair, and of another one; old gradients are left in G."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for m, noise, pixels, widths, lr in ((3, 2, 4, (5, 4), 0.5), (4, 3, 2, (4, 6), 0.3)):
        z, c = _normal(draws, m, noise), _labels(draws, m, CLASSES)
        for start in range(seed % 2**30 + 1000 * m, seed % 2**30 + 1000 * m + 100):
            shape = {"classes": CLASSES, "activation": "leaky_relu"}
            g_options = {"sizes": [noise, widths[0], pixels], "seed": start, "stale": True, **shape}
            d_options = {"sizes": [pixels, widths[1], 1], "seed": start + 500, **shape}
            G, D = (BUILDERS["conditional_mlp"]((), **options) for options in (g_options, d_options))
            with torch.no_grad():
                a = D(G(z, c), c)
            if abs(float(a.sigmoid().mean() - a.mean().sigmoid())) > 0.01:  # or two of the numbers look the same
                break
        networks = (Spec("conditional_mlp", g_options), Spec("conditional_mlp", d_options))
        args = (*networks, Spec("optimizer", {"of": 0, "lr": lr}), z, c)
        cases.append(Case(args, changes=(0,), note=f"{m} pairs", seed=seed))
    return cases


def _move(
    *,
    other_labels: bool = False,
    loss: Callable[[Tensor], Tensor] = lambda a: softplus(-a).mean(),
    clear: bool = True,
    cut: bool = False,
    log: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda seen: {},
) -> Callable[..., dict[str, float]]:
    """Return G's step, right by default; each argument brings back one mistake."""

    def step(G: Any, D: Any, optimizer: Any, z: Tensor, c: Tensor) -> dict[str, float]:
        fake = G(z, c)
        labels = torch.randint(0, CLASSES, c.shape) if other_labels else c
        verdict = D(fake.detach() if cut else fake, labels)
        value = loss(verdict)
        if clear:
            optimizer.zero_grad()
        value.backward()
        optimizer.step()
        with torch.no_grad():
            seen = {"loss": value, "fake": fake, "verdict": verdict, "after": D(G(z, c), c)}
            found = {"g_loss": value, "d_fake": verdict.sigmoid().mean()} | log(seen)
        return {name: number.item() for name, number in found.items()}

    return step


def _ascent(a: Tensor) -> Tensor:
    """The objective that G makes large, handed to an optimiser that makes it small."""
    return -softplus(-a).mean()


def _mean_pixel(seen: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"d_fake": -seen["fake"].mean()}


generator_step = _move()
"""One step of G: the labels that it draws with are those that it is judged with."""

MOVE_BUGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "labels": (
        "other-labels",
        {"other_labels": True},
        "the pictures are drawn for one set of labels and judged with another, so G learns that labels do not matter",
    ),
    "sign": (
        "ascent",
        {"loss": _ascent},
        "the optimiser descends, and this loss has to be ascended: G learns to be refused",
    ),
    "log": (
        "mean-pixel",
        {"log": _mean_pixel},
        "d_fake is minus the mean pixel of the fakes. On digits that is a plausible number, and it has nothing to do "
        "with D",
    ),
}


def _still_there(names: tuple[str, ...]) -> tuple[str, tuple[Callable[..., Any], str]]:
    changes: dict[str, Any] = {}
    for name in names:
        changes |= MOVE_BUGS[name][1]
    texts = "; and ".join(MOVE_BUGS[name][2] for name in names)
    return "-and-".join(MOVE_BUGS[name][0] for name in names), (_move(**changes), texts)


_MOVE_SUBSETS = [
    tuple(name for name, bit in zip(MOVE_BUGS, bits, strict=True) if bit) for bits in product((1, 0), repeat=3)
]


def _moves(formula: Callable[..., Any]) -> When:
    """Recognise a step by what it leaves of G, whatever it logs."""

    def test(cases: list[Case], results: list[Result]) -> bool:
        pairs = zip(results, _results(formula, move_cases, cases[0].seed), strict=True)
        return all(close(got.changed(0), want.changed(0)) for got, want in pairs)

    return When(test)


def _logs(name: str, formula: Callable[[dict[str, Tensor]], Tensor]) -> When:
    """Recognise a step that moves G rightly and logs something else under a name."""
    changed = _move(log=lambda seen: {name: formula(seen)})

    def test(cases: list[Case], results: list[Result]) -> bool:
        pairs = zip(results, _results(changed, move_cases, cases[0].seed), strict=True)
        return _moves(generator_step).test(cases, results) and all(
            close(got.output[name], want.output[name]) for got, want in pairs
        )

    return When(test)


def _stand_still(G: Any, D: Any, optimizer: Any, z: Tensor, c: Tensor) -> None:
    """A step that does nothing."""


def _mean_losses(case: Case, *, for_d: bool) -> Iterator[float]:
    """Yield the loss for every way of giving other labels to D (or to G), the right labels left out."""
    G, D = (BUILDERS[spec.kind]((), **spec.options) for spec in case.args[:2])
    z, c = case.args[3:]
    columns = []
    for k in range(CLASSES):
        every = torch.full_like(c, k)
        columns.append(softplus(-(D(G(z, c), every) if for_d else D(G(z, every), c))).detach())
    table = torch.stack(columns, dim=1)  # (m, classes)
    sums = table[0]
    for row in table[1:]:
        sums = (sums[:, None] + row).flatten()
    right_one = 0
    for k in c.tolist():
        right_one = right_one * CLASSES + k
    for i, value in enumerate((sums / len(c)).tolist()):
        if i != right_one:
            yield value


def _mismatched(cases: list[Case], results: list[Result]) -> bool:
    """Return whether the logged loss is that of other labels, given to one of the two networks."""
    if any(close(results[0].output["g_loss"], r.output["g_loss"]) for r in run(generator_step, cases[:1])):
        return False
    logged = abs(float(results[0].output["g_loss"]))
    return any(abs(value - logged) < 2e-6 for for_d in (True, False) for value in _mean_losses(cases[0], for_d=for_d))


GENERATOR_STEP = Exercise(
    name="cgan.generator_step",
    title="Find the bugs: a generator that ignores its label",
    tier="implement",
    points=3,
    answer="generator_step",
    cases=move_cases,
    judge=compare(
        generator_step,
        _by_value(move_cases, dict(_still_there(names) for names in _MOVE_SUBSETS if names))
        | {
            "frozen": (
                _moves(_stand_still),
                "G does not move: nothing of the verdict reaches it, or its gradient is cleared before the move",
            ),
            "not-cleared": (
                _moves(_move(clear=False)),
                "old gradients are not cleared: what the half of D has left in G is added to the step",
            ),
            "minimax": (
                _moves(_move(loss=lambda a: -softplus(a).mean())),
                "G descends the minimax loss; the non-saturating one is asked for",
            ),
            "target-zero": (
                _moves(_move(loss=lambda a: softplus(a).mean())),
                "the target is still that of D: G is taught to be recognised",
            ),
            "sigmoid-twice": (
                _moves(_move(loss=lambda a: softplus(-a.sigmoid()).mean())),
                "a sigmoid is applied twice: D gives logits, and a loss on logits has the sigmoid in it",
            ),
            "summed": (
                _moves(_move(loss=lambda a: softplus(-a).sum())),
                "the loss adds up over the batch; it is a mean, or it grows with the batch",
            ),
            "moves-away": (
                _moves(_move(loss=_ascent)),
                "whatever the log says, G is moved the wrong way: it learns to be refused",
            ),
            "mean-sample": (_logs("d_fake", lambda seen: seen["fake"].mean()), "d_fake is the mean pixel of the fakes"),
            "mean-logit": (
                _logs("d_fake", lambda seen: seen["verdict"].mean()),
                "d_fake is a mean of logits; a probability is asked for",
            ),
            "mean-first": (
                _logs("d_fake", lambda seen: seen["verdict"].mean().sigmoid()),
                "d_fake is the probability of a mean logit; a mean of probabilities is asked for",
            ),
            "logged-after": (
                _logs("d_fake", lambda seen: seen["after"].sigmoid().mean()),
                "d_fake is what D says after the move; the number that belongs to g_loss is from before",
            ),
            "refusals": (
                _logs("d_fake", lambda seen: (-seen["verdict"]).sigmoid().mean()),
                "d_fake is the probability of a refusal",
            ),
            "negative-loss": (
                _logs("g_loss", lambda seen: -seen["loss"]),
                "G moves rightly, and the log has the negative of the loss that was minimised",
            ),
            "mismatched": (
                When(_mismatched),
                "G and D are given different labels for the same picture, so G learns that labels do not matter",
            ),
        },
    ),
)


# 5 Conditional BatchNorm -----------------------------------------------------------------------------


def norm_cases(seed: int) -> list[Case]:
    """Pictures as wide as they have channels, so that a wrong axis goes unnoticed; channels of very unequal spread."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for n, channels, height, classes, eps in ((5, 3, 2, 4, 1e-3), (4, 2, 3, 6, 5e-4), (6, 4, 1, 3, 1e-3)):
        spread = torch.tensor([1.0, 0.03, 3.0, 0.5])[:channels, None, None]
        shift = 0.5 * _normal(draws, channels, 1, 1)
        x = shift + spread * (_normal(draws, n, channels, height, channels) + 0.7 * _normal(draws, n, 1, 1, 1))
        tables = [_uniform(draws, 0.5, 2.0, classes, channels), _normal(draws, classes, channels)]
        c = _labels(draws, n, classes)
        c[-1] = c[0]
        note = f"x of shape {tuple(x.shape)}, {classes} classes"
        cases.append(Case((x, c, *tables, eps), grads=(0, 2, 3), note=note, seed=seed))
    return cases


def _norm(
    *,
    dims: tuple[int, ...] = (0, 2, 3),
    unbiased: bool = False,
    statistics: Callable[[Tensor], Tensor] = lambda m: m,
    scale: Callable[[Tensor, float], Tensor] = lambda variance, eps: (variance + eps).sqrt(),
    row: Callable[[Tensor, Tensor], Tensor] = lambda table, c: table[c],
    axis: tuple[int, ...] = (2, 3),
    affine: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda h, gamma, beta: gamma * h + beta,
) -> Callable[..., Tensor]:
    """Return conditional BatchNorm; each argument brings back one mistake."""

    def norm(x: Tensor, c: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
        mean = statistics(x.mean(dim=dims, keepdim=True))
        variance = statistics(x.var(dim=dims, keepdim=True, correction=int(unbiased)))
        h = (x - mean) / scale(variance, eps)
        rows = []
        for table in (gamma, beta):
            chosen = row(table, c)
            for place in axis:
                chosen = chosen.unsqueeze(place)
            rows.append(chosen)
        return affine(h, *rows)

    return norm


conditional_norm = _norm()
"""De Vries et al. 2017, section 3: statistics of the batch, scale and shift of the class. (B, C, H, W)."""


def _per_class(x: Tensor, c: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """Statistics of each class by itself."""
    result = torch.zeros_like(x)
    for k in c.unique():
        mine = (c == k)[:, None, None, None].float()
        count = mine.sum() * x.shape[2] * x.shape[3]
        mean = (x * mine).sum(dim=(0, 2, 3), keepdim=True) / count
        variance = ((x - mean).square() * mine).sum(dim=(0, 2, 3), keepdim=True) / count
        h = (x - mean) / (variance + eps).sqrt()
        result = result + mine * (h * gamma[k][:, None, None] + beta[k][:, None, None])
    return result


CONDITIONAL_NORM = Exercise(
    name="cgan.conditional_norm",
    title="Conditional BatchNorm, by hand",
    tier="implement",
    points=3,
    answer="conditional_norm",
    cases=norm_cases,
    judge=compare(
        conditional_norm,
        _by_value(
            norm_cases,
            {
                "per-class": (
                    _per_class,
                    "mean and variance are taken within each class. They are those of the whole batch; only scale and "
                    "shift belong to a class",
                ),
                "first-row": (
                    _norm(row=lambda table, c: table[c[:1]]),
                    "all samples are scaled and shifted as the first one's class asks",
                ),
                "by-position": (
                    _norm(row=lambda table, c: table[torch.arange(len(c)) % len(table)]),
                    "the rows of the tables are taken by the place in the batch and not by the class",
                ),
                "mean-row": (
                    _norm(row=lambda table, c: table[c].mean(dim=0, keepdim=True)),
                    "scale and shift are averaged over the batch; each sample has its own",
                ),
                "plain": (
                    _norm(affine=lambda h, gamma, beta: h + 0 * (gamma + beta)),
                    "it normalises, and the class does not enter",
                ),
                "not-normalised": (
                    lambda x, c, gamma, beta, eps: gamma[c][:, :, None, None] * x + beta[c][:, :, None, None],
                    "nothing is normalised: the class scales and shifts what came in",
                ),
                "gamma-only": (
                    _norm(affine=lambda h, gamma, beta: gamma * h + 0 * beta),
                    "the shift of the class is missing",
                ),
                "beta-only": (
                    _norm(affine=lambda h, gamma, beta: h + beta + 0 * gamma),
                    "the scale of the class is missing",
                ),
                "tables-swapped": (
                    _norm(affine=lambda h, gamma, beta: beta * h + gamma),
                    "scale and shift have changed places",
                ),
                "shift-first": (
                    _norm(affine=lambda h, gamma, beta: gamma * (h + beta)),
                    "the shift is scaled as well; it comes after the scale",
                ),
                "one-plus": (
                    _norm(affine=lambda h, gamma, beta: (1 + gamma) * h + beta),
                    "the scale is one plus the entry of the table. Some programs store it that way; not here",
                ),
                "wrong-axis": (
                    _norm(axis=(1, 2)),
                    "scale and shift run along the columns of the picture and not along its channels. The shapes fit "
                    "only because there are as many of both",
                ),
                "layer-norm": (_norm(dims=(1, 2, 3)), "each picture is normalised by itself, over all its channels"),
                "instance-norm": (
                    _norm(dims=(2, 3)),
                    "each picture is normalised by itself; the batch has one mean for a channel",
                ),
                "per-pixel": (
                    _norm(dims=(0,)),
                    "every pixel has statistics of its own; a channel shares them over the whole picture",
                ),
                "whole-batch": (_norm(dims=(0, 1, 2, 3)), "all channels share one mean; each has its own"),
                "unbiased": (
                    _norm(unbiased=True),
                    "the variance is the estimate with one sample less; BatchNorm divides by the number of values",
                ),
                "eps-outside": (
                    _norm(scale=lambda variance, eps: variance.sqrt() + eps),
                    "eps is added to the standard deviation; it belongs to the variance, under the root",
                ),
                "own-eps": (
                    _norm(scale=lambda variance, eps: (variance + 1e-5).sqrt()),
                    "eps is the one that BatchNorm has if nobody says otherwise, and not the one that is given",
                ),
                "no-eps": (
                    _norm(scale=lambda variance, eps: variance.sqrt()),
                    "eps does not enter: a channel without any spread would give NaN",
                ),
                "no-root": (
                    _norm(scale=lambda variance, eps: variance + eps),
                    "it divides by the variance; normalising divides by the standard deviation",
                ),
                "centred-only": (
                    _norm(scale=lambda variance, eps: torch.ones_like(variance)),
                    "it centres and does not scale to unit variance",
                ),
                "statistics-cut": (
                    _norm(statistics=Tensor.detach),
                    "the value is right, and mean and variance carry no gradient: a sample's effect on them is lost",
                ),
            },
            "statistics-cut",
        ),
    ),
)


# 6 Why an inner product ------------------------------------------------------------------------------


def feature_cases(seed: int) -> list[Case]:
    """Features and two class heads; as many classes as samples; and heads that are very sure."""
    draws = torch.Generator().manual_seed(seed)
    cases = []
    for n, classes, features, scale in ((5, 3, 4, 1.0), (4, 4, 2, 1.0), (6, 5, 3, 100.0)):
        phi = scale * (0.3 + _normal(draws, n, features))
        heads = [_normal(draws, classes, features) for _ in range(2)]
        note = f"{n} samples, {classes} classes" + (", heads that are very sure" if scale > 10 else "")
        c = _labels(draws, n, classes).flip(0)
        if torch.equal(c, torch.arange(n) % classes):  # a label is not its place
            c = c.roll(1)
        cases.append(Case((phi, c, *heads, 2 * _normal(draws, n)), grads=(0, 2, 3, 4), note=note, seed=seed))
    return cases


Heads = Callable[[Tensor, Tensor], Tensor]


def _pick(table: Tensor, c: Tensor) -> Tensor:
    return table.gather(1, c[:, None])[:, 0]


def _pair(
    formula: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda p, q, r: r + p - q,
    head: Heads = lambda phi, w: (phi @ w.T).log_softmax(dim=1),
    pick: Callable[[Tensor, Tensor], Tensor] = _pick,
) -> Callable[..., Tensor]:
    """Return the best logit of a pair from log p(c | x) of data and generator; each argument is one mistake."""

    def logits(phi: Tensor, c: Tensor, W_data: Tensor, W_gen: Tensor, r: Tensor) -> Tensor:
        return formula(pick(head(phi, W_data), c), pick(head(phi, W_gen), c), r)

    return logits


pair_logits = _pair()
"""Miyato & Koyama 2018, section 3: log p(x, c) - log q(x, c), with log-linear class probabilities. (B,)."""


def _expected(phi: Tensor, c: Tensor, W_data: Tensor, W_gen: Tensor, r: Tensor) -> Tensor:
    """The class does not enter: averaged over all classes by the data's head."""
    p, q = (phi @ W_data.T).log_softmax(dim=1), (phi @ W_gen.T).log_softmax(dim=1)
    return r + (p.exp() * (p - q)).sum(dim=1)


PAIR_LOGITS = Exercise(
    name="cgan.pair_logits",
    title="Why an inner product?",
    tier="implement",
    points=3,
    answer="pair_logits",
    cases=feature_cases,
    judge=compare(
        pair_logits,
        _by_value(
            feature_cases,
            {
                "no-normaliser": (
                    _pair(head=lambda phi, w: phi @ w.T),
                    "the scores of the classes are taken for logarithms of probabilities. What a softmax divides by "
                    "differs between the two heads; it depends on the picture alone, and it is part of the logit",
                ),
                "no-ratio": (
                    _pair(lambda p, q, r: p - q + 0 * r),
                    "r is missing: this judges whether the label fits, and not whether the picture is real",
                ),
                "ratio-subtracted": (_pair(lambda p, q, r: p - q - r), "r enters with the wrong sign"),
                "data-only": (_pair(lambda p, q, r: r + p + 0 * q), "the head of the generator does not enter"),
                "generator-only": (_pair(lambda p, q, r: r - q + 0 * p), "the head of the data does not enter"),
                "heads-swapped": (
                    _pair(lambda p, q, r: r + q - p),
                    "the two heads have changed places: a label that fits better in the data should raise the logit",
                ),
                "reversed": (
                    _pair(lambda p, q, r: q - p - r),
                    "the ratio is turned round: a real pair gets a low logit",
                ),
                "added": (_pair(lambda p, q, r: r + p + q), "the logarithms are added; a ratio has a difference"),
                "probabilities": (
                    _pair(lambda p, q, r: r + p.exp() - q.exp()),
                    "probabilities of the classes are compared; the logit holds their logarithms",
                ),
                "ratio-as-logit": (
                    _like(_pair(lambda p, q, r: r + (p - q).exp()), feature_cases, 2),
                    "a ratio of probabilities is added to a logarithm",
                ),
                "sigmoid": (
                    _like(_pair(lambda p, q, r: (r + p - q).sigmoid()), feature_cases, 2),
                    "this is D itself; its logit is asked for",
                ),
                "by-position": (
                    _pair(pick=lambda table, c: _pick(table, torch.arange(len(c)) % table.shape[1])),
                    "the class is taken by the place in the batch; c says which one it is",
                ),
                "batch-softmax": (
                    _pair(head=lambda phi, w: (phi @ w.T).log_softmax(dim=0)),
                    "the softmax runs over the batch; it runs over the classes",
                ),
                "all-classes": (_expected, "it averages over all classes, and c does not enter"),
                "sum-of-classes": (
                    _pair(pick=lambda table, c: table.sum(dim=1)),
                    "it adds up over all classes, and c does not enter",
                ),
                "not-finite": (
                    When(lambda cases, results: not bool(torch.isfinite(results[2].output).all())),
                    "where the heads are very sure it is infinite or NaN: a logarithm meets a probability that was "
                    "rounded to 0",
                ),
                "clamped": (
                    _like(pair_logits, feature_cases, 2),
                    "where the heads are very sure the numbers are cut off: keep logarithms, and nothing needs a floor",
                ),
            },
        ),
    ),
)


# 7 Numbers before the run ----------------------------------------------------------------------------

ONES = 0.28
REST = (1 - ONES) / (CLASSES - 1)
OWN = ONES**2 + (CLASSES - 1) * REST**2
OBEYS = 0.6
PARTLY = OBEYS + (1 - OBEYS) / CLASSES
LABEL_KL = ONES * math.log(ONES * CLASSES) + (1 - ONES) * math.log(REST * CLASSES)
REVERSED_KL = (-math.log(ONES * CLASSES) - (CLASSES - 1) * math.log(REST * CLASSES)) / CLASSES
LABEL_DIM, WIDTH, PIXELS = 10, 1024, 784
OF_THE_LABEL = LABEL_DIM * WIDTH + CLASSES * LABEL_DIM
CHANCE = [1 / CLASSES, OWN, PARTLY, LABEL_KL, OF_THE_LABEL]

CHANCE_NUMBERS = Exercise(
    name="cgan.chance",
    title="Numbers before the run",
    tier="predict",
    points=2,
    answer="chance",
    kind="value",
    judge=compare(
        CHANCE,
        {
            "first-two-swapped": (
                [OWN, 1 / CLASSES, *CHANCE[2:]],
                "the first two numbers have changed places",
            ),
            "majority": (
                _near(0, ONES),
                "the first number: a 1 is right only when a 1 was asked for. How often is that, with uniform requests",
            ),
            "no-luck": (_near(0, 0.0), "the first number: a generator that does not listen is right by accident"),
            "even-classes": (
                _near(1, 1 / CLASSES),
                "the second number: the frequent class is now asked for more often, too",
            ),
            "majority-asked": (
                _near(1, ONES),
                "the second number: requests and pictures are independent draws, of the same shares",
            ),
            "ones-only": (_near(1, ONES**2), "the second number: the other nine classes are right by accident as well"),
            "no-accidents": (
                _near(2, OBEYS),
                "the third number: pictures that ignore the label are right from time to time",
            ),
            "added-chance": (
                _near(2, OBEYS + 1 / CLASSES),
                "the third number: only the part that ignores the label has luck",
            ),
            "bits": (_near(3, LABEL_KL / math.log(2)), "the fourth number is in bits; the course measures in nats"),
            "reversed-kl": (
                _near(3, REVERSED_KL),
                "the fourth number: the other order of the two laws. It averages over what is drawn",
            ),
            "even-kl": (
                _near(3, 0.0),
                "the fourth number: the requests are uniform, and the pictures are not. The label KL looks at pictures",
            ),
            "entropy": (
                _near(3, math.log(CLASSES) - LABEL_KL),
                "the fourth number is the entropy of the classes; how far is it from the largest one",
            ),
            "no-table": (
                _near(4, LABEL_DIM * WIDTH, tol=1e-6),
                "the fifth number: the table of the embedding is missing",
            ),
            "table-only": (
                _near(4, CLASSES * LABEL_DIM, tol=1e-6),
                "the fifth number: the first layer has weights that read the embedding",
            ),
            "with-biases": (
                _near(4, OF_THE_LABEL + WIDTH, tol=1e-6),
                "the fifth number: the biases of the first layer stay when the label goes",
            ),
            "whole-layer": (
                _near(4, (PIXELS + LABEL_DIM) * WIDTH, (PIXELS + LABEL_DIM + 1) * WIDTH, tol=1e-3),
                "the fifth number counts the weights that read pixels, too",
            ),
            "inputs": (_near(4, LABEL_DIM, tol=1e-6), "the fifth number counts inputs; learned numbers are asked for"),
        },
        tol=0.003,
    ),
)


# 8 Does a condition make samples more diverse? -------------------------------------------------------

DIVERSITY = Exercise(
    name="cgan.diversity",
    title="Does a condition make samples more diverse?",
    tier="investigate",
    points=5,
    answer="diversity",
    kind="text",
    judge=written(120),
    rubric=(
        "1 point: writes down, before the run, what the sentence 'a condition makes results more diverse' predicts for "
        "the columns 'all' and 'within a class', and for which rows it would be refuted. "
        "2 points: holds the table against it with numbers: compares each generator with the data and not only with "
        "another one, says that 'all' can look healthy while 'within a class' is near 0 (the generator with silent "
        "noise), and that a generator without a label scores high within a class because it ignores the request, so "
        "that accuracy has to be read beside it (1 point if only the rows that suit the sentence are used). "
        "1 point: says what a condition does give (control: the accuracy) and formulates a corrected sentence. "
        "1 point: limits (a toy ring, few seeds, a distance in the plane) and one further experiment with an outcome "
        "that would speak against the writer."
    ),
)


SET = Set(
    "cgan",
    "06_cgan",
    "Conditional GANs",
    (
        WRONG_LABELS,
        MATCHING_LOSS,
        RESTING_VALUES,
        GENERATOR_STEP,
        CONDITIONAL_NORM,
        PAIR_LOGITS,
        CHANCE_NUMBERS,
        DIVERSITY,
    ),
)
