"""The objectives of the course, one function pair each: they take D's raw output and return a scalar.

The cross-entropies take logits and are in nats. A logit is the raw output a of a discriminator with D(x) = σ(a).
Working on logits keeps the gradient when the discriminator is very sure: σ(a) rounds to exactly 0 or 1 in float32,
and a loss written on D(x) then goes dead. Least squares takes scores: the raw output itself is D(x).

Scores in half precision are raised to float32 first, so that a network may run under autocast: a mean over a batch, or
a logarithm, of 8 or 11 bits is not worth much. float64 stays float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gancourse.errors import UserError

HALF = (torch.float16, torch.bfloat16)
LOG_2 = math.log(2.0)
"""The cross-entropy, in nats, of a discriminator that answers ½ to everything."""


def full(scores: Tensor) -> Tensor:
    """Return `scores` in float32 if they are in half precision (float16 or bfloat16), else as they are."""
    return scores.float() if scores.dtype in HALF else scores


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -E[log D(x)] - E[log(1 - D(G(z)))], the discriminator's loss, as a scalar ≥ 0.

    Args:
        real_logits: logits of data samples, any shape.
        fake_logits: logits of generated samples, any shape; the two batches may differ in size.

    It is minus the value function V(D, G) of Goodfellow et al. 2014, equation 1. At D = ½ it is 2 log 2 ≈ 1.386.
    Uses -log σ(a) = softplus(-a) and -log(1 - σ(a)) = softplus(a), which never overflow.
    """
    return softplus(-full(real_logits)).mean() + softplus(full(fake_logits)).mean()


def matching_aware_loss(right: Tensor, generated: Tensor, wrong: Tensor, weight: float = 0.5) -> Tensor:
    """Return -E[log D(x, c)] - w E[log(1 - D(G(z, c), c))] - w E[log(1 - D(x, ĉ))], a scalar ≥ 0.

    Args:
        right: logits of real samples with their own labels.
        generated: logits of generated samples with the labels they were made for.
        wrong: logits of real samples with labels that are not theirs.
        weight: w; Reed et al. take ½, so that both kinds of fake together weigh as much as the real pairs.

    Reed et al. 2016, https://arxiv.org/abs/1605.05396, algorithm 1, where D maximises
    log s_r + (log(1 - s_w) + log(1 - s_f)) / 2.
    """
    return softplus(-full(right)).mean() + weight * (softplus(full(generated)).mean() + softplus(full(wrong)).mean())


def nonsaturating_loss(fake_logits: Tensor) -> Tensor:
    """Return -E[log D(G(z))], the generator's non-saturating loss, as a scalar ≥ 0.

    Proposed in section 3 of Goodfellow et al. 2014. With respect to the logit its slope is -(1 - σ(a)), which
    stays near -1 while the discriminator rejects every sample.
    """
    return softplus(-full(fake_logits)).mean()


def minimax_loss(fake_logits: Tensor) -> Tensor:
    """Return E[log(1 - D(G(z)))], the generator's part of the minimax game, as a scalar ≤ 0.

    Goodfellow et al. 2014, equation 1. With respect to the logit its slope is -σ(a), which vanishes while the
    discriminator rejects every sample: this form saturates.
    """
    return -softplus(full(fake_logits)).mean()


def least_squares_d_loss(real: Tensor, fake: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Return ½ E[(D(x) - b)²] + ½ E[(D(G(z)) - a)²], the least-squares discriminator's loss, as a scalar ≥ 0.

    Args:
        real: scores of data samples, any shape: D's raw output, with no sigmoid.
        fake: scores of generated samples, any shape; the two batches may differ in size.
        a: the score that D aims at for generated samples.
        b: the score that D aims at for data.

    Mao et al. 2017, equation 2, https://arxiv.org/abs/1611.04076. Where both laws agree, the best D answers
    (a + b) / 2 to everything, and the loss is (b - a)² / 4: ¼ for the default coding. Each batch meets a number and
    not a tensor of targets, so nothing broadcasts.

    Raises:
        UserError: a = b, which leaves D nothing to tell apart, or a target that is not finite.
    """
    check_targets(a, b)
    return 0.5 * (full(real) - b).square().mean() + 0.5 * (full(fake) - a).square().mean()


def least_squares_g_loss(fake: Tensor, c: float = 1.0) -> Tensor:
    """Return ½ E[(D(G(z)) - c)²], the least-squares generator's loss, as a scalar ≥ 0.

    Args:
        fake: scores of generated samples, any shape: D's raw output, with no sigmoid.
        c: the score that G wants D to give; a different thing from D's own target for generated samples.

    Mao et al. 2017, equation 2. Its slope against a score is that score minus c: it grows with the distance, and it
    changes its sign at c, so that a sample scored above c is pulled back.

    Raises:
        UserError: c is not finite.
    """
    if not math.isfinite(c):
        raise UserError(f"c={c!r} must be a finite number: the score that G wants.")
    return 0.5 * (full(fake) - c).square().mean()


def check_targets(a: float, b: float) -> None:
    """Raise a UserError unless a and b, the least-squares targets of fakes and of data, are finite and different."""
    if not (math.isfinite(a) and math.isfinite(b)):
        raise UserError(f"a={a!r} and b={b!r} must be finite numbers: D's targets for generated samples and for data.")
    if a == b:
        raise UserError(
            f"a={a:g} and b={b:g} are the same target: a D that answers {a:g} to everything has loss 0, and learns "
            "nothing that could guide G. Give generated samples and data two different targets, for example a=0 b=1."
        )
