"""The objectives of the course, one function pair each: they take D's raw output and return a scalar.

The cross-entropies take logits and are in nats. A logit is the raw output a of a discriminator with D(x) = σ(a).
Working on logits keeps the gradient when the discriminator is very sure: σ(a) rounds to exactly 0 or 1 in float32,
and a loss written on D(x) then goes dead. All others take scores: the raw output itself is D(x).

Scores in half precision are raised to float32 first, so that a network may run under autocast: a mean over a batch, or
a logarithm, of 8 or 11 bits is not worth much. float64 stays float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

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

    Mao et al. 2017, equation 2, https://arxiv.org/abs/1611.04076. Where both distributions agree, the best D answers
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


def wasserstein_d_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[D(G(z))] - E[D(x)], the critic's loss, as a scalar of any sign.

    Args:
        real: scores of data samples, any shape: the critic's raw output.
        fake: scores of generated samples, any shape; the two batches may differ in size.

    Minus this number estimates the Wasserstein distance only for a critic that is 1-Lipschitz and nearly the best of
    its kind (Arjovsky et al. 2017, equation 2, https://arxiv.org/abs/1701.07875). Without a bound on its slope the
    critic can make the loss as low as it likes.
    """
    return full(fake).mean() - full(real).mean()


def wasserstein_g_loss(fake: Tensor) -> Tensor:
    """Return -E[D(G(z))], the generator's loss against a critic, as a scalar of any sign.

    Arjovsky et al. 2017, algorithm 1. The hinge game's generator has the same loss (Miyato et al. 2018, equation 17).
    """
    return -full(fake).mean()


def hinge_d_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], the hinge discriminator's loss, as a scalar ≥ 0.

    Args:
        real: scores of data samples, any shape: D's raw output, with no sigmoid.
        fake: scores of generated samples, any shape; the two batches may differ in size.

    Lim & Ye 2017, https://arxiv.org/abs/1705.02894, and Miyato et al. 2018, https://arxiv.org/abs/1802.05957, equation
    16. The best D answers 1 where data are likelier than fakes and -1 elsewhere. The generator's loss is
    :func:`wasserstein_g_loss`.
    """
    return relu(1 - full(real)).mean() + relu(1 + full(fake)).mean()


def relativistic_loss(wanted: Tensor, other: Tensor) -> Tensor:
    """Return E[log(1 + exp(-(D(wanted) - D(other))))], a scalar ≥ 0: how far `other` is from being out-scored.

    Args:
        wanted: scores (B,) of the samples that this player wants above the others: data for D, fakes for G.
        other: scores (B,) of the samples that they are paired with.

    Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734; as a pairing with both penalties, Huang et al. 2024
    (R3GAN), https://arxiv.org/abs/2501.05441, equation 2. Where both distributions agree, the best D scores all alike,
    and the loss is log 2.

    Raises:
        UserError: the batches differ in shape: each sample is compared with one of the others.
    """
    if wanted.shape != other.shape:
        raise UserError(
            f"A relativistic loss compares samples in pairs, and got scores of shapes {tuple(wanted.shape)} and "
            f"{tuple(other.shape)}. Take batches of the same size."
        )
    return softplus(full(other) - full(wanted)).mean()
