"""Layers that more than one system needs. They know nothing of losses or data."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import _SpectralNorm

from gancourse.errors import UserError


def check_labels(c: object, classes: int, n: int | None = None) -> Tensor:
    """Return class labels as an int64 tensor, or say what is wrong with them.

    Args:
        c: whole numbers 0 … classes - 1, as a tensor (n,), an array or a list.
        classes: how many classes there are.
        n: how many labels are wanted, if that is fixed.

    Raises:
        UserError: they are no whole numbers, out of range, of another shape, or missing.
    """
    if c is None:
        raise UserError("A conditional system needs labels, and there are none: use a data set that has them.")
    try:
        c = c if isinstance(c, Tensor) else torch.as_tensor(c, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"Labels are whole numbers 0 to {classes - 1}, got {type(c).__name__}.") from None
    if c.is_floating_point() or c.is_complex() or c.dtype == torch.bool:
        raise UserError(f"Labels are whole numbers 0 to {classes - 1}, got {c.dtype}; use labels.long().")
    if c.ndim != 1 or (n is not None and len(c) != n):
        wanted = "(n,)" if n is None else f"({n},)"
        raise UserError(f"Labels should have the shape {wanted}, one per sample; got {tuple(c.shape)}.")
    if len(c) and not 0 <= int(c.min()) <= int(c.max()) < classes:
        raise UserError(f"Labels run from 0 to {classes - 1}; got {int(c.min())} to {int(c.max())}.")
    return c.long()


def check_conditions(z: Tensor, c: Tensor | None, latent_dim: int, classes: int) -> None:
    """Raise a UserError unless z is noise (n, latent_dim) and c fits it.

    Args:
        z: float (n, latent_dim).
        c: labels, int64 (n,), or class weights, float (n, classes); None where there are no classes.
        latent_dim, classes: what the networks were built for; 0 classes: no conditions.
    """
    if z.ndim != 2 or z.shape[1] != latent_dim:
        raise UserError(f"Noise should have the shape (n, {latent_dim}); got {tuple(z.shape)}.")
    if not classes:
        if c is not None:
            raise UserError("This system has no conditions: it cannot be asked for c. Use a conditional one.")
    elif c is None or not c.is_floating_point():
        check_labels(c, classes, len(z))
    elif c.shape != (len(z), classes):
        wanted = f"({len(z)}, {classes})"
        raise UserError(f"Class weights should have the shape {wanted}; got {tuple(c.shape)}. Labels are integers.")


class LabelEmbedding(nn.Embedding):
    """A learned vector for each class.

    A condition is either labels, int64 (B,), or class weights, float (B, classes): a row of weights gives the
    weighted mean of the classes' vectors, so that one can walk from one class to another.
    """

    def forward(self, c: Tensor) -> Tensor:
        """Return the vectors of the conditions, (B, embedding_dim)."""
        return c @ self.weight if c.is_floating_point() else super().forward(c)


class ConditionalBatchNorm(nn.Module):
    """BatchNorm whose scale and shift depend on the class: γ_c · (h - μ) / √(σ² + ε) + β_c.

    Mean and variance are those of the whole batch (in eval mode the running ones), as in plain BatchNorm. De Vries
    et al. 2017, https://arxiv.org/abs/1707.00683, introduced it for questions about pictures; in a GAN's generator,
    Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637, after Dumoulin et al. 2017.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, classes: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma = LabelEmbedding(classes, features)  # scale, starts at 1
        self.beta = LabelEmbedding(classes, features)  # shift, starts at 0
        nn.init.ones_(self.gamma.weight)
        nn.init.zeros_(self.beta.weight)
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """Normalise h, (B, features) or (B, features, height, width), for conditions c; see `LabelEmbedding`."""
        h = F.batch_norm(h, self.running_mean, self.running_var, None, None, self.training, self.momentum, self.eps)
        gamma, beta = self.gamma(c), self.beta(c)  # (B, features)
        if h.ndim == 4:
            gamma, beta = gamma[:, :, None, None], beta[:, :, None, None]
        return torch.addcmul(beta, gamma, h)


class SpectralNorm(nn.Module):
    """W / σ(W) by one step of the power iteration in each forward pass in training (Miyato et al. 2018, algorithm 1).

    The same numbers as torch's parametrization up to rounding, with the same state; but it writes no intermediate
    result in place, so it also works under ``torch.func.vmap``.

    Args:
        like: torch's parametrization whose state it takes over.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, like: _SpectralNorm) -> None:
        super().__init__()
        self.dim, self.eps = like.dim, like.eps
        self.register_buffer("_u", like._u.clone())
        self.register_buffer("_v", like._v.clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight divided by its largest singular value, as the power iteration knows it."""
        matrix = weight.movedim(self.dim, 0).flatten(1)
        u, v = self._u, self._v
        if self.training:
            with torch.no_grad():
                u = F.normalize(matrix @ v, dim=0, eps=self.eps)
                v = F.normalize(matrix.T @ u, dim=0, eps=self.eps)
                self._u.copy_(u)
                self._v.copy_(v)
        return weight / torch.dot(u, matrix @ v)


def functional_spectral_norms(network: nn.Module) -> nn.Module:
    """Exchange torch's spectral norms of a network for :class:`SpectralNorm`, in place; return the network."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, _SpectralNorm) and child.n_power_iterations == 1:
                setattr(module, name, SpectralNorm(child))
    return network
