"""The objectives of the course, one function pair each: they take logits and return a scalar in nats.

A logit is the discriminator's raw output a, with D(x) = σ(a). Working on logits keeps the gradient when the
discriminator is very sure: σ(a) rounds to exactly 0 or 1 in float32, and a loss written on D(x) then goes dead.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

LOG_2 = math.log(2.0)
"""The cross-entropy, in nats, of a discriminator that answers ½ to everything."""


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -E[log D(x)] - E[log(1 - D(G(z)))], the discriminator's loss, as a scalar ≥ 0.

    Args:
        real_logits: logits of data samples, any shape.
        fake_logits: logits of generated samples, any shape; the two batches may differ in size.

    It is minus the value function V(D, G) of Goodfellow et al. 2014, equation 1. At D = ½ it is 2 log 2 ≈ 1.386.
    Uses -log σ(a) = softplus(-a) and -log(1 - σ(a)) = softplus(a), which never overflow.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def nonsaturating_loss(fake_logits: Tensor) -> Tensor:
    """Return -E[log D(G(z))], the generator's non-saturating loss, as a scalar ≥ 0.

    Proposed in section 3 of Goodfellow et al. 2014. With respect to the logit its slope is -(1 - σ(a)), which
    stays near -1 while the discriminator rejects every sample.
    """
    return softplus(-fake_logits).mean()


def minimax_loss(fake_logits: Tensor) -> Tensor:
    """Return E[log(1 - D(G(z)))], the generator's part of the minimax game, as a scalar ≤ 0.

    Goodfellow et al. 2014, equation 1. With respect to the logit its slope is -σ(a), which vanishes while the
    discriminator rejects every sample: this form saturates.
    """
    return -softplus(fake_logits).mean()
