"""The only place where uint8 NHWC and float NCHW meet.

Inside the package an image batch is float32, NCHW, in [-1, 1]; files, data sets and plots hold uint8, NHWC.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gancourse.errors import UserError


def to_float(images: Tensor | np.ndarray) -> Tensor:
    """Turn uint8 (N, H, W, C) images in 0…255 into float32 (N, C, H, W) in [-1, 1].

    The map is x / 127.5 - 1, the same as torchvision's ``ToTensor`` followed by ``Normalize(0.5, 0.5)``.
    A single-channel batch is a view away from its uint8 layout, so the conversion costs one pass.

    Raises:
        UserError: the input is not uint8 or not four-dimensional.
    """
    images = torch.as_tensor(images)
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise UserError(
            f"Expected uint8 images of shape (N, H, W, C), got {images.dtype} {tuple(images.shape)}. "
            "Float images in [-1, 1] go through images.to_uint8 first."
        )
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Turn float (N, C, H, W) images in [-1, 1] into uint8 (N, H, W, C); values outside are clamped.

    Raises:
        UserError: the input is not floating point or not four-dimensional.
    """
    if not torch.is_floating_point(images) or images.ndim != 4:
        raise UserError(
            f"Expected float images of shape (N, C, H, W) in [-1, 1], got {images.dtype} {tuple(images.shape)}."
        )
    scaled = images.detach().to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def pad(images: Tensor, size: int) -> Tensor:
    """Zero-pad square uint8 (N, H, W, C) images on all sides to `size` pixels (28 to 32 pads by 2).

    Raises:
        UserError: `size` is smaller than the images, or the margin is odd.
    """
    margin = size - images.shape[1]
    if margin < 0 or margin % 2:
        raise UserError(
            f"Cannot pad {images.shape[1]}-pixel images to {size}: the size must be larger by an even number."
        )
    if margin == 0:
        return images
    half = margin // 2
    return torch.nn.functional.pad(images, (0, 0, half, half, half, half))
