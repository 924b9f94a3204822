"""Chapter 11, DCGAN: sizes, what a transposed convolution covers and is, the start, BatchNorm in D, reading its log."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose1d, conv_transpose2d

from gancourse.checks.builders import build_layers
from gancourse.checks.core import Case, Exercise, Opaque, Result, Set, Spec, Verdict, differ, right, wrong
from gancourse.checks.forms import essay, function, generator_of, numbers, same

DOUBLE = torch.float64


def whole(draws: torch.Generator, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`, ends included."""
    return int(torch.randint(low, high + 1, (), generator=draws))


# 1 Does it fit? --------------------------------------------------------------------------------------

HALVE, DOUBLE_UP = ("conv", 4, 2, 1, 0), ("transposed", 4, 2, 1, 0)


def stack_cases(seed: int) -> list[Case]:
    """D of 64 px on pictures that fit and on smaller ones; G; kernels that divide nothing; a map that vanishes."""
    draws = generator_of(seed)
    port = [*[HALVE] * 4, ("conv", 4, 1, 0, 0)]
    odd = [("conv", 5, 3, 2, 0), ("transposed", 3, 2, 1, 1), ("transposed", 5, 3, 1, 2), ("conv", 3, 2, 0, 0)]
    stacks = [
        ([*port, ("transposed", 4, 1, 0, 0), DOUBLE_UP], 64, "a D of 64 px, and up again"),
        (port, 28, "a D of 64 px, on 28 px"),
        ([HALVE] * 6, whole(draws, 33, 63), "six halvings"),
        ([("transposed", 4, 1, 0, 0), *[DOUBLE_UP] * 3, ("transposed", 3, 2, 1, 1)], 1, "a G of 64 px"),
        (odd, whole(draws, 5, 11), "layers of several kinds"),
        (odd[::-1], 3 * whole(draws, 4, 8) + 1, "the same from behind"),
        ([("conv", 3, 1, 1, 0), ("transposed", 2, 1, 1, 0), ("transposed", 2, 1, 1, 0), DOUBLE_UP], 2, "shrinking"),
    ]
    return [Case((layers, size), note=f"{words}, from {size}") for layers, size, words in stacks]


def sizes(
    layers,
    size,
    *,
    divide=lambda a, s: a // s,
    pad=2,
    strides=lambda n: n - 1,
    back=-2,
    extra=1,
    stop=1,
    stop_up=1,
    start=False,
):
    """The sizes after each layer, up to the first that has no result. Knobs: parts of both formulas, and the end."""
    found = [size] if start else []
    for kind, k, s, p, op in layers:
        if kind == "conv":
            size = divide(size + pad * p - k, s) + 1
        else:
            size = strides(size) * s + back * p + k + extra * op
        if size < (stop if kind == "conv" else min(stop, stop_up)):
            break
        found.append(size)
    return found


def _as_conv(layers, size):
    return sizes([("conv", *layer[1:]) for layer in layers], size)


SIZES = function(
    "dcgan.sizes",
    "Does it fit?",
    points=2,
    cases=stack_cases,
    reference=sizes,
    let={
        "up": lambda a, s: -(-a // s),
        "cut": lambda a, s: int(a / s),
        "same": same,
        "ever": -math.inf,
        "as_conv": _as_conv,
    },
    table="""
    as-convolutions as_conv       | a transposed convolution is counted as a convolution; it makes a map larger
    goes-on       stop=ever       | it goes on behind a layer that has no result
    goes-on-up    stop_up=ever    | it goes on behind a transposed convolution that leaves no pixel: one can crop all
                                  | away
    ends-at-one   stop=2          | a map of one pixel is a result like any other: D ends in one, and G begins with it
    cut-at-zero   divide=cut      | right where layers fit. A kernel that is larger than the padded map by less than a
                                  | stride has no result either; rounding towards 0 finds one
    rounded-up    divide=up       | a convolution rounds up here; a window that does not fit any more is left out
    pads-one-side pad=1           | a convolution is padded at one side only; p pixels come to each
    all-strides   strides=same    | n pixels have n − 1 steps between them, and here a transposed convolution makes n
    pads-outside  back=2          | padding makes the result of a transposed convolution larger here. It takes away from
                                  | it what it adds to the input of the convolution
    crops-once    back=-1         | a transposed convolution loses its padding at one side only
    no-extra      extra=0         | output_padding does not enter
    with-input    start=True      | the size at the beginning is in the list; asked for are those after the layers
    """,
)


# 2 The networks on paper -----------------------------------------------------------------------------


def ups(*widths: int) -> int:
    """Return how many weights a chain of 4 x 4 kernels between so many maps has."""
    return 16 * sum(a * b for a, b in zip(widths[:-1], widths[1:], strict=True))


ON_PAPER = numbers(
    "dcgan.on_paper",
    "A pair of networks on paper",
    points=2,
    right="2  5  8192  wide+2*1920  1792  960",
    tol=1e-8,
    let={"wide": ups(100, 1024, 512, 256, 128, 3), "port": ups(100, 512, 256, 128, 64, 3)},
    table="""
    usual-padding    1 * * * * *  | the first number belongs to 4 × 4 kernels; a larger kernel overhangs more
    same-padding     2.5;3 * * * * * | the first number: (n − 1) steps and a kernel leave how much too much at each side
    kernel-is-stride * 3 * * * *  | the second number: without padding it would fit; now a pixel is lost at each side
    one-side         * 4 * * * *  | the second number: the padding is taken away at both sides
    from-the-figure  * * 16384 * * * | the third number is that of 1024 maps of 4 × 4, with which the paper's G begins;
                                  | it is the port's D that is asked for
    channels-only    * * 512;16 * * * | the third number: both the maps and their pixels count
    one-score        * * 1 * * *  | the third number is what leaves the last layer; asked for is what enters it
    port             * * * port+1920 * * | the fourth is the port's own count; twice as many maps are asked for
    doubled          * * * 2*(port+1920) * * | the fourth: a layer has maps on both sides, and so most layers become
                                  | four times as large
    no-batchnorm     * * * wide * * | the fourth leaves out what BatchNorm learns
    half-batchnorm   * * * wide+1920 * * | the fourth: BatchNorm learns two numbers for each map
    with-statistics  * * * wide+4*1920 * * | the fourth counts running means and variances, which nobody learns
    with-biases      * * * wide+2*1920+1923;wide+1923;wide+2*1920+1920;wide+2*1920+3 * * | the fourth counts biases; the
                                  | port's layers have none
    bn-everywhere    * * * * 1920;1922 * | the fifth: D's first layer has no BatchNorm (some notes give it one), nor has
                                  | its score. Or have you counted G's
    one-for-each-map * * * * 896 * | the fifth: BatchNorm learns two numbers for each map
    statistics-too   * * * * 3584 * | the fifth is twice what it should be: nobody learns running means and variances,
                                  | and it is the port's D that is asked for
    all-biases       * * * * * 963 | the sixth counts the biases of the last layer too, behind which no BatchNorm comes
    no-bias          * * * * * 0;3 | the sixth: a bias moves a whole map; BatchNorm takes off its mean
    """,
)


# 3 How often is a pixel covered? ---------------------------------------------------------------------


def coverage_cases(seed: int) -> list[Case]:
    """Even and uneven coverage, holes, a stride of 1, and the extra rows of output_padding, reached or not."""
    draws = generator_of(seed)
    layers = [(3, 2, 1, 1), (4, 2, 1, 0), (5, 3, 0, 1), (2, 3, 0, 2), (3, 1, 1, 0), (5, 2, 2, 1), (6, 4, 1, 3)]
    cases = []
    for k, s, p, op in layers:
        n = whole(draws, 3, 6)
        cases.append(Case((n, k, s, p, op), note=f"n = {n}, k = {k}, s = {s}, p = {p}, output_padding = {op}"))
    return cases


def coverage(n, kernel, stride, padding, output_padding, *, front=same, meet=torch.mul, last=same):
    """How many input pixels reach each output pixel, (m, m). Knobs: what is cut in front, how rows meet columns."""
    m = (n - 1) * stride - 2 * padding + kernel + output_padding
    counts = conv_transpose1d(torch.ones(1, 1, n), torch.ones(1, 1, kernel), stride=stride).flatten()
    counts = torch.cat([counts, torch.zeros(m)])[front(padding) :][:m]
    return last(meet(counts[:, None], counts[None]))


def _extra_empty(n, kernel, stride, padding, output_padding):
    counts = coverage(n, kernel, stride, padding, 0)
    return torch.nn.functional.pad(counts, (0, output_padding, 0, output_padding))


def _endless(n, kernel, stride, padding, output_padding):
    first, m = kernel * stride, len(coverage(n, kernel, stride, padding, output_padding))
    return coverage(n + 2 * kernel, kernel, stride, padding, 0)[first : first + m, first : first + m]


COVERAGE = function(
    "dcgan.coverage",
    "How often is a pixel covered?",
    points=2,
    cases=coverage_cases,
    reference=coverage,
    let={
        "twice": lambda p: 2 * p,
        "none": lambda p: 0,
        "extra_empty": _extra_empty,
        "endless": _endless,
        "add": torch.add,
        "largest": torch.maximum,
        "smallest": torch.minimum,
        "rows": lambda a, b: a.expand(-1, b.shape[1]),
        "columns": lambda a, b: b.expand(a.shape[0], -1),
        "covered": lambda c: (c > 0).float(),
        "shares": lambda c: c / c.max(),
    },
    table="""
    one-direction  meet=rows       | counted are rows alone; the windows of a picture overlap in both directions
    other-direction meet=columns   | counted are columns alone; the windows of a picture overlap in both directions
    added          meet=add        | the counts of rows and columns are added. Of 2 rows and 2 columns 4 pixels come
    larger         meet=largest    | it takes the larger of the counts of rows and columns
    smaller        meet=smallest   | it takes the smaller of the counts of rows and columns. Of 2 rows and 2 columns 4
                                   | pixels come
    front          front=twice     | all padding is taken away in front, and none behind
    back           front=none      | all padding is taken away behind, and none in front
    extra-empty    extra_empty     | the rows of output_padding are empty here. They are rows that padding would have
                                   | taken away, and windows reach them as far as they go
    no-borders     endless         | this is the pattern of the middle, also at the borders, where windows are missing
    yes-or-no      last=covered    | it says whether a pixel is covered; how often is it
    relative       last=shares     | these are shares of the largest count
    """,
)


# 4 The other way round -------------------------------------------------------------------------------


def transposed_cases(seed: int) -> list[Case]:
    """Two sizes that one convolution maps to the same; a kernel with two lengths; pixels that no window reads."""
    draws = generator_of(seed)
    cases = []
    for b, shape, s, p, size in (
        (2, (3, 2, 3, 3), 2, 1, (7, 8)),
        (1, (2, 3, 5, 4), 2, 2, (8, 7)),
        (3, (2, 1, 2, 3), 1, 0, (4, 5)),
        (2, (1, 2, 3, 2), 3, 0, (8, 7)),
    ):
        weight = torch.randn(shape, generator=draws, dtype=DOUBLE)
        read = conv2d(torch.zeros(b, shape[1], *size, dtype=DOUBLE), weight, stride=s, padding=p).shape
        y = torch.randn(read, generator=draws, dtype=DOUBLE)
        note = f"kernel {shape[2:]}, stride {s}, padding {p}, x of size {size}"
        cases.append(Case((y, weight, s, p, list(size)), note=note))
    return cases


def matrix(weight: Tensor, stride: int, padding: int, size: list[int]) -> Tensor:
    """Return the matrix of a convolution without bias: as many columns as x has numbers, rows as y has."""
    inputs = weight.shape[1] * math.prod(size)
    units = torch.eye(inputs, dtype=weight.dtype).view(inputs, weight.shape[1], *size)
    return conv2d(units, weight, stride=stride, padding=padding).flatten(1).T


def transposed(y, weight, stride, padding, size, *, see=same, turn=Tensor.t, last=None):
    """Aᵀy for the matrix A of the convolution. Knobs: the kernel, what is made of A, and what comes last."""
    x = y.flatten(1) @ turn(matrix(see(weight), stride, padding, size)).T
    x = x.view(len(y), weight.shape[1], *size)
    return last(x, y, weight, stride, padding) if last else x


def _reached(x, y, weight, stride, padding):
    """Keep what a transposed convolution without output_padding gives; the rest is 0."""
    small = conv_transpose2d(y, weight, stride=stride, padding=padding)
    big = torch.zeros_like(x)
    big[..., : small.shape[2], : small.shape[3]] = small
    return big


def _averaged(x, y, weight, stride, padding):
    ones = torch.ones_like(weight[:1])
    return x / transposed(torch.ones_like(y[:, :1]), ones, stride, padding, list(x.shape[2:])).clamp(min=1)


def _overwritten(x, y, weight, stride, padding):
    """Put each square of paint over what was there."""
    k, wide, (rows, columns) = weight.shape[2:], x.shape[2] + 2 * padding, y.shape[2:]
    canvas = x.new_zeros(*x.shape[:2], wide, x.shape[3] + 2 * padding)
    for i in range(rows):
        for j in range(columns):
            paint = torch.einsum("bo,ocuv->bcuv", y[:, :, i, j], weight)
            canvas[:, :, i * stride : i * stride + k[0], j * stride : j * stride + k[1]] = paint
    return canvas[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


def _uncropped(x, y, weight, stride, padding):
    """Begin at the first pixel of the paint, as if there were no padding."""
    big, paint = torch.zeros_like(x), conv_transpose2d(y, weight, stride=stride)[..., : x.shape[2], : x.shape[3]]
    big[..., : paint.shape[2], : paint.shape[3]] = paint
    return big


TRANSPOSED = function(
    "dcgan.transposed",
    "The other way round",
    points=3,
    cases=transposed_cases,
    reference=transposed,
    let={
        "turned": lambda weight: weight.flip(2, 3),
        "mirrored": lambda weight: weight.flip(3),
        "inverse": torch.linalg.pinv,
        "reached": _reached,
        "averaged": _averaged,
        "overwritten": _overwritten,
        "uncropped": _uncropped,
        "meant": lambda x, y, weight, stride, padding: x / y.numel(),
    },
    table="""
    deconvolution  turn=inverse   | this undoes the convolution as well as it can. A transposed convolution does not;
                                  | the name "deconvolution" promises too much
    kernel-turned  see=turned     | the kernel is turned by 180°. The pixel that a weight has read gets its value back
                                  | by the same weight
    kernel-mirrored see=mirrored  | the kernel is mirrored in one direction
    border-empty   last=reached   | right but at the last rows or columns, which are 0 here: the padding took them away,
                                  | and output_padding brings them back as they were
    averaged       last=averaged  | each pixel is divided by how many windows have read it. A transpose adds up
    overwritten    last=overwritten | where squares overlap, the last one replaces the others. They add up
    no-padding     last=uncropped | the padding is left out; what is asked for begins that many pixels from the first
                                  | edge
    mean           last=meant     | it is divided by how many numbers y has, as the gradient of a mean would be
    """,
)


# 5 A start for each kind of layer --------------------------------------------------------------------

STD = 0.02


def start_cases(seed: int) -> list[Case]:
    """A G in two parts with a bias at its end; a D in deeper parts with a BatchNorm that learns nothing."""
    draws = generator_of(seed)
    no_bias = {"bias": False}
    first = [["ConvTranspose2d", [8, 320, 2], no_bias], ["BatchNorm2d", [320], {}], ["ReLU", [], {}]]
    G = [first, ["ConvTranspose2d", [320, 3, 2, 2], {}], ["Tanh", [], {}]]
    D = [
        [[["Conv2d", [3, 320, 2, 2], {}], ["LeakyReLU", [0.2], {}]], ["Conv2d", [320, 4, 2, 2], no_bias]],
        [["BatchNorm2d", [4], {"affine": False}], ["Flatten", [], {}], ["Linear", [8, 320], {}]],
        [["BatchNorm1d", [320], {}], ["LeakyReLU", [0.2], {}], ["Linear", [320, 5], {}]],
    ]
    return [
        Case((Spec("layers", {"layers": layers, "seed": whole(draws, 0, 10**6)}),), changes=(0,), seed=seed % 10**6 + i)
        for i, layers in enumerate((G, D))
    ]


NORMS = ("BatchNorm1d", "BatchNorm2d")


@dataclass(frozen=True)
class Part:
    """A parameter: its layer's class, its name there, how deep the layer lies, its values before and after."""

    kind: str
    name: str
    depth: int
    old: Tensor
    new: Tensor

    @property
    def kept(self) -> bool:
        """Whether nothing has changed."""
        return torch.equal(self.old, self.new)

    def is_normal(self, mean: float, within: float) -> bool:
        """Return whether mean and spread are those of N(mean, STD²), the spread up to a share."""
        off, spread = self.new.mean().item() - mean, self.new.std().item() / STD
        return abs(off) < 0.3 * STD and abs(spread - 1) < within


def parts(case: Case, result: Result) -> list[Part]:
    """Return the parameters of a network."""
    found, after = list[Part](), result.changed(0)
    for path, layer in build_layers((), **case.args[0].options).named_modules():
        for name, value in layer.named_parameters(recurse=False):
            found.append(Part(type(layer).__name__, name, path.count("."), value.detach(), after[len(found)]))
    return found


def kinds(some: Iterable[Part]) -> list[str]:
    """Return the classes of layers that some parameters belong to."""
    return sorted({part.kind for part in some})


def kurtosis(x: Tensor) -> float:
    """Return the mean fourth power of x around its mean, over its squared variance: 3 of normal numbers."""
    return ((x - x.mean()) / x.std()).pow(4).mean().item()


def judge_start(cases: list[Case], results: list[Result]) -> Verdict:
    """Look at the mean, the spread and the shape of what was drawn; the draws themselves differ."""
    for case, result in zip(cases, results, strict=True):
        net, output = build_layers((), **case.args[0].options), result.output
        if not (output["output"] is None or output["output"] == Opaque("Sequential")):
            return wrong("type", "the network is to be changed in place; besides it, nothing is returned")
        if differ(output["buffers"], [list(net.buffers())]):
            return wrong(
                "buffers-too",
                "running statistics (or the counter) of BatchNorm are changed. They are no parameters, although a "
                "state_dict holds them: they tell what the data was like",
            )
    found = [part for case, result in zip(cases, results, strict=True) for part in parts(case, result)]
    if any((fault := differ(part.new, part.old)) and fault[0] != "value" for part in found):
        return wrong("state", "a parameter has another shape afterwards, or is not finite")
    if all(part.kept for part in found):
        return wrong("state", "every parameter is what it was. Is each layer found, also within networks in `net`?")
    weights = [part for part in found if part.name == "weight" and part.kind not in NORMS]
    scales = [part for part in found if part.name == "weight" and part.kind in NORMS]
    biases = [part for part in found if part.name == "bias"]
    depths = [part.depth for part in found if part.kept], [part.depth for part in found if not part.kept]
    if depths[0] and min(depths[0]) > max(depths[1]):
        return wrong(
            "nested", "layers that lie deeper are as they came. A network may hold networks, and these hold others"
        )
    if left := kinds(part for part in weights if part.kept):
        if left == ["ConvTranspose2d"]:
            return wrong("transposed-left", "transposed convolutions are as they came: their class is another one")
        if left == ["Linear"]:
            return wrong("linear-left", "linear layers are as they came; they get weights like those of convolutions")
        return wrong("state", f"some weights are as they came ({', '.join(left)})")
    if left := kinds(part for part in scales if part.kept):
        told = f"the scale of {' and '.join(left)} is as it came; it has a distribution of its own"
        return wrong("scale-left", told)
    if all(part.is_normal(0, 0.25) for part in scales):
        return wrong("scale-around-0", "the scale of BatchNorm begins around 0: it would all but switch each map off")
    if all(bool((part.new == 1).all()) for part in scales):
        return wrong("scale-at-1", "the scale of BatchNorm is exactly 1. Right is 1 on average; look for its spread")
    drawn = torch.cat([part.new.flatten() for part in weights]).double()
    spread = drawn.std().item()
    if abs(spread / math.sqrt(STD) - 1) < 0.1:
        return wrong("variance", "0.02 is the standard deviation of the weights, and it is taken for their variance")
    if abs(spread / STD**2 - 1) < 0.1:
        return wrong("squared", "the weights have the standard deviation 0.0004: 0.02 is squared once too often")
    if abs(spread / STD * math.sqrt(3) - 1) < 0.03 and kurtosis(drawn) < 1.87:
        return wrong("uniform", "the weights are uniform between -0.02 and 0.02")
    for part in weights:
        if not part.is_normal(0, 0.1):
            told = f"mean {part.new.mean():.4f} and standard deviation {part.new.std():.4f}"
            return wrong("state", f"the weights of a layer ({part.kind}) have the {told}")
    if abs(kurtosis(drawn) - 3) > 0.4 or abs(spread / STD - 1) > 0.03:  # as truncated ones, or a tenth too wide
        told = f"nearly the right mean and spread ({spread:.4f} over all), but are not N(0, 0.02²)"
        return wrong("state", f"the weights have {told}")
    scale = torch.cat([part.new for part in scales]).double()
    if abs(scale.std().item() / STD**2 - 1) < 0.2:
        return wrong("scale-squared", "the scale of BatchNorm has the spread 0.0004: 0.02 is squared once too often")
    for part in scales:
        if not part.is_normal(1, 0.25):
            told = f"mean {part.new.mean():.3f} and standard deviation {part.new.std():.2g}"
            return wrong("state", f"the scale of {part.kind} has the {told}")
    if kurtosis(scale) < 2.2 or abs(scale.std().item() / STD - 1) > 0.16:
        return wrong("state", "the scale of BatchNorm has nearly the right mean and spread, but is not N(1, 0.02²)")
    if left := kinds(part for part in biases if part.kept):
        return wrong("bias-left", f"some biases are as they came ({', '.join(left)}); every bias begins at 0")
    if all(part.is_normal(0, 0.5) for part in biases if part.new.numel() > 100):
        return wrong("bias-drawn", "biases are drawn like weights; they begin at 0")
    if left := kinds(part for part in biases if part.new.any()):
        return wrong("state", f"some biases are not 0 ({', '.join(left)})")
    return right()


INITIALISE = Exercise(
    name="dcgan.initialise",
    title="Find the bugs: a start for each kind of layer",
    tier="implement",
    points=3,
    answer="initialise",
    cases=start_cases,
    judge=judge_start,
    probe="in_place",
)


# 6 What BatchNorm sees -------------------------------------------------------------------------------


def batch_cases(seed: int) -> list[Case]:
    """Data and fakes in unequal numbers, apart and together; one map hardly varies, so that ε counts."""
    draws = generator_of(seed)
    cases = []
    for (b, m), shape, together in (((3, 5), (2, 1, 2), False), ((6, 2), (2, 2, 1), True), ((2, 3), (3, 2, 2), True)):
        size = torch.tensor([1.0, 0.004, 1.7][: shape[0]]).view(-1, 1, 1)
        real, fake = (size * (torch.randn(n, *shape, generator=draws) + shift) for n, shift in ((b, 0.8), (m, -0.9)))
        note = f"{b} real and {m} generated, shape {shape}, {'together' if together else 'apart'}"
        cases.append(Case((real, fake, together), grads=(0, 1), note=note))
    real, fake = (torch.randn(n, 3, 1, 2, generator=draws) + shift for n, shift in ((4, -0.6), (7, 0.9)))
    return [*cases, Case((real, fake, False), grads=(0, 1), note="4 real and 7 generated, two pixels each, apart")]


def moments(x: Tensor, dims: tuple[int, ...] = (0, 2, 3), correction: int = 0) -> tuple[Tensor, Tensor]:
    """Return mean and variance over some dimensions, which are kept."""
    return x.mean(dims, keepdim=True), x.var(dims, keepdim=True, correction=correction)


def batch_normed(
    real, fake, together, *, when=same, dims=(0, 2, 3), correction=0, eps=1e-5, root=None, cut=same, pool=None
):
    """BatchNorm of both batches in train mode. Knobs: when they are one batch; what statistics run over; n or n − 1.

    ε; how the root is taken; whether statistics carry a graph; and where those of one batch come from.
    """
    if when(together):
        joint = moments(torch.cat([real, fake]), dims, correction)
        found = [pool(real, fake) if pool else joint] * 2
    else:
        found = [moments(x, dims, correction) for x in (real, fake)]
    pairs = zip((real, fake), found, strict=True)
    scale = root or (lambda var: (var + eps).sqrt())
    return tuple((x - cut(mean)) / cut(scale(var)) for x, (mean, var) in pairs)


def _stored(real, fake, together):
    return real / math.sqrt(1 + 1e-5), fake / math.sqrt(1 + 1e-5)


def _each_picture(real, fake, together, *, dims=(2, 3)):
    found = [moments(x, dims) for x in (real, fake)]
    return tuple((x - mean) / (var + 1e-5).sqrt() for x, (mean, var) in zip((real, fake), found, strict=True))


def _by_data(real, fake, together):
    mean, var = moments(real)
    return tuple((x - mean) / (var + 1e-5).sqrt() for x in (real, fake))


def _within(real, fake):
    """Mean and variance of one batch but for the distance of the two means."""
    (mean, var), (other_mean, other_var), a = moments(real), moments(fake), len(real) / (len(real) + len(fake))
    return a * mean + (1 - a) * other_mean, a * var + (1 - a) * other_var


def _averages(real, fake):
    return tuple((a + b) / 2 for a, b in zip(moments(real), moments(fake), strict=True))


BATCH_NORMED = function(
    "dcgan.batch_normed",
    "What BatchNorm sees",
    points=3,
    cases=batch_cases,
    reference=batch_normed,
    let={
        "never": lambda together: False,
        "always": lambda together: True,
        "turned": lambda together: not together,
        "detach": Tensor.detach,
        "outside": lambda var: var.sqrt() + 1e-5,
        "variance": lambda var: var + 1e-5,
        "stored": _stored,
        "by_data": _by_data,
        "each_picture": _each_picture,
        "averages": _averages,
        "within": _within,
        "swap": lambda *args: batch_normed(*args)[::-1],
    },
    table="""
    stored        stored          | hardly anything changes: these are the statistics that BatchNorm starts with, and
                                  | uses in eval mode. In train mode it uses the batch's own
    cut           cut=detach      | the values are right, but mean and variance carry no gradient. They depend on every
                                  | sample of the batch, and the gradient goes that way as well
    always-apart  when=never      | data and fakes are apart in every case; where `together` holds they are one batch
    always-together when=always   | data and fakes are one batch in every case
    turned        when=turned     | apart and together have changed places
    by-the-data   by_data         | the fakes are measured by mean and variance of the data; each batch has its own
    averages      pool=averages   | the statistics of the two batches are averaged. One batch of both has another mean
                                  | if sizes differ, and a variance that also holds the distance of the two means
    within        pool=within     | the mean is that of one batch, and the variance is averaged. It also holds the
                                  | distance of the two means
    unbiased      correction=1    | the variance is divided by n − 1; for its output BatchNorm divides by n
    each-picture  each_picture    | each picture has statistics of its own (instance normalisation); here they belong
                                  | to a map, over batch and pixels
    each-sample   each_picture dims=(1,2,3) | each picture has statistics of its own, over all its maps (layer
                                  | normalisation); here they belong to a map, over batch and pixels
    each-pixel    dims=(0,)       | each pixel has statistics of its own; here a map has them, over batch and pixels
    one-for-all   dims=(0,1,2,3)  | all maps share their statistics; each has its own
    eps-08        eps=0.8         | ε is 0.8. Some programs write BatchNorm2d(maps, 0.8) and mean the momentum
    eps-outside   root=outside    | ε is added to the standard deviation; it belongs under the root
    no-eps        eps=0           | ε is missing; a map that hardly varies shows it
    no-root       root=variance   | it divides by the variance, and not by its root
    order         swap            | data and fakes have changed places in the result
    """,
)


# 7 Readings of a log ---------------------------------------------------------------------------------

READINGS = numbers(
    "dcgan.readings",
    "Seven readings of a program",
    points=2,
    right="0.5  -log(0.9)-log(0.8)  -0.8  0.2  17  0.4  -1",
    table="""
    starts-at-one   0.9..1 * * * * * * | the first number: nothing has been learned yet, and the last layer's weights
                                    | are as likely as their negatives
    negative        * log(0.9)+log(0.8);log(0.9)+log(0.2) * * * * * | the second number has the sign of the printed
                                    | formula. Can a binary cross-entropy be negative
    data-alone      * -log(0.9) * * * * * | the second number is the data's term; the fakes have one too
    fakes-alone     * -log(0.8) * * * * * | the second number is the fakes' term; the data has one too
    data-as-fakes   * -log(0.1)-log(0.8) * * * * * | the second number asks for data that D takes for fakes; D wants 1
    fakes-as-data   * -log(0.9)-log(0.2) * * * * * | the second number asks for fakes that D takes for data; D wants 0
    averaged        * -(log(0.9)+log(0.8))/2 * * * * * | the second number is an average; the two terms are added
    third-uphill    * * 0.8 * * * * | the third number: a higher logit costs G less
    third-minimax   * * -0.2;0.2 * * * * | the third number is that of log(1 − D(G(z))), which G does not use here
    third-by-d      * * -5 * * * *  | the third number is the slope with respect to D(G(z)); how steep is the sigmoid
    fourth-intended * * * -0.2 * * * | the fourth: that is what it ought to say. Maximising log(1 − D(G(z))) is
                                    | descending its negative
    fourth-same     * * * -0.8 * * * | the fourth number belongs to the loss that G really has. Which D(G(z)) makes
                                    | log(1 − D(G(z))) largest
    fourth-turned   * * * 0.8 * * * | the fourth belongs to the loss that G really has, with another sign; the
                                    | logarithm is another one too
    each-epoch      * * * * 5 * *   | the fifth number counts epochs; the condition counts steps
    one-short       * * * * 16 * *  | the fifth number is one short: step 0 is a multiple of 500 too, and the very
                                    | last step is recorded as well
    two-short       * * * * 15 * *  | the fifth number leaves out step 0 and the very last step
    as-by-epoch     * * * * 20;21 * * | the fifth: the count of steps goes on from epoch to epoch
    stretched       * * * * * 1/3 * | the sixth number is what this grid shows; asked for is the fixed range
    fixed-at-zero   * * * * * 0 *   | the sixth: black is -1, also where no pixel is that dark
    alone           * * * * * * 1   | the seventh: in train mode mean and spread are those of this batch, and 1 lies
                                    | below its mean
    seventh-n-1     * * * * * * -1/sqrt(2) | the seventh divides by n − 1; BatchNorm divides by n
    """,
    tol=(0.01, 0.01, 0.01, 0.01, 1e-6, 0.01, 0.01),
)


# 8 Apart or together? --------------------------------------------------------------------------------

APART = essay(
    "dcgan.apart_or_together",
    "Apart or together?",
    points=5,
    words=120,
    rubric=(
        "1 point: says before looking what each hypothesis predicts for the five rows; A: both rows 'apart' have the "
        "wrong brightness; B: only 'everywhere, apart' has. "
        "2 points: reads the table with its numbers and the spread of the seeds: in 'everywhere, apart' alone all "
        "seeds are too dark and have too much contrast, so apart is not enough to hide it; uses 'everywhere, "
        "together' as the control; and gives the reason: a convolution followed by BatchNorm gives the same maps for "
        "a brighter or a steeper batch, a LeakyReLU before it does not (1 point for the table alone). "
        "1 point: limits: pictures of 8 pixels with much border, where padding shows the brightness; one kind of "
        "data, few seeds and steps; small differences between the other rows are not claimed. "
        "1 point: one further experiment with an outcome that would speak against the writer's own view."
    ),
)


SET = Set(
    "dcgan",
    "11_dcgan",
    "Convolutions: DCGAN",
    (SIZES, ON_PAPER, COVERAGE, TRANSPOSED, INITIALISE, BATCH_NORMED, READINGS, APART),
)
