"""Penalties on the slope of a critic or discriminator: its gradient with respect to the samples that it judges.

Each takes the network as a function of samples alone, so that a condition stands outside: ``lambda x: D(x, c)``. Scores
are (B,), or (S, B) for several seeds side by side; what lies behind their dimensions is one sample, and a norm is taken
over that sample, never over a batch. Scores are raised to float32 first, and the network runs in float32 and not
compiled, whatever the rest of the step does. A penalty is added to the loss and descended
with it, so it must keep its graph: the gradient of the gradient goes through it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gancourse import runtime
from gancourse.errors import UserError
from gancourse.losses import full

Critic = Callable[[Tensor], Tensor]
"""Maps samples (B, …) to scores (B,)."""


def slopes(critic: Critic, x: Tensor) -> Tensor:
    """Return the gradient of a critic at each sample, flattened, (B, numbers), with the graph that a penalty needs.

    Args:
        critic: maps samples to scores; each score may depend on its own sample only.
        x: the samples, float (B, …); they are cut off from whatever made them.

    Raises:
        RuntimeError: the gradient has lost its graph, so that a penalty would change nothing (a network under no_grad,
            a compiled one, or a score that is linear in x and has no parameter to train).
    """
    x = full(x.detach()).requires_grad_(True)
    with torch.enable_grad(), runtime.exact(x.device):
        scores = full(critic(x))
        (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    if not gradient.requires_grad:
        raise RuntimeError(
            "The penalty has lost its graph: it would be a number that trains nothing. Call the critic itself, not "
            "compiled, outside of torch.no_grad, and with parameters that require gradients."
        )
    return gradient.flatten(scores.ndim)


def between(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """Return x̂ = εx + (1 - ε)x̃, one point on the segment of each pair.

    Args:
        real, fake: samples, both (B, …), paired as they come.
        epsilon: uniform in [0, 1], (B,): one number for each sample, not for the batch.

    Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, algorithm 1.

    Raises:
        UserError: the batches differ in shape, or there is not one ε for each sample.
    """
    if real.shape != fake.shape or epsilon.shape != real.shape[: epsilon.ndim]:
        raise UserError(
            f"Got data {tuple(real.shape)}, fakes {tuple(fake.shape)} and epsilon {tuple(epsilon.shape)}: a segment "
            "joins one sample to one fake, and each segment has its own epsilon, (B,)."
        )
    return torch.lerp(fake.to(real.dtype), real, epsilon.view(*epsilon.shape, *[1] * (real.ndim - epsilon.ndim)))


def gradient_penalty(
    critic: Critic, x_hat: Tensor, *, norm: float = 1.0, sided: str = "two", squared: bool = True
) -> Tensor:
    """Return E[(‖∇D(x̂)‖₂ - 1)²], a scalar ≥ 0; see :func:`between` for the points.

    Args:
        critic: maps samples to scores.
        x_hat: the points where the slope is held, (B, …).
        norm: the slope that is not punished.
        sided: "two" punishes every other slope (Gulrajani et al. 2017, equation 3), "one" only steeper ones (Petzka et
            al. 2018, https://arxiv.org/abs/1709.08894).
        squared: False takes the distance from `norm` as it is.

    Raises:
        UserError: `sided` is neither "one" nor "two".
        RuntimeError: see :func:`slopes`.
    """
    if sided not in ("one", "two"):
        raise UserError(f"sided={sided!r} is neither 'one' (only steeper slopes are punished) nor 'two'.")
    excess = slopes(critic, x_hat).norm(dim=-1) - norm  # (B,); torch's norm has the slope 0 at 0, not NaN
    excess = relu(excess) if sided == "one" else excess
    return (excess.square() if squared else excess.abs()).mean()


def zero_centred_penalty(critic: Critic, x: Tensor) -> Tensor:
    """Return ½ E[‖∇D(x)‖²], a scalar ≥ 0, to be multiplied by γ: R1 if x are data, R2 if they are fakes.

    Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9. The squares are summed over the numbers of a
    sample, so a good γ grows with their number.

    Raises:
        RuntimeError: see :func:`slopes`.
    """
    return 0.5 * slopes(critic, x).square().sum(dim=-1).mean()


def check_samples_apart(critic: nn.Module, penalty: str) -> None:
    """Raise a UserError if a critic has BatchNorm: then a score depends on the whole batch, and no slope is a sample's.

    Args:
        critic: the network.
        penalty: what it is for, for the message.
    """
    for name, module in critic.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise UserError(
                f"{penalty} holds the slope at each sample, and BatchNorm (layer {name!r}) makes a score depend on the "
                "whole batch: its gradient is no slope of one sample (Gulrajani et al. 2017, section 4). Build the "
                "critic without BatchNorm, for example with d_norm=none."
            )
