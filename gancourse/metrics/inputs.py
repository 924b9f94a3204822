"""What the measures take: arrays of floats and labels, checked, with errors that say what was expected."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gancourse.errors import UserError

Array = Tensor | np.ndarray


def finite(value: Array, what: str, shape: str, ndim: int, width: int | None = None) -> Tensor:
    """Return `value` in float64 on the CPU after checking its kind, shape and values.

    Args:
        value: floats.
        what, shape: how the error calls them, and the shape it asks for.
        ndim: how many axes there must be.
        width: the length of the second axis, or None for any.

    Raises:
        UserError: no floats, another shape, no row, NaN or infinity.
    """
    x = torch.as_tensor(value).detach()
    if not torch.is_floating_point(x) or x.ndim != ndim or len(x) == 0 or (width and x.shape[1] != width):
        raise UserError(f"Expected {what} as floats of shape {shape}, got {x.dtype} {tuple(x.shape)}.")
    x = x.cpu().double()
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise UserError(f"The {what} must be finite, got {bad} NaN or infinite values of {x.numel()}.")
    return x


def checked_labels(labels: Array, n: int, classes: int) -> Tensor:
    """Return `labels` as int64 (n,) on the CPU after checking their kind, number and range.

    Raises:
        UserError: no whole numbers, another number of them, or one that is not in 0 … classes - 1.
    """
    y = torch.as_tensor(labels).detach().cpu()
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if tuple(y.shape) != (n,) or not whole:
        raise UserError(f"Expected one whole-number label per image, ({n},), got {y.dtype} {tuple(y.shape)}.")
    y = y.long()
    if n and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise UserError(f"Labels go from 0 to {classes - 1}, got {int(y.min())} to {int(y.max())}.")
    return y
