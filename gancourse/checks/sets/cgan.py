"""Chapter 6, conditional GANs: wrong pairs, what the log then shows, and where the condition enters both networks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gancourse.checks.builders import BUILDERS
from gancourse.checks.core import Case, Exercise, Result, Set, Spec, Verdict, differ, right, wrong
from gancourse.checks.forms import RightBut, essay, function, generator_of, not_finite, numbers, uniforms

CLASSES = 10


def normal(draws: torch.Generator, *shape: int) -> Tensor:
    """Return normal numbers."""
    return torch.randn(shape, generator=draws)


def labels(draws: torch.Generator, n: int, classes: int) -> Tensor:
    """Return n labels that are all different as far as there are enough classes, in no order."""
    return torch.cat([torch.randperm(classes, generator=draws) for _ in range(n // classes + 1)])[:n]


def same(value):
    """Return what is given; a knob that is not turned."""
    return value


# 1 Wrong labels --------------------------------------------------------------------------------------

MANY = 4000
SIGMAS = 6.0
"""A count may be this far from what is expected of it: a right answer is refused less than once in a million checks."""


def label_cases(seed: int) -> list[Case]:
    """The same large batch twice; two classes; a batch without most classes; a batch of one."""
    draws = generator_of(seed)
    order = torch.randperm(5, generator=draws)
    weights = torch.tensor([0.34, 0.26, 0.19, 0.13, 0.08])[order] + uniforms(draws, -0.01, 0.01, 5).float()
    weights = weights / weights.sum()
    shares = torch.tensor([0.12, 0.14, 0.18, 0.24, 0.32])[order]  # the batch has the rare classes most often
    c = torch.multinomial(shares, MANY, replacement=True, generator=draws)
    last = int(torch.randint(2, 5, (), generator=draws))
    sparse = torch.tensor([0.3, 0.0, 0.2, 0.1, 0.25, 0.15])
    few = torch.tensor([0, last])[torch.randint(0, 2, (1500,), generator=draws)]
    two = torch.randint(0, 2, (7,), generator=draws)
    return [
        Case((c, weights), note=f"{MANY} labels of 5 classes", seed=seed),
        Case((c, weights), note="the same labels again", seed=seed + 1),
        Case((two, torch.tensor([0.8, 0.2])), note="7 labels of 2 classes", seed=seed),
        Case((few, sparse), note="1500 labels, and class 1 has the weight 0", seed=seed),
        Case((torch.tensor([2]), torch.tensor([0.2, 0.3, 0.5])), note="a single label", seed=seed),
    ]


def table_of(c: Tensor, other: Tensor, classes: int) -> Tensor:
    """Return how often each class (row) got each other label (column)."""
    return torch.bincount(c * classes + other, minlength=classes**2).reshape(classes, classes).double()


def surprise(counts: Tensor, weights: Tensor) -> tuple[float, int, int]:
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
    if fault := _accidents(c, first) or _patterns(c, first, second):
        return fault
    for case, result in zip(cases, results, strict=True):
        if bool((case.args[0] == result.output).any()):
            return wrong("coincide", f"some labels are right by accident (for {case.note})")
    counts = table_of(c, first, len(weights)) + table_of(c, second, len(weights))
    if fault := _frequencies(counts, c, weights):
        return fault
    if bool((results[3].output == 1).any()):
        return wrong("weight-0", "a class that the weights rule out is drawn all the same")
    few, sparse = cases[3].args
    if bool(torch.isin(results[3].output, few).all()):
        told = "only classes that occur in the batch are drawn; the weights are those of the data"
        return wrong("of-the-batch", told)
    if int(results[3].output.max()) <= int(few.max()):
        told = "no class beyond the largest of the batch is drawn. How many there are is the length of `weights`"
        return wrong("largest-of-batch", told)
    if fault := _frequencies(table_of(few, results[3].output, len(sparse)), few, sparse):
        return fault
    return right()


def _form_of_labels(case: Case, output: Any) -> Verdict | None:
    c, weights = case.args
    if not isinstance(output, Tensor) or output.shape != c.shape:
        found = differ(output, c) or ("type", "it returns something else than labels")
        return wrong(found[0], f"{found[1]} (for {case.note})")
    if output.dtype != torch.int64:
        return wrong("dtype", f"the labels are {str(output.dtype).removeprefix('torch.')}; int64 is asked for")
    low, high, last = int(output.min()), int(output.max()), len(weights) - 1
    if low < 0 or high > last:
        bad = low if low < 0 else high
        return wrong("range", f"it gives the label {bad}; with {len(weights)} classes the last one is {last}")
    return None


def _accidents(c: Tensor, other: Tensor) -> Verdict | None:
    share = (c == other).double().mean().item()
    if share == 1:
        return wrong("unchanged", "the labels come back as they were: all pairs are right")
    if torch.equal(c.sort().values, other.sort().values):
        told = "these are the labels of the batch in another order. Some meet a picture of their own class, and none"
        return wrong("shuffled", f"{told} follows the weights")
    if share > 0.1:
        told = "of the labels are right by accident: the one to be replaced is among those that may be drawn"
        return wrong("coincide", f"{share:.0%} {told}")
    if share > 0:
        told = "of the labels are still right: one that is drawn again may be right again"
        return wrong("redrawn-once", f"{share:.2%} {told}")
    return None


def _patterns(c: Tensor, first: Tensor, second: Tensor) -> Verdict | None:
    classes = int(c.max()) + 1
    if len(((first - c) % classes).unique()) == 1:
        told = "the whole batch makes one move: each class gets one neighbour, and D learns to refuse this mistake only"
        return wrong("one-move", f"{told}. Every label needs a draw of its own")
    if (table_of(c, first, classes) > 0).sum(dim=1).max() == 1:
        told = "all pictures of a class get the same wrong label; every picture needs a draw of its own"
        return wrong("one-per-class", told)
    if torch.equal(first, second):
        told = "two calls give the same labels: the seed is fixed inside, so D sees the same errors forever"
        return wrong("fixed", told)
    return None


def _frequencies(counts: Tensor, c: Tensor, weights: Tensor) -> Verdict | None:
    worst, row, column = surprise(counts, weights)
    if worst <= SIGMAS:
        return None
    if surprise(counts, torch.ones(len(weights)))[0] <= SIGMAS:
        return wrong(
            "uniform", "the wrong labels are nearly uniform over the other classes; they are to follow `weights`"
        )
    if surprise(counts, torch.bincount(c, minlength=len(weights)))[0] <= SIGMAS:
        return wrong("of-the-batch", "the wrong labels follow the frequencies of the batch; the weights do not enter")
    seen = counts.sum(dim=1, keepdim=True) > 0
    missing = (seen & (counts == 0) & (weights > 0) & ~torch.eye(len(weights), dtype=torch.bool)).nonzero().tolist()
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
    """Pairs for a small D, and pairs of which D is very sure, and wrong with all three kinds."""
    draws = generator_of(seed)
    cases = []
    for n, inputs, classes, scale in ((4, 3, 5, 1.0), (5, 2, 4, 1.5), (6, 4, 3, 400.0)):
        options = {"sizes": [inputs, 6, 1], "classes": classes, "activation": "leaky_relu"}
        c = labels(draws, n, classes)
        other = (c + torch.randint(1, classes, (n,), generator=draws)) % classes
        for start in range(seed % 2**30, seed % 2**30 + 1000):
            options["seed"] = start
            D = BUILDERS["conditional_mlp"]((), **options)
            x, fake = scale * (0.5 + normal(draws, n, inputs)), scale * (normal(draws, n, inputs) - 0.5)
            with torch.no_grad():
                surest = float(torch.stack([-D(x, c), D(fake, c), D(x, other)]).amax(dim=1).min())
            if scale < 10 or surest > 130:  # exp overflows in float32 beyond 88
                break
        note = f"{n} pairs" if scale < 10 else f"{n} pairs of which D is very sure"
        args = (Spec("conditional_mlp", options), x, c, fake, other)
        cases.append(Case(args, grads=(0,), note=note, seed=seed))
    return cases


def matching_loss(
    D,
    x,
    c,
    x_fake,
    wrong,
    *,
    on=(1, 0.5, 0.5),
    to=(-1, 1, 1),
    fake="fc",
    third="xw",
    see=same,
    cut=same,
    by=Tensor.mean,
):
    """Reed et al. 2016, algorithm 1: log s_r + (log(1 - s_w) + log(1 - s_f)) / 2, as a loss on logits.

    Knobs: the weights of right, generated and wrong pairs, and whether each is accepted (-1) or refused (1); what the
    second and the third term show D; what logits go through, and the third's besides; and the mean.
    """
    given = {"x": x, "f": x_fake, "c": c, "w": wrong}
    a, b, d = (see(D(given[pair[0]], given[pair[1]])) for pair in ("xc", fake, third))
    terms = [by(softplus(side * logits)) for side, logits in zip(to, (a, b, cut(d)), strict=True)]
    return sum(weight * term for weight, term in zip(on, terms, strict=True))


MATCHING_LOSS = function(
    "cgan.matching_loss",
    "A discriminator that is shown wrong pairs",
    points=3,
    cases=pair_cases,
    reference=matching_loss,
    let={
        "sum": Tensor.sum,
        "sigmoid": Tensor.sigmoid,
        "detach": Tensor.detach,
        "not_finite": RightBut((2,), not_finite),
        "until_sure": RightBut((2,)),
    },
    table="""
    no-halves         on=(1,1,1)   | all three terms have the same weight: refusals then count twice as much as
                                   | acceptances
    two-terms         on=(1,1,0)   | the wrong pairs do not enter: this is the loss of the original conditional GAN
    lost-third        on=(1,.5,0)  | generated pairs have their weight, and the wrong pairs are missing
    no-fakes          on=(1,0,.5)  | the generated pairs are missing
    third-right       third='xc'   | the third term is fed with right pairs: D is taught to accept and to refuse the
                                   | same pairs
    third-right-unit  third='xc' on=(1,1,1) | the third term is fed with right pairs, and its weight is another one
    third-generated   third='fw'   | the third term shows generated pictures with wrong labels. D may refuse those
                                   | without a look at the label; what teaches it to look are real pictures
    fake-mislabelled  fake='fw'    | the second term gives generated pictures the wrong labels; they were made for c
    third-accepted    to=(-1,1,-1) | D is taught to accept wrong pairs: the target of the third term belongs to the
                                   | first
    all-accepted      to=(-1,-1,-1) | D is taught to accept all three kinds of pairs
    generator-target  to=(-1,-1,1) | the generated pairs have the target that G wishes for; this is the loss of D
    swapped           to=(1,-1,-1) | all targets are swapped: D learns to refuse what is real and fits
    value-sign        on=(-1,-.5,-.5) | this is the value, which D makes large; a loss is made small
    wrong-in-full     on=(1,.5,1)  | generated pairs have their weight of one half, and wrong pairs count in full
    generated-in-full on=(1,1,.5)  | wrong pairs have their weight of one half, and generated pairs count in full
    half-of-all       on=(.5,.5,.5) | the right pairs are halved as well
    half-on-right     on=(.5,1,1)  | the weights have changed places: the right pairs are halved
    pooled            on=(1/3,1/3,1/3) | one mean runs over all three kinds of pairs: each has a mean and a weight
    missing-mean      by=sum       | it adds up over the batch; an expectation is a mean
    sigmoid-twice     see=sigmoid  | a sigmoid is applied twice: D gives logits, and a loss on logits has it inside
    third-cut         cut=detach   | the value is right, and the wrong pairs teach nothing: no gradient comes from them
    not-finite        not_finite   | where D is very sure it is infinite or NaN: a probability is rounded to 0 before
                                   | its logarithm is taken, or an exponential is too large for float32
    probabilities     until_sure   | right, except where D is very sure and wrong: something is rounded or cut off there
    """,
)


# 3 What the log shows at the end ---------------------------------------------------------------------

RESTING_VALUES = numbers(
    "cgan.resting_values",
    "What the log shows when G is perfect",
    points=3,
    right="2/3  log(3/2)  log(3/2)+log(3)/2  log(2)  log(2.1)",
    tol=0.003,
    table="""
    always-a-half  1/2 * * * *  | the first number is that of the game with two terms of equal weight. Which kinds of
                                | pairs are found at the place of a right pair, and with which weights
    wrong-pairs-everywhere 1/3 * * * * | the first number counts three kinds of pairs at one place. Can a truly wrong
                                | pair stand where a right pair stands
    redrawn-in-halves 1/1.55 * * * * | the first number is that of labels drawn anew; here they are truly wrong
    bits           2/3 log2(3/2) log2(3/2)+log2(3)/2 1 log2(2.1) | the losses are in bits; the course measures in nats
    signs          2/3 -log(3/2) -log(3/2)-log(3)/2 -log(2) -log(2.1) | losses are asked for, and they are positive
    minimax        * log(3);-log(3) * * * | the second number: the loss of G that the course trains with rises where D
                                | refuses a generated pair
    old-g-loss     * log(2) * * * | the second number belongs to a D that says a half: what does it say to G's pairs
    old-d-loss     * * 2*log(2) * * | the third number is that of the game with two terms; D now says something else to
                                | each kind of pair
    wrong-pairs-cost * * log(4.5) * * | the third number is too large: either a weight is missing, or the wrong pairs
                                | are charged as if D could not tell them from right ones. What does the best D say to
                                | a pair that is never right
    first-term-only * * log(3/2) * * | the third number holds the right pairs only
    unit-as-half   * * * log(3/2) * | the fourth number: with unit weights generated pairs count in full
    three-kinds    * * * log(3) * | the fourth number counts three kinds of pairs at one place. Can a truly wrong pair
                                | stand where a right pair stands
    no-accidents   * * * * log(2) | the fifth number: a label drawn anew is right from time to time, and then D is told
                                | to refuse a right pair
    always-right   * * * * log(3) | the fifth number takes all redrawn labels for right ones; how many are
    share-of-wrong * * * * log(2.9) | the fifth number uses the share of redrawn labels that are wrong; which of them
                                | meet right pairs
    one-of-the-others * * * * log(2+1/9) | the fifth number: a label drawn anew has all classes to choose from, the
                                | right one included
    halves-again   * * * * log(1.55) | the fifth number is that of the halved weights; here all weights are 1
    """,
)


# 4 The generator's step ------------------------------------------------------------------------------


def move_cases(seed: int) -> list[Case]:
    """One step of a small pair, and of another one; old gradients are left in G."""
    draws = generator_of(seed)
    cases = []
    for m, noise, pixels, widths, lr in ((3, 2, 4, (5, 4), 0.5), (4, 3, 2, (4, 6), 0.3)):
        z, c = normal(draws, m, noise), labels(draws, m, CLASSES)
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
        rule = {"lr": lr} if m == 3 else {"lr": 0.1 * lr, "name": "Adam", "eps": 1e-3}
        args = (*networks, Spec("optimizer", {"of": 0, **rule}), z, c)
        cases.append(Case(args, changes=(0,), note=f"{m} pairs", seed=seed))
    return cases


def refused(a):
    """The non-saturating loss of G on logits."""
    return softplus(-a).mean()


def accepted(fake, a, after):
    """The mean probability that D gives to the pairs, before the move."""
    return a.sigmoid().mean()


def generator_step(
    G, D, optimizer, z, c, *, other=same, loss=refused, see=same, clear=True, rest=False, log=1, d_fake=accepted
):
    """One step of G: the labels that it draws with are those that it is judged with.

    Knobs: the labels for D, the loss, what logits go through before it, whether old gradients are cleared and whether G
    stays where it is, the sign of the loss in the log, and what stands there as d_fake.
    """
    fake = G(z, c)
    verdict = D(fake, other(c))
    value = loss(see(verdict))
    if clear:
        optimizer.zero_grad()
    value.backward()
    if not rest:
        optimizer.step()
    with torch.no_grad():
        return {"g_loss": log * value.item(), "d_fake": d_fake(fake, verdict, lambda: D(G(z, c), c)).item()}


GENERATOR_STEP = function(
    "cgan.generator_step",
    "Find the bugs: a generator that ignores its label",
    points=3,
    cases=move_cases,
    reference=generator_step,
    let={
        "drawn": lambda c: torch.randint(0, CLASSES, c.shape),
        "ascent": lambda a: -refused(a),
        "minimax": lambda a: -softplus(a).mean(),
        "as_d": lambda a: softplus(a).mean(),
        "summed": lambda a: softplus(-a).sum(),
        "sigmoid": Tensor.sigmoid,
        "minus_pixel": lambda fake, a, after: -fake.mean(),
        "pixel": lambda fake, a, after: fake.mean(),
        "logit": lambda fake, a, after: a.mean(),
        "of_mean": lambda fake, a, after: a.mean().sigmoid(),
        "after": lambda fake, a, after: after().sigmoid().mean(),
        "refusal": lambda fake, a, after: (-a).sigmoid().mean(),
    },
    table="""
    +other-labels  other=drawn        | the pictures are drawn for one set of labels and judged with another, so G
                                      | learns that labels do not matter
    +ascent        loss=ascent        | the optimiser descends, and this loss has to be ascended: G learns to be refused
    +mean-pixel    d_fake=minus_pixel | d_fake is minus the mean pixel of the fakes. On digits that is a plausible
                                      | number, and it has nothing to do with D
    frozen         rest=True          | G does not move: nothing of the verdict reaches it, or its gradient is cleared
                                      | before the move
    not-cleared    clear=False        | old gradients are not cleared: what the half of D has left in G is added
    minimax        loss=minimax       | G descends the minimax loss; the non-saturating one is asked for
    target-zero    loss=as_d          | the target is still that of D: G is taught to be recognised
    sigmoid-twice  see=sigmoid        | a sigmoid is applied twice: D gives logits, and a loss on logits has it inside
    summed         loss=summed        | the loss adds up over the batch; it is a mean, or it grows with the batch
    moves-away     loss=ascent log=-1 | whatever the log says, G is moved the wrong way: it learns to be refused
    mean-sample    d_fake=pixel       | d_fake is the mean pixel of the fakes
    mean-logit     d_fake=logit       | d_fake is a mean of logits; a probability is asked for
    mean-first     d_fake=of_mean     | d_fake is the probability of a mean logit; a mean of probabilities is asked for
    logged-after   d_fake=after       | d_fake is what D says after the move; the number that belongs to g_loss is
                                      | from before
    refusals       d_fake=refusal     | d_fake is the probability of a refusal
    negative-loss  log=-1             | G moves rightly, and the log has the negative of the loss that was minimised
    """,
)


# 5 Conditional BatchNorm -----------------------------------------------------------------------------


def norm_cases(seed: int) -> list[Case]:
    """Pictures as wide as they have channels, so that a wrong axis goes unnoticed; channels of very unequal spread."""
    draws = generator_of(seed)
    cases = []
    for n, channels, height, classes, eps in ((5, 3, 2, 4, 1e-3), (4, 2, 3, 6, 5e-4), (6, 4, 1, 3, 1e-3)):
        spread = torch.tensor([1.0, 0.03, 3.0, 0.5])[:channels, None, None]
        shift = 0.5 * normal(draws, channels, 1, 1)
        x = shift + spread * (normal(draws, n, channels, height, channels) + 0.7 * normal(draws, n, 1, 1, 1))
        tables = [uniforms(draws, 0.5, 2.0, classes, channels).float(), normal(draws, classes, channels)]
        c = labels(draws, n, classes)
        c[-1] = c[0]
        note = f"x of shape {tuple(x.shape)}, {classes} classes"
        cases.append(Case((x, c, *tables, eps), grads=(0, 2, 3), note=note, seed=seed))
    return cases


def deviation(variance, eps):
    """What normalising divides by."""
    return (variance + eps).sqrt()


def conditional_norm(
    x, c, gamma, beta, eps, *, dims=(0, 2, 3), less=0, cut=same, by=deviation, row=lambda table, c: table[c], on=(2, 3),
    affine=lambda h, scale, shift: scale * h + shift,
):  # fmt: skip
    """De Vries et al. 2017, section 3: statistics of the batch, scale and shift of the class. (B, C, H, W).

    Knobs: the axes of the statistics, how many fewer the variance divides by, what the statistics go through, and what
    is made of the variance; a sample's row of a table, the axes added to it, and how scale and shift enter.
    """
    mean, variance = cut(x.mean(dim=dims, keepdim=True)), cut(x.var(dim=dims, keepdim=True, correction=less))
    scale, shift = (row(table, c).unsqueeze(on[0]).unsqueeze(on[1]) for table in (gamma, beta))
    return affine((x - mean) / by(variance, eps), scale, shift)


def _per_class(x, c, gamma, beta, eps):
    """Statistics of each class by itself."""
    result = torch.zeros_like(x)
    for k in c.unique():
        result[c == k] = conditional_norm(x[c == k], c[c == k], gamma, beta, eps)
    return result


CONDITIONAL_NORM = function(
    "cgan.conditional_norm",
    "Conditional BatchNorm, by hand",
    points=3,
    cases=norm_cases,
    reference=conditional_norm,
    let={
        "per_class": _per_class,
        "first": lambda table, c: table[c[:1]],
        "in_order": lambda table, c: table[torch.arange(len(c)) % len(table)],
        "average": lambda table, c: table[c].mean(dim=0, keepdim=True),
        "plain": lambda h, scale, shift: h + 0 * (scale + shift),
        "scaled": lambda h, scale, shift: scale * h + 0 * shift,
        "shifted": lambda h, scale, shift: h + shift + 0 * scale,
        "swapped": lambda h, scale, shift: shift * h + scale,
        "shift_first": lambda h, scale, shift: scale * (h + shift),
        "one_plus": lambda h, scale, shift: (1 + scale) * h + shift,
        "modulate": lambda x, c, gamma, beta, eps: gamma[c][:, :, None, None] * x + beta[c][:, :, None, None],
        "detach": Tensor.detach,
        "outside": lambda variance, eps: variance.sqrt() + eps,
        "default_eps": lambda variance, eps: (variance + 1e-5).sqrt(),
        "root": lambda variance, eps: variance.sqrt(),
        "no_root": lambda variance, eps: variance + eps,
        "one": lambda variance, eps: torch.ones_like(variance),
    },
    table="""
    per-class       per_class        | mean and variance are taken within each class. They are those of the whole batch;
                                     | only scale and shift belong to a class
    first-row       row=first        | all samples are scaled and shifted as the first one's class asks
    by-position     row=in_order     | the rows of the tables are taken by the place in the batch, not by the class
    mean-row        row=average      | scale and shift are averaged over the batch; each sample has its own
    plain           affine=plain     | it normalises, and the class does not enter
    not-normalised  modulate         | nothing is normalised: the class scales and shifts what came in
    gamma-only      affine=scaled    | the shift of the class is missing
    beta-only       affine=shifted   | the scale of the class is missing
    tables-swapped  affine=swapped   | scale and shift have changed places
    shift-first     affine=shift_first | the shift is scaled as well; it comes after the scale
    one-plus        affine=one_plus  | the scale is one plus the entry of the table. Some programs store it that way;
                                     | not here
    wrong-axis      on=(1,2)         | scale and shift run along the columns of the picture and not along its channels.
                                     | The shapes fit only because there are as many of both
    layer-norm      dims=(1,2,3)     | each picture is normalised by itself, over all its channels
    instance-norm   dims=(2,3)       | each picture is normalised by itself; the batch has one mean for a channel
    per-pixel       dims=0           | every pixel has statistics of its own; a channel shares them over the picture
    whole-batch     dims=(0,1,2,3)   | all channels share one mean; each has its own
    unbiased        less=1           | the variance is the estimate with one sample less; BatchNorm divides by the
                                     | number of values
    eps-outside     by=outside       | eps is added to the standard deviation; it belongs under the root
    own-eps         by=default_eps   | eps is the one that BatchNorm has if nobody says otherwise, and not the given one
    no-eps          by=root          | eps does not enter: a channel without any spread would give NaN
    no-root         by=no_root       | it divides by the variance; normalising divides by the standard deviation
    centred-only    by=one           | it centres and does not scale to unit variance
    statistics-cut  cut=detach       | the value is right, and mean and variance carry no gradient: a sample's effect on
                                     | them is lost
    """,
)


# 6 Why an inner product ------------------------------------------------------------------------------


def feature_cases(seed: int) -> list[Case]:
    """Features and two class heads; as many classes as samples; and heads that are very sure."""
    draws = generator_of(seed)
    cases = []
    for n, classes, features, scale in ((5, 3, 4, 1.0), (4, 4, 2, 1.0), (6, 5, 3, 2000.0)):
        phi = scale * (0.3 + normal(draws, n, features))
        heads = [normal(draws, classes, features) for _ in range(2)]
        note = f"{n} samples, {classes} classes" + (", heads that are very sure" if scale > 10 else "")
        c = labels(draws, n, classes).flip(0)
        if torch.equal(c, torch.arange(n) % classes):  # a label is not its place
            c = c.roll(1)
        cases.append(Case((phi, c, *heads, 2 * normal(draws, n)), grads=(0, 2, 3, 4), note=note, seed=seed))
    return cases


def log_softmax(scores, dim=1):
    """What a head makes of the scores of its classes."""
    return scores.log_softmax(dim=dim)


def at(table, c):
    """Each sample's entry for its own class."""
    return table.gather(1, c[:, None])[:, 0]


def pair_logits(phi, c, W_data, W_gen, r, *, on=(1, -1, 1), see=same, head=log_softmax, pick=at, last=same):
    """Miyato & Koyama 2018, section 3: log p(x, c) - log q(x, c), with log-linear class probabilities. (B,).

    Knobs: the factors of both class terms and of r; what each class term goes through; what a head makes of its scores;
    which class is taken; and what the sum goes through.
    """
    p, q = (see(pick(head(phi @ w.T), c)) for w in (W_data, W_gen))
    return last(on[0] * p + on[1] * q + on[2] * r)


def _expected(phi, c, W_data, W_gen, r):
    """The class does not enter: averaged over all classes by the data's head."""
    p, q = (phi @ W_data.T).log_softmax(dim=1), (phi @ W_gen.T).log_softmax(dim=1)
    return r + (p.exp() * (p - q)).sum(dim=1)


PAIR_LOGITS = function(
    "cgan.pair_logits",
    "Why an inner product?",
    points=3,
    cases=feature_cases,
    reference=pair_logits,
    where="@0,1",
    let={
        "same": same,
        "exp": Tensor.exp,
        "sigmoid": Tensor.sigmoid,
        "ratio": lambda phi, c, W_data, W_gen, r: r + pair_logits(phi, c, W_data, W_gen, 0 * r).exp(),
        "in_order": lambda table, c: at(table, torch.arange(len(c)) % table.shape[1]),
        "total": lambda table, c: table.sum(dim=1),
        "over_batch": lambda scores: log_softmax(scores, dim=0),
        "expected": _expected,
        "not_finite": RightBut((2,), not_finite),
        "until_sure": RightBut((2,)),
    },
    table="""
    no-normaliser     head=same     | the scores of the classes are taken for logarithms of probabilities. What a
                                    | softmax divides by differs between the two heads; it depends on the picture
                                    | alone, and it is part of the logit
    no-ratio          on=(1,-1,0)   | r is missing: this judges whether the label fits, and not whether the picture is
                                    | real
    ratio-subtracted  on=(1,-1,-1)  | r enters with the wrong sign
    data-only         on=(1,0,1)    | the head of the generator does not enter
    generator-only    on=(0,-1,1)   | the head of the data does not enter
    heads-swapped     on=(-1,1,1)   | the two heads have changed places: a label that fits better in the data should
                                    | raise the logit
    reversed          on=(-1,1,-1)  | the ratio is turned round: a real pair gets a low logit
    added             on=(1,1,1)    | the logarithms are added; a ratio has a difference
    probabilities     see=exp       | probabilities of the classes are compared; the logit holds their logarithms
    ratio-as-logit    ratio         | a ratio of probabilities is added to a logarithm
    sigmoid           last=sigmoid  | this is D itself; its logit is asked for
    by-position       pick=in_order | the class is taken by the place in the batch; c says which one it is
    batch-softmax     head=over_batch | the softmax runs over the batch; it runs over the classes
    all-classes       expected      | it averages over all classes, and c does not enter
    sum-of-classes    pick=total    | it adds up over all classes, and c does not enter
    not-finite        not_finite    | where the heads are very sure it is infinite or NaN: a logarithm meets a
                                    | probability that was rounded to 0
    clamped           until_sure    | where the heads are very sure the numbers are cut off or inexact: keep logarithms,
                                    | and nothing needs a floor
    """,
)


# 7 Numbers before the run ----------------------------------------------------------------------------

ONES, REST = 0.28, 0.08  # the shares of a class that is drawn too often, and of each of the other nine

CHANCE = numbers(
    "cgan.chance",
    "Numbers before the run",
    points=2,
    right="1/10  own  0.64  kl  10340",
    let={
        "own": ONES**2 + 9 * REST**2,
        "kl": ONES * math.log(10 * ONES) + 9 * REST * math.log(10 * REST),
        "turned": -(math.log(10 * ONES) + 9 * math.log(10 * REST)) / 10,
    },
    tol=(0.003, 0.003, 0.003, 0.003, 0),
    table="""
    first-two-swapped own 1/10 0.64 kl 10340 | the first two numbers have changed places
    majority       0.28 * * * *  | the first number: a 1 is right only when a 1 was asked for. How often is that, with
                                 | uniform requests
    no-luck        0 * * * *     | the first number: a generator that does not listen is right by accident
    even-classes   * 1/10 * * *  | the second number: the frequent class is now asked for more often, too
    majority-asked * 0.28 * * *  | the second number: requests and pictures are independent draws, of the same shares
    ones-only      * 0.28**2 * * * | the second number: the other nine classes are right by accident as well
    no-accidents   * * 0.6 * *   | the third number: pictures that ignore the label are right from time to time
    added-chance   * * 0.7 * *   | the third number: only the part that ignores the label has luck
    bits           * * * kl/log(2) * | the fourth number is in bits; the course measures in nats
    reversed-kl    * * * turned * | the fourth number: the other order of the two laws. It averages over what is drawn
    even-kl        * * * 0 *     | the fourth number: the requests are uniform, and the pictures are not. The label KL
                                 | looks at pictures
    entropy        * * * log(10)-kl * | the fourth number is the entropy of the classes; how far is it from the largest
    no-table       * * * * 10240 | the fifth number: the table of the embedding is missing
    table-only     * * * * 100   | the fifth number: the first layer has weights that read the embedding
    with-biases    * * * * 11364 | the fifth number: the biases of the first layer stay when the label goes
    whole-layer    * * * * 794*1024;795*1024 | the fifth number counts the weights that read pixels, too
    inputs         * * * * 10    | the fifth number counts inputs; learned numbers are asked for
    """,
)


# 8 Does a condition make samples more diverse? -------------------------------------------------------

DIVERSITY = essay(
    "cgan.diversity",
    "Does a condition make samples more diverse?",
    points=5,
    words=120,
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
        CHANCE,
        DIVERSITY,
    ),
)
